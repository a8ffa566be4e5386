/**
 * Reads the entries of a pxar file from its beginning, passing over the contents of files. Up to where it is damaged,
 * the entries are told.
 */
import * as Effect from "effect/Effect"
import { FormatError } from "../format/FormatError.ts"
import { Decoder } from "../format/pxar/Decoder.ts"
import type { Entry } from "../format/pxar/Entry.ts"
import type { FilesError, ReadHandle } from "../platform/Files.ts"

/** An entry below its parent. The path is put together on demand: parents are shared, paths are not. */
export interface ArchiveEntry {
  readonly parent: ArchiveEntry | undefined
  readonly name: Uint8Array
  readonly entry: Entry
}

export interface ArchiveContent {
  readonly version: 1 | 2
  /** Of version 2: what the client noted, such as its exclude patterns. */
  readonly prelude: Uint8Array | undefined
  /** In archive order, the root first. */
  readonly entries: ReadonlyArray<ArchiveEntry>
  readonly problem: string | undefined
}

const blockBytes = 256 * 1024

/** Takes events off the decoder and remembers what they tell. */
class Collector {
  readonly decoder = new Decoder()
  readonly entries: Array<ArchiveEntry> = []
  version: 1 | 2 = 1
  prelude: Uint8Array | undefined
  #parent: ArchiveEntry | undefined

  /** Everything that the pushed bytes tell; answers how many bytes of the input are to be left out. */
  drain(): number {
    let skippedBytes = 0
    for (let event = this.decoder.next(); event !== undefined; event = this.decoder.next()) {
      if (event.kind === "version") this.version = event.version
      else if (event.kind === "prelude") this.prelude = event.bytes
      else if (event.kind === "entry") this.#add(event.name, event.entry)
      else if (event.kind === "payload") skippedBytes += this.decoder.skipPayload()
      else if (event.kind === "directory-end") this.#parent = this.#parent?.parent
    }
    this.decoder.detach()
    return skippedBytes
  }

  #add(name: Uint8Array, entry: Entry): void {
    const added = { parent: this.#parent, name, entry }
    this.entries.push(added)
    if (entry.kind === "directory") this.#parent = added
  }
}

const attempted = (run: () => number): number | FormatError => {
  try {
    return run()
  } catch (error) {
    if (error instanceof FormatError) return error
    throw error
  }
}

/** Everything up to the end, or up to where the archive is damaged. */
export const readArchive = (handle: ReadHandle): Effect.Effect<ArchiveContent, FilesError> =>
  Effect.gen(function* () {
    const collector = new Collector()
    let problem: string | undefined
    for (let offset = 0; problem === undefined;) {
      const block = new Uint8Array(blockBytes)
      const count = yield* handle.readAt(offset, block)
      const step = attempted(() => {
        if (count === 0) collector.decoder.finish()
        else collector.decoder.push(block.subarray(0, count))
        return collector.drain()
      })
      if (step instanceof FormatError) problem = step.message
      else offset += count + step
      if (count === 0) break
    }
    const { entries, prelude, version } = collector
    return { version, prelude, entries, problem }
  })
