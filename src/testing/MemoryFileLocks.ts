/**
 * MemoryFileLocks: FileLocks over a table in memory that lies outside of any program, as the kernel's does.
 *
 * Every program (a "process" with a name of its own) gets its `make` or `layer` over the same `MemoryLockTable`. A
 * program that dies gives back all it held: `releaseProcess`. Foreign programs, which lock whole files perhaps, come
 * in by `lockForeign`.
 *
 * Invariant: no two locks of different holders overlap unless both are shared. A holder is one call of `tryLock`, or
 * one table of ranges; a lock belongs to the file, so it stays with a file that is renamed, and a new file of the
 * same name has none. Taking a byte twice in one table succeeds, as with the kernel's own locks.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { FileLocks, type LockMode, type LockRange, type RangeTable } from "../platform/FileLocks.ts"
import { type FilesError, fromErrno } from "../platform/Files.ts"
import { fail, SystemError } from "./disk/Inode.ts"
import type { MemoryDisk } from "./MemoryDisk.ts"

/** One lock as the table tells of it. */
export interface HeldLock {
  readonly process: string
  readonly offset: number
  /** Infinity: to the end of the file, wherever that will be. */
  readonly length: number
  readonly mode: LockMode
}

interface Lock extends HeldLock {
  readonly holder: Holder
}

/** Locks of one file: those of one byte by their offset, because there may be thousands, and all others. */
interface FileLockState {
  readonly bytes: Map<number, Array<Lock>>
  readonly ranges: Array<Lock>
}

/** What a program holds open: the file of a lock, where there is one to lock. */
interface Holder {
  readonly process: string
  /** Undefined: nothing can be locked there, so all is granted. */
  readonly file: number | undefined
  /** Single bytes it has locked. */
  readonly offsets: Set<number>
}

const nobody = "nobody"

const overlaps = (left: LockRange, right: LockRange): boolean =>
  left.offset < right.offset + right.length && right.offset < left.offset + left.length

const removeOf = (locks: Array<Lock>, holder: Holder): void => {
  const kept = locks.filter((lock) => lock.holder !== holder)
  locks.splice(0, locks.length, ...kept)
}

export class MemoryLockTable {
  readonly disk: MemoryDisk
  readonly #files = new Map<number, FileLockState>()
  readonly #holders = new Map<string, Set<Holder>>()

  constructor(disk: MemoryDisk) {
    this.disk = disk
  }

  /** All locks on a file, by offset. */
  held(path: string): ReadonlyArray<HeldLock> {
    const state = this.#files.get(this.disk.stat(path).number)
    if (state === undefined) return []
    return [...state.ranges, ...[...state.bytes.values()].flat()]
      .map(({ process, offset, length, mode }) => ({ process, offset, length, mode }))
      .toSorted((left, right) => left.offset - right.offset)
  }

  /** A program died: all its locks are gone. */
  releaseProcess(process: string): void {
    for (const holder of this.#holders.get(process) ?? []) this.release(holder)
  }

  /** All programs died, as in a power loss. */
  releaseAll(): void {
    this.#holders.clear()
    this.#files.clear()
  }

  /**
   * A lock of a program that is not ours: answers how to give it back, or undefined when somebody conflicts. Without a
   * range it covers the whole file.
   */
  lockForeign(
    path: string,
    mode: LockMode,
    range: LockRange = { offset: 0, length: Number.POSITIVE_INFINITY },
    process = "foreign"
  ): (() => void) | undefined {
    const holder = this.#add(process, this.disk.stat(path).number)
    if (this.lock(holder, range, mode)) return () => this.release(holder)
    this.release(holder)
    return undefined
  }

  // ---- for MemoryFileLocks

  /** Opens (and makes) a lock file. A reader may do without one where nobody can write. */
  open(path: string, mode: LockMode, process: string, openFilesMax: number, nowMillis: number): Holder {
    if ((this.#holders.get(process)?.size ?? 0) >= openFilesMax) fail("EMFILE")
    return this.#add(process, this.#fileFor(path, mode, nowMillis))
  }

  #add(process: string, file: number | undefined): Holder {
    const holder = { process, file, offsets: new Set<number>() }
    const holders = this.#holders.get(process)
    if (holders === undefined) this.#holders.set(process, new Set([holder]))
    else holders.add(holder)
    return holder
  }

  #fileFor(path: string, mode: LockMode, nowMillis: number): number | undefined {
    try {
      const { number, kind } = this.disk.stat(path)
      if (kind === "symlink") return fail("ELOOP")
      if (kind === "directory") return fail("EISDIR")
      return this.disk.isReadOnly && mode === "exclusive" ? fail("EROFS") : number
    } catch (error) {
      if (!(error instanceof SystemError && error.code === "ENOENT")) throw error
      return this.#makeFile(path, mode, nowMillis)
    }
  }

  #makeFile(path: string, mode: LockMode, nowMillis: number): number | undefined {
    try {
      return this.disk.create(path, 0o644, nowMillis)
    } catch (error) {
      if (mode === "shared" && error instanceof SystemError && error.code === "EROFS") return undefined
      throw error
    }
  }

  /** Without waiting; false when another holder conflicts. */
  lock(holder: Holder, { offset, length }: LockRange, mode: LockMode): boolean {
    if (holder.file === undefined) return true
    const range = { offset, length: length === 0 ? Number.POSITIVE_INFINITY : length }
    const state: FileLockState = this.#files.get(holder.file) ?? { bytes: new Map(), ranges: [] }
    this.#files.set(holder.file, state)
    const conflicts = (lock: Lock): boolean =>
      lock.holder !== holder && overlaps(lock, range) && (mode === "exclusive" || lock.mode === "exclusive")
    if (state.ranges.some(conflicts)) return false
    const taken = { ...range, mode, holder, process: holder.process }
    if (range.length !== 1) {
      for (const locks of state.bytes.values()) if (locks.some(conflicts)) return false
      state.ranges.push(taken)
      return true
    }
    const locks = state.bytes.get(offset)
    if (locks?.some(conflicts) === true) return false
    if (holder.offsets.has(offset)) return true
    holder.offsets.add(offset)
    if (locks === undefined) state.bytes.set(offset, [taken])
    else locks.push(taken)
    return true
  }

  /** Gives one byte back. */
  unlock(holder: Holder, offset: number): void {
    const bytes = holder.file === undefined ? undefined : this.#files.get(holder.file)?.bytes
    const locks = bytes?.get(offset)
    if (bytes === undefined || locks === undefined || !holder.offsets.delete(offset)) return
    removeOf(locks, holder)
    if (locks.length === 0) bytes.delete(offset)
  }

  /** Closes what `open` opened, and with it all its locks. */
  release(holder: Holder): void {
    this.#holders.get(holder.process)?.delete(holder)
    for (const offset of holder.offsets) this.unlock(holder, offset)
    const state = holder.file === undefined ? undefined : this.#files.get(holder.file)
    if (state !== undefined) removeOf(state.ranges, holder)
  }
}

/** Runs before each call; `step` is always 0. See `FilesPoint`. */
export type LocksPoint = (label: string, step: number) => Effect.Effect<void>

export interface MemoryFileLocksOptions {
  /** The program's name: its locks are given back together. Default `nobody`. */
  readonly process?: string
  readonly point?: LocksPoint
  /** How many locks and tables it may have open at once. Default: any number. */
  readonly openFilesMax?: number
}

const call = <A>(path: string, run: (nowMillis: number) => A): Effect.Effect<A, FilesError> =>
  Effect.clockWith((clock) => {
    try {
      return Effect.succeed(run(clock.currentTimeMillisUnsafe()))
    } catch (error) {
      return error instanceof SystemError ? Effect.fail(fromErrno("lock", path, error)) : Effect.die(error)
    }
  })

/** One program's FileLocks. */
export const make = (table: MemoryLockTable, options: MemoryFileLocksOptions = {}): FileLocks["Service"] => {
  const { process = nobody, openFilesMax = Number.POSITIVE_INFINITY } = options
  const point = options.point ?? (() => Effect.void)

  const tryLock = (
    path: string,
    range: LockRange,
    mode: LockMode
  ): Effect.Effect<boolean, FilesError, Scope.Scope> =>
    Effect.andThen(
      point(`tryLock ${path} ${range.offset} ${mode}`, 0),
      Effect.acquireRelease(
        call(path, (now) => {
          const holder = table.open(path, mode, process, openFilesMax, now)
          if (table.lock(holder, range, mode)) return holder
          table.release(holder)
          return undefined
        }),
        (holder) =>
          holder === undefined
            ? Effect.void
            : Effect.andThen(
                point(`release ${path} ${range.offset} ${mode}`, 0),
                Effect.sync(() => table.release(holder))
              )
      )
    ).pipe(Effect.map((holder) => holder !== undefined))

  const rangesOf = (path: string, holder: Holder): RangeTable => ({
    tryLock: (offset) =>
      Effect.andThen(
        point(`tryLock ${path} ${offset} exclusive`, 0),
        call(path, () => table.lock(holder, { offset, length: 1 }, "exclusive"))
      ),
    unlock: (offset) =>
      Effect.andThen(
        point(`unlock ${path} ${offset}`, 0),
        Effect.sync(() => table.unlock(holder, offset))
      )
  })

  const openRanges = (path: string): Effect.Effect<RangeTable, FilesError, Scope.Scope> =>
    Effect.andThen(
      point(`openRanges ${path}`, 0),
      Effect.acquireRelease(
        call(path, (now) => table.open(path, "exclusive", process, openFilesMax, now)),
        (holder) => Effect.sync(() => table.release(holder))
      )
    ).pipe(Effect.map((holder) => rangesOf(path, holder)))

  return { tryLock, openRanges }
}

export const layer = (table: MemoryLockTable, options: MemoryFileLocksOptions = {}): Layer.Layer<FileLocks> =>
  Layer.succeed(FileLocks, make(table, options))
