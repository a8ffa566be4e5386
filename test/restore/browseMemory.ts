/**
 * Snapshots in memory: archives made by the encoder, cut into chunks where a test wants them, and served by a chunk
 * store that counts what is read.
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import type { ChunkIndex } from "../../src/format/ChunkIndex.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import { Encoder } from "../../src/format/pxar/Encoder.ts"
import * as Digest from "../../src/model/Digest.ts"
import { type FileMetadata, makeFileMetadata, MODE_TYPE } from "../../src/model/FileMetadata.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { ChunkError } from "../../src/platform/ChunkCodec.ts"
import type { SnapshotReader } from "../../src/restore/SnapshotReader.ts"
import { storeError } from "../../src/store/StoreError.ts"

type Fields = Partial<Omit<FileMetadata, "mode">> & { readonly mode?: number }

/** What a test says of an entry; a directory has its entries, by name. */
export type Item =
  | ({ readonly kind: "file"; readonly content: string | Uint8Array } & Fields)
  | ({ readonly kind: "symlink"; readonly target: string } & Fields)
  | ({ readonly kind: "fifo" } & Fields)
  | { readonly kind: "hardlink"; readonly to: string }
  | ({ readonly kind: "directory"; readonly entries: Entries } & Fields)

export type Entries = Readonly<Record<string, Item>>

const permissions = { directory: 0o755, file: 0o644, symlink: 0o777, fifo: 0o644 }

const metadataOf = (item: Exclude<Item, { kind: "hardlink" }>): FileMetadata =>
  makeFileMetadata({ ...item, mode: MODE_TYPE[item.kind] | (item.mode ?? permissions[item.kind]) })

const bytes = (text: string | Uint8Array): Uint8Array => (typeof text === "string" ? Buffer.from(text) : text)

const byName = ([left]: readonly [string, Item], [right]: readonly [string, Item]): number =>
  Buffer.compare(Buffer.from(left), Buffer.from(right))

/** Writes the entries of one directory, sorted by name as every client does. */
const writeEntries = (
  encoder: Encoder,
  entries: Entries,
  offsets: Map<string, number>,
  path: string
): void => {
  for (const [name, item] of Object.entries(entries).toSorted(byName)) {
    const here = `${path}${name}`
    if (item.kind === "file") {
      const content = bytes(item.content)
      offsets.set(here, encoder.startFile(bytes(name), metadataOf(item), content.length))
      encoder.writePayload(content)
    } else if (item.kind === "symlink") encoder.addSymlink(bytes(name), metadataOf(item), bytes(item.target))
    else if (item.kind === "fifo") encoder.addFifo(bytes(name), metadataOf(item))
    else if (item.kind === "hardlink")
      encoder.addHardlink(bytes(name), bytes(item.to), offsets.get(item.to) ?? 0)
    else {
      encoder.startDirectory(bytes(name), metadataOf(item))
      writeEntries(encoder, item.entries, offsets, `${here}/`)
      encoder.finishDirectory()
    }
  }
}

export interface EncodedArchive {
  readonly archive: Uint8Array
  readonly payload: Uint8Array | undefined
}

export const encodeArchive = (entries: Entries, version: 1 | 2 = 1): EncodedArchive => {
  const encoder = Encoder.startArchive(metadataOf({ kind: "directory", entries }), { version })
  writeEntries(encoder, entries, new Map(), "")
  encoder.finishArchive()
  const archive = encoder.takeArchiveBytes()
  return { archive, payload: version === 2 ? encoder.takePayloadBytes() : undefined }
}

/** Chunks by digest, and how often each was read. */
export class MemoryChunks {
  readonly chunks = new Map<string, Uint8Array>()
  readonly reads: Array<string> = []

  /** Cuts at multiples of `chunkBytes` and stores the chunks. */
  store(content: Uint8Array, chunkBytes: number): ChunkIndex {
    const entries: Array<DynamicIndex.DynamicEntry> = []
    for (let start = 0; start < content.length; start += chunkBytes) {
      const chunk = content.subarray(start, start + chunkBytes)
      const digest = Digest.parse(createHash("sha256").update(chunk).digest("hex"))
      this.chunks.set(digest, chunk)
      entries.push({ end: start + chunk.length, digest })
    }
    return DynamicIndex.decode(DynamicIndex.encode({ uuid: new Uint8Array(16), ctime: 0, entries }).bytes)
  }

  readonly read = ({ digest }: { readonly digest: Digest.Digest }, target?: Uint8Array) =>
    Effect.suspend(() => {
      this.reads.push(digest)
      const chunk = this.chunks.get(digest)
      if (chunk === undefined) return Effect.fail(new ChunkError({ digest, reason: "Missing", detail: "" }))
      if (target === undefined) return Effect.succeed(chunk)
      target.set(chunk)
      return Effect.succeed(target.subarray(0, chunk.length))
    })
}

/** A reader of a snapshot that holds these files, by their stored names. */
export const memoryReader = (
  chunks: MemoryChunks,
  files: Readonly<Record<string, Uint8Array>>,
  chunkBytes = 64
): SnapshotReader => {
  const snapshot = Snapshot.parse("host/memory/2026-01-01T00:00:00Z")
  const indexes = new Map(
    Object.entries(files).map(([name, content]) => [name, chunks.store(content, chunkBytes)])
  )
  const manifest = Manifest.make(
    snapshot,
    [...indexes].map(([filename, index]) => ({
      filename,
      cryptMode: "none",
      sizeBytes: index.sizeBytes,
      csum: index.checksum
    }))
  )
  const unused = Effect.die(new Error("not part of this double"))
  const index: SnapshotReader["index"] = ({ filename }) => {
    const found = indexes.get(filename)
    return found === undefined
      ? Effect.fail(storeError("NoSuchArchive", filename, ""))
      : Effect.succeed(found)
  }
  // Browsing uses the chunks of the datastore only.
  const datastore = {
    chunks: { read: chunks.read, parallelism: 2 }
  } as unknown as SnapshotReader["datastore"]
  return {
    datastore,
    namespace: Namespace.root,
    snapshot,
    manifest,
    crypt: undefined,
    find: () => unused,
    blob: () => unused,
    index
  }
}

/** A snapshot with one file archive of these entries, split for version 2. */
export const archiveReader = (
  chunks: MemoryChunks,
  entries: Entries,
  options: { readonly version?: 1 | 2; readonly chunkBytes?: number } = {}
): SnapshotReader => {
  const { archive, payload } = encodeArchive(entries, options.version)
  const files =
    payload === undefined
      ? { "root.pxar.didx": archive }
      : { "root.mpxar.didx": archive, "root.ppxar.didx": payload }
  return memoryReader(chunks, files, options.chunkBytes)
}
