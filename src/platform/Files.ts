/**
 * Files: the port through which stores touch a file system.
 *
 * It holds exactly the operations a datastore needs, with errno kept in the error, so that a memory double can stand in
 * for it. Nothing in `store/` or above may import `node:fs`.
 *
 * Obligations of every implementation:
 * - Each operation is atomic towards other operations of the same process and finishes (or fails) as a whole even when
 *   the fiber that asked for it is interrupted: interruption is noticed before or after, never in the middle.
 * - `replaceFile` leaves either the old content or the whole new one, whatever happens, under the given name. A
 *   temporary file it could not rename is removed; one that a crash leaves behind carries `.tmp_` in its name.
 * - `createFile` fails with `AlreadyExists` when the name is taken, also by a dangling symbolic link.
 * - With `sync: true` the content survives a power loss once the operation has succeeded, and so does the name.
 *   Without it both survive a crash of the process only.
 * - `touch` moves the access time to now and leaves the modification time alone; it answers false when the file is
 *   missing. It never follows a symbolic link.
 * - Reading never waits for a writer: a fifo in a file's place reads as empty.
 * - `stat`, `statEach`, `readDirectory` and `statDirectory` describe symbolic links themselves, never what they point
 *   to.
 * - `statDirectory` leaves out a name that vanishes while it looks; `statEach` answers undefined for a missing one.
 * - `readFile` fails with `TooLarge` before it allocates more than `maxSizeBytes`.
 * - `unlink` and `removeDirectory` fail with `NotFound` for a missing name; `removeDirectory` with `NotEmpty`.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export type FileKind = "file" | "directory" | "symlink" | "other"

export interface FileStat {
  readonly kind: FileKind
  readonly sizeBytes: number
  /** Whole seconds, floored. */
  readonly mtimeSeconds: number
  readonly atimeSeconds: number
  readonly inode: bigint
  readonly mode: number
}

export interface DirectoryEntry {
  readonly name: string
  readonly kind: FileKind
}

/** One name of a directory with what `stat` says of it. */
export interface ChildStat {
  readonly name: string
  readonly kind: FileKind
  readonly sizeBytes: number
  /** Whole seconds, floored. */
  readonly mtimeSeconds: number
  readonly atimeSeconds: number
}

/** What there is under a name. */
export interface PathStat {
  readonly kind: FileKind
  readonly sizeBytes: number
}

export interface FileSystemStat {
  readonly totalBytes: number
  readonly availableBytes: number
}

export interface WriteOptions {
  /** Permission bits, set exactly (not masked by umask). Default 0o644. */
  readonly mode?: number
  /** Flush content and name to the disk before succeeding. Default false. */
  readonly sync?: boolean
}

/** A file held open for reading at any offset; closed with its scope. */
export interface ReadHandle {
  readonly sizeBytes: number
  /** Reads up to `target.length` bytes at `offset`; answers how many were there (fewer only at the end). */
  readonly readAt: (offset: number, target: Uint8Array) => Effect.Effect<number, FilesError>
}

export type FilesReason =
  | "NotFound"
  | "AlreadyExists"
  | "PermissionDenied"
  | "NoSpace"
  | "ReadOnlyFileSystem"
  | "NotADirectory"
  | "IsADirectory"
  | "NotEmpty"
  | "TooManyOpenFiles"
  | "TooLarge"
  | "Busy"
  | "Io"

const explanations: Record<FilesReason, readonly [why: string, hint: string]> = {
  NotFound: ["no such file or directory", "check the path"],
  AlreadyExists: ["it exists already", "choose another name"],
  PermissionDenied: ["permission denied", "run as a user who may access it"],
  NoSpace: ["no space left on the device", "free some space and try again"],
  ReadOnlyFileSystem: ["the file system is read-only", "remount it writable"],
  NotADirectory: ["a part of the path is not a directory", "check the path"],
  IsADirectory: ["it is a directory", "name a file"],
  NotEmpty: ["the directory is not empty", "choose an empty one"],
  TooManyOpenFiles: ["too many open files", "raise the limit (ulimit -n)"],
  TooLarge: ["the file is larger than its kind may be", "it is probably damaged or foreign"],
  Busy: ["it is in use", "try again later"],
  Io: ["input/output error", "check the disk and the system log"]
}

export class FilesError extends Data.TaggedError("FilesError")<{
  readonly operation: string
  readonly path: string
  readonly reason: FilesReason
  /** The system's error code, such as ENOSPC, where there is one. */
  readonly code?: string
  /** What is known beyond the reason, and what to do about it, where it is no file system that failed. */
  readonly detail?: { readonly message: string; readonly hint: string }
}> {
  override get message(): string {
    const code = this.reason === "Io" && this.code !== undefined ? ` (${this.code})` : ""
    const why = this.detail?.message ?? `${explanations[this.reason][0]}${code}`
    return `cannot ${this.operation} ${this.path}: ${why}`
  }

  get hint(): string {
    return this.detail?.hint ?? explanations[this.reason][1]
  }
}

const reasons: Record<string, FilesReason> = {
  ENOENT: "NotFound",
  EEXIST: "AlreadyExists",
  EACCES: "PermissionDenied",
  EPERM: "PermissionDenied",
  ENOSPC: "NoSpace",
  EDQUOT: "NoSpace",
  EROFS: "ReadOnlyFileSystem",
  ENOTDIR: "NotADirectory",
  EISDIR: "IsADirectory",
  ENOTEMPTY: "NotEmpty",
  EMFILE: "TooManyOpenFiles",
  ENFILE: "TooManyOpenFiles",
  EBUSY: "Busy",
  ETXTBSY: "Busy"
}

/** Translates what a system call threw. */
export const fromErrno = (operation: string, path: string, error: unknown): FilesError => {
  const code = typeof error === "object" && error !== null && "code" in error ? String(error.code) : undefined
  const reason = code === undefined ? "Io" : (reasons[code] ?? "Io")
  return new FilesError({ operation, path, reason, ...(code === undefined ? {} : { code }) })
}

export class Files extends Context.Service<
  Files,
  {
    readonly stat: (path: string) => Effect.Effect<FileStat, FilesError>
    readonly readFile: (path: string, maxSizeBytes: number) => Effect.Effect<Uint8Array, FilesError>
    readonly readDirectory: (path: string) => Effect.Effect<ReadonlyArray<DirectoryEntry>, FilesError>
    /** A directory's names with their stats, at the speed of the kernel; for directories of some thousand names. */
    readonly statDirectory: (path: string) => Effect.Effect<ReadonlyArray<ChildStat>, FilesError>
    /**
     * Kind and size of many names, in their order, at the speed of the kernel; for some dozens at once, because nothing
     * else runs meanwhile.
     */
    readonly statEach: (
      paths: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyArray<PathStat | undefined>, FilesError>
    readonly openRead: (path: string) => Effect.Effect<ReadHandle, FilesError, Scope.Scope>
    /** With exactly these permission bits; without a mode with those that new folders usually get (0o777, umask). */
    readonly makeDirectory: (path: string, mode?: number) => Effect.Effect<void, FilesError>
    /** Makes many folders below one, at the speed of the kernel; the mode is exact. */
    readonly makeDirectories: (
      parent: string,
      names: ReadonlyArray<string>,
      mode: number
    ) => Effect.Effect<void, FilesError>
    readonly createFile: (
      path: string,
      content: Uint8Array,
      options?: WriteOptions
    ) => Effect.Effect<void, FilesError>
    readonly replaceFile: (
      path: string,
      parts: ReadonlyArray<Uint8Array>,
      options?: WriteOptions
    ) => Effect.Effect<void, FilesError>
    readonly rename: (from: string, to: string) => Effect.Effect<void, FilesError>
    readonly unlink: (path: string) => Effect.Effect<void, FilesError>
    readonly removeDirectory: (path: string) => Effect.Effect<void, FilesError>
    readonly touch: (path: string) => Effect.Effect<boolean, FilesError>
    /** Flushes a directory's names to the disk. */
    readonly syncDirectory: (path: string) => Effect.Effect<void, FilesError>
    /** Flushes everything of the file system that holds `path` (syncfs). */
    readonly syncFileSystem: (path: string) => Effect.Effect<void, FilesError>
    readonly statFileSystem: (path: string) => Effect.Effect<FileSystemStat, FilesError>
    /** A name beside `path` that no other writer uses: `path` without its extension plus `.tmp_` and random letters. */
    readonly temporaryName: (path: string) => Effect.Effect<string>
  }
>()("granary/platform/Files") {}

/** `NotFound` becomes `undefined`; every other failure stays. */
export const isNotFound = (error: FilesError): boolean => error.reason === "NotFound"
