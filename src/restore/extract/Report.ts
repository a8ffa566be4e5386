/**
 * What a restore has to tell: counts of what was restored, a warning for every entry that could not be, and
 * one for every kind of metadata that the system refused, with a count, however many files it concerns.
 */
import { displayPath, errnoOf, explainErrno, ExtractError, reasonOfErrno } from "./ExtractError.ts"
import type { PathBuffer } from "./PathBuffer.ts"

export type WarningKind =
  /** Something of that name is there and was left as it is. */
  | "exists"
  /** A second entry of that name; the first one counts. */
  | "duplicate"
  /** The file that a hard link is another name of cannot be had. */
  | "hardlink"
  /** The entry could not be made. */
  | "failed"
  /** Metadata of some kind could not be set; told once a kind, at the end. */
  | "refused"

export interface ExtractWarning {
  readonly kind: WarningKind
  /** Below the root of the archive, without a leading slash. */
  readonly path: Uint8Array
  readonly message: string
}

/** What only some users may set and only some file systems can hold. */
export type RefusalKind =
  | "owner"
  | "mode"
  | "access control list"
  | "user attributes"
  | "privileged attributes"
  | "capabilities"
  | "times"
  | "flags"
  | "quota project"
  | "device nodes"

export interface Refusal {
  readonly kind: RefusalKind
  /** Entries concerned. */
  readonly count: number
  readonly firstPath: Uint8Array
  /** Symbolic errno of the first one. */
  readonly firstCode: string
}

export interface ExtractSummary {
  readonly directories: number
  readonly files: number
  readonly hardlinks: number
  readonly symlinks: number
  /** Devices, fifos and sockets. */
  readonly specials: number
  readonly contentBytes: number
  /** Left alone because what was there is not older ("newer" only). */
  readonly kept: number
  readonly warnings: number
  readonly refusals: ReadonlyArray<Refusal>
}

type Counter = "directories" | "files" | "hardlinks" | "symlinks" | "specials" | "contentBytes" | "kept"

export class Report {
  readonly #path: PathBuffer
  readonly #onWarning: ((warning: ExtractWarning) => void) | undefined
  readonly #counts: Record<Counter, number> = {
    directories: 0,
    files: 0,
    hardlinks: 0,
    symlinks: 0,
    specials: 0,
    contentBytes: 0,
    kept: 0
  }
  readonly #refusals = new Map<RefusalKind, Refusal>()
  #warnings = 0

  /** `path` is that of the entry at hand, whichever it is at the time. */
  constructor(path: PathBuffer, onWarning: ((warning: ExtractWarning) => void) | undefined) {
    this.#path = path
    this.#onWarning = onWarning
  }

  count(counter: Counter, amount = 1): void {
    this.#counts[counter] += amount
  }

  get contentBytes(): number {
    return this.#counts.contentBytes
  }

  get entryCount(): number {
    const { directories, files, hardlinks, specials, symlinks } = this.#counts
    return directories + files + hardlinks + specials + symlinks
  }

  warn(kind: WarningKind, message: string, path: Uint8Array = this.#path.bytes.slice()): void {
    this.#warnings++
    this.#onWarning?.({ kind, path, message })
  }

  /** Takes a failed system call: a warning about the entry at hand, or the end of the restore. */
  failed(error: unknown): void {
    const code = errnoOf(error)
    if (code === undefined) throw error
    if (reasonOfErrno(code) !== undefined) throw this.fatal(error)
    this.warn("failed", explainErrno(code))
  }

  /**
   * Counts metadata that was not accepted. No space for an attribute is no reason to stop, a broken disk is.
   */
  refused(kind: RefusalKind, error: unknown): void {
    const code = errnoOf(error)
    if (code === undefined) throw error
    if (code === "EIO" || code === "EROFS") throw this.fatal(error)
    const known = this.#refusals.get(kind)
    const refusal =
      known === undefined
        ? { kind, count: 1, firstPath: this.#path.bytes.slice(), firstCode: code }
        : { ...known, count: known.count + 1 }
    this.#refusals.set(kind, refusal)
  }

  /**
   * What ends the restore at the entry at hand; errors that are no failed system calls stay what they are.
   */
  fatal(error: unknown): unknown {
    const code = errnoOf(error)
    if (code === undefined) return error
    const reason = reasonOfErrno(code) ?? "System"
    return new ExtractError({ reason, subject: displayPath(this.#path.bytes), detail: explainErrno(code) })
  }

  finish(): ExtractSummary {
    for (const { count, firstCode, firstPath, kind } of this.#refusals.values()) {
      const entries = count === 1 ? "one entry" : `${count} entries`
      this.warn(
        "refused",
        `${kind} of ${entries} could not be restored: ${explainErrno(firstCode)}`,
        firstPath
      )
    }
    return { ...this.#counts, warnings: this.#warnings, refusals: [...this.#refusals.values()] }
  }
}
