/**
 * Backups of one directory, one building on the other, without a datastore: streams are byte arrays, and their chunks
 * are cut wherever a test likes.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import {
  type DirectorySourceOptions,
  openDirectory,
  type SourceStatistics
} from "../../../src/backup/DirectorySource.ts"
import type { PreviousArchive } from "../../../src/backup/PreviousArchive.ts"
import type { FormatError } from "../../../src/format/FormatError.ts"
import * as Accessor from "../../../src/format/pxar/Accessor.ts"
import * as DynamicIndex from "../../../src/format/DynamicIndex.ts"
import * as Digest from "../../../src/model/Digest.ts"
import { entriesOf, type Stored, warningsOf } from "./trees.ts"

export interface Generation {
  readonly archive: Uint8Array
  readonly payload: Uint8Array
  readonly index: DynamicIndex.DynamicIndex
  readonly statistics: SourceStatistics
  readonly warnings: ReadonlyArray<string>
  /** Chunks taken from the generation before, as spans. */
  readonly injected: ReadonlyArray<readonly [first: number, last: number]>
  /** Bytes of the payload stream that came out of `read`. */
  readonly readBytes: number
}

export interface GenerationOptions {
  readonly previous?: Generation | undefined
  /** Chunks of the previous payload that are gone. */
  readonly missing?: ReadonlyArray<number>
  /** Length of the chunk that begins at that offset of what is read; 64 KiB by default. */
  readonly cut?: (offset: number) => number
  readonly pieceBytes?: number
  readonly targetBytes?: number
  readonly source?: Partial<DirectorySourceOptions>
}

/** A generation as the next one sees it. */
export const previousOf = (
  { archive, index }: Pick<Generation, "archive" | "index">,
  { missing = [], pieceBytes = 1000 }: Pick<GenerationOptions, "missing" | "pieceBytes"> = {}
): PreviousArchive => {
  let position = 0
  return {
    payload: index,
    nextPiece: Effect.sync(() => {
      const piece = archive.subarray(position, position + pieceBytes)
      position += piece.length
      return piece.length === 0 ? undefined : piece
    }),
    findMissing: (first, count) =>
      Effect.sync(() => missing.filter((chunk) => chunk >= first && chunk < first + count))
  }
}

/** The stream and where its chunks end. */
class Payload {
  readonly pieces: Array<Uint8Array> = []
  readonly ends: Array<number> = []
  sizeBytes = 0
  readonly #cut: (offset: number) => number
  #chunkStart = 0

  constructor(cut: (offset: number) => number) {
    this.#cut = cut
  }

  add(bytes: Uint8Array): void {
    this.pieces.push(bytes)
    this.sizeBytes += bytes.length
    for (;;) {
      const end = this.#chunkStart + this.#cut(this.#chunkStart)
      if (end > this.sizeBytes) return
      this.#end(end)
    }
  }

  endChunk(): void {
    if (this.#chunkStart < this.sizeBytes) this.#end(this.sizeBytes)
  }

  addChunk(bytes: Uint8Array): void {
    this.pieces.push(bytes)
    this.sizeBytes += bytes.length
    this.#end(this.sizeBytes)
  }

  #end(end: number): void {
    this.ends.push(end)
    this.#chunkStart = end
  }
}

export const indexOf = (payload: Uint8Array, ends: ReadonlyArray<number>): DynamicIndex.DynamicIndex => {
  let start = 0
  const entries = ends.map((end) => {
    const digest = Digest.parse(hash("sha256", payload.subarray(start, end), "hex"))
    start = end
    return { end, digest }
  })
  return DynamicIndex.decode(DynamicIndex.encode({ uuid: new Uint8Array(16), ctime: 0, entries }).bytes)
}

/** Backs a directory up on top of the previous generation. */
export const backUpOn = (root: string, options: GenerationOptions = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { cut = () => 65_536, previous, targetBytes = 4096 } = options
      const source = yield* openDirectory({
        path: root,
        version: 2,
        excludes: [],
        previous: previous === undefined ? undefined : previousOf(previous, options),
        ...options.source
      })
      const payload = new Payload(cut)
      const archive: Array<Uint8Array> = []
      const injected: Array<readonly [number, number]> = []
      let readBytes = 0
      while (!source.isFinished) {
        const target = new Uint8Array(targetBytes)
        const count = yield* source.read(target)
        readBytes += count
        payload.add(target.subarray(0, count))
        const injection = source.takeInjection()
        if (injection !== undefined) {
          const { first, index, last } = injection
          payload.endChunk()
          injected.push([first, last])
          for (let chunk = first; chunk <= last; chunk++) {
            payload.addChunk(previous!.payload.subarray(index.start(chunk), index.end(chunk)))
          }
        }
        archive.push(source.takeArchiveBytes())
      }
      payload.endChunk()
      const bytes = Buffer.concat(payload.pieces)
      const generation: Generation = {
        archive: Buffer.concat(archive),
        payload: bytes,
        index: indexOf(bytes, payload.ends),
        statistics: source.statistics,
        warnings: warningsOf(source),
        injected,
        readBytes
      }
      return generation
    })
  )

const rangesOf = (bytes: Uint8Array): Accessor.RangeReader => ({
  sizeBytes: bytes.length,
  read: (offset, lengthBytes) => Effect.sync(() => bytes.subarray(offset, offset + lengthBytes))
})

/** Files below a directory whose content random access finds, its header included. */
const countAccessible = (
  archive: Accessor.Archive,
  child: Accessor.Child
): Effect.Effect<number, FormatError> =>
  Effect.gen(function* () {
    let count = 0
    const directory = yield* Accessor.openDirectory(archive, child)
    for (const below of yield* Accessor.listChildren(archive, directory)) {
      const entry = yield* Accessor.readEntry(archive, below)
      if (entry.kind === "directory") count += yield* countAccessible(archive, below)
      if (entry.kind !== "file") continue
      yield* Accessor.contentRange(archive, entry)
      count++
    }
    return count
  })

/** Fails unless random access finds the content of every file. */
export const assertAccessible = ({ archive, payload, statistics }: Generation) =>
  Effect.gen(function* () {
    const opened = yield* Accessor.openArchive(rangesOf(archive), rangesOf(payload))
    assert.strictEqual(yield* countAccessible(opened, opened.root), statistics.files)
  })

const isFile = (stored: Stored) => stored.event.entry.kind === "file"

/** Entries without what depends on where contents stand. */
const placeless = (generation: Generation) =>
  [...entriesOf(generation.archive, generation.payload)].map(([path, { content, event }]) => ({
    path,
    metadata: event.entry.kind === "hardlink" ? undefined : event.entry.metadata,
    kind: event.entry.kind,
    target:
      event.entry.kind === "hardlink"
        ? [event.entry.targetPath, event.fileOffset - event.entry.targetFileOffset > 0]
        : event.entry.kind === "symlink" && event.entry.target,
    content: content === undefined ? undefined : Buffer.from(content).toString("latin1")
  }))

/** Fails unless both hold the same tree, and the payloads of the first stand in strict order. */
export const assertSameTree = (actual: Generation, expected: Generation): void => {
  assert.deepStrictEqual(placeless(actual), placeless(expected))
  let last = 15
  for (const stored of entriesOf(actual.archive, actual.payload).values()) {
    const { entry } = stored.event
    if (!isFile(stored) || entry.kind !== "file") continue
    assert.isAbove(entry.content.offset, last)
    last = entry.content.offset
  }
}
