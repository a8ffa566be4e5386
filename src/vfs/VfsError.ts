/**
 * VfsError: why something in the tree could not be looked at or read. Every reason stands for one error of a system.
 */
import * as Data from "effect/Data"

export type VfsReason =
  /** There is nothing of that name (ENOENT). */
  | "NotFound"
  /** It was there, and has been forgotten meanwhile (ESTALE). */
  | "Gone"
  | "NotADirectory"
  | "IsADirectory"
  /** It is no symbolic link, or not a file with content (EINVAL). */
  | "WrongKind"
  | "NoAttribute"
  /** The key that decrypts it is missing, or is another one (EACCES). */
  | "KeyNeeded"
  /** The bytes in the store are not what they should be, or are not there (EIO). */
  | "Damaged"
  /** The store could not be asked, and may be again later (EIO). */
  | "Unreachable"

export class VfsError extends Data.TaggedError("VfsError")<{
  readonly reason: VfsReason
  /** Snapshot and archive, or what else was asked for. */
  readonly subject: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.subject}: ${this.detail}`
  }
}

export const vfsError = (reason: VfsReason, subject: string, detail: string): VfsError =>
  new VfsError({ reason, subject, detail })
