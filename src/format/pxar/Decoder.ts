/**
 * Reads an archive from its beginning, as its bytes arrive: `push` a block, then call `next` until it returns
 * undefined, which asks for more; `finish` at the end of the input. File contents come as views of the pushed
 * blocks, everything else is copied out, so a block may be released once `next` asked for more and its pieces
 * are used.
 *
 * Reads version 1 and the archive stream of version 2, where a file carries a reference to its payload. What
 * holds after a successful `finish`: items in the order of the format and within its limits, directories
 * closed in order by a table with one item a child, hard links pointing backwards, payload references never
 * decreasing. Order and uniqueness of the names in a directory are not checked.
 */
import { fail } from "../FormatError.ts"
import { BlockQueue } from "./BlockQueue.ts"
import { checkName, type Entry, withoutTerminator } from "./Entry.ts"
import { EntryBuilder, readHardlink, readVersion } from "./EntryBuilder.ts"
import { GOODBYE_ITEM_BYTES, readGoodbyeTail } from "./GoodbyeTable.ts"
import * as Items from "./Items.ts"

export type Event =
  | { readonly kind: "version"; readonly version: 1 | 2 }
  | { readonly kind: "prelude"; readonly bytes: Uint8Array }
  /** The root comes first and has an empty name. A directory is open until its "directory-end". */
  | {
      readonly kind: "entry"
      readonly name: Uint8Array
      /** Of the FILENAME item; of the first byte for the root. */
      readonly fileOffset: number
      readonly entry: Entry
    }
  /** A piece of the content of the last entry. Empty files have none. */
  | { readonly kind: "payload"; readonly bytes: Uint8Array; readonly remainingBytes: number }
  | { readonly kind: "directory-end" }
  | { readonly kind: "end" }

interface OpenDirectory {
  readonly entryStart: number
  childCount: number
}

type Expected =
  | "start"
  | "prelude or root"
  | "root"
  | "attributes"
  | "child"
  | "child's entry"
  | "tail"
  | "end"

const NO_NAME = new Uint8Array(0)

const isEntry = (item: Items.Item): boolean => item === Items.ENTRY || item === Items.ENTRY_V1

export class Decoder {
  readonly #input = new BlockQueue()
  readonly #directories: Array<OpenDirectory> = []
  #version: 1 | 2 = 1
  #expected: Expected = "start"
  /** The header of the item at hand, kept until its content is there. */
  #header: Items.Header | undefined
  #name: Uint8Array = NO_NAME
  #fileOffset = 0
  #entryStart = 0
  #builder: EntryBuilder | undefined
  #payloadRemainingBytes = 0
  #tableRemainingBytes = 0
  #lastPayloadOffset = 0
  #endReported = false

  /** Bytes consumed so far. */
  get position(): number {
    return this.#input.position
  }

  push(block: Uint8Array): void {
    this.#input.push(block)
  }

  /** The next event, or undefined when it takes more bytes to tell. */
  next(): Event | undefined {
    for (;;) {
      if (this.#payloadRemainingBytes > 0) return this.#nextPayload()
      if (this.#expected === "end") return this.#nextAtEnd()
      const step = this.#expected === "tail" ? this.#nextInTable() : this.#nextItem()
      if (step !== "go on") return step
    }
  }

  /**
   * Passes over the rest of the last entry's content. Answers how many bytes of the input are to be left out: the next
   * block that is pushed must begin behind them.
   */
  skipPayload(): number {
    const beyondBytes = this.#payloadRemainingBytes - this.#input.skipUpTo(this.#payloadRemainingBytes)
    if (beyondBytes > 0) this.#input.passBy(beyondBytes)
    this.#payloadRemainingBytes = 0
    return beyondBytes
  }

  /** Copies what `next` could not use yet, so that the memory of the pushed blocks may be used for others. */
  detach(): void {
    this.#input.detachLast()
  }

  /** Says that no bytes follow; fails unless the archive is complete and every event was taken. */
  finish(): void {
    if (this.#expected !== "end" || this.#input.availableBytes > 0) {
      fail("pxar archive", this.#input.position, "the rest of the archive", "the end of the input")
    }
  }

  #nextPayload(): Event | undefined {
    const bytes = this.#input.takeUpTo(this.#payloadRemainingBytes)
    if (bytes.length === 0) return undefined
    this.#payloadRemainingBytes -= bytes.length
    return { kind: "payload", bytes, remainingBytes: this.#payloadRemainingBytes }
  }

  #nextAtEnd(): Event | undefined {
    if (this.#input.availableBytes > 0) {
      fail("pxar archive", this.#input.position, "the end of the archive", "more bytes")
    }
    if (this.#endReported) return undefined
    this.#endReported = true
    return { kind: "end" }
  }

  #nextItem(): Event | "go on" | undefined {
    const header = this.#peekHeader()
    if (header === undefined) return undefined
    const { contentBytes, item } = header
    if (this.#builder !== undefined && (item === Items.FILENAME || item === Items.GOODBYE)) {
      return this.#finishEntry(this.#builder.bare(this.#input.position - Items.HEADER_BYTES))
    }
    if (item === Items.PAYLOAD) return this.#startPayload(contentBytes)
    if (item === Items.GOODBYE) return this.#startTable(contentBytes)
    if (contentBytes > this.#input.availableBytes) return undefined
    const offset = this.#input.position
    const content = this.#input.take(contentBytes)
    this.#header = undefined
    return this.#accept(item, content, offset)
  }

  #peekHeader(): Items.Header | undefined {
    if (this.#header === undefined && this.#input.availableBytes >= Items.HEADER_BYTES) {
      const offset = this.#input.position
      const bytes = this.#input.take(Items.HEADER_BYTES)
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      this.#header = Items.readHeader(view, 0, offset)
    }
    return this.#header
  }

  #accept(item: Items.Item, content: Uint8Array, offset: number): Event | "go on" {
    const start = offset - Items.HEADER_BYTES
    if (this.#builder !== undefined) {
      const entry = this.#builder.add(item, content, offset)
      return entry === undefined ? "go on" : this.#finishEntry(entry)
    }
    switch (this.#expected) {
      case "start":
        if (item === Items.FORMAT_VERSION) {
          this.#version = readVersion(content, offset)
          this.#expected = this.#version === 2 ? "prelude or root" : "root"
          return { kind: "version", version: this.#version }
        }
        break
      case "prelude or root":
        if (item === Items.PRELUDE) {
          this.#expected = "root"
          return { kind: "prelude", bytes: content.slice() }
        }
        break
      case "child":
        if (item === Items.FILENAME)
          return this.#startChild(withoutTerminator(content, offset).slice(), start)
        return this.#unexpected(item, start)
      case "child's entry":
        if (item === Items.HARDLINK) return this.#finishEntry(readHardlink(content, offset, this.#fileOffset))
        break
    }
    return isEntry(item) ? this.#startEntry(item, content, offset) : this.#unexpected(item, start)
  }

  #unexpected(item: Items.Item, offset: number): never {
    return fail("pxar archive", offset, this.#expected, item.name)
  }

  #startChild(name: Uint8Array, fileOffset: number): "go on" {
    checkName(name, fileOffset + Items.HEADER_BYTES)
    this.#name = name
    this.#fileOffset = fileOffset
    this.#expected = "child's entry"
    return "go on"
  }

  #startEntry(item: Items.Item, content: Uint8Array, offset: number): "go on" {
    const isRoot = this.#directories.length === 0
    this.#builder = new EntryBuilder(this.#version, item, content, offset)
    if (isRoot && this.#builder.kind !== "directory") {
      fail("pxar archive", offset, "a directory as root", `a ${this.#builder.kind}`)
    }
    // The root's table counts from the beginning of the archive.
    this.#entryStart = isRoot ? 0 : offset - Items.HEADER_BYTES
    this.#expected = "attributes"
    return "go on"
  }

  #startPayload(sizeBytes: number): Event {
    const offset = this.#input.position
    if (this.#builder === undefined) return this.#unexpected(Items.PAYLOAD, offset - Items.HEADER_BYTES)
    const entry = this.#builder.payload(offset, sizeBytes)
    this.#header = undefined
    this.#payloadRemainingBytes = sizeBytes
    return this.#finishEntry(entry)
  }

  #finishEntry(entry: Entry): Event {
    const event = { kind: "entry", name: this.#name, fileOffset: this.#fileOffset, entry } as const
    const parent = this.#directories.at(-1)
    if (parent !== undefined) parent.childCount++
    if (entry.kind === "directory") this.#directories.push({ entryStart: this.#entryStart, childCount: 0 })
    if (entry.kind === "file" && entry.content.stream === "payload")
      this.#checkReference(entry.content.offset)
    this.#builder = undefined
    this.#expected = "child"
    return event
  }

  #checkReference(payloadOffset: number): void {
    if (payloadOffset < this.#lastPayloadOffset) {
      const expected = `a payload at ${this.#lastPayloadOffset} or later`
      fail("pxar archive", this.#input.position, expected, String(payloadOffset))
    }
    this.#lastPayloadOffset = payloadOffset
  }

  #startTable(contentBytes: number): "go on" {
    const start = this.#input.position - Items.HEADER_BYTES
    const directory = this.#directories.at(-1)
    if (this.#expected !== "child" || directory === undefined) return this.#unexpected(Items.GOODBYE, start)
    const itemsBytes = directory.childCount * GOODBYE_ITEM_BYTES
    if (contentBytes !== itemsBytes + GOODBYE_ITEM_BYTES) {
      fail("pxar archive", start, `a table of ${directory.childCount} children`, `${contentBytes} bytes`)
    }
    this.#header = undefined
    this.#tableRemainingBytes = itemsBytes
    this.#expected = "tail"
    return "go on"
  }

  /** Skips the items of a table, which only serve random access, and checks its tail. */
  #nextInTable(): Event | undefined {
    this.#tableRemainingBytes -= this.#input.skipUpTo(this.#tableRemainingBytes)
    if (this.#tableRemainingBytes > 0 || this.#input.availableBytes < GOODBYE_ITEM_BYTES) return undefined
    const directory = this.#directories.pop()
    if (directory === undefined) throw new Error("a table without its directory")
    const tail = this.#input.take(GOODBYE_ITEM_BYTES)
    const endOffset = this.#input.position
    const extent = readGoodbyeTail(tail, endOffset)
    const fullBytes = Items.HEADER_BYTES + (directory.childCount + 1) * GOODBYE_ITEM_BYTES
    if (extent.entryStart !== directory.entryStart || endOffset - extent.goodbyeStart !== fullBytes) {
      const at = endOffset - GOODBYE_ITEM_BYTES
      fail("pxar archive", at, "the tail of this directory's table", `one of ${extent.entryStart}`)
    }
    this.#expected = this.#directories.length === 0 ? "end" : "child"
    return { kind: "directory-end" }
  }
}
