/**
 * Why a restore stopped. What concerns one entry only is a warning instead (`Report`), and the restore goes
 * on.
 */
import * as Data from "effect/Data"
import { PosixError } from "../../platform/Posix.ts"

export type ExtractReason = "Target" | "DiskFull" | "ReadOnly" | "Damaged" | "PayloadMissing" | "System"

const hints: Record<ExtractReason, string> = {
  Target: "choose a folder that you may write to",
  DiskFull: "make room or choose another target, then restore again",
  ReadOnly: "mount the file system writable or choose another target",
  Damaged: "run: granary verify; restore from another snapshot or copy",
  PayloadMissing: "the archive has two parts; restore with both of them",
  System: "look for errors of the disk in the system's log, then restore again"
}

export class ExtractError extends Data.TaggedError("ExtractError")<{
  readonly reason: ExtractReason
  /** The file or folder at hand. */
  readonly subject: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.subject}: ${this.detail}`
  }

  get hint(): string {
    return hints[this.reason]
  }
}

const ERRNO = /^E[A-Z0-9]+$/

/** The symbolic errno of a failed system call, whether ours or Node's; undefined for any other error. */
export const errnoOf = (error: unknown): string | undefined => {
  if (error instanceof PosixError) return error.code
  if (!(error instanceof Error) || !("code" in error) || typeof error.code !== "string") return undefined
  return ERRNO.test(error.code) ? error.code : undefined
}

/** System calls after which no other entry would fare better. */
export const reasonOfErrno = (code: string): ExtractReason | undefined => {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
      return "DiskFull"
    case "EROFS":
      return "ReadOnly"
    case "EIO":
    case "EMFILE":
    case "ENFILE":
    case "ENOMEM":
    case "ENOSYS":
      return "System"
    default:
      return undefined
  }
}

const explanations: Record<string, string> = {
  EACCES: "permission denied",
  EDQUOT: "the quota is used up",
  EEXIST: "it exists already",
  EFBIG: "the file is too large for this file system",
  EIO: "the disk reports an error",
  ENAMETOOLONG: "the name is too long for this file system",
  ENOSPC: "no space left",
  ENOTSUP: "this file system cannot hold it",
  EOPNOTSUPP: "this file system cannot hold it",
  EPERM: "not permitted",
  EROFS: "the file system is read-only"
}

/** An errno in words, the symbol included. */
export const explainErrno = (code: string): string => {
  const words = explanations[code]
  return words === undefined ? code : `${words} (${code})`
}

/** A path inside the archive for people: what is not printable UTF-8 is escaped or replaced. */
export const displayPath = (path: Uint8Array): string =>
  path.length === 0
    ? "the target folder"
    : new TextDecoder()
        .decode(path)
        .replaceAll(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`)
