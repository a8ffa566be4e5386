/**
 * Knowing: what a process learns from each call, and all that there is to be learned, as texts: so that the laboratory
 * goes on from each state of a store once (`Scenario.shared`, `Simulation.learns`).
 *
 * Two states with the same text must be the same to everybody, so in doubt more is told. And what makes states differ
 * without making a difference is taken out of the store itself: names come in their order, and a file's inode follows
 * from its path.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { hash } from "node:crypto"
import type { FileLocks } from "../../../src/platform/FileLocks.ts"
import { type Files, FilesError } from "../../../src/platform/Files.ts"
import type { MemoryDisk, MemoryLockTable, Simulation } from "../../../src/testing.ts"

const digests = new WeakMap<Uint8Array, string>()

/** Content on a memory disk never changes, so it is looked at once. */
const digestOf = (content: Uint8Array): string => {
  const known = digests.get(content)
  if (known !== undefined) return known
  const made = hash("sha256", content, "base64")
  digests.set(content, made)
  return made
}

const byName = (left: { readonly name: string }, right: { readonly name: string }): number =>
  left.name < right.name ? -1 : 1

const inodeOf = (path: string): bigint => BigInt(`0x${hash("sha256", path, "hex").slice(0, 12)}`)

type Learns = Simulation["Service"]["learns"]

/**
 * Files that do not tell in which order they were made, as those of any disk need not. Who opens a file learns all of
 * it: it stays readable when its name goes, and then it is nowhere else.
 */
export const knowableFiles = (
  files: Files["Service"],
  disk: MemoryDisk,
  learns: Learns
): Files["Service"] => ({
  ...files,
  openRead: (path) => Effect.tap(files.openRead(path), () => learns(() => digestOf(disk.stat(path).content))),
  stat: (path) => Effect.map(files.stat(path), (found) => ({ ...found, inode: inodeOf(path) })),
  readDirectory: (path) => Effect.map(files.readDirectory(path), (entries) => entries.toSorted(byName)),
  statDirectory: (path) => Effect.map(files.statDirectory(path), (entries) => entries.toSorted(byName))
})

const textOfFailure = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof FilesError
    ? `${error.operation} ${error.reason} ${error.code}`
    : Cause.pretty(cause)
}

const textOfValue = (value: unknown): string =>
  value instanceof Uint8Array
    ? digestOf(value)
    : (JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? String(part) : part)) ?? "")

/** What a call says. */
export const textOfExit = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit) ? textOfValue(exit.value) : textOfFailure(exit.cause)

/** Locks that tell whether they were granted. */
export const learningLocks = (locks: FileLocks["Service"], learns: Learns): FileLocks["Service"] => {
  const told = (isHeld: boolean): Effect.Effect<void> => learns(() => String(isHeld))
  return {
    tryLock: (path, range, mode) => Effect.tap(locks.tryLock(path, range, mode), told),
    openRanges: (path) =>
      Effect.map(locks.openRanges(path), (table) => ({
        ...table,
        tryLock: (offset) => Effect.tap(table.tryLock(offset), told)
      }))
  }
}

/** Names, contents, modes and times of everything below. */
export const textBelow = (disk: MemoryDisk, path: string): string => {
  let text = ""
  const children = disk.list(path, 0).map(([name, inode]) => ({ name, inode }))
  for (const { inode, name } of children.toSorted(byName)) {
    const { atimeMillis, content, kind, mode, mtimeMillis, target } = inode
    text += `${name} ${kind} ${mode} ${mtimeMillis} ${atimeMillis} ${target}`
    text += kind === "directory" ? ` {\n${textBelow(disk, `${path}/${name}`)}}\n` : ` ${digestOf(content)}\n`
  }
  return text
}

const lockFiles: ReadonlyArray<string> = ["/store/.lock", "/store/.granary.lock"]

const textOfLocks = (disk: MemoryDisk, locks: MemoryLockTable): string =>
  lockFiles
    .filter((path) => disk.list("/store", 0).some(([name]) => path === `/store/${name}`))
    .flatMap((path) => locks.held(path))
    .map(({ length, mode, offset, process }) => `${process} ${offset} ${length} ${mode}`)
    .toSorted()
    .join("\n")

/** All of a disk, with all that is locked on it. */
export const textOfDisk = (disk: MemoryDisk, locks: MemoryLockTable): string =>
  `${textBelow(disk, "/store")}${textOfLocks(disk, locks)}\n${disk.numbersTaken}`
