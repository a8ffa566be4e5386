/**
 * FileLocks by open-file-description locks (fs-native-extensions): they belong to the descriptor, not to the
 * process, so two holders of one process exclude each other too, and closing an unrelated descriptor drops
 * nothing.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import { FileLocks, type LockMode, type LockRange } from "./FileLocks.ts"
import { type FilesError, fromErrno } from "./Files.ts"

interface NativeLocks {
  readonly tryLock: (
    fd: number,
    offset: number,
    length: number,
    options: { readonly shared: boolean }
  ) => boolean
  readonly unlock: (fd: number, offset: number, length: number) => void
}

let native: NativeLocks | undefined
const locks = (): NativeLocks =>
  (native ??= createRequire(import.meta.url)("fs-native-extensions") as NativeLocks)

const errorCode = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined

/** Opens (and makes) the lock file; a reader may do with a file it cannot write. */
const openLockFile = (path: string, mode: LockMode): number => {
  try {
    return fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_NOFOLLOW, 0o644)
  } catch (error) {
    const code = errorCode(error)
    if (mode === "shared" && (code === "EACCES" || code === "EROFS")) return openReadOnly(path, error)
    throw error
  }
}

const withoutLock = -1

/** A missing file cannot be locked; that it could not be made, and why, is what the caller needs to hear. */
const openReadOnly = (path: string, refusal: unknown): number => {
  try {
    return fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW)
  } catch (error) {
    if (errorCode(error) !== "ENOENT") throw error
    if (errorCode(refusal) === "EROFS") return withoutLock
    throw refusal
  }
}

const open = (path: string, mode: LockMode): Effect.Effect<number, FilesError> =>
  Effect.try({ try: () => openLockFile(path, mode), catch: (error) => fromErrno("lock", path, error) })

const close = (fd: number): Effect.Effect<void> =>
  Effect.sync(() => (fd === withoutLock ? undefined : fs.closeSync(fd)))

const tryRange = (
  fd: number,
  path: string,
  range: LockRange,
  mode: LockMode
): Effect.Effect<boolean, FilesError> =>
  Effect.try({
    try: () =>
      fd === withoutLock || locks().tryLock(fd, range.offset, range.length, { shared: mode === "shared" }),
    catch: (error) => fromErrno("lock", path, error)
  })

export const layer: Layer.Layer<FileLocks> = Layer.succeed(FileLocks, {
  tryLock: (path, range, mode) =>
    Effect.acquireRelease(
      Effect.flatMap(open(path, mode), (fd) =>
        tryRange(fd, path, range, mode).pipe(
          Effect.tapError(() => close(fd)),
          Effect.flatMap((held) => (held ? Effect.succeed(fd) : Effect.as(close(fd), undefined)))
        )
      ),
      (fd) => (fd === undefined ? Effect.void : close(fd))
    ).pipe(Effect.map((fd) => fd !== undefined)),
  openRanges: (path) =>
    Effect.map(Effect.acquireRelease(open(path, "exclusive"), close), (fd) => ({
      tryLock: (offset: number) => tryRange(fd, path, { offset, length: 1 }, "exclusive"),
      unlock: (offset: number) => Effect.sync(() => locks().unlock(fd, offset, 1))
    }))
})
