/**
 * NameWalks: who lists directories for their names alone, as `find` does.
 *
 * A listing can bring the attributes of everything in it, which spares whoever wants them a request for each name. But
 * the system then makes a node for each, and for one who wants no more than names that takes most of the time. Nobody
 * says what he wants. So a thread gets attributes in its first directories; then one small directory without those of
 * what is no directory itself. Does it go on to another one, and nobody has asked for anything in there, it gets names
 * from then on. As soon as somebody asks, everybody gets attributes again, for a good while.
 *
 * What was listed so is not to be kept by the system: the next one may want more.
 *
 * Invariant: nothing that is told is wrong either way; and nothing grows with the directories that are listed.
 */
import type { Inode } from "../../vfs/Vfs.ts"

export interface NameWalks {
  /** Whether this thread gets the directory, which it begins to list now, by its names. */
  readonly isByName: (threadId: number, directory: Inode, entryCount: number) => boolean
  /** Somebody asks for a name in a directory. */
  readonly onLookup: (directory: Inode) => void
}

/** Directories that a thread gets with attributes first. */
const fullMax = 2

/** For whoever does want the attributes, each entry in there costs a request. */
const probeEntriesMax = 256

/** Directories that are listed with attributes after somebody has asked. */
const pauseDirectories = 4096

const threadsMax = 64
const directoriesMax = 16_384

interface Thread {
  full: number
  hasProbe: boolean
}

/** Forgets what was put in first. */
const bound = (
  all: { readonly size: number; keys: () => Iterator<unknown>; delete: (key: never) => boolean },
  most: number
) => {
  while (all.size > most) all.delete(all.keys().next().value as never)
}

export const make = (): NameWalks => {
  const threads = new Map<number, Thread>()
  const byName = new Set<Inode>()
  let pause = 0

  const threadOf = (threadId: number): Thread => {
    const known = threads.get(threadId) ?? { full: 0, hasProbe: false }
    threads.set(threadId, known)
    bound(threads, threadsMax)
    return known
  }

  const isByName = (threadId: number, directory: Inode, entryCount: number): boolean => {
    if (pause > 0) {
      pause -= 1
      return false
    }
    const thread = threadOf(threadId)
    if (thread.full < fullMax) {
      thread.full += 1
      return false
    }
    if (!thread.hasProbe && (entryCount === 0 || entryCount > probeEntriesMax)) return false
    thread.hasProbe = true
    byName.add(directory)
    bound(byName, directoriesMax)
    return true
  }

  const onLookup = (directory: Inode): void => {
    if (!byName.has(directory)) return
    threads.clear()
    byName.clear()
    pause = pauseDirectories
  }

  return { isByName, onLookup }
}
