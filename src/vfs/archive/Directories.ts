/**
 * Directories: the directories of one archive, found by where they end, which is what their inodes say.
 *
 * A directory's own table says where it begins, and a crafted one may say anything. So it is compared with what the
 * directory around it says, from the root down: ranges lie inside of one another and next to one another, never across,
 * and every walk ends.
 *
 * Invariant: what was learnt from above is remembered for so many directories, and learnt again for others; nothing
 * grows with the archive.
 */
import * as Effect from "effect/Effect"
import { attempt } from "../../format/attempt.ts"
import { fail, type FormatError } from "../../format/FormatError.ts"
import * as Accessor from "../../format/pxar/Accessor.ts"
import {
  type ChildExtent,
  GOODBYE_ITEM_BYTES,
  GoodbyeTable,
  readGoodbyeTail
} from "../../format/pxar/GoodbyeTable.ts"
import type { ContentReader } from "../content/ContentReader.ts"
import type { VfsError } from "../VfsError.ts"
import { WeightedCache } from "../tree/WeightedCache.ts"
import type { NamedEntry } from "./NamedEntries.ts"

type Failure = FormatError | VfsError

export interface OpenDirectory extends Pick<Accessor.Directory, "entry" | "table"> {
  readonly entryStart: number
}

/** What the directory around it says of a directory. */
interface Surrounding {
  readonly entryStart: number
  /** Where the one around it ends; undefined for the root. */
  readonly parentEnd: number | undefined
}

export interface Directories {
  /** The directory that ends there. */
  readonly open: (endOffset: number) => Effect.Effect<OpenDirectory, Failure>
  /** Where the directory ends that is around the one that ends there; undefined for the root. */
  readonly parentEnd: (endOffset: number) => Effect.Effect<number | undefined, Failure>
  /** Remembers a directory that was found in another one. */
  readonly remember: (endOffset: number, entryStart: number, parentEnd: number) => void
}

const rememberedMax = 32_768

/** Children of all tables that are kept. */
const childrenMax = 16_384

/** The child whose range the offset ends in, or lies in. */
const childAround = (children: ReadonlyArray<ChildExtent>, endOffset: number): ChildExtent | undefined => {
  let [low, high] = [0, children.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((children[middle]?.endOffset ?? 0) < endOffset) low = middle + 1
    else high = middle
  }
  const found = children[low]
  return found !== undefined && found.fileOffset < endOffset ? found : undefined
}

/** Tables are mostly shorter. */
const tailBytes = 4096

const checkedExtent = (root: Accessor.Child, endOffset: number, entryStart: number, tail: Uint8Array) => {
  const extent = readGoodbyeTail(tail, endOffset)
  // The table of the root counts from the beginning of the archive, where a version and a prelude may stand.
  const expected = endOffset === root.endOffset ? 0 : entryStart
  if (extent.entryStart !== expected || extent.goodbyeStart <= entryStart) {
    const offset = endOffset - GOODBYE_ITEM_BYTES
    fail("pxar archive", offset, `the table of the directory at ${expected}`, `one of ${extent.entryStart}`)
  }
  return extent
}

const readTable = (source: ContentReader, root: Accessor.Child, endOffset: number, entryStart: number) =>
  Effect.gen(function* () {
    const lastBytes = Math.min(tailBytes, endOffset - entryStart)
    const last = yield* source.look(endOffset - lastBytes, lastBytes)
    const extent = yield* attempt(() => {
      if (lastBytes < GOODBYE_ITEM_BYTES)
        fail("pxar archive", entryStart, "a directory", `${lastBytes} bytes`)
      return checkedExtent(root, endOffset, entryStart, last.subarray(lastBytes - GOODBYE_ITEM_BYTES))
    })
    const tableBytes = endOffset - extent.goodbyeStart
    const bytes =
      tableBytes <= lastBytes
        ? last.subarray(lastBytes - tableBytes)
        : yield* source.look(extent.goodbyeStart, tableBytes)
    // A copy: it is kept, and the chunk that it came in is not.
    return yield* attempt(() => new GoodbyeTable(extent, Uint8Array.from(bytes)))
  })

export const make = (
  archive: Accessor.Archive<VfsError>,
  source: ContentReader,
  readNamed: (extent: ChildExtent) => Effect.Effect<NamedEntry, Failure>
): Directories => {
  const { root } = archive
  const remembered = new WeightedCache<number, Surrounding>(rememberedMax)
  const opened = new WeightedCache<number, OpenDirectory>(childrenMax)

  const remember = (endOffset: number, entryStart: number, parentEnd: number): void =>
    remembered.set(endOffset, { entryStart, parentEnd }, 1)

  const openAt = (endOffset: number, entryStart: number): Effect.Effect<OpenDirectory, Failure> =>
    Effect.gen(function* () {
      const known = opened.get(endOffset)
      if (known !== undefined) return known
      const sizeBytes = endOffset - entryStart
      const child = { ...root, fileOffset: entryStart, entryStart, endOffset, sizeBytes }
      const entry = yield* Accessor.readEntry(archive, child)
      if (entry.kind !== "directory") {
        return yield* attempt(() => fail("pxar archive", entryStart, "a directory", `a ${entry.kind}`))
      }
      const table = yield* readTable(source, root, endOffset, entryStart)
      const directory = { entry, entryStart, table }
      opened.set(endOffset, directory, table.count + 1)
      return directory
    })

  /** Goes down from the root to the directory that ends there. */
  const find = (endOffset: number): Effect.Effect<Surrounding, Failure> =>
    Effect.gen(function* () {
      let parentEnd = root.endOffset
      let entryStart = root.entryStart
      for (;;) {
        const { table } = yield* openAt(parentEnd, entryStart)
        const extent = childAround(table.children, endOffset)
        const isDirectory = (named: NamedEntry): boolean => named.entry.kind === "directory"
        const named = extent === undefined ? undefined : yield* readNamed(extent)
        if (extent === undefined || named === undefined || !isDirectory(named)) {
          return yield* attempt(() =>
            fail("pxar archive", endOffset, "the end of a directory", "something else")
          )
        }
        remember(extent.endOffset, named.entryStart, parentEnd)
        if (extent.endOffset === endOffset) return { entryStart: named.entryStart, parentEnd }
        parentEnd = extent.endOffset
        entryStart = named.entryStart
      }
    })

  const surroundingOf = (endOffset: number): Effect.Effect<Surrounding, Failure> => {
    if (endOffset === root.endOffset) {
      return Effect.succeed({ entryStart: root.entryStart, parentEnd: undefined })
    }
    const known = remembered.get(endOffset)
    return known === undefined ? find(endOffset) : Effect.succeed(known)
  }

  return {
    remember,
    open: (endOffset) =>
      Effect.suspend(() => {
        const known = opened.get(endOffset)
        if (known !== undefined) return Effect.succeed(known)
        return Effect.flatMap(surroundingOf(endOffset), ({ entryStart }) => openAt(endOffset, entryStart))
      }),
    parentEnd: (endOffset) =>
      Effect.map(
        Effect.suspend(() => surroundingOf(endOffset)),
        ({ parentEnd }) => parentEnd
      )
  }
}
