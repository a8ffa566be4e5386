/**
 * What a backup through the Promise facade is made of: each archive's name says how it is stored, its source where the
 * bytes come from: a path, bytes in memory, or anything that yields bytes.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { ArchiveSpec } from "../backup/Backup.ts"
import { fromStream, SourceError } from "../backup/ByteSource.ts"
import { dataSizeMaxBytes } from "../format/DataBlob.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { InvalidName } from "../model/InvalidName.ts"
import { Files } from "../platform/Files.ts"
import { parsed } from "./names.ts"

export type ArchiveSource = string | Uint8Array | AsyncIterable<Uint8Array> | Iterable<Uint8Array>

/**
 * Archives by name: `root.pxar` takes the path of a directory; `disk.img` that of an image or device, or bytes; a blob
 * (`app.conf`, `backup.log`) the path of a file, or bytes. Any other name with `.didx` takes bytes of every kind.
 */
export type ArchiveSources = Readonly<Record<string, ArchiveSource>>

const bytesOf = (source: Exclude<ArchiveSource, string>): Stream.Stream<Uint8Array, unknown> => {
  if (source instanceof Uint8Array) return Stream.make(source)
  return Symbol.asyncIterator in source
    ? Stream.fromAsyncIterable(source, (error) => error)
    : Stream.fromIterable(source)
}

const collect = (
  name: string,
  stream: Stream.Stream<Uint8Array, unknown>
): Effect.Effect<Uint8Array, unknown> =>
  Effect.suspend(() => {
    const pieces: Array<Uint8Array> = []
    let sizeBytes = 0
    const add = (piece: Uint8Array) => {
      sizeBytes += piece.length
      if (sizeBytes > dataSizeMaxBytes) {
        return Effect.fail(new SourceError({ subject: name, detail: "a blob holds at most 128 MiB" }))
      }
      pieces.push(piece)
      return Effect.void
    }
    return Effect.map(Stream.runForEach(stream, add), () => Buffer.concat(pieces))
  })

const blobOf = (name: string, source: ArchiveSource): Effect.Effect<Uint8Array, unknown, Files> =>
  typeof source === "string"
    ? Effect.flatMap(Files, (files) => files.readFile(source, dataSizeMaxBytes))
    : collect(name, bytesOf(source))

const specOf = (
  name: string,
  source: ArchiveSource
): Effect.Effect<ArchiveSpec<unknown>, InvalidName | SourceError, Files | Scope.Scope> =>
  Effect.gen(function* () {
    const archive = yield* parsed(() => ArchiveName.fromClient(name))
    if (archive.kind === "blob") {
      const context = yield* Effect.context<Files>()
      return { kind: "blob", archive, content: Effect.provideContext(blobOf(name, source), context) }
    }
    if (typeof source !== "string") {
      return { kind: "stream", archive, source: yield* fromStream(bytesOf(source)) }
    }
    if (archive.kind === "fixed") return { kind: "image", archive, path: source }
    if (archive.client.endsWith(".pxar")) return { kind: "directory", archive, path: source }
    return yield* new SourceError({ subject: name, detail: "this archive takes bytes, not a path" })
  })

/** What the library's backup takes. Streams are opened, and closed with the scope. */
export const specsOf = (sources: ArchiveSources) =>
  Effect.forEach(Object.entries(sources), ([name, source]) => specOf(name, source))
