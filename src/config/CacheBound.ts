/**
 * CacheBound: how much a cache folder may keep, where somebody has said so: a number of bytes in
 * `.granary-cache-max` within the folder, so that every process on it keeps to the same bound.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import { ConfigError } from "./ConfigError.ts"

const fileMaxBytes = 4096

const pathIn = (folder: string): string => path.join(folder, ".granary-cache-max")

/** The bound in bytes; undefined when nobody has set one. */
export const read = (folder: string): Effect.Effect<number | undefined, FilesError | ConfigError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const text = yield* files.readFile(pathIn(folder), fileMaxBytes).pipe(
      Effect.map((bytes) => Buffer.from(bytes).toString().trim()),
      Effect.catchIf(isNotFound, () => Effect.succeed(undefined))
    )
    if (text === undefined) return undefined
    if (/^\d{1,15}$/.test(text)) return Number(text)
    const hint = "write a number of bytes into it, or remove it"
    return yield* new ConfigError({ subject: pathIn(folder), detail: "this is no number of bytes", hint })
  })

export const write = (folder: string, maxBytes: number): Effect.Effect<void, FilesError, Files> =>
  Effect.flatMap(Files, (files) =>
    files.replaceFile(pathIn(folder), [Buffer.from(`${maxBytes}\n`)], { sync: true })
  )
