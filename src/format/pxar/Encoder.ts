/**
 * Writes a pxar archive, entry after entry, into memory that the caller drains whenever it likes. Only
 * positions and the goodbye items of open directories are kept, so the size of an archive does not matter.
 *
 * Version 1 is one stream: a file's content follows its entry. Version 2 is two: the archive stream holds a
 * reference, the content stands behind a header of its own in the payload stream. Either way the encoder
 * writes the headers and the caller provides exactly the announced number of content bytes, through
 * `writePayload` (copied into the buffer, for small files) or beside the encoder after draining it
 * (`passPayload` tells how many).
 *
 * An entry that cannot be written fails with `FormatError` and leaves the archive as it was. Calls out of
 * order are defects of the caller and throw `Error`. The encoder writes children in the order given; byte
 * order of names is the caller's duty.
 */
import type { Device, FileKind, FileMetadata } from "../../model/FileMetadata.ts"
import { kindOfMode } from "../../model/FileMetadata.ts"
import { ByteWriter } from "../ByteWriter.ts"
import { fail } from "../FormatError.ts"
import { sipHash24 } from "../SipHash.ts"
import { writeAttributes } from "./Attributes.ts"
import { checkName, checkPath } from "./Entry.ts"
import { type GoodbyeItem, writeGoodbye } from "./GoodbyeTable.ts"
import * as Items from "./Items.ts"
import { writeStat } from "./Stat.ts"

export interface EncoderOptions {
  readonly version: 1 | 2
  /** Opaque bytes for readers to come, version 2 only. */
  readonly prelude?: Uint8Array | undefined
}

interface OpenDirectory {
  /** Undefined for the root, which is nobody's child. */
  readonly name: Uint8Array | undefined
  readonly fileOffset: number
  readonly entryStart: number
  readonly items: Array<GoodbyeItem>
}

const INITIAL_CAPACITY_BYTES = 64 * 1024
const PAYLOAD_REF_BYTES = 16

export class Encoder {
  readonly #version: 1 | 2
  readonly #archive = new ByteWriter(INITIAL_CAPACITY_BYTES)
  readonly #payload = new ByteWriter(INITIAL_CAPACITY_BYTES)
  readonly #directories: Array<OpenDirectory> = []
  readonly #hash = new Uint32Array(2)
  #payloadRemainingBytes = 0
  /** The payload stream's own header ends here; no content begins before. */
  #lastPayloadOffset = Items.HEADER_BYTES - 1

  /** Begins an archive with the metadata of its root directory. */
  static startArchive(rootMetadata: FileMetadata, options: EncoderOptions): Encoder {
    return new Encoder(rootMetadata, options)
  }

  private constructor(rootMetadata: FileMetadata, { prelude, version }: EncoderOptions) {
    this.#version = version
    if (version === 2) {
      Items.writeHeader(this.#archive, Items.FORMAT_VERSION, 8).u64(version)
      Items.writeHeader(this.#payload, Items.PAYLOAD_START_MARKER, 0)
    }
    if (prelude !== undefined) this.#writePrelude(prelude)
    this.#checkKind(rootMetadata, "directory")
    writeStat(this.#archive, rootMetadata)
    writeAttributes(this.#archive, rootMetadata)
    // The root's table reaches back to the very beginning, version and prelude included.
    this.#directories.push({ name: undefined, fileOffset: 0, entryStart: 0, items: [] })
  }

  /** Bytes of the archive stream so far, content that passed by included. */
  get archivePosition(): number {
    return this.#archive.position
  }

  /** Bytes of the payload stream so far; 0 in version 1. */
  get payloadPosition(): number {
    return this.#payload.position
  }

  /** Content bytes of the current file that are still to come. */
  get payloadRemainingBytes(): number {
    return this.#payloadRemainingBytes
  }

  /** Open directories, the root included; 0 once the archive is finished. */
  get depth(): number {
    return this.#directories.length
  }

  /** Bytes that wait in memory, both streams together. */
  get bufferedBytes(): number {
    return this.#archive.length + this.#payload.length
  }

  takeArchiveBytes(): Uint8Array {
    return this.#archive.drain()
  }

  takePayloadBytes(): Uint8Array {
    return this.#payload.drain()
  }

  /** Opens a directory; what is added next belongs to it until `finishDirectory`. */
  startDirectory(name: Uint8Array, metadata: FileMetadata): number {
    const fileOffset = this.#writeEntry(name, metadata, "directory")
    const entryStart = fileOffset + Items.HEADER_BYTES + name.length + 1
    this.#directories.push({ name, fileOffset, entryStart, items: [] })
    return fileOffset
  }

  finishDirectory(): void {
    this.#expectEntry()
    const directory = this.#directories.at(-1)
    if (directory?.name === undefined) throw new Error("no directory below the root is open")
    this.#directories.pop()
    writeGoodbye(this.#archive, directory.items, directory.entryStart)
    this.#addItem(directory.name, directory.fileOffset, this.#archive.position - directory.fileOffset)
  }

  finishArchive(): void {
    this.#expectEntry()
    const [root] = this.#directories
    if (root === undefined || this.#directories.length !== 1) throw new Error("directories are still open")
    writeGoodbye(this.#archive, root.items, root.entryStart)
    if (this.#version === 2) Items.writeHeader(this.#payload, Items.PAYLOAD_TAIL_MARKER, 0)
    this.#directories.pop()
  }

  /** Begins a file whose `sizeBytes` of content come next. Returns what a hard link to it needs. */
  startFile(name: Uint8Array, metadata: FileMetadata, sizeBytes: number): number {
    if (!(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0))
      throw new RangeError(`no file has ${sizeBytes} bytes`)
    const payloadOffset = this.#payload.position
    const fileOffset =
      this.#version === 1
        ? this.#writeEntry(name, metadata, "file", (archive) =>
            Items.writeHeader(archive, Items.PAYLOAD, sizeBytes)
          )
        : this.#writeReference(name, metadata, payloadOffset, sizeBytes)
    if (this.#version === 2) Items.writeHeader(this.#payload, Items.PAYLOAD, sizeBytes)
    // Both versions count the content as part of the entry, whether or not it is in this stream.
    this.#addItem(name, fileOffset, this.#archive.position - fileOffset + sizeBytes)
    this.#payloadRemainingBytes = sizeBytes
    return fileOffset
  }

  /** Takes a piece of the current file's content into the buffer. */
  writePayload(bytes: Uint8Array): void {
    this.#countPayload(bytes.length)
    this.#payloadStream.bytes(bytes)
  }

  /** Counts content bytes of the current file that the caller sent into the drained stream itself. */
  passPayload(countBytes: number): void {
    this.#payloadStream.passBy(countBytes)
    this.#countPayload(countBytes)
  }

  /** Adds a file whose content already stands in the payload stream, behind the header at `payloadOffset`. */
  addFileReference(
    name: Uint8Array,
    metadata: FileMetadata,
    payloadOffset: number,
    sizeBytes: number
  ): number {
    if (this.#version !== 2) throw new Error("only archives of version 2 refer to payloads")
    const fileOffset = this.#writeReference(name, metadata, payloadOffset, sizeBytes)
    this.#addItem(name, fileOffset, this.#archive.position - fileOffset)
    return fileOffset
  }

  /**
   * Counts bytes that the caller put into the drained payload stream besides files: reused chunks, padding.
   */
  advancePayload(countBytes: number): void {
    this.#expectEntry()
    if (this.#version !== 2) throw new Error("only archives of version 2 have a payload stream")
    this.#payload.passBy(countBytes)
  }

  addSymlink(name: Uint8Array, metadata: FileMetadata, target: Uint8Array): number {
    return this.#addEntry(name, metadata, "symlink", (archive) => {
      checkPath(target, archive.position)
      Items.writeHeader(archive, Items.SYMLINK, target.length + 1)
        .bytes(target)
        .u8(0)
    })
  }

  /** Adds a block or character device, whichever the mode says. */
  addDevice(name: Uint8Array, metadata: FileMetadata, device: Device): number {
    const kind = kindOfMode(metadata.mode) === "device-block" ? "device-block" : "device-char"
    return this.#addEntry(name, metadata, kind, (archive) => {
      Items.writeHeader(archive, Items.DEVICE, 16).u64(device.major).u64(device.minor)
    })
  }

  addFifo(name: Uint8Array, metadata: FileMetadata): number {
    return this.#addEntry(name, metadata, "fifo")
  }

  addSocket(name: Uint8Array, metadata: FileMetadata): number {
    return this.#addEntry(name, metadata, "socket")
  }

  /** Adds another name for the file whose `startFile` or `addFileReference` returned `targetFileOffset`. */
  addHardlink(name: Uint8Array, targetPath: Uint8Array, targetFileOffset: number): number {
    this.#expectEntry()
    const distance = this.#archive.position - targetFileOffset
    if (!(distance > 0 && targetFileOffset > 0)) throw new Error("a hard link's target must stand before it")
    const fileOffset = this.#write(name, (archive) => {
      checkPath(targetPath, archive.position)
      Items.writeHeader(archive, Items.HARDLINK, 8 + targetPath.length + 1)
        .u64(distance)
        .bytes(targetPath)
        .u8(0)
    })
    this.#addItem(name, fileOffset, this.#archive.position - fileOffset)
    return fileOffset
  }

  get #payloadStream(): ByteWriter {
    return this.#version === 1 ? this.#archive : this.#payload
  }

  #countPayload(countBytes: number): void {
    if (countBytes > this.#payloadRemainingBytes) {
      throw new Error(`${countBytes} bytes of content, but only ${this.#payloadRemainingBytes} are to come`)
    }
    this.#payloadRemainingBytes -= countBytes
  }

  #expectEntry(): void {
    if (this.#directories.length === 0) throw new Error("the archive is finished")
    if (this.#payloadRemainingBytes > 0) {
      throw new Error(`${this.#payloadRemainingBytes} bytes of content are still to come`)
    }
  }

  #checkKind(metadata: FileMetadata, kind: FileKind): void {
    if (kindOfMode(metadata.mode) !== kind) {
      fail("pxar archive", this.#archive.position, `the mode of a ${kind}`, `0${metadata.mode.toString(8)}`)
    }
  }

  #writePrelude(prelude: Uint8Array): void {
    if (this.#version !== 2) throw new Error("only archives of version 2 have a prelude")
    if (prelude.length > Items.PRELUDE_LIMIT_BYTES) {
      fail("pxar archive", this.#archive.position, "a prelude of at most 16 MiB", `${prelude.length} bytes`)
    }
    Items.writeHeader(this.#archive, Items.PRELUDE, prelude.length).bytes(prelude)
  }

  #writeReference(
    name: Uint8Array,
    metadata: FileMetadata,
    payloadOffset: number,
    sizeBytes: number
  ): number {
    const fileOffset = this.#writeEntry(name, metadata, "file", (archive) => {
      if (!(payloadOffset > this.#lastPayloadOffset)) {
        fail(
          "pxar archive",
          archive.position,
          `a payload after ${this.#lastPayloadOffset}`,
          String(payloadOffset)
        )
      }
      Items.writeHeader(archive, Items.PAYLOAD_REF, PAYLOAD_REF_BYTES).u64(payloadOffset).u64(sizeBytes)
    })
    this.#lastPayloadOffset = payloadOffset
    return fileOffset
  }

  #addEntry(
    name: Uint8Array,
    metadata: FileMetadata,
    kind: FileKind,
    writeContent?: (archive: ByteWriter) => void
  ): number {
    const fileOffset = this.#writeEntry(name, metadata, kind, writeContent)
    this.#addItem(name, fileOffset, this.#archive.position - fileOffset)
    return fileOffset
  }

  #writeEntry(
    name: Uint8Array,
    metadata: FileMetadata,
    kind: FileKind,
    writeContent?: (archive: ByteWriter) => void
  ): number {
    this.#expectEntry()
    this.#checkKind(metadata, kind)
    return this.#write(name, (archive) => {
      writeStat(archive, metadata)
      writeAttributes(archive, metadata)
      writeContent?.(archive)
    })
  }

  /** Writes a FILENAME and what follows it, all or nothing. */
  #write(name: Uint8Array, writeRest: (archive: ByteWriter) => void): number {
    const fileOffset = this.#archive.position
    const mark = this.#archive.length
    checkName(name, fileOffset)
    try {
      Items.writeHeader(this.#archive, Items.FILENAME, name.length + 1)
        .bytes(name)
        .u8(0)
      writeRest(this.#archive)
    } catch (error) {
      this.#archive.rewind(mark)
      throw error
    }
    return fileOffset
  }

  #addItem(name: Uint8Array, fileOffset: number, sizeBytes: number): void {
    sipHash24(Items.ARCHIVE_KEY, name, this.#hash)
    const [hashLow = 0, hashHigh = 0] = this.#hash
    this.#directories.at(-1)?.items.push({ hashLow, hashHigh, fileOffset, sizeBytes })
  }
}
