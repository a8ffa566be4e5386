/**
 * What tests of the program on buckets share: an S3 server over HTTP with signatures, a configuration folder and a
 * folder to work in, and the program as a process that knows of nothing else.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import { type Ended, fastFolder, granary, type RunOptions, succeed } from "../e2e/cli.ts"
import * as S3Endpoint from "../s3/S3Endpoint.ts"

export interface S3Scene {
  readonly endpoint: S3Endpoint.S3Endpoint
  /** Empty, gone in the end. */
  readonly folder: string
  readonly run: (args: ReadonlyArray<string>, options?: RunOptions) => Promise<Ended>
  /** Insists on success. */
  readonly succeed: (args: ReadonlyArray<string>, options?: RunOptions) => Promise<Ended>
  /** The JSON document that it prints. */
  readonly document: <A = unknown>(args: ReadonlyArray<string>, options?: RunOptions) => Promise<A>
  /** Gives the server the name `minio`. */
  readonly createEndpoint: () => Promise<Ended>
}

const homeOf = (
  folder: string,
  environment: RunOptions["environment"] = {}
): Readonly<Record<string, string>> => ({
  HOME: folder,
  XDG_CONFIG_HOME: path.join(folder, "config"),
  XDG_CACHE_HOME: path.join(folder, "cache"),
  ...environment
})

export const start = (options: S3Endpoint.Options = {}): Effect.Effect<S3Scene, never, Scope.Scope> =>
  Effect.gen(function* () {
    const endpoint = yield* S3Endpoint.start(options)
    const { path: folder } = yield* Effect.acquireRelease(Effect.sync(fastFolder), ({ remove }) =>
      Effect.sync(remove)
    )
    const own = ({ environment, ...rest }: RunOptions = {}): RunOptions => ({
      ...rest,
      environment: homeOf(folder, environment)
    })
    const insist: S3Scene["succeed"] = (args, runOptions) => succeed(args, own(runOptions))
    return {
      endpoint,
      folder,
      run: (args, runOptions) => granary(args, own(runOptions)),
      succeed: insist,
      document: async <A>(args: ReadonlyArray<string>, runOptions?: RunOptions): Promise<A> => {
        const parsed: A = JSON.parse((await insist([...args, "--output", "json"], runOptions)).text)
        return parsed
      },
      createEndpoint: () =>
        insist(["s3", "endpoint", "create", "minio", "--endpoint", endpoint.url, ...styleOf(endpoint)], {
          environment: keysOf(endpoint)
        })
    }
  })

const styleOf = ({ region }: S3Endpoint.S3Endpoint): ReadonlyArray<string> => [
  "--path-style",
  "--region",
  region
]

/** The keys as the environment holds them. */
export const keysOf = ({
  accessKey,
  secretKey
}: S3Endpoint.S3Endpoint): Readonly<Record<string, string>> => ({
  GRANARY_S3_ACCESS_KEY: accessKey,
  GRANARY_S3_SECRET_KEY: secretKey
})

/** The server told in full on the command line. */
export const tell = (endpoint: S3Endpoint.S3Endpoint): ReadonlyArray<string> => {
  const server = ["--s3-endpoint", endpoint.url, "--s3-region", endpoint.region, "--s3-path-style"]
  return [...server, "--s3-access-key", endpoint.accessKey, "--s3-secret-key", endpoint.secretKey]
}
