/**
 * Finds out which files of a tree are as they were in its previous backup, so that their contents need not be read.
 *
 * A file is unchanged when everything that an archive keeps of it is the same: mode, owner, flags, attributes, size and
 * the modification time to the nanosecond. It counts only when every chunk of its content is still there.
 *
 * The walk is synchronous and the previous archive is not, so `seek` may answer false: then `supply` fetches what is
 * lacking, and the walk asks again. Damage ends the comparison with a warning: the rest of the tree is read.
 */
import * as Effect from "effect/Effect"
import { ByteWriter } from "../../format/ByteWriter.ts"
import { FormatError } from "../../format/FormatError.ts"
import { writeAttributes } from "../../format/pxar/Attributes.ts"
import type { Entry, FileContent } from "../../format/pxar/Entry.ts"
import * as Items from "../../format/pxar/Items.ts"
import type { FileMetadata } from "../../model/FileMetadata.ts"
import type { PreviousArchive } from "../PreviousArchive.ts"
import { ReuseCursor } from "./ReuseCursor.ts"
import type { PayloadRange } from "./ReusePlan.ts"

/** Chunks looked for at once: most are asked for a moment later anyway. */
const CHECKED_TOGETHER = 128

const UNKNOWN = 0
const PRESENT = 1
const MISSING = 2

type Warn = (message: string) => void

export class ReuseLookup {
  readonly #previous: PreviousArchive
  readonly #warn: Warn
  readonly #cursor = new ReuseCursor()
  /** What is known of each chunk of the previous payload. */
  readonly #presence: Uint8Array
  /** The first chunk that must be looked for before the walk goes on. */
  #wantedChunk: number | undefined
  #isWaiting = false

  /** `warn` takes what concerns the previous archive as such. */
  constructor(previous: PreviousArchive, warn: Warn) {
    this.#previous = previous
    this.#warn = warn
    this.#presence = new Uint8Array(previous.payload.count)
  }

  /** Whether the walk stands until `supply` has run. */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  /** Looks for a child of the directory that the walk is in; false when `supply` has to run first. */
  seek(name: Uint8Array): boolean {
    this.#isWaiting = !this.#seekEntry(name) || !this.#knowsChunks()
    return !this.#isWaiting
  }

  /** Where the content of the file that was sought last stands, if it is the same file with the same content. */
  unchanged(metadata: FileMetadata, sizeBytes: number): PayloadRange | undefined {
    const entry = this.#cursor.found
    const range = this.#rangeOf(entry)
    if (range === undefined || entry?.kind !== "file" || entry.content.sizeBytes !== sizeBytes)
      return undefined
    if (!sameMetadata(entry.metadata, metadata)) return undefined
    const [first, last] = this.#chunksOf(range)
    return this.#presence.subarray(first, last + 1).includes(MISSING) ? undefined : range
  }

  enter(): void {
    this.#cursor.enter()
  }

  leave(): void {
    this.#cursor.leave()
  }

  /** Fetches what `seek` lacked. */
  readonly supply: Effect.Effect<void> = Effect.suspend(() => {
    const chunk = this.#wantedChunk
    this.#isWaiting = false
    this.#wantedChunk = undefined
    return chunk === undefined ? this.#fetchPiece : this.#checkChunks(chunk)
  }).pipe(Effect.catch((error) => Effect.sync(() => this.#giveUp(error.message))))

  get #fetchPiece() {
    return Effect.map(this.#previous.nextPiece, (piece) => {
      if (piece === undefined) this.#cursor.end()
      else this.#cursor.push(piece)
    })
  }

  #checkChunks(first: number) {
    const count = Math.min(CHECKED_TOGETHER, this.#presence.length - first)
    return Effect.map(this.#previous.findMissing(first, count), (missing) => {
      this.#presence.fill(PRESENT, first, first + count)
      for (const chunk of missing) {
        this.#presence[chunk] = MISSING
        const digest = this.#previous.payload.digest(chunk)
        this.#warn(`chunk ${digest} of the previous snapshot is gone: what was in it is read again`)
      }
    })
  }

  #giveUp(detail: string): void {
    this.#cursor.end()
    this.#warn(`the previous snapshot cannot be compared with any further: ${detail}`)
  }

  #seekEntry(name: Uint8Array): boolean {
    try {
      return this.#cursor.seek(name)
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      this.#giveUp(error.message)
      return true
    }
  }

  /** False when a chunk of what was found has not been looked for. */
  #knowsChunks(): boolean {
    const range = this.#rangeOf(this.#cursor.found)
    if (range === undefined) return true
    const [first, last] = this.#chunksOf(range)
    for (let chunk = first; chunk <= last; chunk++) {
      if (this.#presence[chunk] !== UNKNOWN) continue
      this.#wantedChunk = chunk
      return false
    }
    return true
  }

  /** Undefined unless the entry is a file whose content lies within the previous payload stream. */
  #rangeOf(entry: Entry | undefined): PayloadRange | undefined {
    if (entry?.kind !== "file" || entry.content.stream !== "payload") return undefined
    const range = rangeOf(entry.content)
    return range.endOffset <= this.#previous.payload.sizeBytes ? range : undefined
  }

  #chunksOf({ offset, endOffset }: PayloadRange): readonly [first: number, last: number] {
    const { payload } = this.#previous
    return [payload.find(offset), payload.find(endOffset - 1)]
  }
}

const rangeOf = ({ offset, sizeBytes }: FileContent): PayloadRange => ({
  offset,
  endOffset: offset + Items.HEADER_BYTES + sizeBytes
})

const sameMetadata = (left: FileMetadata, right: FileMetadata): boolean =>
  left.mtimeNanos === right.mtimeNanos &&
  left.mtimeSeconds === right.mtimeSeconds &&
  left.mode === right.mode &&
  left.uid === right.uid &&
  left.gid === right.gid &&
  left.flags === right.flags &&
  sameAttributes(left, right)

const hasAttributes = ({ acl, fcaps, quotaProjectId, xattrs }: FileMetadata): boolean =>
  xattrs.length > 0 || acl !== undefined || fcaps !== undefined || quotaProjectId !== undefined

/** Attributes are the same when an archive would hold the same bytes for them. */
const sameAttributes = (left: FileMetadata, right: FileMetadata): boolean =>
  hasAttributes(left) === hasAttributes(right) &&
  (!hasAttributes(left) || Buffer.compare(encodeAttributes(left), encodeAttributes(right)) === 0)

const encodeAttributes = (metadata: FileMetadata): Uint8Array => {
  const writer = new ByteWriter()
  writeAttributes(writer, metadata)
  return writer.view()
}
