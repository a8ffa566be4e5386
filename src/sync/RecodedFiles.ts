/**
 * RecodedFiles: brings the files of a snapshot that is encrypted or decrypted on its way.
 *
 * What a chunk is called depends on the key, so its content has to be read before anybody knows whether the target has
 * it; each digest is read once for an index, and not again when an earlier snapshot had it.
 * The new index names the chunks in the order of the old one.
 *
 * Invariant: everything is proven by what the source says of it before it is recoded: a chunk by its digest and length
 * under the source's key, a blob and an index by their manifest.
 */
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import type { ChunkIndex, EncodedIndex } from "../format/ChunkIndex.ts"
import * as DataBlob from "../format/DataBlob.ts"
import * as DynamicIndex from "../format/DynamicIndex.ts"
import * as FixedIndex from "../format/FixedIndex.ts"
import type { ManifestFile } from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { CryptMode } from "../model/CryptMode.ts"
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"
import { Entropy } from "../platform/Entropy.ts"
import type { IndexTransfer } from "./ChunkTransfer.ts"
import { decodeOrCorrupt } from "./decodeManifest.ts"
import type { DigestMap } from "./DigestMap.ts"
import type { Recoding } from "./Recoding.ts"
import * as FilesSync from "./SnapshotFilesSync.ts"
import { type SyncError, syncError, within } from "./SyncError.ts"

export interface RecodedWork extends FilesSync.FilesWork {
  readonly recoding: Recoding
  readonly digests: DigestMap
}

export interface RecodedFile {
  readonly file: ManifestFile
  readonly transfers: ReadonlyArray<IndexTransfer>
}

/** Each holds its content twice while it is recoded. */
const chunksAtOnce = 8

const modeOf = ({ to }: Recoding): CryptMode => (to === undefined ? "none" : "encrypt")

const optionsOf = (crypt: Recoding["to"]) => (crypt === undefined ? {} : { crypt })

export const recodeBlob = (
  { from, to }: Recoding,
  name: string,
  bytes: Uint8Array
): Effect.Effect<Uint8Array, SyncError> =>
  decodeOrCorrupt("source", name, () =>
    DataBlob.encode(DataBlob.decode(bytes, optionsOf(from)), { compress: true, ...optionsOf(to) })
  )

const bringBlob = (work: RecodedWork, file: ManifestFile): Effect.Effect<RecodedFile, SyncError> =>
  Effect.gen(function* () {
    const { recoding, source } = work
    const archive = ArchiveName.fromFile(file.filename)
    const bytes = yield* FilesSync.fetchBytes(work, source.file(archive), file.sizeBytes)
    yield* FilesSync.proveBlob("source", file, bytes)
    const recoded = yield* recodeBlob(recoding, file.filename, bytes)
    yield* FilesSync.put(work, archive, recoded)
    const csum = Digest.parse(hash("sha256", recoded, "hex"))
    const { filename } = file
    return { file: { filename, cryptMode: modeOf(recoding), sizeBytes: recoded.length, csum }, transfers: [] }
  })

interface OldChunk {
  readonly digest: Digest.Digest
  readonly sizeBytes: number
}

const fetchContent = (
  { meter, recoding, scene, source }: RecodedWork,
  { digest, sizeBytes }: OldChunk
): Effect.Effect<Uint8Array, SyncError> =>
  Effect.gen(function* () {
    const fetch = scene.rateIn.incoming(DataBlob.encodedSizeMax(sizeBytes))(source.chunk(digest))
    const blob = yield* scene.retrying(within({ side: "source" })(fetch))
    meter.count({ chunkBytes: blob.length })
    return yield* Effect.mapError(
      scene.recodingWork.decode(blob, { digest, sizeBytes, crypt: recoding.from, consumes: true }),
      ({ detail, reason }) =>
        syncError(reason === "KeyNeeded" ? reason : "Corrupt", `chunk ${digest}: ${detail}`, {
          side: "source"
        })
    )
  })

const asIndex = ({ bytes }: EncodedIndex): ChunkIndex => DynamicIndex.decode(bytes)

/** The first of each digest. */
const differentChunks = (index: ChunkIndex): ReadonlyArray<number> => {
  const seen = new DigestTable(index.count)
  const chunks: Array<number> = []
  for (let chunk = 0; chunk < index.count; chunk++) {
    if (seen.add(index.entries, index.digestOffset(chunk))) chunks.push(chunk)
  }
  return chunks
}

/** Stores what is not there yet, and notes the new digest. */
const recodeChunk = (
  work: RecodedWork,
  name: ArchiveName.ArchiveName,
  index: ChunkIndex,
  chunk: number
): Effect.Effect<void, SyncError> =>
  Effect.gen(function* () {
    const { digests, meter, recoding, scene } = work
    const old = { digest: index.digest(chunk), sizeBytes: index.end(chunk) - index.start(chunk) }
    if (digests.get(old.digest) !== undefined) return
    const data = yield* fetchContent(work, old)
    const { recodingWork } = scene
    const digest = Digest.fromBytes(yield* recodingWork.digest(data, recoding.to))
    const single = { uuid: new Uint8Array(16), ctime: 0, entries: [{ end: data.length, digest }] }
    yield* scene.chunks.bring({
      index: asIndex(DynamicIndex.encode(single)),
      archive: { name, sizeBytes: index.sizeBytes },
      encrypted: recoding.to !== undefined,
      chunk: () =>
        Effect.map(recodingWork.encode({ data, compress: true, crypt: recoding.to }), ({ blob }) => blob),
      onChunk: ({ outcome }) => meter.count(outcome === "stored" ? { chunks: 1 } : { presentChunks: 1 })
    })
    digests.set(old.digest, digest)
  })

/** Of a fixed index; of a dynamic one nobody asks. */
const chunkSizeOf = (index: ChunkIndex): number =>
  index.kind === "fixed" ? (index as FixedIndex.FixedIndex).chunkSizeBytes : FixedIndex.defaultChunkSizeBytes

const encodeIndex = (old: ChunkIndex, uuid: Uint8Array, digests: DigestMap): EncodedIndex => {
  const { ctime, kind, sizeBytes } = old
  const dynamic = new DynamicIndex.DynamicIndexBuilder()
  const fixed = new FixedIndex.FixedIndexBuilder({ chunkSizeBytes: chunkSizeOf(old), sizeBytes })
  for (let chunk = 0; chunk < old.count; chunk++) {
    const digest = digests.get(old.digest(chunk))
    if (digest === undefined) throw new Error(`chunk ${chunk} of an index was not recoded`)
    if (kind === "dynamic") dynamic.add(old.end(chunk), Digest.toBytes(digest))
    else fixed.set(chunk, Digest.toBytes(digest))
  }
  return kind === "dynamic" ? dynamic.finish({ uuid, ctime }) : fixed.finish({ uuid, ctime })
}

const decoded = (name: string, bytes: Uint8Array): ChunkIndex =>
  name.endsWith(".fidx") ? FixedIndex.decode(bytes) : DynamicIndex.decode(bytes)

/** The content is only on the source, under another name: what vanishes while the sync runs fails the snapshot. */
const proofOf = (
  { recoding }: RecodedWork,
  name: ArchiveName.ArchiveName,
  index: ChunkIndex
): IndexTransfer => ({
  index,
  archive: { name, sizeBytes: index.sizeBytes },
  encrypted: recoding.to !== undefined,
  chunk: (digest) => Effect.fail(syncError("Failed", `chunk ${digest} vanished while this sync ran`)),
  onChunk: () => undefined
})

const bringIndex = (work: RecodedWork, file: ManifestFile): Effect.Effect<RecodedFile, SyncError> =>
  Effect.gen(function* () {
    const { recoding, scene, source } = work
    const { filename } = file
    const archive = ArchiveName.fromFile(filename)
    const bytes = yield* FilesSync.fetchBytes(work, source.file(archive), 0)
    const old = yield* FilesSync.proveIndex("source", file, bytes)
    yield* Effect.forEach(differentChunks(old), (chunk) => recodeChunk(work, archive, old, chunk), {
      concurrency: scene.options.pipelining === "on" ? chunksAtOnce : 1,
      discard: true
    })
    const entropy = yield* Entropy
    const index = encodeIndex(old, entropy(16), work.digests)
    yield* FilesSync.put(work, archive, index.bytes)
    const { checksum: csum, sizeBytes } = index
    return {
      file: { filename, cryptMode: modeOf(recoding), sizeBytes, csum },
      transfers: [proofOf(work, archive, decoded(filename, index.bytes))]
    }
  })

export const bringFile = (work: RecodedWork, file: ManifestFile): Effect.Effect<RecodedFile, SyncError> =>
  (ArchiveName.fromFile(file.filename).kind === "blob" ? bringBlob(work, file) : bringIndex(work, file)).pipe(
    Effect.tap(() => Effect.sync(() => work.meter.count({ archiveBytes: file.sizeBytes }))),
    within({ archive: file.filename })
  )
