/**
 * MemoryDisk: the file system outside of any program: what `MemoryFiles` of several programs work on, what they leave
 * when they die, and what is found after a power loss. Plain synchronous calls; the same calls give the same disk.
 *
 * The fault model.
 *
 * A program that is killed loses nothing that it wrote: every system call it made has happened, none that it did not.
 * An operation of `Files` that takes several calls is cut between two of them: `createFile` may leave an empty or
 * incomplete file, `replaceFile` its temporary file (with `.tmp_` in the name) empty, incomplete or whole beside the
 * old content, `makeDirectories` some of the folders. One call is never cut, except that a write on a disk that gets
 * full stores what fits.
 *
 * A power loss takes from what was not flushed, by choice:
 * - The content of a file written without a flush is whole, empty, cut short at any length, or of full size with
 *   zeros from any byte on. It is never mixed with other content, and flushed content is never touched: no bit rots.
 * - A change of a name (create, make directory, rename, remove) that was not flushed is there or undone, as a whole:
 *   a rename never loses both names and never leaves both. So an unflushed `replaceFile` can leave the new name with
 *   torn content: only a flush before the rename prevents it.
 * - Order of names `directory` (the default, stricter than usual disks): no change is kept while an earlier one of
 *   the same folder is lost; folders are independent; a rename from one folder to another belongs to both, removing a
 *   folder to its names too. A flushed folder whose own name is lost is lost with all that is in it.
 * - Order of names `journal` (ext4, xfs, zfs): one order for the whole disk, and every flush, of a file too, takes
 *   along all changes of names before it.
 * - Access times that were not flushed (by `syncFileSystem`, or with their file) fall back to the last flushed one; a
 *   time between the two is not tried. Modification times, permissions and sizes of flushed files always survive.
 *
 * What cannot happen: a flush that succeeds and does nothing, content under a wrong name, a damaged folder,
 * input/output errors. Wrap `Files` to fail operations, and use `put` to damage a file.
 *
 * Invariant: state changes only within one call, and `fork` gives a disk whose further life is its own.
 */
import { fail, type Inode, sizeOf } from "./disk/Inode.ts"
import { InodeTable, newName, type Place } from "./disk/InodeTable.ts"
import { type Choose, losePower, type Unsynced } from "./disk/losePower.ts"
import { NameJournal, type NameOperation, type NameOrdering } from "./disk/NameJournal.ts"
import { TakenNumbers } from "./disk/TakenNumbers.ts"
import { type AccessTimes, movesWithRead } from "./disk/accessTimes.ts"

export interface MemoryDiskOptions {
  /** Room for content; names take none. Default 1 TiB. */
  readonly capacityBytes?: number
  /** Default `directory`. */
  readonly nameOrdering?: NameOrdering
  /** Default `noatime`. */
  readonly accessTimes?: AccessTimes
  /** When it was made: the times of its root. Default 0. */
  readonly nowMillis?: number
}

/** A file that a program has open: it stays readable when its name goes. */
export interface OpenFile {
  readonly number: number
  readonly inode: Inode
}

const defaultCapacityBytes = 2 ** 40

export class MemoryDisk {
  readonly capacityBytes: number
  readonly accessTimes: AccessTimes
  /** When set, every change fails. */
  isReadOnly = false
  readonly #table: InodeTable
  readonly #unsynced: Unsynced
  readonly #numbers: TakenNumbers
  #powerLosses = 0

  constructor(options: MemoryDiskOptions = {}, origin?: MemoryDisk) {
    this.capacityBytes = options.capacityBytes ?? defaultCapacityBytes
    this.accessTimes = options.accessTimes ?? "noatime"
    if (origin === undefined) {
      this.#table = InodeTable.make(options.nowMillis ?? 0)
      this.#numbers = new TakenNumbers()
      const names = new NameJournal(options.nameOrdering ?? "directory")
      this.#unsynced = { names, contents: new Set(), accessTimes: new Map() }
      return
    }
    const { names, contents, accessTimes } = origin.#unsynced
    this.#table = origin.#table.fork()
    this.#unsynced = { names: names.fork(), contents: new Set(contents), accessTimes: new Map(accessTimes) }
    this.#numbers = new TakenNumbers(origin.#numbers)
    this.#powerLosses = origin.#powerLosses
    this.isReadOnly = origin.isReadOnly
  }

  /** The same disk once more, unflushed changes included. Cheap: both share what neither changes later. */
  fork(): MemoryDisk {
    return new MemoryDisk(this, this)
  }

  /** A number that this disk has not given to anyone yet; a program that says its name has numbers of its own. */
  takeNumber(program = ""): number {
    return this.#numbers.take(program)
  }

  /** All that decides which numbers it gives next. */
  get numbersTaken(): string {
    return this.#numbers.fingerprint
  }

  /** How often the power has gone: machines that were started since are others. */
  get powerLosses(): number {
    return this.#powerLosses
  }

  get usedBytes(): number {
    return this.#table.usedBytes
  }

  // ---- looking

  /** The thing under a name itself, also when it is a link. */
  stat(path: string): Inode {
    return this.#existing(this.#table.locate(path, false))
  }

  list(path: string, nowMillis: number): ReadonlyArray<readonly [name: string, inode: Inode]> {
    const directory = this.#existing(this.#table.locate(path, true))
    if (directory.children === undefined) return fail("ENOTDIR")
    this.#noteRead(directory, nowMillis)
    return Array.from(directory.children, ([name, number]) => [name, this.#table.at(number)] as const)
  }

  open(path: string): OpenFile {
    const inode = this.#existing(this.#table.locate(path, true))
    return { number: inode.number, inode }
  }

  /** Content as it is now; not to be changed by whoever gets it. */
  read({ number, inode }: OpenFile, nowMillis: number): Uint8Array {
    const current = this.#table.find(number)
    if (inode.kind === "directory") return fail("EISDIR")
    if (current === undefined) return inode.content
    this.#noteRead(current, nowMillis)
    return current.content
  }

  // ---- changing

  /** Makes an empty file where nothing is. */
  create(path: string, permissions: number, nowMillis: number): number {
    return this.#add("create", path, { kind: "file", permissions, nowMillis })
  }

  /** Adds to the end of a file; on a disk that gets full, what fits. */
  append(number: number, bytes: Uint8Array, nowMillis: number): void {
    if (bytes.length === 0) return
    this.#checkWritable()
    const content = this.#table.find(number)?.content
    // Somebody else removed it meanwhile, for good: writing goes on into what nobody will see.
    if (content === undefined) return
    const room = Math.max(0, this.capacityBytes - this.usedBytes)
    const fitting = bytes.subarray(0, room)
    const grown = new Uint8Array(content.length + fitting.length)
    grown.set(content)
    grown.set(fitting, content.length)
    this.#table.setContent(number, grown)
    this.#unsynced.contents.add(number)
    this.#noteChange(number, nowMillis)
    if (fitting.length < bytes.length) fail("ENOSPC")
  }

  makeDirectory(path: string, permissions: number, nowMillis: number): void {
    this.#add("make directory", path, { kind: "directory", permissions, nowMillis })
  }

  rename(from: string, to: string, nowMillis: number): void {
    const source = this.#table.locate(from, false)
    const target = this.#table.locate(to, false)
    this.#checkWritable()
    const moved = this.#existing(source)
    const replaced = target.inode === undefined ? undefined : this.#table.at(target.inode)
    if (moved === replaced) return
    if (target.trail.includes(moved.number)) fail("EINVAL")
    // as Linux has it: an ancestor of what moves is not empty, whatever kinds the two are of
    if (replaced !== undefined && source.trail.includes(replaced.number)) fail("ENOTEMPTY")
    if (replaced !== undefined) checkReplaceable(moved, replaced)
    const emptied = replaced?.kind === "directory" ? [replaced.number] : []
    this.#change({
      operation: "rename",
      path: `${from} to ${to}`,
      changes: [
        { directory: source.directory, name: newName(source), before: moved.number, after: undefined },
        { directory: target.directory, name: newName(target), before: replaced?.number, after: moved.number }
      ],
      directories: [source.directory, target.directory, ...emptied]
    })
    this.#noteChange(source.directory, nowMillis)
    this.#noteChange(target.directory, nowMillis)
    this.#table.own(moved.number).ctimeMillis = nowMillis
  }

  unlink(path: string, nowMillis: number): void {
    const place = this.#table.locate(path, false)
    this.#checkWritable()
    if (this.#existing(place).kind === "directory") fail("EISDIR")
    this.#remove("remove", path, place, [place.directory], nowMillis)
  }

  removeDirectory(path: string, nowMillis: number): void {
    const place = this.#table.locate(path, false)
    this.#checkWritable()
    const { number, children } = this.#existing(place)
    if (children === undefined) return fail("ENOTDIR")
    if (children.size > 0) fail("ENOTEMPTY")
    this.#remove("remove directory", path, place, [place.directory, number], nowMillis)
  }

  /** False when nothing has that name. */
  touch(path: string, nowMillis: number): boolean {
    let number: number
    try {
      number = this.stat(path).number
    } catch (error) {
      if (error instanceof Error && error.message === "ENOENT") return false
      throw error
    }
    this.#checkWritable()
    if (this.accessTimes === "ignored") return true
    this.#moveAccessTime(number, nowMillis)
    this.#table.own(number).ctimeMillis = nowMillis
    return true
  }

  // ---- flushing

  syncFile(number: number): void {
    this.#unsynced.contents.delete(number)
    this.#unsynced.accessTimes.delete(number)
    this.#forget(this.#unsynced.names.commitWithContent())
  }

  syncDirectory(path: string): void {
    const { number, kind } = this.#existing(this.#table.locate(path, true))
    if (kind !== "directory") fail("ENOTDIR")
    this.#unsynced.accessTimes.delete(number)
    this.#forget(this.#unsynced.names.commit(number))
  }

  syncAll(): void {
    this.#forget(this.#unsynced.names.commitAll())
    this.#unsynced.contents.clear()
    this.#unsynced.accessTimes.clear()
  }

  /** Whether a power loss could take anything. */
  get isFlushed(): boolean {
    const { names, contents, accessTimes } = this.#unsynced
    return names.size === 0 && contents.size === 0 && accessTimes.size === 0
  }

  /**
   * The power goes and comes back: takes what `choose` says of what was not flushed, and tells what that was. No
   * program may go on working on the disk, and files that were open are gone.
   */
  losePower(choose: Choose): ReadonlyArray<string> {
    this.#powerLosses += 1
    return losePower(this.#table, this.#unsynced, choose)
  }

  // ---- things that Files cannot make

  makeSymlink(target: string, path: string, nowMillis = 0): void {
    this.#add("create", path, { kind: "symlink", permissions: 0o777, nowMillis, target })
  }

  makeFifo(path: string, nowMillis = 0): void {
    this.#add("create", path, { kind: "other", permissions: 0o644, nowMillis })
  }

  setTimes(path: string, seconds: number): void {
    const inode = this.#table.own(this.stat(path).number)
    inode.atimeMillis = seconds * 1000
    inode.mtimeMillis = seconds * 1000
    this.#unsynced.accessTimes.delete(inode.number)
  }

  /** Gives a file new content behind the back of all programs, as damage does: no time and no inode changes. */
  put(path: string, content: Uint8Array): void {
    const inode = this.#existing(this.#table.locate(path, true))
    if (inode.kind !== "file") fail("EISDIR")
    this.#table.setContent(inode.number, content.slice())
    this.#unsynced.contents.delete(inode.number)
  }

  // ---- within

  #existing({ inode }: Place): Inode {
    return inode === undefined ? fail("ENOENT") : this.#table.at(inode)
  }

  #checkWritable(): void {
    if (this.isReadOnly) fail("EROFS")
  }

  #add(
    operation: "create" | "make directory",
    path: string,
    added: Parameters<InodeTable["add"]>[0]
  ): number {
    const place = this.#table.locate(path, false)
    if (place.inode !== undefined) fail("EEXIST")
    this.#checkWritable()
    const name = newName(place)
    const after = this.#table.add(added)
    const { directory } = place
    this.#change({
      operation,
      path,
      changes: [{ directory, name, before: undefined, after }],
      directories: [directory]
    })
    this.#noteChange(directory, added.nowMillis)
    return after
  }

  #remove(
    operation: "remove" | "remove directory",
    path: string,
    { directory, name, inode }: Place,
    directories: ReadonlyArray<number>,
    nowMillis: number
  ): void {
    if (name === "") fail("EBUSY")
    const changes = [{ directory, name, before: inode, after: undefined }]
    this.#change({ operation, path, changes, directories })
    this.#noteChange(directory, nowMillis)
  }

  #change(operation: NameOperation): void {
    for (const { directory, name, after } of operation.changes) this.#table.setEntry(directory, name, after)
    this.#unsynced.names.push(operation)
  }

  /** Inodes that a flushed change left without a name are gone for good. */
  #forget(operations: ReadonlyArray<NameOperation>): void {
    for (const { changes } of operations) {
      for (const { before } of changes) {
        if (before === undefined || this.#table.find(before)?.links !== 0) continue
        this.#table.dropNameless(before)
        this.#unsynced.contents.delete(before)
        this.#unsynced.accessTimes.delete(before)
      }
    }
  }

  #noteChange(number: number, nowMillis: number): void {
    const inode = this.#table.own(number)
    inode.mtimeMillis = nowMillis
    inode.ctimeMillis = nowMillis
  }

  #noteRead(inode: Inode, nowMillis: number): void {
    if (!this.isReadOnly && movesWithRead(this.accessTimes, inode, nowMillis)) {
      this.#moveAccessTime(inode.number, nowMillis)
    }
  }

  #moveAccessTime(number: number, nowMillis: number): void {
    const inode = this.#table.own(number)
    const { accessTimes } = this.#unsynced
    if (!accessTimes.has(number)) accessTimes.set(number, inode.atimeMillis)
    inode.atimeMillis = nowMillis
  }
}

const checkReplaceable = (moved: Inode, replaced: Inode): void => {
  if (replaced.kind === "directory" && moved.kind !== "directory") fail("EISDIR")
  if (replaced.kind !== "directory" && moved.kind === "directory") fail("ENOTDIR")
  if (replaced.children !== undefined && replaced.children.size > 0) fail("ENOTEMPTY")
}

/** Outcomes from a list, one after the other; when it ends, everything survives. Too large a number wraps around. */
export const chooseFrom = (list: ReadonlyArray<number>): Choose => {
  let next = 0
  return (count) => (list[next++] ?? 0) % count
}

/** The worst case for whoever did not flush: nothing of it survives. */
export const loseAll: Choose = () => 1

export type { AccessTimes } from "./disk/accessTimes.ts"
export { sizeOf }
export type { Choose, Inode, NameOrdering }
