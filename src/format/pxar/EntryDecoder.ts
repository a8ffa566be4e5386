/**
 * Decodes single entries and the beginning of an archive from a piece of it, for random access. The piece may
 * be too short: then the answer is the number of bytes, counted from its beginning, that would bring the
 * decoder further, always more than it was given and never more than there are before the end it was told.
 */
import { fail } from "../FormatError.ts"
import type { Entry } from "./Entry.ts"
import { EntryBuilder, readHardlink, readVersion } from "./EntryBuilder.ts"
import * as Items from "./Items.ts"

export interface DecodedEntry {
  readonly entry: Entry
  /** Of the entry; of its attributes in case of a directory. */
  readonly endOffset: number
}

/** What stands before the ENTRY item of the root. */
export interface Preamble {
  readonly version: 1 | 2
  readonly prelude: Uint8Array | undefined
  readonly rootEntryStart: number
}

interface Located extends Items.Header {
  /** Of the content, in the archive. */
  readonly offset: number
  readonly endOffset: number
}

/**
 * Walks over the items in `bytes`, which stand at `start` in an archive where nothing may reach past `limit`.
 */
class ItemCursor {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #start: number
  readonly #limit: number
  position: number

  constructor(bytes: Uint8Array, start: number, limit: number) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#start = start
    this.#limit = limit
    this.position = start
  }

  /** Bytes needed, from the beginning of the piece, to reach `endOffset`; undefined when they are there. */
  missing(endOffset: number): number | undefined {
    if (endOffset > this.#limit) {
      fail("pxar archive", this.position, `an item that ends before ${this.#limit}`, `one up to ${endOffset}`)
    }
    return endOffset > this.#start + this.#bytes.length ? endOffset - this.#start : undefined
  }

  header(): Located {
    const header = Items.readHeader(this.#view, this.position - this.#start, this.position)
    const offset = this.position + Items.HEADER_BYTES
    return { ...header, offset, endOffset: offset + header.contentBytes }
  }

  content(located: Located): Uint8Array {
    this.position = located.endOffset
    return this.#bytes.subarray(located.offset - this.#start, located.endOffset - this.#start)
  }
}

/** Decodes what stands at the beginning of an archive of `sizeBytes`. */
export const decodePreamble = (bytes: Uint8Array, sizeBytes: number): Preamble | number => {
  const cursor = new ItemCursor(bytes, 0, sizeBytes)
  let version: 1 | 2 = 1
  let prelude: Uint8Array | undefined
  for (let count = 0; ; count++) {
    const headerMissing = cursor.missing(cursor.position + Items.HEADER_BYTES)
    if (headerMissing !== undefined) return headerMissing
    const located = cursor.header()
    const isVersion = located.item === Items.FORMAT_VERSION && count === 0
    const isPrelude = located.item === Items.PRELUDE && count === 1 && version === 2
    if (!isVersion && !isPrelude) return { version, prelude, rootEntryStart: cursor.position }
    const contentMissing = cursor.missing(located.endOffset)
    if (contentMissing !== undefined) return contentMissing
    const content = cursor.content(located)
    if (isVersion) version = readVersion(content, located.offset)
    else prelude = content.slice()
  }
}

/** Decodes the entry at `entryStart`, which lies before `endOffset`; `bytes` begin at `entryStart`. */
export const decodeEntry = (
  version: 1 | 2,
  bytes: Uint8Array,
  range: { readonly fileOffset: number; readonly entryStart: number; readonly endOffset: number }
): DecodedEntry | number => {
  const cursor = new ItemCursor(bytes, range.entryStart, range.endOffset)
  let builder: EntryBuilder | undefined
  for (;;) {
    if (builder !== undefined && cursor.position === range.endOffset) {
      return { entry: builder.bare(cursor.position), endOffset: cursor.position }
    }
    const headerMissing = cursor.missing(cursor.position + Items.HEADER_BYTES)
    if (headerMissing !== undefined) return headerMissing
    const located = cursor.header()
    const { item, endOffset } = located
    if (builder !== undefined && (item === Items.FILENAME || item === Items.GOODBYE)) {
      return { entry: builder.bare(cursor.position), endOffset: cursor.position }
    }
    const contentMissing = cursor.missing(endOffset)
    if (builder !== undefined && item === Items.PAYLOAD) {
      return { entry: builder.payload(located.offset, located.contentBytes), endOffset }
    }
    if (contentMissing !== undefined) return contentMissing
    const content = cursor.content(located)
    if (builder !== undefined) {
      const entry = builder.add(item, content, located.offset)
      if (entry !== undefined) return { entry, endOffset }
    } else if (item === Items.HARDLINK) {
      return { entry: readHardlink(content, located.offset, range.fileOffset), endOffset }
    } else if (item === Items.ENTRY || item === Items.ENTRY_V1) {
      builder = new EntryBuilder(version, item, content, located.offset)
    } else fail("pxar archive", located.offset - Items.HEADER_BYTES, "ENTRY or HARDLINK", item.name)
  }
}
