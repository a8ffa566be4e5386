/**
 * FileBody: the bytes of a file as the body of an answer: all of it, one range, or several in a multipart body
 * (RFC 9110, section 14.6).
 *
 * Invariant: one piece of half a MiB is in memory for a reader, however slow it is and however large the file; the next
 * one is read when the connection has taken the last. A file that ends before its size, or cannot be read on, fails the
 * body, so that nobody takes it for complete.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type Attributes, Vfs } from "../vfs/Vfs.ts"
import { type VfsError, vfsError } from "../vfs/VfsError.ts"
import * as ByteRanges from "./ByteRanges.ts"

const pieceBytes = 512 * 1024
/** The first piece is small: it is held until the answer is at its end. */
const firstPieceBytes = 64 * 1024

/** Something to send: bytes that are at hand, or a stretch of the file. */
type Section = Uint8Array | ByteRanges.ByteRange

export interface FileBody {
  readonly sizeBytes: number
  readonly sections: ReadonlyArray<Section>
}

const isRange = (section: Section): section is ByteRanges.ByteRange => "start" in section

const sizeOf = (section: Section): number => (isRange(section) ? section.end - section.start : section.length)

const make = (sections: ReadonlyArray<Section>): FileBody => ({
  sizeBytes: sections.reduce((sum, section) => sum + sizeOf(section), 0),
  sections
})

export const ofRange = (range: ByteRanges.ByteRange): FileBody => make([range])

const text = (content: string): Uint8Array => Buffer.from(content)

/** Each range with its own headers. `boundary` must not occur in the file. */
export const ofRanges = (
  ranges: ReadonlyArray<ByteRanges.ByteRange>,
  { boundary, contentType, sizeBytes }: { boundary: string; contentType: string; sizeBytes: number }
): FileBody =>
  make([
    ...ranges.flatMap((range, index) => [
      text(
        `${index === 0 ? "" : "\r\n"}--${boundary}\r\nContent-Type: ${contentType}\r\n` +
          `Content-Range: ${ByteRanges.format(range, sizeBytes)}\r\n\r\n`
      ),
      range
    ]),
    text(`\r\n--${boundary}--\r\n`)
  ])

function* piecesOf(sections: ReadonlyArray<Section>): Generator<Section> {
  let nextBytes = firstPieceBytes
  for (const section of sections) {
    if (!isRange(section)) {
      yield section
      continue
    }
    for (let start = section.start; start < section.end;) {
      const end = Math.min(section.end, start + nextBytes)
      yield { start, end }
      start = end
      nextBytes = pieceBytes
    }
  }
}

const readPiece = ({ inode }: Attributes, { end, start }: ByteRanges.ByteRange) =>
  Effect.gen(function* () {
    const vfs = yield* Vfs
    const bytes = yield* vfs.read(inode, start, end - start)
    if (bytes.length === end - start) return bytes
    return yield* vfsError("Damaged", `the file at byte ${start}`, "ends before its size")
  })

/**
 * The body as a stream, once its first bytes have been read: what cannot be read at all is known before anything was
 * answered.
 */
export const open = (
  attributes: Attributes,
  { sections }: FileBody
): Effect.Effect<Stream.Stream<Uint8Array, VfsError, Vfs>, VfsError, Vfs> =>
  Effect.gen(function* () {
    const pieces = piecesOf(sections)
    const head: Array<Uint8Array> = []
    for (;;) {
      const { done, value } = pieces.next()
      if (done === true) return Stream.fromIterable(head)
      if (!isRange(value)) {
        head.push(value)
        continue
      }
      head.push(yield* readPiece(attributes, value))
      const rest = Stream.fromIterable(pieces, { chunkSize: 1 }).pipe(
        Stream.mapEffect((piece) => (isRange(piece) ? readPiece(attributes, piece) : Effect.succeed(piece)))
      )
      return Stream.concat(Stream.fromIterable(head, { chunkSize: 1 }), rest)
    }
  })
