/**
 * PackedEntries: the children of one directory of an archive, side by side in a few arrays instead of an object for
 * each name, each inode and each attribute: a listing is made for everybody who looks, and what he wants of it is made
 * when he asks. A child takes about 80 bytes so, which is a sixth, and the garbage collector has nothing to follow.
 *
 * Plain children (`PlainEntries`) are put in field by field, the others as they are shown. Invariant: every child is
 * put in once, before anybody looks; afterwards nothing changes.
 */
import type { ContentRange } from "../../format/pxar/Accessor.ts"
import { kindOfMode } from "../../model/FileMetadata.ts"
import { directoryBase, leafBase, placeOf, slotHigh } from "../tree/inodes.ts"
import type { Attributes, Entry, PackedListing } from "../Vfs.ts"
import { blocksOf, directoryLinkCount } from "./attributesOf.ts"
import { allSingle, type LinkCounts } from "./LinkCounts.ts"

/** Where a content is; that of a symbolic link or a directory is nowhere. */
export type ContentPlace = "none" | ContentRange["stream"]

const places: ReadonlyArray<ContentPlace> = ["none", "archive", "payload"]

/** Of one child, in `#numbers`: its position, its size, where its content begins, its time. */
const numbersEach = 4
/** In `#words`: mode, owner, group, nanoseconds, where its name begins, how long that is, where its content is. */
const wordsEach = 7

const nameBytesExpected = 24
const fileType = 8
const directoryType = 4
const twoTo32 = 4_294_967_296

/** What a plain child is put in with, all but its name; one object is used again and again. */
export interface PlainFields {
  /** Of a directory its end, of anything else its beginning. */
  position: number
  sizeBytes: number
  contentOffset: number
  contentPlace: ContentPlace
  mode: number
  uid: number
  gid: number
  mtimeSeconds: number
  mtimeNanos: number
}

export class PackedEntries implements PackedListing {
  readonly count: number
  readonly #slot: number
  readonly #numbers: Float64Array
  readonly #words: Uint32Array
  readonly #others = new Map<number, Entry>()
  #names: Uint8Array
  #namesEnd = 0
  #hasFiles = false
  #linkCounts: LinkCounts = allSingle

  constructor(slot: number, count: number) {
    this.#slot = slot
    this.count = count
    this.#numbers = new Float64Array(numbersEach * count)
    this.#words = new Uint32Array(wordsEach * count)
    this.#names = new Uint8Array(nameBytesExpected * count)
  }

  /** The name is what lies between `start` and `end`. */
  putPlain(child: number, fields: PlainFields, bytes: Uint8Array, start: number, end: number): void {
    const [number, word] = [numbersEach * child, wordsEach * child]
    const [numbers, words] = [this.#numbers, this.#words]
    numbers[number] = fields.position
    numbers[number + 1] = fields.sizeBytes
    numbers[number + 2] = fields.contentOffset
    numbers[number + 3] = fields.mtimeSeconds
    words[word] = fields.mode
    words[word + 1] = fields.uid
    words[word + 2] = fields.gid
    words[word + 3] = fields.mtimeNanos
    words[word + 4] = this.#namesEnd
    words[word + 5] = end - start
    words[word + 6] = places.indexOf(fields.contentPlace)
    if (fields.mode >>> 12 === fileType) this.#hasFiles = true
    this.#putName(bytes, start, end)
  }

  /** `position` is the child's own, also of a hard link, which has its target's inode. */
  putOther(child: number, { attributes, name }: Entry, position: number): void {
    this.#others.set(child, { attributes, name })
    const fields: PlainFields = { ...attributes, position, contentOffset: 0, contentPlace: "none" }
    this.putPlain(child, fields, name, 0, name.length)
  }

  /** Whether how many names they have matters to any of them. */
  get hasFiles(): boolean {
    return this.#hasFiles
  }

  /** Asked for once all are in, and only if there are files. */
  set linkCounts(known: LinkCounts) {
    this.#linkCounts = known
  }

  isDirectory(child: number): boolean {
    return this.typeOf(child) === directoryType
  }

  typeOf(child: number): number {
    return ((this.#words[wordsEach * child] ?? 0) >>> 12) & 0xf
  }

  putInode(child: number, view: DataView, at: number): void {
    const other = this.#others.get(child)
    if (other !== undefined) return view.setBigUint64(at, other.attributes.inode, true)
    const position = this.#numbers[numbersEach * child] ?? 0
    const high = Math.floor(position / twoTo32)
    view.setUint32(at, position - high * twoTo32, true)
    view.setUint32(at + 4, slotHigh(this.#slot, this.isDirectory(child)) + high, true)
  }

  nameBytes(child: number): number {
    return this.#words[wordsEach * child + 5] ?? 0
  }

  putName(child: number, target: Uint8Array, at: number): void {
    const start = this.#words[wordsEach * child + 4] ?? 0
    const lengthBytes = this.nameBytes(child)
    const names = this.#names
    for (let done = 0; done < lengthBytes; done++) target[at + done] = names[start + done] ?? 0
  }

  /** A name's bytes as text, one letter a byte. */
  nameText(child: number): string {
    const { buffer, byteOffset } = this.#names
    const start = this.#words[wordsEach * child + 4] ?? 0
    return Buffer.from(buffer, byteOffset + start, this.nameBytes(child)).toString("latin1")
  }

  entry(child: number): Entry {
    const other = this.#others.get(child)
    if (other !== undefined) return this.#counted(other)
    const start = this.#words[wordsEach * child + 4] ?? 0
    return {
      name: this.#names.slice(start, start + this.nameBytes(child)),
      attributes: this.attributes(child)
    }
  }

  attributes(child: number): Attributes {
    const other = this.#others.get(child)
    if (other !== undefined) return this.#counted(other).attributes
    const [number, word] = [numbersEach * child, wordsEach * child]
    const mode = this.#words[word] ?? 0
    const kind = kindOfMode(mode) ?? "file"
    const position = this.#numbers[number] ?? 0
    const sizeBytes = this.#numbers[number + 1] ?? 0
    const isDirectory = kind === "directory"
    const base = isDirectory ? directoryBase(this.#slot) : leafBase(this.#slot)
    return {
      inode: base + BigInt(position),
      kind,
      mode,
      linkCount: kind === "file" ? this.#linkCounts.countOf(position) : directoryLinkCount,
      uid: this.#words[word + 1] ?? 0,
      gid: this.#words[word + 2] ?? 0,
      sizeBytes,
      blocks: kind === "file" ? blocksOf(sizeBytes) : 0,
      mtimeSeconds: this.#numbers[number + 3] ?? 0,
      mtimeNanos: this.#words[word + 3] ?? 0,
      device: undefined,
      validSeconds: Number.POSITIVE_INFINITY
    }
  }

  /** Where the content of the plain file is said to be that begins there; undefined when there is none in here. */
  contentAt(fileOffset: number): ContentRange | undefined {
    let [low, high] = [0, this.count]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#numbers[numbersEach * middle] ?? 0) < fileOffset) low = middle + 1
      else high = middle
    }
    // A directory may end where a file begins.
    const child = low < this.count && this.isDirectory(low) ? low + 1 : low
    const stream = places[this.#words[wordsEach * child + 6] ?? 0]
    if (this.#numbers[numbersEach * child] !== fileOffset || stream === undefined || stream === "none") {
      return undefined
    }
    const number = numbersEach * child
    return { stream, offset: this.#numbers[number + 2] ?? 0, sizeBytes: this.#numbers[number + 1] ?? 0 }
  }

  #counted(entry: Entry): Entry {
    const { attributes, name } = entry
    if (attributes.kind !== "file") return entry
    const linkCount = this.#linkCounts.countOf(placeOf(attributes.inode).position)
    return { name, attributes: { ...attributes, linkCount } }
  }

  #putName(bytes: Uint8Array, start: number, end: number): void {
    const neededBytes = this.#namesEnd + end - start
    if (neededBytes > this.#names.length) {
      const grown = new Uint8Array(2 * neededBytes)
      grown.set(this.#names)
      this.#names = grown
    }
    const names = this.#names
    let to = this.#namesEnd
    for (let at = start; at < end; at++) names[to++] = bytes[at] ?? 0
    this.#namesEnd = to
  }
}
