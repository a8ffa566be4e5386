/**
 * s3Deletions: many keys by one request, or each by its own where the server has no batches. What is not there counts
 * as deleted.
 */
import type { DeleteObjectsCommandOutput } from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import type { ObjectKey } from "../ObjectKey.ts"
import type { DeleteReport } from "../ObjectStore.ts"
import { isNotFound, type ObjectStoreError, type ObjectStoreReason } from "../ObjectStoreError.ts"
import type { Bucket } from "./s3Bucket.ts"
import { deletionFailure } from "./s3Errors.ts"
import { request } from "./s3Request.ts"

/** A key that the answer does not name may be there still. */
const reportOf = (keys: ReadonlyArray<ObjectKey>, output: DeleteObjectsCommandOutput): DeleteReport => {
  const deleted = new Set(output.Deleted?.map(({ Key }) => Key))
  const failures = new Map(output.Errors?.map((failure) => [failure.Key, failure]))
  const errorOf = (key: ObjectKey): ObjectStoreError | undefined => {
    const failure = failures.get(key)
    if (failure !== undefined) {
      const error = deletionFailure(key, failure.Code, failure.Message)
      return isNotFound(error) ? undefined : error
    }
    return deleted.has(key)
      ? undefined
      : deletionFailure(key, "InternalError", "the answer does not name this key")
  }
  const results = keys.map((key) => ({ key, error: errorOf(key) }))
  return {
    deleted: results.flatMap(({ key, error }) => (error === undefined ? [key] : [])),
    failed: results.flatMap(({ key, error }) => (error === undefined ? [] : [{ key, error }]))
  }
}

export const deleteBatch = (
  bucket: Bucket,
  keys: ReadonlyArray<ObjectKey>
): Effect.Effect<DeleteReport, ObjectStoreError> => {
  const subject = { operation: "deleteMany", key: "" } as const
  return request(bucket, subject, bucket.options.requestTimeoutSeconds, async ({ send }) => {
    const output = await send(
      new bucket.sdk.DeleteObjectsCommand({
        Bucket: bucket.name,
        Delete: { Objects: keys.map((key) => ({ Key: key })), Quiet: false }
      })
    )
    return reportOf(keys, output)
  })
}

const deleteOne = (bucket: Bucket, key: ObjectKey): Effect.Effect<void, ObjectStoreError> => {
  const subject = { operation: "deleteMany", key } as const
  return request(bucket, subject, bucket.options.requestTimeoutSeconds, async ({ send }) => {
    await send(new bucket.sdk.DeleteObjectCommand({ Bucket: bucket.name, Key: key }))
  }).pipe(Effect.catchIf(isNotFound, () => Effect.void))
}

/** They would befall every other key as well. */
const general: ReadonlySet<ObjectStoreReason> = new Set([
  "NoBucket",
  "Unreachable",
  "Untrusted",
  "WrongKeys",
  "ExpiredKeys",
  "WrongClock",
  "WrongRegion",
  "NotS3"
])

const concurrencyMax = 8

/** One request a key. Trouble with one key does not keep the others back; trouble with the whole bucket fails all. */
export const deleteEach = (
  bucket: Bucket,
  keys: ReadonlyArray<ObjectKey>
): Effect.Effect<DeleteReport, ObjectStoreError> =>
  Effect.gen(function* () {
    const results = yield* Effect.forEach(
      keys,
      (key) =>
        deleteOne(bucket, key).pipe(
          Effect.as({ key, error: undefined }),
          Effect.catch((error) =>
            general.has(error.reason) ? Effect.fail(error) : Effect.succeed({ key, error })
          )
        ),
      { concurrency: concurrencyMax }
    )
    return {
      deleted: results.flatMap(({ key, error }) => (error === undefined ? [key] : [])),
      failed: results.flatMap(({ key, error }) => (error === undefined ? [] : [{ key, error }]))
    }
  })
