/**
 * Generation: a counter in `.generation` of a configuration folder, moved on by every change that is made through this
 * library, after the changed file is in its place and before the change counts as done. So whoever finds the counter
 * where it was has seen every change that was done before he looked.
 *
 * One look is one `stat`: the file's size tells the counter modulo 1,024, and with its inode and its second two
 * counters that look alike lie more than a thousand changes within one second apart, and a change takes a millisecond.
 *
 * Who changes a file by hand does not move it; the file's own stamp shows that as well, mostly.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import type { FileLocks } from "../platform/FileLocks.ts"
import { Files, type FilesError, type FileStat, isNotFound } from "../platform/Files.ts"
import type { ConfigError } from "./ConfigError.ts"
import { holdSoon } from "./fileLock.ts"

const sizesCount = 1024
const sizeMin = 32
const fileMaxBytes = 4096

const pathIn = (folder: string): string => path.join(folder, ".generation")

const stampOfStat = ({ inode, mtimeSeconds, sizeBytes }: FileStat): string =>
  `${inode} ${sizeBytes} ${mtimeSeconds}`

/** The stamp of a file that is not there. */
export const noFile = "none"

/** What a look at a file tells of its content: two that differ mean that it was changed. */
export const stampOf = (target: string): Effect.Effect<string, FilesError, Files> =>
  Effect.flatMap(Files, (files) => makeStamper(files, target))

/** `stampOf` for who looks often. */
export const makeStamper = (files: Files["Service"], target: string): Effect.Effect<string, FilesError> =>
  Effect.matchEffect(files.stat(target), {
    onFailure: (error) => (isNotFound(error) ? Effect.succeed(noFile) : Effect.fail(error)),
    onSuccess: (stat) => Effect.succeed(stampOfStat(stat))
  })

/** The stamp of the folder's counter, for who looks often. */
export const makeReader = (files: Files["Service"], folder: string): Effect.Effect<string, FilesError> =>
  makeStamper(files, pathIn(folder))

const encode = (counter: number): Uint8Array =>
  Buffer.from(`${counter}`.padEnd(sizeMin + (counter % sizesCount), "\n"))

const numberIn = (bytes: Uint8Array): number => {
  const text = Buffer.from(bytes).toString().trim()
  return /^\d{1,15}$/.test(text) ? Number(text) : 0
}

/** Moves the counter on. */
export const bump = (folder: string): Effect.Effect<void, FilesError | ConfigError, Files | FileLocks> =>
  Effect.scoped(
    Effect.gen(function* () {
      const files = yield* Files
      const target = pathIn(folder)
      yield* holdSoon(`${target}.lck`, target)
      const counter = yield* files.readFile(target, fileMaxBytes).pipe(
        Effect.map(numberIn),
        Effect.catchIf(isNotFound, () => Effect.succeed(0))
      )
      yield* files.replaceFile(target, [encode(counter + 1)], { mode: 0o600 })
    })
  )
