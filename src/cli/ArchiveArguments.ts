/**
 * ArchiveArguments: what users type to say what is backed up: `NAME.pxar:DIRECTORY`, `NAME.img:IMAGE`,
 * `NAME.conf:FILE`; `-` is standard input.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as fs from "node:fs"
import type { ArchiveSpec } from "../backup/Backup.ts"
import { fromStream, SourceError } from "../backup/ByteSource.ts"
import { dataSizeMaxBytes } from "../format/DataBlob.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as SafeId from "../model/SafeId.ts"
import { parseInput, UsageError } from "./Failure.ts"

const form = "write NAME.pxar:DIRECTORY, NAME.img:IMAGE or NAME.conf:FILE"

const standardInput = Stream.suspend(() =>
  NodeStream.fromReadable<Uint8Array, SourceError>({
    evaluate: () => process.stdin,
    onError: (error) => new SourceError({ subject: "standard input", detail: String(error) }),
    // Left open, a pipe whose writer goes on would keep an interrupted program alive.
    closeOnDone: true
  })
)

const tooLarge = (subject: string): SourceError =>
  new SourceError({
    subject,
    detail: "is larger than a blob may be (128 MiB); store it as NAME.img or NAME.pxar"
  })

const readStandardInput: Effect.Effect<Uint8Array, SourceError> = Stream.runFoldEffect(
  standardInput,
  () => ({ pieces: new Array<Uint8Array>(), sizeBytes: 0 }),
  ({ pieces, sizeBytes }, piece) =>
    sizeBytes + piece.length > dataSizeMaxBytes
      ? Effect.fail(tooLarge("standard input"))
      : Effect.succeed({ pieces: [...pieces, piece], sizeBytes: sizeBytes + piece.length })
).pipe(Effect.map(({ pieces }) => Buffer.concat(pieces)))

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error)

const readFile = (path: string): Effect.Effect<Uint8Array, SourceError> =>
  Effect.tryPromise({
    try: async () => {
      const { size } = await fs.promises.stat(path)
      if (size > dataSizeMaxBytes) throw tooLarge(path)
      return fs.promises.readFile(path)
    },
    catch: (error) => {
      if (error instanceof SourceError) return error
      const detail = { ENOENT: "no such file", EACCES: "permission denied", EISDIR: "is a directory" }[
        codeOf(error)
      ]
      return new SourceError({ subject: path, detail: `cannot be read: ${detail ?? codeOf(error)}` })
    }
  })

const specOf = (archive: ArchiveName.ArchiveName, source: string) =>
  Effect.gen(function* () {
    if (archive.kind === "blob") {
      const content = source === "-" ? readStandardInput : readFile(source)
      return { kind: "blob", archive, content } as const
    }
    if (source === "-") {
      return { kind: "stream", archive, source: yield* fromStream(standardInput) } as const
    }
    if (archive.kind === "fixed") return { kind: "image", archive, path: source } as const
    if (archive.client.endsWith(".pxar")) return { kind: "directory", archive, path: source } as const
    const detail = `${archive.client}: archives of this kind come out of directory backups`
    return yield* new UsageError({ detail, hint: form })
  })

/** Written by every backup itself, or kept beside its archives. */
const reserved: ReadonlyArray<string> = [
  ArchiveName.manifestFile,
  ArchiveName.clientLogFile,
  ArchiveName.catalog.file,
  ArchiveName.rsaKey.file
]

/** What is written keeps to the alphabet of Proxmox Backup Server, which would refuse other names. */
const nameOf = (text: string) =>
  Effect.gen(function* () {
    const archive = yield* parseInput(() => ArchiveName.fromClient(SafeId.check("archive name", text)), form)
    if (!reserved.includes(archive.file)) return archive
    const detail = `${archive.client}: this name is kept for what every backup holds`
    return yield* new UsageError({ detail, hint: "choose another name" })
  })

/** Parses one argument. */
export const parse = (text: string) =>
  Effect.gen(function* () {
    const colon = text.indexOf(":")
    if (colon <= 0 || colon === text.length - 1) {
      return yield* new UsageError({ detail: `"${text}" is not NAME:SOURCE`, hint: form })
    }
    const archive = yield* nameOf(text.slice(0, colon))
    const spec: ArchiveSpec = yield* specOf(archive, text.slice(colon + 1))
    return spec
  })
