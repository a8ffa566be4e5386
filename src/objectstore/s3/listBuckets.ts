/**
 * listBuckets: the buckets that a key may see at an endpoint. The one request that is about no bucket, so it goes to
 * the endpoint's host without one.
 */
import type { ListBucketsCommandOutput } from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { ObjectStoreError } from "../ObjectStoreError.ts"
import * as s3Client from "./s3Client.ts"
import type { Subject } from "./s3Errors.ts"
import { type Exchange, notS3, request } from "./s3Request.ts"
import type { S3Settings } from "./S3Settings.ts"

export interface BucketInfo {
  readonly name: string
  /** Undefined where the server does not tell. */
  readonly createdSeconds: number | undefined
}

const subject: Subject = { operation: "list", key: "all buckets" }

/** A bucket is an endpoint's, and a key's, and there are some thousand at most: more pages than this is a fault. */
const pagesMax = 1000

const pageOf = (exchange: Exchange, output: ListBucketsCommandOutput): ReadonlyArray<BucketInfo> => {
  if (output.Buckets === undefined && output.Owner === undefined) {
    throw notS3(subject, exchange.answer(), "it is no list of buckets")
  }
  return (output.Buckets ?? []).flatMap(({ Name, CreationDate }) =>
    Name === undefined
      ? []
      : [
          {
            name: Name,
            createdSeconds: CreationDate === undefined ? undefined : Math.floor(CreationDate.getTime() / 1000)
          }
        ]
  )
}

/** All buckets in the server's order. The bucket of the settings does not matter. */
export const listBuckets = (
  settings: S3Settings,
  options: s3Client.S3Options = {}
): Effect.Effect<ReadonlyArray<BucketInfo>, ObjectStoreError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const all = { ...s3Client.defaultOptions, ...options }
      const { sdk, client } = yield* s3Client.make(settings, all, { isForBucket: false })
      const sender = { client, turns: yield* Semaphore.make(1) }
      return yield* request(sender, subject, all.requestTimeoutSeconds, async (exchange) => {
        const found: Array<BucketInfo> = []
        let ContinuationToken: string | undefined
        for (let page = 0; page < pagesMax; page++) {
          const input = ContinuationToken === undefined ? {} : { ContinuationToken }
          const output = await exchange.send(new sdk.ListBucketsCommand(input))
          found.push(...pageOf(exchange, output))
          ContinuationToken = output.ContinuationToken
          if (ContinuationToken === undefined || ContinuationToken === "") return found
        }
        throw notS3(subject, exchange.answer(), `more than ${pagesMax} pages of buckets`)
      })
    })
  )
