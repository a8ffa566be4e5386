/**
 * s3Client: a client of the SDK for one bucket, set up so that nothing but the settings decides what it does: it
 * neither retries nor follows redirects, reads no configuration of other programs, and sends bodies in one piece.
 *
 * The SDK is loaded when the first client is made, for loading it takes longer than most commands.
 */
import type * as Sdk from "@aws-sdk/client-s3"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import * as HttpAgents from "../../platform/HttpAgents.ts"
import { hostOf, type S3Settings } from "./S3Settings.ts"

export interface S3Options {
  /** Requests at a time, and connections. Default 32. */
  readonly maxSockets?: number
  /** To get a connection. Default 10. */
  readonly connectTimeoutSeconds?: number
  /** Without a byte in either direction. Default 120: what a slow line has still to send is not seen from here. */
  readonly idleTimeoutSeconds?: number
  /** For a whole request; a put has a second for each KiB when that is longer. Default 1800. */
  readonly requestTimeoutSeconds?: number
}

export const defaultOptions: Required<S3Options> = {
  maxSockets: 32,
  connectTimeoutSeconds: 10,
  idleTimeoutSeconds: 120,
  requestTimeoutSeconds: 1800
}

export interface S3Client {
  readonly sdk: typeof Sdk
  readonly client: Sdk.S3Client
}

const silent = (): void => undefined

const logger = { trace: silent, debug: silent, info: silent, warn: silent, error: silent }

export interface Target {
  /** False for the one request that is about no bucket. */
  readonly isForBucket: boolean
}

const endpointOf = (settings: S3Settings, { isForBucket }: Target): string => {
  const port = settings.port === undefined ? "" : `:${settings.port}`
  return `${settings.scheme}://${hostOf(settings, isForBucket ? settings.bucket : undefined)}${port}`
}

const clientConfig = (settings: S3Settings, target: Target): Sdk.S3ClientConfig => ({
  endpoint: endpointOf(settings, target),
  region: settings.region,
  credentials: {
    accessKeyId: Redacted.value(settings.accessKey),
    secretAccessKey: Redacted.value(settings.secretKey)
  },
  // The SDK always writes the bucket into the path; `stripBucket` takes it out again.
  forcePathStyle: true,
  followRegionRedirects: false,
  maxAttempts: 1,
  retryMode: "standard",
  requestChecksumCalculation: "WHEN_REQUIRED",
  responseChecksumValidation: "WHEN_REQUIRED",
  expectContinueHeader: false,
  // A wrong clock is told, not worked around: garbage collection compares the two clocks.
  disableClockSkewCorrection: true,
  // Given here, so that they are not looked for in the environment and the files of other programs.
  authSchemePreference: [],
  defaultsMode: "standard",
  disableS3ExpressSessionAuth: true,
  ignoreConfiguredEndpointUrls: true,
  sigv4aSigningRegionSet: [],
  useArnRegion: false,
  useDualstackEndpoint: false,
  useFipsEndpoint: false,
  userAgentAppId: "granary",
  logger
})

/** Older servers want it for batches of deletions. */
const addContentMd5 = (client: Sdk.S3Client): void =>
  client.middlewareStack.add(
    (next) => (given) => {
      const { request } = given
      if (isHttpRequest(request) && request.query["delete"] !== undefined && request.body !== undefined) {
        request.headers["content-md5"] = createHash("md5").update(request.body).digest("base64")
      }
      return next(given)
    },
    { step: "build", name: "granaryContentMd5" }
  )

/** The bucket is in the host's name already. */
const stripBucket = (client: Sdk.S3Client, bucket: string): void =>
  client.middlewareStack.add(
    (next) => (given) => {
      const { request } = given
      if (isHttpRequest(request)) request.path = request.path.slice(bucket.length + 1) || "/"
      return next(given)
    },
    { step: "build", name: "granaryVirtualHost" }
  )

interface HttpRequest {
  path: string
  readonly query: Record<string, unknown>
  readonly headers: Record<string, string>
  readonly body?: string | Uint8Array
}

const isHttpRequest = (request: unknown): request is HttpRequest =>
  typeof request === "object" &&
  request !== null &&
  "path" in request &&
  "query" in request &&
  "headers" in request

const millis = (seconds: number): number => Math.ceil(seconds * 1000)

export const make = (
  settings: S3Settings,
  options: Required<S3Options>,
  target: Target = { isForBucket: true }
): Effect.Effect<S3Client, never, Scope.Scope> =>
  Effect.gen(function* () {
    const [sdk, { NodeHttpHandler }] = yield* Effect.promise(() =>
      Promise.all([import("@aws-sdk/client-s3"), import("@smithy/node-http-handler")])
    )
    const connectTimeoutMillis = millis(options.connectTimeoutSeconds)
    const agents = yield* HttpAgents.make({
      maxSockets: options.maxSockets,
      connectTimeoutMillis,
      ...(settings.fingerprint === undefined ? {} : { fingerprint: settings.fingerprint })
    })
    const requestHandler = new NodeHttpHandler({
      httpAgent: agents.http,
      httpsAgent: agents.https,
      connectionTimeout: connectTimeoutMillis,
      socketTimeout: millis(options.idleTimeoutSeconds),
      logger
    })
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new sdk.S3Client({ ...clientConfig(settings, target), requestHandler })),
      (open) => Effect.sync(() => open.destroy())
    )
    addContentMd5(client)
    if (target.isForBucket && !settings.pathStyle) stripBucket(client, settings.bucket)
    return { sdk, client }
  })
