/** s3Bucket: what every operation on a bucket runs on. */
import type * as Semaphore from "effect/Semaphore"
import type { S3Client, S3Options } from "./s3Client.ts"
import type { S3Settings } from "./S3Settings.ts"

export interface Bucket extends S3Client {
  readonly name: string
  /** One for each connection. */
  readonly turns: Semaphore.Semaphore
  readonly settings: S3Settings
  readonly options: Required<S3Options>
}
