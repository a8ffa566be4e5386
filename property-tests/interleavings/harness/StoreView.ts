/**
 * StoreView: what lies on a memory disk that holds a datastore, read by a decoder of its own.
 *
 * Independent of the code under test on purpose: it knows the formats only as far as invariants need them (which
 * snapshots are finished, which digests they name, whether a chunk's content is right), and asks the disk alone. A
 * plain synchronous function, so that it can look after every single step of a run. Arrays of bytes on a memory disk
 * never change, so what was decoded once is remembered by the array.
 */
import { hash } from "node:crypto"
import { zstdDecompressSync } from "node:zlib"
import type { MemoryDisk } from "../../../src/testing.ts"
import type { Part } from "./points.ts"

export const basePath = "/store"

export type Soundness = "good" | "empty" | "wrong"

export interface SnapshotView {
  /** Relative to the store. */
  readonly path: string
  readonly isFinished: boolean
  /** A verification, or a backup that missed chunks, has reported it. */
  readonly isReported: boolean
  /** What is wrong with its files apart from chunks. */
  readonly faults: ReadonlyArray<string>
  /** Of all indexes that its manifest names; without one, of all that lie there. */
  readonly digests: ReadonlyArray<string>
}

export interface StoreView {
  readonly snapshots: ReadonlyArray<SnapshotView>
  readonly chunks: ReadonlyMap<string, Soundness>
  /** Condemned chunks by digest: whether each of them was right to be condemned. */
  readonly bad: ReadonlyMap<string, ReadonlyArray<Soundness>>
  /** Temporary files in the chunk folders. */
  readonly temporaries: ReadonlyArray<string>
  readonly leases: number
  /** Names and contents, not times: the same for two disks that hold the same. */
  readonly fingerprint: string
}

const magicLength = 8
const blobHeaderBytes = 12
const indexHeaderBytes = 4096
const digestBytes = 32
const rawMagicFirst = 0x42
const zstdMagicFirst = 0x31

/** The content of a blob that is not encrypted; undefined when it is none. */
const blobContent = (bytes: Uint8Array): Uint8Array | undefined => {
  if (bytes.length <= magicLength) return undefined
  const content = bytes.subarray(blobHeaderBytes)
  if (bytes[0] === rawMagicFirst) return content
  if (bytes[0] !== zstdMagicFirst) return undefined
  try {
    return zstdDecompressSync(content)
  } catch {
    return undefined
  }
}

const remembered = <A>(compute: (bytes: Uint8Array) => A) => {
  const known = new WeakMap<Uint8Array, A>()
  return (bytes: Uint8Array): A => {
    const found = known.get(bytes)
    if (found !== undefined) return found
    const computed = compute(bytes)
    known.set(bytes, computed)
    return computed
  }
}

const digestOfBlob = remembered((bytes) => {
  const content = blobContent(bytes)
  return content === undefined ? "none" : hash("sha256", content, "hex")
})

export const contentHash = remembered((bytes) => hash("sha256", bytes, "hex").slice(0, 16))

export const soundnessOf = (bytes: Uint8Array, digest: string): Soundness =>
  bytes.length === 0 ? "empty" : digestOfBlob(bytes) === digest ? "good" : "wrong"

interface IndexView {
  readonly digests: ReadonlyArray<string>
  readonly checksum: string
}

const readEntries = (bytes: Uint8Array, entryBytes: number): IndexView => {
  const entries = bytes.subarray(indexHeaderBytes)
  const digests: Array<string> = []
  for (let end = entryBytes; end <= entries.length; end += entryBytes) {
    digests.push(Buffer.from(entries.subarray(end - digestBytes, end)).toString("hex"))
  }
  return { digests, checksum: hash("sha256", entries, "hex") }
}

const dynamicIndex = remembered((bytes) => readEntries(bytes, 8 + digestBytes))
const fixedIndex = remembered((bytes) => readEntries(bytes, digestBytes))

interface ManifestView {
  readonly files: ReadonlyArray<{ readonly filename: string; readonly csum: string }>
  readonly isReported: boolean
}

const manifestOf = remembered((bytes): ManifestView | "damaged" => {
  const content = blobContent(bytes)
  if (content === undefined) return "damaged"
  try {
    const parsed = JSON.parse(Buffer.from(content).toString())
    const state: unknown = parsed.unprotected?.verify_state?.state
    return { files: parsed.files, isReported: state === "failed" }
  } catch {
    return "damaged"
  }
})

const isDirectory = (disk: MemoryDisk, path: string): boolean => {
  try {
    return disk.stat(path).kind === "directory"
  } catch {
    return false
  }
}

export const listOf = (disk: MemoryDisk, path: string) => (isDirectory(disk, path) ? disk.list(path, 0) : [])

type Contents = ReadonlyMap<string, Uint8Array>

const faultOf = (name: string, csum: string, bytes: Uint8Array | undefined): string | undefined => {
  if (bytes === undefined) return `${name} is missing`
  if (name.endsWith(".blob")) return hash("sha256", bytes, "hex") === csum ? undefined : `${name} is damaged`
  const { checksum } = name.endsWith(".didx") ? dynamicIndex(bytes) : fixedIndex(bytes)
  return checksum === csum ? undefined : `${name} is damaged`
}

const isIndexName = (name: string): boolean => name.endsWith(".didx") || name.endsWith(".fidx")

const digestsIn = (contents: Contents, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.flatMap((name) => {
    const bytes = contents.get(name)
    return bytes === undefined ? [] : (name.endsWith(".didx") ? dynamicIndex : fixedIndex)(bytes).digests
  })

export const viewSnapshot = (path: string, contents: Contents): SnapshotView => {
  const bytes = contents.get("index.json.blob")
  const manifest = bytes === undefined ? undefined : manifestOf(bytes)
  if (manifest === undefined) {
    const digests = digestsIn(contents, [...contents.keys()].filter(isIndexName))
    return { path, isFinished: false, isReported: false, faults: [], digests }
  }
  if (manifest === "damaged") {
    return { path, isFinished: true, isReported: false, faults: ["its manifest is damaged"], digests: [] }
  }
  const { files, isReported } = manifest
  const faults = files.flatMap(({ filename, csum }) => faultOf(filename, csum, contents.get(filename)) ?? [])
  const digests = digestsIn(contents, files.map(({ filename }) => filename).filter(isIndexName))
  return { path, isFinished: true, isReported, faults, digests }
}

const viewSnapshots = (disk: MemoryDisk) => {
  const snapshots: Array<SnapshotView> = []
  const seen: Array<string> = []

  const visitSnapshot = (path: string): void => {
    const contents = new Map<string, Uint8Array>()
    for (const [name, inode] of disk.list(`${basePath}/${path}`, 0)) {
      seen.push(`${path}/${name} ${contentHash(inode.content)}`)
      if (inode.kind === "file") contents.set(name, inode.content)
    }
    snapshots.push(viewSnapshot(path, contents))
  }

  const visitNamespace = (prefix: string): void => {
    const names = listOf(disk, `${basePath}/${prefix}`).map(([name]) => name)
    for (const type of ["vm", "ct", "host"].filter((name) => names.includes(name))) {
      for (const [id] of listOf(disk, `${basePath}/${prefix}${type}`)) {
        for (const [name, inode] of listOf(disk, `${basePath}/${prefix}${type}/${id}`)) {
          seen.push(`${prefix}${type}/${id}/${name}`)
          if (inode.kind === "directory") visitSnapshot(`${prefix}${type}/${id}/${name}`)
        }
      }
    }
    if (!names.includes("ns")) return
    for (const [name] of listOf(disk, `${basePath}/${prefix}ns`)) visitNamespace(`${prefix}ns/${name}/`)
  }

  visitNamespace("")
  return { snapshots, seen: seen.join("\n") }
}

export const digestLength = 64

const viewChunks = (disk: MemoryDisk) => {
  const chunks = new Map<string, Soundness>()
  const bad = new Map<string, Array<Soundness>>()
  const temporaries: Array<string> = []
  const seen: Array<string> = []
  for (const [folder] of disk.list(`${basePath}/.chunks`, 0)) {
    for (const [name, { content }] of disk.list(`${basePath}/.chunks/${folder}`, 0)) {
      const digest = name.slice(0, digestLength)
      const soundness = soundnessOf(content, digest)
      if (name.length === digestLength) chunks.set(digest, soundness)
      else if (name.endsWith(".bad")) bad.set(digest, [...(bad.get(digest) ?? []), soundness])
      else temporaries.push(name)
      // Temporary names are numbered, and the numbers say nothing.
      seen.push(`${name.includes(".tmp_") ? `${digest}.tmp` : name} ${soundness}`)
    }
  }
  return { chunks, bad, temporaries, seen: seen.join("\n") }
}

/** Reads a store, and again only what has changed since. */
export class StoreViewer {
  readonly #disk: MemoryDisk
  #snapshots: ReturnType<typeof viewSnapshots> | undefined
  #chunks: ReturnType<typeof viewChunks> | undefined
  #leases: number | undefined
  #view: StoreView | undefined

  constructor(disk: MemoryDisk) {
    this.#disk = disk
  }

  /** That part is different now; all of it by default. */
  forget(part?: Part): void {
    this.#view = undefined
    if (part === undefined || part === "snapshots") this.#snapshots = undefined
    if (part === undefined || part === "chunks") this.#chunks = undefined
    if (part === undefined || part === "leases") this.#leases = undefined
  }

  get view(): StoreView {
    this.#view ??= this.#read()
    return this.#view
  }

  #read(): StoreView {
    this.#snapshots ??= viewSnapshots(this.#disk)
    this.#chunks ??= viewChunks(this.#disk)
    this.#leases ??= listOf(this.#disk, `${basePath}/.granary-writers`).length
    const { bad, chunks, seen, temporaries } = this.#chunks
    const { snapshots } = this.#snapshots
    const fingerprint = `${this.#snapshots.seen}\n${seen}\nleases ${this.#leases}`
    return { snapshots, chunks, bad, temporaries, leases: this.#leases, fingerprint }
  }
}

/** Everything that lies on a disk. */
export const viewStore = (disk: MemoryDisk): StoreView => new StoreViewer(disk).view
