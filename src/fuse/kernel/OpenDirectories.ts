/**
 * OpenDirectories: what programs have open for listing. Each keeps the list it was opened with, so that it is read to
 * its end without gaps or doubles, although the directory changes meanwhile.
 */
import type { ListedDirectory } from "../protocol/DirectoryReply.ts"

export interface OpenDirectories {
  /** Answers a handle, never 0. */
  readonly add: (directory: ListedDirectory) => number
  readonly get: (handle: number) => ListedDirectory | undefined
  readonly remove: (handle: number) => void
}

export const make = (): OpenDirectories => {
  const open = new Map<number, ListedDirectory>()
  let last = 0
  return {
    add: (directory) => {
      open.set(++last, directory)
      return last
    },
    get: (handle) => open.get(handle),
    remove: (handle) => void open.delete(handle)
  }
}
