/**
 * Puts one entry together from its items, for the sequential decoder and for random access alike: ENTRY,
 * attributes, then what the kind asks for. The kind comes from the mode, and the items must agree with it.
 */
import { type FileKind, type FileMetadata, kindOfMode } from "../../model/FileMetadata.ts"
import { ByteReader } from "../ByteReader.ts"
import { fail } from "../FormatError.ts"
import { AttributeCollector, isAttribute } from "./Attributes.ts"
import { checkPath, type Entry, type HardlinkEntry, withoutTerminator } from "./Entry.ts"
import * as Items from "./Items.ts"
import { readStat, readStatV1 } from "./Stat.ts"

const readerOf = (content: Uint8Array, offset: number): ByteReader =>
  new ByteReader("pxar archive", content, offset)

/** Reads the content of a FORMAT_VERSION item. */
export const readVersion = (content: Uint8Array, offset: number): 1 | 2 => {
  const version = readerOf(content, offset).size("version")
  return version === 1 || version === 2
    ? version
    : fail("pxar archive", offset, "version 1 or 2", String(version))
}

/** Reads the content of the HARDLINK item of the entry whose FILENAME stands at `fileOffset`. */
export const readHardlink = (content: Uint8Array, offset: number, fileOffset: number): HardlinkEntry => {
  const reader = readerOf(content, offset)
  const distance = reader.size("distance")
  const targetFileOffset = fileOffset - distance
  if (distance === 0 || targetFileOffset <= 0) {
    fail("pxar archive", offset, "a target before the hard link", `distance ${distance}`)
  }
  const targetPath = withoutTerminator(reader.take(reader.remaining, "path"), offset + 8).slice()
  checkPath(targetPath, offset + 8)
  return { kind: "hardlink", targetFileOffset, targetPath }
}

export class EntryBuilder {
  readonly kind: Exclude<FileKind, "hardlink">
  readonly #version: 1 | 2
  readonly #attributes: AttributeCollector

  /** Begins with the content of an ENTRY or ENTRY_V1 item in an archive of the given version. */
  constructor(version: 1 | 2, item: Items.Item, content: Uint8Array, offset: number) {
    const reader = readerOf(content, offset)
    const stat = item === Items.ENTRY_V1 ? readStatV1(reader) : readStat(reader)
    this.kind =
      kindOfMode(stat.mode) ?? fail("pxar archive", offset, "the mode of a file", `0${stat.mode.toString(8)}`)
    this.#version = version
    this.#attributes = new AttributeCollector(stat)
  }

  /**
   * Takes the next item with its content; gives the entry when that was its last. PAYLOAD goes to `payload`.
   */
  add(item: Items.Item, content: Uint8Array, offset: number): Entry | undefined {
    if (isAttribute(item)) {
      this.#attributes.add(item, content, offset)
      return undefined
    }
    const metadata = (): FileMetadata => this.#attributes.finish()
    const { kind } = this
    if (item === Items.SYMLINK && kind === "symlink") {
      const target = withoutTerminator(content, offset).slice()
      checkPath(target, offset)
      return { kind, metadata: metadata(), target }
    }
    if (item === Items.DEVICE && (kind === "device-block" || kind === "device-char")) {
      const reader = readerOf(content, offset)
      const major = reader.size("major number")
      return { kind, metadata: metadata(), device: { major, minor: reader.size("minor number") } }
    }
    if (item === Items.PAYLOAD_REF && kind === "file" && this.#version === 2) {
      const reader = readerOf(content, offset)
      const payloadOffset = reader.size("payload offset")
      const sizeBytes = reader.size("payload size")
      if (payloadOffset < Items.HEADER_BYTES) {
        fail("pxar archive", offset, "a payload after the start marker", String(payloadOffset))
      }
      return { kind, metadata: metadata(), content: { stream: "payload", offset: payloadOffset, sizeBytes } }
    }
    return this.#unexpected(item, offset - Items.HEADER_BYTES)
  }

  /** Ends the entry with a PAYLOAD item whose content begins at `offset`. */
  payload(offset: number, sizeBytes: number): Entry {
    if (this.kind !== "file") return this.#unexpected(Items.PAYLOAD, offset - Items.HEADER_BYTES)
    return {
      kind: this.kind,
      metadata: this.#attributes.finish(),
      content: { stream: "archive", offset, sizeBytes }
    }
  }

  /** Ends an entry that has no item for its content, at `offset`. */
  bare(offset: number): Entry {
    const { kind } = this
    if (kind !== "directory" && kind !== "fifo" && kind !== "socket") {
      return fail("pxar archive", offset, `the content of a ${kind}`, "the end of its entry")
    }
    return { kind, metadata: this.#attributes.finish() }
  }

  #unexpected(item: Items.Item, offset: number): never {
    return fail("pxar archive", offset, `an item that a ${this.kind} may have here`, item.name)
  }
}
