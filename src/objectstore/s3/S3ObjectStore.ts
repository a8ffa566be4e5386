/**
 * S3ObjectStore: a bucket of an S3 server behind the port.
 *
 * One operation is one request, but for two: `head` of a missing object asks once more, because the answer to a HEAD
 * does not tell a missing object from a missing bucket, and a deletion of many keys is one request for each where the
 * server has no batches. Nothing is tried again here, and nothing is slowed down: that is for decorators.
 *
 * Bodies go out in one piece with their SHA-256 in the signature, so a body that is damaged on its way is refused. What
 * comes in is complete; whether it is what was once written is for its reader to check.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { ObjectKey } from "../ObjectKey.ts"
import {
  batchSizeMax,
  type ByteRange,
  type ObjectInfo,
  ObjectStore,
  present,
  type PutOutcome
} from "../ObjectStore.ts"
import { ObjectStoreError } from "../ObjectStoreError.ts"
import { contentRange, discardBody, readBody } from "./s3Bodies.ts"
import type { Bucket } from "./s3Bucket.ts"
import * as s3Client from "./s3Client.ts"
import type { Subject } from "./s3Errors.ts"
import { deleteBatch, deleteEach } from "./s3Deletions.ts"
import { list, plainEtag } from "./s3Listing.ts"
import { type Exchange, notS3, request } from "./s3Request.ts"
import type { S3Settings } from "./S3Settings.ts"

export type { S3Options } from "./s3Client.ts"

const contentType = "application/octet-stream"

const etagOf = (subject: Subject, { answer }: Exchange, text: string | undefined): string => {
  if (text === undefined) throw notS3(subject, answer(), "it has no ETag")
  return plainEtag(text)
}

/** The SDK takes shared memory only as a Buffer. */
const asBuffer = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, length)

/** PBS's rule for puts: at least a second for each KiB. */
const putTimeoutSeconds = ({ options }: Bucket, body: Uint8Array): number =>
  Math.max(options.requestTimeoutSeconds, Math.ceil(body.length / 1024))

const put = (bucket: Bucket, key: ObjectKey, body: Uint8Array) => {
  const subject = { operation: "put", key } as const
  return request(bucket, subject, putTimeoutSeconds(bucket, body), async (exchange) => {
    const input = { Bucket: bucket.name, Key: key, Body: asBuffer(body), ContentType: contentType }
    const { ETag } = await exchange.send(new bucket.sdk.PutObjectCommand(input))
    return { etag: etagOf(subject, exchange, ETag) }
  })
}

const preconditionFailed = 412

const putIfAbsent = (
  bucket: Bucket,
  key: ObjectKey,
  body: Uint8Array
): Effect.Effect<PutOutcome, ObjectStoreError> => {
  const subject = { operation: "putIfAbsent", key } as const
  if (bucket.settings.quirks.has("skip-if-none-match-header")) {
    const detail = "the quirk skip-if-none-match-header says that this provider cannot put conditionally"
    return Effect.fail(new ObjectStoreError({ ...subject, reason: "NotImplemented", detail }))
  }
  return request(bucket, subject, putTimeoutSeconds(bucket, body), async (exchange) => {
    const input = {
      Bucket: bucket.name,
      Key: key,
      Body: asBuffer(body),
      ContentType: contentType,
      IfNoneMatch: "*"
    }
    try {
      const { ETag } = await exchange.send(new bucket.sdk.PutObjectCommand(input))
      return { outcome: "created", etag: etagOf(subject, exchange, ETag) }
    } catch (error) {
      if (exchange.answer()?.status === preconditionFailed) return present
      throw error
    }
  })
}

const get = (bucket: Bucket, key: ObjectKey, maxSizeBytes: number) => {
  const subject = { operation: "get", key } as const
  return request(bucket, subject, bucket.options.requestTimeoutSeconds, async ({ send }) => {
    const { Body, ContentLength } = await send(
      new bucket.sdk.GetObjectCommand({ Bucket: bucket.name, Key: key })
    )
    return readBody(subject, Body, ContentLength, maxSizeBytes)
  })
}

const partialContent = 206

const getRange = (bucket: Bucket, key: ObjectKey, { offset, lengthBytes }: ByteRange) => {
  const subject = { operation: "getRange", key } as const
  if (!(Number.isSafeInteger(offset) && offset >= 0 && lengthBytes > 0)) {
    return Effect.fail(new ObjectStoreError({ ...subject, reason: "InvalidRange" }))
  }
  return request(bucket, subject, bucket.options.requestTimeoutSeconds, async ({ send, answer }) => {
    const Range = `bytes=${offset}-${offset + lengthBytes - 1}`
    const { Body, ContentLength, ContentRange } = await send(
      new bucket.sdk.GetObjectCommand({ Bucket: bucket.name, Key: key, Range })
    )
    const refuse = (reason: "InvalidRange" | "NotImplemented" | "Truncated", detail: string) => {
      discardBody(Body)
      return new ObjectStoreError({ ...subject, reason, detail })
    }
    if (answer()?.status !== partialContent) {
      // The whole object: right only when the whole object was asked for.
      if (ContentLength === 0) throw refuse("InvalidRange", "the object is empty")
      if (offset > 0 || ContentLength === undefined || ContentLength > lengthBytes) {
        throw refuse("NotImplemented", "the server answers a whole object to a range")
      }
      return readBody(subject, Body, ContentLength, lengthBytes)
    }
    const range = contentRange(ContentRange)
    const expectedBytes = Math.min(lengthBytes, (range?.totalBytes ?? 0) - offset)
    if (range?.offset !== offset || range.lengthBytes !== expectedBytes) {
      throw refuse("Truncated", `asked for ${Range}, got ${ContentRange ?? "no range"}`)
    }
    return readBody(subject, Body, expectedBytes, expectedBytes)
  })
}

const notFound = 404

/** Asks for one byte, because only that answer says what is missing. */
const tellWhatIsMissing = async (bucket: Bucket, key: ObjectKey, { send, answer }: Exchange) => {
  const input = { Bucket: bucket.name, Key: key, Range: "bytes=0-0" }
  try {
    const { Body } = await send(new bucket.sdk.GetObjectCommand(input))
    discardBody(Body)
  } catch (error) {
    // An empty object has no first byte.
    if (answer()?.status !== 416) throw error
  }
  // Somebody has put it since then; when we asked first it was missing.
  return new ObjectStoreError({ operation: "head", key, reason: "NotFound", httpStatus: notFound })
}

const head = (bucket: Bucket, key: ObjectKey) => {
  const subject = { operation: "head", key } as const
  return request(
    bucket,
    subject,
    bucket.options.requestTimeoutSeconds,
    async (exchange): Promise<ObjectInfo> => {
      const input = { Bucket: bucket.name, Key: key }
      const found = await exchange
        .send(new bucket.sdk.HeadObjectCommand(input))
        .catch(async (error: unknown) => {
          throw exchange.answer()?.status === notFound
            ? await tellWhatIsMissing(bucket, key, exchange)
            : error
        })
      if (found.ContentLength === undefined || found.LastModified === undefined) {
        throw notS3(subject, exchange.answer(), "it has no size or no time")
      }
      return {
        sizeBytes: found.ContentLength,
        lastModifiedSeconds: Math.floor(found.LastModified.getTime() / 1000),
        etag: etagOf(subject, exchange, found.ETag)
      }
    }
  )
}

/** The SDK writes the source into a header as it is. */
const sourceOf = (bucket: Bucket, key: ObjectKey): string =>
  `${bucket.name}/${key.split("/").map(encodeURIComponent).join("/")}`

const copy = (bucket: Bucket, from: ObjectKey, to: ObjectKey) => {
  const subject = { operation: "copy", key: from } as const
  return request(bucket, subject, bucket.options.requestTimeoutSeconds, async (exchange) => {
    const { CopyObjectResult } = await exchange.send(
      new bucket.sdk.CopyObjectCommand({
        Bucket: bucket.name,
        Key: to,
        CopySource: sourceOf(bucket, from),
        ContentType: contentType,
        // Without it servers refuse a copy onto itself.
        MetadataDirective: "REPLACE"
      })
    )
    return { etag: etagOf(subject, exchange, CopyObjectResult?.ETag) }
  })
}

const deleteMany = (bucket: Bucket, keys: ReadonlyArray<ObjectKey>) => {
  const different = [...new Set(keys)]
  if (different.length === 0) return Effect.succeed({ deleted: [], failed: [] })
  if (different.length > batchSizeMax) {
    const detail = `${different.length} keys in one batch, at most ${batchSizeMax}`
    return Effect.fail(new ObjectStoreError({ operation: "deleteMany", key: "", reason: "Rejected", detail }))
  }
  const isOneByOne = bucket.settings.quirks.has("delete-objects-via-delete-object")
  return isOneByOne || different.length === 1 ? deleteEach(bucket, different) : deleteBatch(bucket, different)
}

/** The bucket that the settings name. Nothing is asked until the first operation. */
export const make = (
  settings: S3Settings,
  options: s3Client.S3Options = {}
): Effect.Effect<ObjectStore["Service"], ObjectStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const all = { ...s3Client.defaultOptions, ...options }
    const client = yield* s3Client.make(settings, all)
    const turns = yield* Semaphore.make(all.maxSockets)
    const bucket: Bucket = { ...client, name: settings.bucket, turns, settings, options: all }
    return ObjectStore.of({
      put: (key, body) => put(bucket, key, body),
      putIfAbsent: (key, body) => putIfAbsent(bucket, key, body),
      get: (key, maxSizeBytes) => get(bucket, key, maxSizeBytes),
      getRange: (key, range) => getRange(bucket, key, range),
      head: (key) => head(bucket, key),
      list: (listing) => list(bucket, listing),
      deleteMany: (keys) => deleteMany(bucket, keys),
      copy: (from, to) => copy(bucket, from, to)
    })
  })

export const layer = (
  settings: S3Settings,
  options?: s3Client.S3Options
): Layer.Layer<ObjectStore, ObjectStoreError> => Layer.effect(ObjectStore, make(settings, options))
