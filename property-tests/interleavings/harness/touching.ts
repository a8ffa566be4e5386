/**
 * Touching: what each system call reads and writes of what other processes see, so that the laboratory knows which
 * steps may change places (`Explore.everyOrder`). When in doubt it says more, never less.
 *
 * The things: `node` is what lies under a path; `list` is the names in a folder; `attributes` is the times and sizes of
 * what is in it; `tree` is a folder together with all that is below, which only those write who make, remove or rename
 * it, and everybody reads who uses a path through it. A lock is a byte of a file.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Files } from "../../../src/platform/Files.ts"
import type { Touch } from "../../../src/testing.ts"

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/"))

const reads = (thing: string): Touch => ({ thing, how: "reads" })
const adds = (thing: string): Touch => ({ thing, how: "adds" })
const writes = (thing: string): Touch => ({ thing, how: "writes" })

/** The way to the path, its own folder included. */
const way = (path: string): ReadonlyArray<Touch> => {
  const touches: Array<Touch> = []
  for (let folder = parentOf(path); folder !== ""; folder = parentOf(folder))
    touches.push(reads(`tree ${folder}`))
  return touches
}

/** Of somebody who looks at a path. */
export const readsNode = (path: string): ReadonlyArray<Touch> => [
  reads(`node ${path}`),
  reads(`tree ${path}`),
  ...way(path)
]

const readsFolder = (path: string): ReadonlyArray<Touch> => [reads(`list ${path}`), ...readsNode(path)]

const changesAttributes = (path: string): ReadonlyArray<Touch> => [
  writes(`node ${path}`),
  adds(`attributes ${parentOf(path)}`),
  ...way(path)
]

const changesName = (path: string): ReadonlyArray<Touch> => [
  ...changesAttributes(path),
  adds(`list ${parentOf(path)}`)
]

const changesFolder = (path: string): ReadonlyArray<Touch> => [
  ...changesName(path),
  writes(`tree ${path}`),
  writes(`list ${path}`)
]

/** Hears what a call touched, and what came of it. */
export type Say = (touches: ReadonlyArray<Touch>, exit: Exit.Exit<unknown, unknown>) => Effect.Effect<void>

/** Files that tell what they touched, as soon as it happened. What failed has changed nothing, and has looked. */
export const touchingFiles = (
  files: Files["Service"],
  isFolder: (path: string) => boolean,
  say: Say
): Files["Service"] => {
  const looking = <A, E, R>(
    touches: ReadonlyArray<Touch>,
    call: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> => Effect.onExit(call, (exit) => say(touches, exit))
  const changing =
    (paths: ReadonlyArray<string>, changes: (path: string) => ReadonlyArray<Touch>) =>
    <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.onExit(call, (exit) => say(paths.flatMap(Exit.isSuccess(exit) ? changes : readsNode), exit))
  return {
    ...files,
    stat: (path) => looking(readsNode(path), files.stat(path)),
    readFile: (path, maxSizeBytes) => looking(readsNode(path), files.readFile(path, maxSizeBytes)),
    readDirectory: (path) => looking(readsFolder(path), files.readDirectory(path)),
    statDirectory: (path) =>
      looking([...readsFolder(path), reads(`attributes ${path}`)], files.statDirectory(path)),
    statEach: (paths) => looking(paths.flatMap(readsNode), files.statEach(paths)),
    openRead: (path) =>
      looking(readsNode(path), files.openRead(path)).pipe(
        Effect.map((handle) => ({
          ...handle,
          readAt: (offset, buffer) => looking(readsNode(path), handle.readAt(offset, buffer))
        }))
      ),
    makeDirectory: (path, mode) => changing([path], changesFolder)(files.makeDirectory(path, mode)),
    makeDirectories: (parent, names, mode) =>
      changing(
        names.map((name) => `${parent}/${name}`),
        changesFolder
      )(files.makeDirectories(parent, names, mode)),
    createFile: (path, content, options) =>
      changing([path], changesName)(files.createFile(path, content, options)),
    replaceFile: (path, parts, options) =>
      changing([path], changesName)(files.replaceFile(path, parts, options)),
    rename: (from, to) =>
      changing([from, to], (path) => (isFolder(to) ? changesFolder(path) : changesName(path)))(
        files.rename(from, to)
      ),
    unlink: (path) => changing([path], changesName)(files.unlink(path)),
    removeDirectory: (path) => changing([path], changesFolder)(files.removeDirectory(path)),
    touch: (path) => changing([path], changesAttributes)(files.touch(path))
  }
}

const lockPattern = /^(?:tryLock|release|unlock) (.*) ([0-9]+)(?: (exclusive|shared))?$/

/** What the call of that label does to a lock; locks that are shared do not mind each other. */
export const lockTouches = (label: string): ReadonlyArray<Touch> => {
  const [, path, offset, mode] = lockPattern.exec(label) ?? []
  return path === undefined
    ? []
    : [mode === "shared" ? reads(`lock ${path} ${offset}`) : writes(`lock ${path} ${offset}`)]
}
