/**
 * BucketPresence: ChunkPresence of a datastore in a bucket. What the cache folder says is believed; where it says
 * nothing, the server is asked: another host may have stored the chunk, or a power loss may have taken the marker. That
 * the folder knows nothing of a chunk never means that it is missing.
 *
 * A few are asked for one by one, each under its digest's guard, and what exists gets its marker there, so that nobody
 * asks again. When they are many, one listing takes fewer requests; what it shows is present and gets no marker, for
 * nobody held its guard, and what it lacks is asked for by itself.
 *
 * Invariant: absent is only what the server denies; trouble on the way is a failure. An empty object is no chunk.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Digest from "../../model/Digest.ts"
import { DigestTable } from "../../model/DigestTable.ts"
import { pages } from "../../objectstore/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import type { Files } from "../../platform/Files.ts"
import * as ChunkPresence from "../ChunkPresence.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import type { StorageError } from "../StorageError.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import * as LocalChunks from "./LocalChunks.ts"
import * as StoreBucket from "./StoreBucket.ts"

/** More than these are listed instead. */
export const questionsMax = 4096
const questionsAtOnce = 12

/** Those of the digests that a listing shows, and that are not empty. */
const listAmong = (
  bucket: StoreBucket.StoreBucket,
  wanted: DigestTable
): Effect.Effect<DigestTable, ObjectStoreError> =>
  Effect.gen(function* () {
    const found = new DigestTable()
    yield* Stream.runForEach(pages(bucket.objects, StoreKeys.chunksPrefix(bucket.prefix)), ({ objects }) =>
      Effect.sync(() => {
        for (const { key, sizeBytes } of objects) {
          const object = StoreKeys.read(bucket.prefix, key)
          if (object?.kind !== "chunk" || sizeBytes === 0) continue
          const bytes = Digest.toBytes(object.digest)
          if (wanted.has(bytes)) found.add(bytes)
        }
      })
    )
    return found
  })

export const make = (
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket,
  guards: DigestGuards["Service"]
): Effect.Effect<ChunkPresence.ChunkPresence["Service"], never, Files> =>
  Effect.gen(function* () {
    const folder = yield* ChunkPresence.make(layout, { countsMarkers: true })
    const local = yield* LocalChunks.make(layout, {})

    const exists = (digest: Digest.Digest): Effect.Effect<boolean, ObjectStoreError> =>
      bucket.objects.head(StoreBucket.keyOf(bucket, { kind: "chunk", digest })).pipe(
        Effect.map(({ sizeBytes }) => sizeBytes > 0),
        Effect.catchIf(isNotFound, () => Effect.succeed(false))
      )

    /** A marker that cannot be made only costs another question later. */
    const ask = (digest: Digest.Digest): Effect.Effect<boolean, StorageError> =>
      guards.guard(digest)(
        Effect.gen(function* () {
          if ((yield* local.look(digest)) !== undefined) return true
          const isThere = yield* exists(digest)
          if (isThere) yield* Effect.ignore(local.mark(digest))
          return isThere
        })
      )

    const askThose = (digests: Uint8Array, numbers: ReadonlyArray<number>) =>
      Effect.gen(function* () {
        const answers = yield* Effect.forEach(
          numbers,
          (number) => ask(Digest.fromBytes(digests, number * Digest.lengthBytes)),
          { concurrency: questionsAtOnce }
        )
        return numbers.filter((_, place) => answers[place] === false)
      })

    const findAbsent = (digests: Uint8Array): Effect.Effect<ReadonlyArray<number>, StorageError> =>
      Effect.gen(function* () {
        const unknown = yield* folder.findAbsent(digests)
        if (unknown.length <= questionsMax) return yield* askThose(digests, unknown)
        const wanted = new DigestTable()
        for (const number of unknown) wanted.add(digests, number * Digest.lengthBytes)
        const listed = yield* listAmong(bucket, wanted)
        const unlisted = unknown.filter((number) => !listed.has(digests, number * Digest.lengthBytes))
        return yield* askThose(digests, unlisted)
      })

    return ChunkPresence.ChunkPresence.of({ findAbsent })
  })
