/** What tests of the S3 double share: a server for each test, and the SDK as its client. */
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3"
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as S3Endpoint from "./S3Endpoint.ts"

export interface Scene {
  readonly endpoint: S3Endpoint.S3Endpoint
  readonly client: S3Client
  readonly Bucket: string
  readonly other: (config: S3ClientConfig) => S3Client
}

const clientOf = (endpoint: S3Endpoint.S3Endpoint, config: S3ClientConfig = {}): S3Client =>
  new S3Client({
    endpoint: endpoint.url,
    region: endpoint.region,
    forcePathStyle: true,
    maxAttempts: 1,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    credentials: { accessKeyId: endpoint.accessKey, secretAccessKey: endpoint.secretKey },
    ...config
  })

/** A test with a server of its own and the SDK before it. */
export const withEndpoint = (
  title: string,
  test: (scene: Scene) => Promise<void>,
  options: S3Endpoint.Options = {}
): void =>
  it.live(title, () =>
    Effect.gen(function* () {
      const endpoint = yield* S3Endpoint.start(options)
      const clients: Array<S3Client> = []
      const other = (config: S3ClientConfig): S3Client => {
        const client = clientOf(endpoint, config)
        clients.push(client)
        return client
      }
      yield* Effect.promise(() => test({ endpoint, client: other({}), Bucket: endpoint.bucket, other })).pipe(
        Effect.ensuring(Effect.sync(() => clients.forEach((client) => client.destroy())))
      )
    })
  )

/** Status and code of a refusal; success is a failure of the test. */
export const refusal = async (sent: Promise<unknown>): Promise<string> => {
  try {
    await sent
  } catch (error) {
    const { name, code, $metadata } = error as {
      name: string
      code?: string
      $metadata?: { httpStatusCode?: number }
    }
    return `${$metadata?.httpStatusCode ?? code} ${name}`
  }
  throw new Error("it was accepted")
}
