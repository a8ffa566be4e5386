/**
 * The operations of S3 that a datastore needs, over a bucket in memory. What a good or a bad server does is decided
 * by `MemoryObjectStore`, so that its traits and faults mean the same here as there; this file says it in HTTP.
 *
 * ETags are MD5 sums, as those of real servers are. Every operation is one step of the bucket.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import type { MemoryBucket, StoredObject } from "../../src/testing/MemoryBucket.ts"
import { S3Failure } from "./S3Failure.ts"
import { documentOf, element, encodeKey, group, parseDelete } from "./s3Xml.ts"

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
  /** The connection breaks in the middle of the body. */
  readonly isCut?: boolean
}

/** The server hangs up instead of answering. */
export class HangUp extends Error {}

export interface Server {
  readonly bucket: string
  readonly region: string
  readonly memory: MemoryBucket
  readonly store: ObjectStore["Service"]
}

export interface Call {
  readonly method: string
  readonly key: string
  readonly query: ReadonlyMap<string, string>
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** Other programs write keys that break our rules, and a server takes them. */
const anyKey = (key: string): ObjectKey.ObjectKey => key as ObjectKey.ObjectKey

const anyPrefix = (prefix: string): ObjectKey.KeyPrefix => prefix as ObjectKey.KeyPrefix

const toFailure = (error: ObjectStoreError): S3Failure => {
  switch (error.reason) {
    case "NotFound":
      return new S3Failure("NoSuchKey", "The specified key does not exist.", { fields: { Key: error.key } })
    case "Conflict":
      return new S3Failure("ConditionalRequestConflict", "A conflicting operation is in progress.")
    case "NotImplemented":
      return new S3Failure(
        "NotImplemented",
        "A header you provided implies functionality that is not implemented"
      )
    case "Throttled":
      return new S3Failure("SlowDown", "Please reduce your request rate.", {
        headers: { "retry-after": String(error.retryAfterSeconds) }
      })
    case "InvalidRange":
      return new S3Failure("InvalidRange", "The requested range is not satisfiable")
    default:
      return new S3Failure("InternalError", "We encountered an internal error. Please try again.")
  }
}

/** The bucket in memory needs no time, so that an operation is over before another request is looked at. */
const attempt = <A>(effect: Effect.Effect<A, ObjectStoreError>): A => {
  const result = Effect.runSync(Effect.result(effect))
  if (Result.isSuccess(result)) return result.success
  if (result.failure.reason === "Disconnected") throw new HangUp()
  throw toFailure(result.failure)
}

const etags = new WeakMap<Uint8Array, string>()

const etagOf = ({ body }: StoredObject): string => {
  const known = etags.get(body) ?? `"${createHash("md5").update(body).digest("hex")}"`
  etags.set(body, known)
  return known
}

const describe = (object: StoredObject): Readonly<Record<string, string>> => ({
  "accept-ranges": "bytes",
  "content-type": "application/octet-stream",
  "last-modified": new Date(object.lastModifiedMillis).toUTCString(),
  etag: etagOf(object)
})

const isoTime = (millis: number): string => new Date(millis).toISOString()

const xml = (body: string): Answer => ({
  status: 200,
  headers: { "content-type": "application/xml" },
  body
})

const noSuchKey = (key: string): S3Failure =>
  new S3Failure("NoSuchKey", "The specified key does not exist.", { fields: { Key: key } })

const found = ({ memory }: Server, key: string): StoredObject => {
  const object = memory.find(key)
  if (object === undefined) throw noSuchKey(key)
  return object
}

export const listBuckets = ({ bucket }: Server): Answer =>
  xml(
    documentOf(
      "ListAllMyBucketsResult",
      group("Owner", element("ID", "owner"), element("DisplayName", "owner")),
      group("Buckets", group("Bucket", element("Name", bucket), element("CreationDate", isoTime(0))))
    )
  )

/** The oldest region has no name here. */
export const getBucketLocation = ({ region }: Server): Answer =>
  xml(documentOf("LocationConstraint", region === "us-east-1" ? "" : region))

export const putObject = (server: Server, { key, headers, body }: Call): Answer => {
  const condition = headers["if-none-match"]
  if (headers["if-match"] !== undefined || (condition !== undefined && condition !== "*")) {
    throw new S3Failure(
      "NotImplemented",
      "A header you provided implies functionality that is not implemented"
    )
  }
  if (condition === undefined) attempt(server.store.put(anyKey(key), body))
  else if (attempt(server.store.putIfAbsent(anyKey(key), body)).outcome === "present") {
    throw new S3Failure(
      "PreconditionFailed",
      "At least one of the pre-conditions you specified did not hold",
      {
        fields: { Condition: "If-None-Match" }
      }
    )
  }
  return { status: 200, headers: { etag: etagOf(found(server, key)) } }
}

export const copyObject = (server: Server, { key, headers }: Call): Answer => {
  const source = decodeURIComponent(headers["x-amz-copy-source"] ?? "").replace(/^\//, "")
  const [, bucket, from] = /^([^/]+)\/(.+)$/s.exec(source) ?? []
  if (bucket === undefined || from === undefined) {
    throw new S3Failure("InvalidArgument", "Copy Source must mention the source bucket and key")
  }
  if (bucket !== server.bucket) throw new S3Failure("NoSuchBucket", "The specified bucket does not exist")
  if (from === key) {
    const message = "This copy request is illegal because it is trying to copy an object to itself"
    throw new S3Failure("InvalidRequest", message)
  }
  attempt(server.store.copy(anyKey(from), anyKey(key)))
  const copy = found(server, key)
  const time = element("LastModified", isoTime(copy.lastModifiedMillis))
  return xml(documentOf("CopyObjectResult", time, element("ETag", etagOf(copy))))
}

export const headObject = (server: Server, { key }: Call): Answer => {
  const { sizeBytes } = attempt(server.store.head(anyKey(key)))
  return { status: 200, headers: { ...describe(found(server, key)), "content-length": String(sizeBytes) } }
}

/** First byte and length of a range; undefined for a header that servers pass over. */
const parseRange = (header: string | undefined, sizeBytes: number) => {
  const [, first = "", last = ""] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? []
  if (first === "" && last === "") return undefined
  if (first === "") {
    const lengthBytes = Math.min(Number(last), sizeBytes)
    return { offset: sizeBytes - lengthBytes, lengthBytes }
  }
  const offset = Number(first)
  const end = last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes)
  if (last !== "" && Number(last) < offset) return undefined
  return { offset, lengthBytes: Math.max(1, end - offset) }
}

export const getObject = (server: Server, { key, headers }: Call): Answer => {
  const whole = server.memory.find(key)
  const size = whole?.body.length ?? 0
  const range = parseRange(headers["range"], size)
  const result = Effect.runSync(
    Effect.result(
      range === undefined
        ? server.store.get(anyKey(key), Infinity)
        : server.store.getRange(anyKey(key), range)
    )
  )
  const isCut = Result.isFailure(result) && result.failure.reason === "Truncated"
  const { offset, lengthBytes } = range ?? { offset: 0, lengthBytes: size }
  const body = isCut
    ? found(server, key).body.subarray(offset, offset + lengthBytes)
    : attempt(Effect.fromResult(result))
  const described = describe(found(server, key))
  if (range === undefined || body.length !== lengthBytes)
    return { status: 200, headers: described, body, isCut }
  const contentRange = `bytes ${offset}-${offset + lengthBytes - 1}/${size}`
  return { status: 206, headers: { ...described, "content-range": contentRange }, body, isCut }
}

export const deleteObject = (server: Server, { key }: Call): Answer => {
  const { failed } = attempt(server.store.deleteMany([anyKey(key)]))
  if (failed[0] !== undefined) throw toFailure(failed[0].error)
  return { status: 204 }
}

export const deleteObjects = (server: Server, { body }: Call): Answer => {
  const { keys, isQuiet } = parseDelete(body.toString())
  const { deleted, failed } = attempt(server.store.deleteMany(keys.map(anyKey)))
  const failures = failed.map(({ key, error }) => {
    const { code, message } = toFailure(error)
    return group("Error", element("Key", key), element("Code", code), element("Message", message))
  })
  const done = isQuiet ? [] : deleted.map((key) => group("Deleted", element("Key", key)))
  return xml(documentOf("DeleteResult", ...done, ...failures))
}

const parseMaxKeys = (text: string | undefined): number => {
  if (text === undefined) return 1000
  if (!/^\d{1,9}$/.test(text)) throw new S3Failure("InvalidArgument", "Provided max-keys not an integer")
  return Number(text)
}

/** A token is opaque to clients: the last key of the page before. */
const toToken = (key: string): string => Buffer.from(key).toString("base64url")

const fromToken = (token: string): string => {
  const key = Buffer.from(token, "base64url").toString()
  if (toToken(key) === token) return key
  throw new S3Failure("InvalidArgument", "The continuation token provided is incorrect")
}

const page = (server: Server, prefix: string, after: string | undefined, maxKeys: number) => {
  const { objects, foreignKeys, next } = attempt(
    server.store.list({
      prefix: anyPrefix(prefix),
      pageSize: maxKeys,
      ...(after === undefined ? {} : { after })
    })
  )
  const foreign = foreignKeys.map((key) => ({ key, sizeBytes: 0, lastModifiedSeconds: 0 }))
  const entries = [...objects, ...foreign].sort((left, right) => ObjectKey.compare(left.key, right.key))
  return { entries: maxKeys === 0 ? [] : entries, next: maxKeys === 0 ? undefined : next }
}

export const listObjects = (server: Server, { query }: Call): Answer => {
  const isEncoded = query.get("encoding-type") === "url"
  const keyElement = (name: string, key: string): string => element(name, isEncoded ? encodeKey(key) : key)
  const [token, startAfter] = [query.get("continuation-token"), query.get("start-after")]
  const prefix = query.get("prefix") ?? ""
  const maxKeys = parseMaxKeys(query.get("max-keys"))
  const after = token === undefined ? startAfter : fromToken(token)
  const { entries, next } = page(server, prefix, after, maxKeys)
  // A listing that lags behind may show what is gone: then there is nothing to take a sum of.
  const contents = entries.map(({ key, sizeBytes, lastModifiedSeconds }) => {
    const object = server.memory.find(key)
    return group(
      "Contents",
      keyElement("Key", key),
      element("LastModified", isoTime(object?.lastModifiedMillis ?? lastModifiedSeconds * 1000)),
      element("ETag", object === undefined ? '""' : etagOf(object)),
      element("Size", ObjectKey.isObjectKey(key) ? sizeBytes : (object?.body.length ?? 0)),
      element("StorageClass", "STANDARD")
    )
  })
  return xml(
    documentOf(
      "ListBucketResult",
      element("Name", server.bucket),
      keyElement("Prefix", prefix),
      ...(isEncoded ? [element("EncodingType", "url")] : []),
      ...(startAfter === undefined ? [] : [keyElement("StartAfter", startAfter)]),
      ...(token === undefined ? [] : [element("ContinuationToken", token)]),
      element("KeyCount", entries.length),
      element("MaxKeys", maxKeys),
      element("IsTruncated", next !== undefined),
      ...contents,
      ...(next === undefined ? [] : [element("NextContinuationToken", toToken(next))])
    )
  )
}
