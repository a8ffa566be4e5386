/**
 * The folder that a restore goes to: made if it is missing (then only its owner may enter it until it gets
 * other metadata), open for the whole time, and known to take files.
 */
import { accessSync, closeSync, constants, mkdirSync, opendirSync } from "node:fs"
import { dirname } from "node:path"
import { AT_FDCWD, openAt } from "../../platform/Posix.ts"
import { errnoOf, explainErrno, ExtractError } from "./ExtractError.ts"
import { OPEN_TARGET } from "./OpenFlags.ts"

export interface Target {
  readonly fd: number
  /** Nothing was in it when the restore began. */
  readonly isFresh: boolean
}

const PRIVATE_DIRECTORY_MODE = 0o700

const isEmpty = (path: string): boolean => {
  const directory = opendirSync(path)
  try {
    return directory.readSync() === null
  } finally {
    directory.closeSync()
  }
}

const makeIfMissing = (path: string): void => {
  try {
    mkdirSync(path, PRIVATE_DIRECTORY_MODE)
  } catch (error) {
    const code = errnoOf(error)
    if (code === "ENOENT") {
      mkdirSync(dirname(path), { recursive: true })
      mkdirSync(path, PRIVATE_DIRECTORY_MODE)
    } else if (code !== "EEXIST" && code !== "EROFS" && code !== "EISDIR") throw error
    // On a read-only file system an existing folder also answers EROFS; opening it tells the two apart.
  }
}

/** Opens the folder at `path`. Here links are followed: it is the user who named it, not the archive. */
export const openTarget = (path: string): Target => {
  let fd: number | undefined
  try {
    makeIfMissing(path)
    fd = openAt(AT_FDCWD, path, OPEN_TARGET)
    const pinned = `/proc/self/fd/${fd}`
    accessSync(pinned, constants.W_OK | constants.X_OK)
    return { fd, isFresh: isEmpty(pinned) }
  } catch (error) {
    if (fd !== undefined) closeSync(fd)
    const code = errnoOf(error)
    if (code === undefined) throw error
    const reason = code === "EROFS" ? "ReadOnly" : "Target"
    throw new ExtractError({ reason, subject: path, detail: explainErrno(code) })
  }
}
