/**
 * s3Listing: one page of a listing. It continues behind the last key of the page before, which works however much was
 * deleted between, and needs nothing that a server may forget.
 *
 * Keys come encoded, because XML cannot hold every character that a key may have.
 */
import type { ListObjectsV2CommandOutput } from "@aws-sdk/client-s3"
import * as ObjectKey from "../ObjectKey.ts"
import { type ListedObject, type ListPage, type ListRequest, pageSizeMax } from "../ObjectStore.ts"
import type { Bucket } from "./s3Bucket.ts"
import type { Subject } from "./s3Errors.ts"
import { type Exchange, notS3, request } from "./s3Request.ts"

/** Some servers write a space as `+`; all of them encode a plus. */
const decodeKey = (text: string): string => {
  try {
    return decodeURIComponent(text.replaceAll("+", " "))
  } catch {
    // Bytes that are not UTF-8: nothing of ours.
    return text
  }
}

/** Some servers put quotes around it in one answer and not in the other. */
export const plainEtag = (text: string): string => text.replace(/^(?:W\/)?"(.*)"$/, "$1")

/** Any program that answers 200 could pass for an empty bucket. */
const isListing = (output: ListObjectsV2CommandOutput): boolean =>
  output.Name !== undefined || output.KeyCount !== undefined || output.MaxKeys !== undefined

const pageOf = (subject: Subject, { answer }: Exchange, output: ListObjectsV2CommandOutput): ListPage => {
  if (!isListing(output)) throw notS3(subject, answer(), "it is no listing")
  const objects: Array<ListedObject> = []
  const foreignKeys: Array<string> = []
  let last: string | undefined
  for (const { Key = "", Size, LastModified, ETag } of output.Contents ?? []) {
    const key = output.EncodingType === "url" ? decodeKey(Key) : Key
    last = key
    if (!ObjectKey.isObjectKey(key)) foreignKeys.push(key)
    else if (Size === undefined || LastModified === undefined) {
      throw notS3(subject, answer(), `${key} has no size or no time`)
    } else {
      const lastModifiedSeconds = Math.floor(LastModified.getTime() / 1000)
      const etag = plainEtag(ETag ?? "")
      objects.push({ key, sizeBytes: Size, lastModifiedSeconds, etag: etag === "" ? undefined : etag })
    }
  }
  if (output.IsTruncated !== true) return { objects, foreignKeys }
  if (last === undefined) throw notS3(subject, answer(), "more keys follow a page without any")
  return { objects, foreignKeys, next: last }
}

export const list = (bucket: Bucket, { prefix, after, pageSize = pageSizeMax }: ListRequest) => {
  const subject = { operation: "list", key: prefix } as const
  return request(bucket, subject, bucket.options.requestTimeoutSeconds, async (exchange) => {
    const output = await exchange.send(
      new bucket.sdk.ListObjectsV2Command({
        Bucket: bucket.name,
        EncodingType: "url",
        MaxKeys: Math.max(1, Math.min(pageSize, pageSizeMax)),
        ...(prefix === "" ? {} : { Prefix: prefix }),
        ...(after === undefined ? {} : { StartAfter: after })
      })
    )
    return pageOf(subject, exchange, output)
  })
}
