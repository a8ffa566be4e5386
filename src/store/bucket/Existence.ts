/**
 * Existence: which of some chunks have no object, asked once more after a listing lacked them: by one request each
 * while they are few, by another listing of everything when they are many. So it never takes more requests than the
 * first listing did, or a handful.
 *
 * What was seen in the cache folder before this is asked can be judged by the answer: a marker that was there before
 * the server said "no such object" was not true when it said so.
 */
import * as Effect from "effect/Effect"
import * as Digest from "../../model/Digest.ts"
import { DigestTable } from "../../model/DigestTable.ts"
import { isNotFound, type ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { keyOf, type StoreBucket } from "./StoreBucket.ts"
import { ChunkObjects, isWhole } from "./ChunkObjects.ts"

/** So many questions are asked even when the listing took fewer requests. */
const questionsMin = 16
const questionsAtOnce = 8

/** Whether so many are asked for one by one, after a listing that took so many requests. */
export const asksEach = (count: number, pages: number): boolean => count <= Math.max(questionsMin, pages)

type OnError = (error: ObjectStoreError) => void

const askEach = (bucket: StoreBucket, wanted: DigestTable, onError: OnError) =>
  Effect.forEach(
    [...wanted.entries()].map(([digest]) => digest).toSorted(),
    (digest) =>
      bucket.objects.head(keyOf(bucket, { kind: "chunk", digest })).pipe(
        Effect.map(({ sizeBytes }) => sizeBytes > 0),
        Effect.catch((error) => {
          if (isNotFound(error)) return Effect.succeed(false)
          onError(error)
          return Effect.succeed(true)
        }),
        Effect.map((isThere) => {
          if (isThere) wanted.delete(Digest.toBytes(digest))
        })
      ),
    { concurrency: questionsAtOnce, discard: true }
  )

const listAgain = (bucket: StoreBucket, wanted: DigestTable) =>
  Effect.gen(function* () {
    const objects = new ChunkObjects(bucket)
    for (let folder = yield* objects.folder; folder !== undefined; folder = yield* objects.folder) {
      for (const object of yield* objects.take(folder)) {
        if (isWhole(object)) wanted.delete(Digest.toBytes(object.digest))
      }
    }
  })

/**
 * Those of the digests, 32 bytes each, that have no object, or an empty one. What nobody can answer counts as there,
 * and is an error. `pages` is what the listing took.
 */
export const findAbsent = (
  bucket: StoreBucket,
  digests: ReadonlyArray<Uint8Array>,
  pages: number,
  onError: OnError
): Effect.Effect<DigestTable> =>
  Effect.gen(function* () {
    const wanted = new DigestTable()
    for (const rows of digests) {
      wanted.addMany(rows, 0, Digest.lengthBytes, rows.length / Digest.lengthBytes)
    }
    if (wanted.size === 0) return wanted
    if (asksEach(wanted.size, pages)) {
      yield* askEach(bucket, wanted, onError)
      return wanted
    }
    return yield* listAgain(bucket, wanted).pipe(
      Effect.as(wanted),
      Effect.catch((error) => {
        onError(error)
        return Effect.succeed(new DigestTable())
      })
    )
  })
