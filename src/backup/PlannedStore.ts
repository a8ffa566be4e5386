/**
 * PlannedStore: a datastore as the plan of a backup sees it: everything can be read, nothing is stored, and what would
 * be stored is encoded and counted. So a plan goes the backup's own way up to here, and comes to the same chunks.
 *
 * Invariant: nothing of the datastore inside changes. Whatever could change something is replaced or goes nowhere.
 */
import * as Effect from "effect/Effect"
import type { Datastore } from "../datastore/Datastore.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { DigestTable } from "../model/DigestTable.ts"
import { pageSizeMax } from "../objectstore/ObjectStore.ts"
import * as RequestCosts from "../objectstore/RequestCosts.ts"
import { ChunkCodec } from "../platform/ChunkCodec.ts"
import { type Files, type FileStat, isNotFound } from "../platform/Files.ts"
import { questionsMax } from "../store/bucket/BucketPresence.ts"
import * as ChunkPresence from "../store/ChunkPresence.ts"
import type { ChunkStore, Inserted, NewChunk } from "../store/ChunkStore.ts"
import type { StorageError } from "../store/StorageError.ts"
import { storeError } from "../store/StoreError.ts"

type Store = Datastore["Service"]

export interface PlannedStore {
  readonly datastore: Store
  /** What was counted up to now. */
  readonly costs: () => RequestCosts.RequestCosts
  /** Whether the chunk would have been stored. */
  readonly isStored: (digests: Uint8Array, offset: number) => boolean
}

/** What is counted; the chunks that would be stored. */
class Tally {
  costs = RequestCosts.none
  readonly stored = new DigestTable()

  add(costs: Partial<RequestCosts.RequestCosts>): void {
    this.costs = RequestCosts.sum(this.costs, RequestCosts.make(costs))
  }
}

/** In a bucket a marker will do, if it is true. */
const makeLook =
  ({ bucket, chunks }: Store, listed: DigestTable | undefined) =>
  (digest: Digest.Digest): Effect.Effect<FileStat | undefined, StorageError> =>
    chunks.stat(digest).pipe(
      Effect.map((stat) => {
        const isThere = bucket === undefined ? stat.sizeBytes > 0 : (listed?.hasDigest(digest) ?? true)
        return isThere ? stat : undefined
      }),
      Effect.catchIf(isNotFound, () => Effect.succeed(undefined))
    )

const makeInsert = (
  codec: ChunkCodec["Service"],
  store: Store,
  listed: DigestTable | undefined,
  tally: Tally
): ChunkStore["Service"]["insert"] => {
  const look = makeLook(store, listed)
  return ({ compress, crypt, data, digest }: NewChunk) =>
    Effect.gen(function* () {
      const found = yield* look(digest)
      if (found !== undefined) return { duplicate: true, encodedSizeBytes: found.sizeBytes }
      const { blob } = yield* codec.encode({ data, compress, crypt })
      const isListed = listed?.hasDigest(digest) ?? false
      // The server says that it is there, and is asked what it is like.
      tally.add({ put: 1, sentBytes: blob.length, get: isListed ? 1 : 0 })
      tally.stored.addDigest(digest)
      const inserted: Inserted = { duplicate: isListed, encodedSizeBytes: blob.length }
      return inserted
    })
}

/** Where the folder's markers are not to be relied on: by the listing. Counts what the backup will ask. */
const presenceByListing = (
  inFolder: ChunkPresence.ChunkPresence["Service"],
  listed: DigestTable,
  tally: Tally
): ChunkPresence.ChunkPresence["Service"] => ({
  findAbsent: (digests) =>
    Effect.map(inFolder.findAbsent(digests), (unknown) => {
      const isMany = unknown.length > questionsMax
      const numbers = Array.from({ length: digests.length / Digest.lengthBytes }, (_, number) => number)
      const absent = numbers.filter((number) => !listed.has(digests, number * Digest.lengthBytes))
      tally.add(
        isMany
          ? { list: Math.max(1, Math.ceil(listed.size / pageSizeMax)), get: absent.length }
          : { get: unknown.length }
      )
      return absent
    })
})

/** What reads goes on to the real files. */
const makeSnapshotFiles = ({ snapshotFiles }: Store, tally: Tally): Store["snapshotFiles"] => {
  const names = new Set<string>()
  const count = (fileName: string, { length }: Uint8Array) =>
    Effect.sync(() => {
      names.add(fileName)
      tally.add({ put: 1, sentBytes: length })
    })
  return {
    ...snapshotFiles,
    write: (_namespace, _snapshot, fileName, content) => count(fileName, content),
    writeManifest: (_namespace, _snapshot, manifest) =>
      count(ArchiveName.manifestFile, Manifest.encode(manifest)),
    updateManifest: (_namespace, snapshot) =>
      Effect.fail(storeError("Refused", Snapshot.format(snapshot), "this is a plan, which changes nothing")),
    stored: () => Effect.sync(() => new Set(names))
  }
}

/** `listed`: the chunks that the bucket has, where the folder's markers have to be checked first. */
export const make = (
  store: Store,
  listed: DigestTable | undefined
): Effect.Effect<PlannedStore, never, ChunkCodec | Files> =>
  Effect.gen(function* () {
    const codec = yield* ChunkCodec
    const tally = new Tally()
    const inFolder = yield* ChunkPresence.make(store.layout, { countsMarkers: true })
    const presence = listed === undefined ? store.presence : presenceByListing(inFolder, listed, tally)
    const datastore: Store = {
      ...store,
      presence,
      chunks: {
        ...store.chunks,
        insert: makeInsert(codec, store, listed, tally),
        insertEncoded: (_digest, blob) => Effect.succeed({ duplicate: false, encodedSizeBytes: blob.length }),
        insertFile: () => Effect.succeed({ duplicate: false, encodedSizeBytes: 0 }),
        insertProving: () => Effect.succeed({ duplicate: false, encodedSizeBytes: 0 }),
        touch: () => Effect.succeed(true),
        condemn: () => Effect.succeed(undefined),
        discard: () => Effect.succeed({ state: "kept", sizeBytes: 0 })
      },
      snapshotFiles: makeSnapshotFiles(store, tally),
      flush: Effect.void
    }
    return {
      datastore,
      costs: () => tally.costs,
      isStored: (digests, offset) => tally.stored.has(digests, offset)
    }
  })
