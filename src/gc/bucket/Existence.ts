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
import { isNotFound } from "../../objectstore/ObjectStoreError.ts"
import { keyOf, type StoreBucket } from "../../store/bucket/StoreBucket.ts"
import { ChunkObjects, isWhole } from "./ChunkObjects.ts"

/** So many questions are asked even when the listing took fewer requests. */
const questionsMin = 16
const questionsAtOnce = 8

const askEach = (bucket: StoreBucket, wanted: DigestTable, errors: Array<string>) =>
  Effect.forEach(
    [...wanted.entries()].map(([digest]) => digest).toSorted(),
    (digest) =>
      bucket.objects.head(keyOf(bucket, { kind: "chunk", digest })).pipe(
        Effect.map(({ sizeBytes }) => sizeBytes > 0),
        Effect.catch((error) => {
          if (isNotFound(error)) return Effect.succeed(false)
          errors.push(error.message)
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
 * and is an error.
 */
export const findAbsent = (
  bucket: StoreBucket,
  digests: ReadonlyArray<Uint8Array>,
  pages: number,
  errors: Array<string>
): Effect.Effect<DigestTable> =>
  Effect.gen(function* () {
    const wanted = new DigestTable()
    for (const rows of digests) {
      wanted.addMany(rows, 0, Digest.lengthBytes, rows.length / Digest.lengthBytes)
    }
    if (wanted.size === 0) return wanted
    if (wanted.size <= Math.max(questionsMin, pages)) {
      yield* askEach(bucket, wanted, errors)
      return wanted
    }
    return yield* listAgain(bucket, wanted).pipe(
      Effect.as(wanted),
      Effect.catch((error) => {
        errors.push(error.message)
        return Effect.succeed(new DigestTable())
      })
    )
  })
