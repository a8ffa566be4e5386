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
import { decodeEntry } from "../../format/pxar/EntryDecoder.ts"
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
import { decodeLentNow } from "./readEntries.ts"

type Failure = FormatError | VfsError

export interface OpenDirectory extends Pick<Accessor.Directory, "entry" | "table"> {
  readonly entryStart: number
}

/** What the directory around it says of a directory. */
export interface Surrounding {
  readonly entryStart: number
  /** Where the one around it ends; undefined for the root. */
  readonly parentEnd: number | undefined
}

export interface Directories {
  /** The directory that ends there. */
  readonly open: (endOffset: number) => Effect.Effect<OpenDirectory, Failure>
  /** The same at once, where all that it takes is in memory; undefined when it is not. Throws `FormatError`. */
  readonly openNow: (endOffset: number) => OpenDirectory | undefined
  /** What the directory around the one that ends there says of it. */
  readonly surrounding: (endOffset: number) => Effect.Effect<Surrounding, Failure>
  readonly surroundingNow: (endOffset: number) => Surrounding | undefined
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

/** The table that the last bytes of a directory hold; or how long it is, when it is longer. */
const tableIn = (
  last: Uint8Array,
  root: Accessor.Child,
  endOffset: number,
  entryStart: number
): GoodbyeTable | number => {
  const lastBytes = last.length
  if (lastBytes < GOODBYE_ITEM_BYTES) fail("pxar archive", entryStart, "a directory", `${lastBytes} bytes`)
  const extent = checkedExtent(root, endOffset, entryStart, last.subarray(lastBytes - GOODBYE_ITEM_BYTES))
  const tableBytes = endOffset - extent.goodbyeStart
  if (tableBytes > lastBytes) return tableBytes
  // A copy: it is kept, and the chunk that it came in is not.
  return new GoodbyeTable(extent, Uint8Array.from(last.subarray(lastBytes - tableBytes)))
}

const tailOf = (endOffset: number, entryStart: number): number => Math.min(tailBytes, endOffset - entryStart)

const readTable = (source: ContentReader, root: Accessor.Child, endOffset: number, entryStart: number) =>
  Effect.gen(function* () {
    let wantedBytes = tailOf(endOffset, entryStart)
    for (;;) {
      const last = yield* source.look(endOffset - wantedBytes, wantedBytes)
      const table = yield* attempt(() => tableIn(last, root, endOffset, entryStart))
      if (typeof table !== "number") return table
      wantedBytes = table
    }
  })

/** Nearly every directory's own entry is shorter. */
const entryBytes = 512

/** What is in memory of the directory that lies there; undefined when it is not all of it. */
const readNow = (
  source: ContentReader,
  { root, version }: Accessor.Archive<VfsError>,
  endOffset: number,
  entryStart: number
): OpenDirectory | undefined => {
  const range = { fileOffset: entryStart, entryStart, endOffset }
  const headBytes = Math.min(entryBytes, endOffset - entryStart)
  const decoded = decodeLentNow(source, entryStart, headBytes, (bytes) => decodeEntry(version, bytes, range))
  if (typeof decoded !== "object" || decoded.entry.kind !== "directory") return undefined
  const lastBytes = tailOf(endOffset, entryStart)
  const table = decodeLentNow(source, endOffset - lastBytes, lastBytes, (last) =>
    tableIn(last, root, endOffset, entryStart)
  )
  return typeof table === "object" ? { entry: decoded.entry, entryStart, table } : undefined
}

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

  const surroundingNow = (endOffset: number): Surrounding | undefined =>
    endOffset === root.endOffset
      ? { entryStart: root.entryStart, parentEnd: undefined }
      : remembered.get(endOffset)

  const surrounding = (endOffset: number): Effect.Effect<Surrounding, Failure> =>
    Effect.suspend(() => {
      const known = surroundingNow(endOffset)
      return known === undefined ? find(endOffset) : Effect.succeed(known)
    })

  const openNow = (endOffset: number): OpenDirectory | undefined => {
    const known = opened.get(endOffset)
    const around = known === undefined ? surroundingNow(endOffset) : undefined
    if (around === undefined) return known
    const found = readNow(source, archive, endOffset, around.entryStart)
    if (found !== undefined) opened.set(endOffset, found, found.table.count + 1)
    return found
  }

  return {
    remember,
    open: (endOffset) =>
      Effect.suspend(() => {
        const known = opened.get(endOffset)
        if (known !== undefined) return Effect.succeed(known)
        return Effect.flatMap(surrounding(endOffset), ({ entryStart }) => openAt(endOffset, entryStart))
      }),
    openNow,
    surrounding,
    surroundingNow
  }
}
