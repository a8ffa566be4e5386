/**
 * Random access to an archive: find a file by name, list a directory, read one entry, without reading the
 * rest. Works over anything that reads byte ranges; each function takes one read where the sizes at hand
 * allow it.
 *
 * Crafted archives get nowhere: a child lies strictly inside its parent and children of one directory do not
 * overlap, so every walk over directories ends after at most as many entries as the archive has bytes for; a
 * hard link's target lies before it and is a file. The payload stream of version 2 is optional and only
 * `contentRange` reads it.
 */
import * as Effect from "effect/Effect"
import { attempt } from "../attempt.ts"
import { fail, type FormatError } from "../FormatError.ts"
import type { DirectoryEntry, Entry, FileEntry, HardlinkEntry } from "./Entry.ts"
import { type DecodedEntry, decodeEntry, decodePreamble } from "./EntryDecoder.ts"
import { decodeFileName } from "./FileName.ts"
import {
  type ChildExtent,
  type DirectoryExtent,
  GOODBYE_ITEM_BYTES,
  GoodbyeTable,
  hashName,
  readGoodbyeTail
} from "./GoodbyeTable.ts"
import * as Items from "./Items.ts"
import { checkPayloadHeader } from "./PayloadStream.ts"

/** Reads exactly `lengthBytes` from `offset`; never asked for bytes past `sizeBytes`. */
export interface RangeReader<E = never> {
  readonly sizeBytes: number
  readonly read: (offset: number, lengthBytes: number) => Effect.Effect<Uint8Array, E>
}

export interface Archive<E = never> {
  readonly source: RangeReader<E>
  readonly payload: RangeReader<E> | undefined
  readonly version: 1 | 2
  readonly prelude: Uint8Array | undefined
  readonly root: Child
}

/** Where an entry stands in the archive. */
export interface Child {
  /** Empty for the root. */
  readonly name: Uint8Array
  /** Of the FILENAME item; 0 for the root. */
  readonly fileOffset: number
  /** Of the ENTRY or HARDLINK item. */
  readonly entryStart: number
  readonly endOffset: number
  /** As the parent's table says; more than the entry's bytes when it counts a payload in another stream. */
  readonly sizeBytes: number
}

export interface Directory {
  readonly child: Child
  readonly entry: DirectoryEntry
  readonly table: GoodbyeTable
}

export interface ContentRange {
  readonly stream: "archive" | "payload"
  /** Of the first byte of the content. */
  readonly offset: number
  readonly sizeBytes: number
}

const READ_AHEAD_BYTES = 16 * 1024
const SMALL_READ_BYTES = 512
const NO_NAME = new Uint8Array(0)

const readExactly = <E>(
  source: RangeReader<E>,
  offset: number,
  lengthBytes: number
): Effect.Effect<Uint8Array, E | FormatError> =>
  Effect.flatMap(source.read(offset, lengthBytes), (bytes) =>
    bytes.length === lengthBytes
      ? Effect.succeed(bytes)
      : attempt(() => fail("pxar archive", offset, `${lengthBytes} bytes`, `${bytes.length} bytes`))
  )

/**
 * Reads from `start` on until `decode` has what it needs; it answers with a number when it needs that many
 * bytes.
 */
const readGrowing = Effect.fnUntraced(function* <A extends object, E>(
  source: RangeReader<E>,
  start: number,
  endOffset: number,
  decode: (bytes: Uint8Array) => A | number
) {
  let wantedBytes = SMALL_READ_BYTES
  for (;;) {
    const lengthBytes = Math.min(wantedBytes, endOffset - start)
    const bytes = yield* readExactly(source, start, lengthBytes)
    const decoded = yield* attempt(() => decode(bytes))
    if (typeof decoded !== "number") return decoded
    wantedBytes = Math.max(decoded, 2 * lengthBytes)
  }
})

/**
 * Opens an archive, or the archive stream of a split one together with its payload stream if that is wanted.
 */
export const openArchive = Effect.fnUntraced(function* <E>(source: RangeReader<E>, payload?: RangeReader<E>) {
  const endOffset = source.sizeBytes
  const preamble = yield* readGrowing(source, 0, endOffset, (bytes) => decodePreamble(bytes, endOffset))
  const root: Child = {
    name: NO_NAME,
    fileOffset: 0,
    entryStart: preamble.rootEntryStart,
    endOffset,
    sizeBytes: endOffset
  }
  const archive: Archive<E> = { source, payload, version: preamble.version, prelude: preamble.prelude, root }
  return archive
})

const decodeAt = <E>(
  archive: Archive<E>,
  child: Pick<Child, "fileOffset" | "entryStart" | "endOffset">
): Effect.Effect<DecodedEntry, E | FormatError> =>
  readGrowing(archive.source, child.entryStart, child.endOffset, (bytes) =>
    decodeEntry(archive.version, bytes, child)
  )

const checkExtent = (child: Child, decoded: DecodedEntry): Entry => {
  const isDirectory = decoded.entry.kind === "directory"
  if (isDirectory && child.sizeBytes !== child.endOffset - child.fileOffset) {
    fail("pxar archive", child.fileOffset, `a directory up to ${child.endOffset}`, `${child.sizeBytes} bytes`)
  }
  if (!isDirectory && decoded.endOffset !== child.endOffset) {
    fail(
      "pxar archive",
      child.fileOffset,
      `an entry up to ${child.endOffset}`,
      `one up to ${decoded.endOffset}`
    )
  }
  return decoded.entry
}

/** Reads the entry of a child, or of the root. */
export const readEntry = <E>(archive: Archive<E>, child: Child): Effect.Effect<Entry, E | FormatError> =>
  Effect.flatMap(decodeAt(archive, child), (decoded) => attempt(() => checkExtent(child, decoded)))

const checkDirectoryExtent = (child: Child, tail: Uint8Array): DirectoryExtent => {
  const extent = readGoodbyeTail(tail, child.endOffset)
  // The table of the root counts from the beginning of the archive, where a version and a prelude may stand.
  const expected = child.fileOffset === 0 ? 0 : child.entryStart
  if (extent.entryStart !== expected || extent.goodbyeStart <= child.entryStart) {
    const offset = child.endOffset - GOODBYE_ITEM_BYTES
    fail("pxar archive", offset, `the table of the directory at ${expected}`, `one of ${extent.entryStart}`)
  }
  return extent
}

const expectDirectory = (entry: Entry, offset: number): DirectoryEntry =>
  entry.kind === "directory" ? entry : fail("pxar archive", offset, "a directory", `a ${entry.kind}`)

/** Reads a directory's entry and its goodbye table. */
export const openDirectory = Effect.fnUntraced(function* <E>(archive: Archive<E>, child: Child) {
  const { endOffset, entryStart } = child
  const found = yield* readEntry(archive, child)
  const entry = yield* attempt(() => expectDirectory(found, entryStart))
  const lastBytes = Math.min(READ_AHEAD_BYTES, endOffset - entryStart)
  const last = yield* readExactly(archive.source, endOffset - lastBytes, lastBytes)
  // An entry was read, so there are at least as many bytes as a tail has.
  const tail = last.subarray(lastBytes - GOODBYE_ITEM_BYTES)
  const extent = yield* attempt(() => checkDirectoryExtent(child, tail))
  const tableBytes = endOffset - extent.goodbyeStart
  const bytes =
    tableBytes <= lastBytes
      ? last.subarray(lastBytes - tableBytes)
      : yield* readExactly(archive.source, extent.goodbyeStart, tableBytes)
  const table = yield* attempt(() => new GoodbyeTable(extent, bytes))
  const directory: Directory = { child, entry, table }
  return directory
})

/** Decodes the FILENAME item of a child, or asks for more bytes. */
const decodeChild = (bytes: Uint8Array, extent: ChildExtent): Child | number => {
  const { endOffset, fileOffset, sizeBytes } = extent
  const decoded = decodeFileName(bytes, fileOffset, endOffset)
  return typeof decoded === "number" ? decoded : { ...decoded, fileOffset, endOffset, sizeBytes }
}

const readChild = <E>(archive: Archive<E>, extent: ChildExtent): Effect.Effect<Child, E | FormatError> =>
  readGrowing(archive.source, extent.fileOffset, extent.endOffset, (bytes) => decodeChild(bytes, extent))

/** The children of a directory in the order they stand in the archive. */
export const listChildren = Effect.fnUntraced(function* <E>(archive: Archive<E>, directory: Directory) {
  const found: Array<Child> = []
  const { goodbyeStart } = directory.table.extent
  let ahead: Uint8Array = NO_NAME
  let aheadOffset = 0
  for (const extent of directory.table.children) {
    const { endOffset, fileOffset } = extent
    if (endOffset - fileOffset > READ_AHEAD_BYTES) {
      // Behind a large child nothing of use would come along.
      found.push(yield* readChild(archive, extent))
      continue
    }
    if (endOffset > aheadOffset + ahead.length) {
      aheadOffset = fileOffset
      ahead = yield* readExactly(
        archive.source,
        fileOffset,
        Math.min(READ_AHEAD_BYTES, goodbyeStart - fileOffset)
      )
    }
    const bytes = ahead.subarray(fileOffset - aheadOffset, endOffset - aheadOffset)
    const decoded = yield* attempt(() => decodeChild(bytes, extent))
    if (typeof decoded !== "number") found.push(decoded)
  }
  const children: ReadonlyArray<Child> = found
  return children
})

const equalBytes = (left: Uint8Array, right: Uint8Array): boolean =>
  left.length === right.length && left.every((byte, index) => byte === right[index])

/** Finds a child by name; undefined when there is none. */
export const lookup = Effect.fnUntraced(function* <E>(
  archive: Archive<E>,
  directory: Directory,
  name: Uint8Array
) {
  const [hashLow = 0, hashHigh = 0] = hashName(name)
  for (const extent of directory.table.find(hashLow, hashHigh)) {
    const child = yield* readChild(archive, extent)
    if (equalBytes(child.name, name)) return child
  }
  return undefined
})

/** Finds the file that a hard link, which stands at `child`, is another name of. */
export const resolveHardlink = Effect.fnUntraced(function* <E>(
  archive: Archive<E>,
  child: Child,
  hardlink: HardlinkEntry
) {
  // The target's own end is not known here, but the whole of it stands before the link.
  const fileOffset = hardlink.targetFileOffset
  const limit = { fileOffset, endOffset: child.fileOffset, sizeBytes: 0 }
  yield* attempt(() => {
    if (fileOffset <= archive.root.entryStart || child.fileOffset - fileOffset < Items.HEADER_BYTES) {
      fail("pxar archive", child.fileOffset, "a hard link to an earlier file", `a target at ${fileOffset}`)
    }
  })
  const named = yield* readChild(archive, limit)
  const { endOffset, entry } = yield* decodeAt(archive, named)
  const file = yield* attempt((): FileEntry =>
    entry.kind === "file" ? entry : fail("pxar archive", fileOffset, "a file", `a ${entry.kind}`)
  )
  const target: Child = { ...named, endOffset, sizeBytes: endOffset - fileOffset }
  return { child: target, entry: file }
})

/** Where the bytes of a file are; for version 2 after a look at the header that stands before them. */
export const contentRange = Effect.fnUntraced(function* <E>(archive: Archive<E>, file: FileEntry) {
  const { offset, sizeBytes, stream } = file.content
  const { payload } = archive
  const inArchive: ContentRange = { stream, offset, sizeBytes }
  if (stream === "archive") return inArchive
  if (payload === undefined)
    return yield* Effect.die(new Error("the archive was opened without its payload stream"))
  yield* attempt(() => {
    if (offset + Items.HEADER_BYTES + sizeBytes > payload.sizeBytes) {
      fail(
        "pxar archive",
        offset,
        "a payload inside its stream",
        `${sizeBytes} of ${payload.sizeBytes} bytes`
      )
    }
  })
  const header = yield* readExactly(payload, offset, Items.HEADER_BYTES)
  yield* attempt(() => checkPayloadHeader(header, offset, sizeBytes))
  const inPayload: ContentRange = { stream, offset: offset + Items.HEADER_BYTES, sizeBytes }
  return inPayload
})
