/**
 * The catalog of a backup, `catalog.pcat1`: names, sizes and times of all files in its archives, for browsing
 * without reading the archives.
 *
 * 8 bytes of magic; one block a directory, children before parents; u64 offset of the root's block. A block
 * is a varint of the bytes that follow, a varint of the number of entries, and the entries: a letter for the
 * kind, a varint of the name's length, the name, then for a directory the varint distance from its block back
 * to ours, for a file the varint size and the signed varint modification time. The root's entries are the
 * archives, each a directory.
 *
 * Blocks refer backwards only, and the subtrees of siblings follow each other; the reader insists on both, so
 * that the blocks of a walk never overlap and a walk is over after at most one entry for three bytes. How
 * deep directories nest is limited by nothing else: walk with a list of what is to come, not with recursion.
 * Signed varints carry the sign at the end: all bytes of a negative number's magnitude have the continuation
 * bit, and a 0 follows. Sizes and times beyond 2^53 do not decode.
 */
import type { FileKind } from "../model/FileMetadata.ts"
import { ByteReader } from "./ByteReader.ts"
import { ByteWriter } from "./ByteWriter.ts"
import { fail } from "./FormatError.ts"
import { checkName } from "./pxar/Entry.ts"

export const CATALOG_MAGIC: Uint8Array = Uint8Array.of(0x91, 0xfd, 0x60, 0xf9, 0xc4, 0x67, 0x58, 0xd5)

const ROOT_POINTER_BYTES = 8
const NAME_LIMIT_BYTES = 4095
/** Kind, length of the name, one letter. */
const MINIMUM_ENTRY_BYTES = 3
const VARINT_LIMIT_BYTES = 10

const KIND_LETTERS = {
  directory: 0x64,
  file: 0x66,
  symlink: 0x6c,
  hardlink: 0x68,
  "device-block": 0x62,
  "device-char": 0x63,
  fifo: 0x70,
  socket: 0x73
} as const satisfies Record<FileKind, number>

/** A block, and the lowest offset at which a block of its subtree may begin. */
export interface CatalogDirectory {
  readonly startOffset: number
  readonly floorOffset: number
}

export type CatalogEntry =
  | { readonly kind: "directory"; readonly name: Uint8Array; readonly directory: CatalogDirectory }
  | {
      readonly kind: "file"
      readonly name: Uint8Array
      readonly sizeBytes: number
      readonly mtimeSeconds: number
    }
  | { readonly kind: Exclude<FileKind, "directory" | "file">; readonly name: Uint8Array }

export const writeVarint = (writer: ByteWriter, value: number): void => {
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) writer.u8((rest % 0x80) | 0x80)
  writer.u8(rest)
}

export const writeSignedVarint = (writer: ByteWriter, value: number): void => {
  if (value >= 0) return writeVarint(writer, value)
  for (let rest = -value; rest > 0; rest = Math.floor(rest / 0x80)) writer.u8((rest % 0x80) | 0x80)
  writer.u8(0)
}

const readDigits = (reader: ByteReader, what: string, limitBytes: number, isSigned: boolean): number => {
  const start = reader.offset
  let value = 0
  let scale = 1
  for (let count = 0; count < limitBytes; count++) {
    const byte = reader.u8(what)
    if (byte === 0 && isSigned) return value === 0 ? 0 : -value
    value += (byte & 0x7f) * scale
    if (value > Number.MAX_SAFE_INTEGER) reader.fail(`${what} below 2^53`, "more", start)
    if (byte < 0x80) return value
    scale *= 0x80
  }
  return reader.fail(`${what} of at most ${limitBytes} bytes`, "more", start)
}

export const readVarint = (reader: ByteReader, what: string): number =>
  readDigits(reader, what, VARINT_LIMIT_BYTES, false)

export const readSignedVarint = (reader: ByteReader, what: string): number =>
  readDigits(reader, what, VARINT_LIMIT_BYTES + 1, true)

/** Entries of a directory that is not finished. */
interface OpenDirectory {
  readonly name: Uint8Array
  readonly entries: ByteWriter
  entryCount: number
  /** Child directories, whose distance can be written only when it is known where this block begins. */
  readonly pending: Array<{ readonly at: number; readonly startOffset: number }>
}

/** Writes a catalog in one pass; `takeBytes` drains what is finished. */
export class CatalogWriter {
  readonly #output = new ByteWriter(4096).bytes(CATALOG_MAGIC)
  readonly #directories: Array<OpenDirectory> = [openDirectory(new Uint8Array(0))]

  /** Bytes of the catalog so far. */
  get position(): number {
    return this.#output.position
  }

  takeBytes(): Uint8Array {
    return this.#output.drain()
  }

  /** Opens a directory; below the root, that is an archive, named as on the server. */
  startDirectory(name: Uint8Array): void {
    this.#checkName(name)
    this.#directories.push(openDirectory(name))
  }

  endDirectory(): void {
    if (this.#directories.length < 2) throw new Error("no directory below the root is open")
    const { name } = this.#current
    const startOffset = this.#writeBlock()
    const { entries, pending } = this.#addEntry("directory", name)
    pending.push({ at: entries.length, startOffset })
  }

  addFile(name: Uint8Array, sizeBytes: number, mtimeSeconds: number): void {
    this.#checkName(name)
    if (!(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 && Number.isSafeInteger(mtimeSeconds))) {
      throw new RangeError(`no exact size and time: ${sizeBytes}, ${mtimeSeconds}`)
    }
    const { entries } = this.#addEntry("file", name)
    writeVarint(entries, sizeBytes)
    writeSignedVarint(entries, mtimeSeconds)
  }

  /** Adds anything of which only the kind and the name are kept. */
  add(kind: Exclude<FileKind, "directory" | "file">, name: Uint8Array): void {
    this.#checkName(name)
    this.#addEntry(kind, name)
  }

  finish(): void {
    if (this.#directories.length !== 1) throw new Error("directories are still open")
    this.#output.u64(this.#writeBlock())
  }

  get #current(): OpenDirectory {
    const current = this.#directories.at(-1)
    if (current === undefined) throw new Error("the catalog is finished")
    return current
  }

  #checkName(name: Uint8Array): void {
    checkName(name, this.position, "catalog")
    if (name.length > NAME_LIMIT_BYTES)
      fail("catalog", this.position, "a name below 4096 bytes", `${name.length} bytes`)
  }

  #addEntry(kind: FileKind, name: Uint8Array): OpenDirectory {
    const current = this.#current
    current.entries.u8(KIND_LETTERS[kind])
    writeVarint(current.entries, name.length)
    current.entries.bytes(name)
    current.entryCount++
    return current
  }

  /** Writes the innermost directory's block and closes it; says where the block begins. */
  #writeBlock(): number {
    const startOffset = this.#output.position
    const { entries, entryCount, pending } = this.#current
    this.#directories.pop()
    const table = new ByteWriter(entries.length + 10 * (pending.length + 1))
    writeVarint(table, entryCount)
    let written = 0
    for (const child of pending) {
      table.bytes(entries.view().subarray(written, child.at))
      writeVarint(table, startOffset - child.startOffset)
      written = child.at
    }
    table.bytes(entries.view().subarray(written))
    writeVarint(this.#output, table.length)
    this.#output.bytes(table.view())
    return startOffset
  }
}

const openDirectory = (name: Uint8Array): OpenDirectory => ({
  name,
  entries: new ByteWriter(256),
  entryCount: 0,
  pending: []
})

/** Finds the root's block in a whole catalog. */
export const readRoot = (catalog: Uint8Array): CatalogDirectory => {
  const blocksEnd = catalog.length - ROOT_POINTER_BYTES
  if (blocksEnd <= CATALOG_MAGIC.length)
    fail("catalog", 0, "a magic, a root and its offset", `${catalog.length} bytes`)
  const reader = new ByteReader("catalog", catalog)
  const magic = reader.take(CATALOG_MAGIC.length, "magic")
  if (CATALOG_MAGIC.some((byte, index) => byte !== magic[index]))
    reader.fail("the magic of a catalog", "another", 0)
  reader.skip(blocksEnd - CATALOG_MAGIC.length, "blocks")
  const startOffset = reader.size("offset of the root")
  if (startOffset < CATALOG_MAGIC.length || startOffset >= blocksEnd) {
    fail("catalog", blocksEnd, "the offset of a block", String(startOffset))
  }
  return { startOffset, floorOffset: CATALOG_MAGIC.length }
}

const kindOfLetter = (letter: number): FileKind | undefined => {
  for (const [kind, found] of KINDS) if (found === letter) return kind
  return undefined
}

const KINDS: ReadonlyArray<readonly [FileKind, number]> = [
  ["file", KIND_LETTERS.file],
  ["directory", KIND_LETTERS.directory],
  ["symlink", KIND_LETTERS.symlink],
  ["hardlink", KIND_LETTERS.hardlink],
  ["device-block", KIND_LETTERS["device-block"]],
  ["device-char", KIND_LETTERS["device-char"]],
  ["fifo", KIND_LETTERS.fifo],
  ["socket", KIND_LETTERS.socket]
]

const readName = (reader: ByteReader): Uint8Array => {
  const lengthBytes = readVarint(reader, "length of a name")
  const offset = reader.offset
  if (lengthBytes > NAME_LIMIT_BYTES) reader.fail("a name below 4096 bytes", `${lengthBytes} bytes`)
  const name = reader.take(lengthBytes, "name")
  checkName(name, offset, "catalog")
  return name
}

/**
 * Begins to read the block at `startOffset`, which must end before `limitOffset`: its bytes without their
 * length.
 */
const openBlock = (catalog: Uint8Array, startOffset: number, limitOffset: number): ByteReader => {
  const reader = new ByteReader("catalog", catalog.subarray(startOffset, limitOffset), startOffset)
  const tableBytes = readVarint(reader, "length of a block")
  const tableOffset = reader.offset
  return new ByteReader("catalog", reader.take(tableBytes, "block"), tableOffset)
}

/**
 * Finds the block of a child of the directory at `startOffset`, and where the next child's subtree may begin.
 */
const readChildDirectory = (
  catalog: Uint8Array,
  reader: ByteReader,
  startOffset: number,
  floorOffset: number
): { readonly directory: CatalogDirectory; readonly endOffset: number } => {
  const offset = reader.offset
  const distance = readVarint(reader, "distance to a directory")
  const childOffset = startOffset - distance
  if (distance === 0 || childOffset < floorOffset) {
    reader.fail(`a directory from ${floorOffset} to before ${startOffset}`, String(childOffset), offset)
  }
  const block = openBlock(catalog, childOffset, startOffset)
  return { directory: { startOffset: childOffset, floorOffset }, endOffset: block.base + block.bytes.length }
}

/** The entries of a directory in a whole catalog, decoded as they are asked for. Names are views of it. */
export function* readDirectory(catalog: Uint8Array, directory: CatalogDirectory): Generator<CatalogEntry> {
  const { startOffset } = directory
  const reader = openBlock(catalog, startOffset, catalog.length - ROOT_POINTER_BYTES)
  const entryCount = readVarint(reader, "number of entries")
  if (entryCount * MINIMUM_ENTRY_BYTES > reader.remaining) {
    reader.fail("as many entries as there is room for", String(entryCount))
  }
  let { floorOffset } = directory
  for (let index = 0; index < entryCount; index++) {
    const offset = reader.offset
    const letter = reader.u8("kind")
    const kind = kindOfLetter(letter) ?? reader.fail("the letter of a kind", String(letter), offset)
    const name = readName(reader)
    if (kind === "directory") {
      const child = readChildDirectory(catalog, reader, startOffset, floorOffset)
      floorOffset = child.endOffset
      yield { kind, name, directory: child.directory }
    } else if (kind === "file") {
      const sizeBytes = readVarint(reader, "size")
      yield { kind, name, sizeBytes, mtimeSeconds: readSignedVarint(reader, "modification time") }
    } else yield { kind, name }
  }
  reader.end("block")
}
