/**
 * readEntries: entries of an archive, read where they stand: one by one, or all children of a directory with as few
 * reads as there are places that lie apart.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { attempt } from "../../format/attempt.ts"
import { fail, FormatError } from "../../format/FormatError.ts"
import type { Archive } from "../../format/pxar/Accessor.ts"
import type { FileEntry } from "../../format/pxar/Entry.ts"
import type { ChildExtent } from "../../format/pxar/GoodbyeTable.ts"
import * as Items from "../../format/pxar/Items.ts"
import type { ContentReader } from "../content/ContentReader.ts"
import type { VfsError } from "../VfsError.ts"
import type { PlainEntries } from "./PlainEntries.ts"
import { decodeChild, decodeNamed, type NamedEntry, planRuns, type Run } from "./NamedEntries.ts"

type Failure = FormatError | VfsError

/** A child of a directory that is not plain. */
export interface Found {
  readonly named: NamedEntry
  /** Of the child, all that is in it included. */
  readonly endOffset: number
}

const smallReadBytes = 512

/** Runs read at the same time: they are far from each other, so that each may have to be fetched. */
const runsAtOnce = 8

/** Decodes bytes while they are lent: what decoders hand out are copies. */
const decodeLent = <A>(
  source: ContentReader,
  offset: number,
  lengthBytes: number,
  decode: (bytes: Uint8Array) => A
): Effect.Effect<A, Failure> =>
  Effect.flatten(
    source.lendLook(offset, lengthBytes, (bytes): Exit.Exit<A, FormatError> => {
      try {
        return Exit.succeed(decode(bytes))
      } catch (error) {
        return error instanceof FormatError ? Exit.fail(error) : Exit.die(error)
      }
    })
  )

/** The same at once, where the bytes are in memory; undefined when they are not. Throws what `decode` throws. */
export const decodeLentNow = <A>(
  source: ContentReader,
  offset: number,
  lengthBytes: number,
  decode: (bytes: Uint8Array) => A
): A | undefined => {
  let decoded: A | undefined
  source.lendLookNow(offset, lengthBytes, (bytes) => {
    decoded = decode(asPlain(bytes))
  })
  return decoded
}

/** Reads from `start` on, more and more until `decode` has what it needs. */
const readGrowing = <A extends object>(
  source: ContentReader,
  start: number,
  endOffset: number,
  decode: (bytes: Uint8Array) => A | number,
  firstBytes = smallReadBytes
): Effect.Effect<A, Failure> =>
  Effect.gen(function* () {
    let wantedBytes = firstBytes
    for (;;) {
      const lengthBytes = Math.max(0, Math.min(wantedBytes, endOffset - start))
      const decoded = yield* decodeLent(source, start, lengthBytes, (bytes) => decode(asPlain(bytes)))
      if (typeof decoded !== "number") return decoded
      wantedBytes = Math.max(decoded, 2 * lengthBytes)
    }
  })

/** The entry whose FILENAME item stands there: a child of that extent, or anything in the archive. */
export const readNamed = (
  version: 1 | 2,
  source: ContentReader,
  fileOffset: number,
  extent?: ChildExtent
): Effect.Effect<NamedEntry, Failure> => {
  const limitOffset = extent?.endOffset ?? source.sizeBytes
  return readGrowing(source, fileOffset, limitOffset, (bytes) =>
    extent === undefined
      ? decodeNamed(version, bytes, fileOffset, limitOffset)
      : decodeChild(version, bytes, extent)
  )
}

/** Decodes what stands at `at` in the bytes of a run: of the extent with that number. */
type Decode<A> = (
  bytes: Uint8Array,
  view: DataView,
  at: number,
  extent: ChildExtent,
  child: number
) => A | number

/** Views of a `Buffer` look like copies of it, and decoders take copies. */
const asPlain = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Decodes all extents of a run; of those whose heads were too short, it tells how much they need. */
const decodeRun = <A>(
  read: Uint8Array,
  run: Run,
  extents: ReadonlyArray<ChildExtent>,
  decode: Decode<A>
): ReadonlyArray<A | number> => {
  const bytes = asPlain(read)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const decoded: Array<A | number> = []
  for (let child = run.firstChild; child < run.endChild; child++) {
    const extent = extents[child]
    if (extent !== undefined) {
      decoded.push(decode(bytes, view, extent.fileOffset - run.offset, extent, child))
    }
  }
  return decoded
}

/** Reads and decodes what stands at each of the extents, which are in order. */
const readAll = <A extends object>(
  source: ContentReader,
  extents: ReadonlyArray<ChildExtent>,
  decode: Decode<A>
): Effect.Effect<ReadonlyArray<A>, Failure> =>
  Effect.gen(function* () {
    const readRun = (run: Run) =>
      decodeLent(source, run.offset, run.endOffset - run.offset, (bytes) =>
        decodeRun(bytes, run, extents, decode)
      )
    const runs = planRuns(extents)
    const [only] = runs
    const decoded =
      runs.length === 1 && only !== undefined
        ? yield* readRun(only)
        : (yield* Effect.forEach(runs, readRun, { concurrency: runsAtOnce })).flat()
    const whole: Array<A> = []
    for (const [index, one] of decoded.entries()) {
      const extent = extents[index]
      if (typeof one !== "number") whole.push(one)
      else if (extent !== undefined) {
        const again = (bytes: Uint8Array) => decode(bytes, viewOf(bytes), 0, extent, index)
        whole.push(yield* readGrowing(source, extent.fileOffset, extent.endOffset, again, one))
      }
    }
    return whole
  })

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const pieceOf = (bytes: Uint8Array, at: number, { endOffset, fileOffset }: ChildExtent): Uint8Array =>
  bytes.subarray(at, at + endOffset - fileOffset)

/** Stands for a child that is plain, and was taken as such. */
const plainChild = { isPlain: true } as const

export type ReadChild = Found | typeof plainChild

const childDecoder =
  (version: 1 | 2, plain: PlainEntries): Decode<ReadChild> =>
  (bytes, view, at, extent, child) => {
    if (plain.decode(bytes, view, at, extent, child)) return plainChild
    const named = decodeChild(version, pieceOf(bytes, at, extent), extent)
    return typeof named === "number" ? named : { named, endOffset: extent.endOffset }
  }

/** All children of a directory, in the order of its extents. */
export const readChildren = (
  version: 1 | 2,
  source: ContentReader,
  extents: ReadonlyArray<ChildExtent>,
  plain: PlainEntries
): Effect.Effect<ReadonlyArray<ReadChild>, Failure> => readAll(source, extents, childDecoder(version, plain))

/** The same at once, where all that it takes is in memory; undefined when it is not. Throws `FormatError`. */
export const readChildrenNow = (
  version: 1 | 2,
  source: ContentReader,
  extents: ReadonlyArray<ChildExtent>,
  plain: PlainEntries
): ReadonlyArray<ReadChild> | undefined => {
  const decode = childDecoder(version, plain)
  const children: Array<ReadChild> = []
  for (const run of planRuns(extents)) {
    const found = decodeLentNow(source, run.offset, run.endOffset - run.offset, (bytes) =>
      decodeRun(bytes, run, extents, decode)
    )
    if (found === undefined) return undefined
    for (const child of found) {
      if (typeof child === "number") return undefined
      children.push(child)
    }
  }
  return children
}

/** Where the targets of these links begin, each with an end that it must come before: the first link to it. */
const targetExtents = (
  rootEntryStart: number,
  children: ReadonlyArray<ReadChild>
): ReadonlyArray<ChildExtent> => {
  const ends = new Map<number, number>()
  for (const child of children) {
    if (!("named" in child) || child.named.entry.kind !== "hardlink") continue
    const { entry, fileOffset: linkOffset } = child.named
    const fileOffset = entry.targetFileOffset
    if (fileOffset <= rootEntryStart || linkOffset - fileOffset < Items.HEADER_BYTES) {
      fail("pxar archive", linkOffset, "a hard link to an earlier file", `a target at ${fileOffset}`)
    }
    ends.set(fileOffset, Math.min(linkOffset, ends.get(fileOffset) ?? linkOffset))
  }
  return [...ends]
    .map(([fileOffset, endOffset]) => ({ fileOffset, endOffset, sizeBytes: 0 }))
    .sort((left, right) => left.fileOffset - right.fileOffset)
}

/** The files that hard links among the children are other names of, by where they begin. */
export const readTargets = (
  archive: Archive<VfsError>,
  source: ContentReader,
  children: ReadonlyArray<ReadChild>
): Effect.Effect<ReadonlyMap<number, FileEntry>, Failure> =>
  Effect.gen(function* () {
    const targets = new Map<number, FileEntry>()
    const extents = yield* attempt(() => targetExtents(archive.root.entryStart, children))
    if (extents.length === 0) return targets
    const found = yield* readAll(source, extents, (bytes, _view, at, extent) =>
      decodeNamed(archive.version, pieceOf(bytes, at, extent), extent.fileOffset, extent.endOffset)
    )
    yield* attempt(() => {
      for (const { entry, fileOffset } of found) {
        if (entry.kind === "file") targets.set(fileOffset, entry)
        else fail("pxar archive", fileOffset, "a file", `a ${entry.kind}`)
      }
    })
    return targets
  })
