/**
 * What tests of the program on buckets share: an S3 server over HTTP with signatures, a configuration folder and a
 * folder to work in, and the program that knows of nothing else: within this process, or as one of its own where that
 * matters.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { assert } from "@effect/vitest"
import * as path from "node:path"
import { type Ended, fastFolder, granary } from "../e2e/cli.ts"
import * as S3Endpoint from "../s3/S3Endpoint.ts"
import { granaryHere } from "./inProcess.ts"

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>
}

export interface SceneOptions extends S3Endpoint.Options {
  /** Run the program as its users do. Default false: within this process, which is much quicker. */
  readonly asProcess?: boolean
}

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

const homeOf = (folder: string, { environment = {} }: RunOptions): Readonly<Record<string, string>> => ({
  HOME: folder,
  XDG_CONFIG_HOME: path.join(folder, "config"),
  XDG_CACHE_HOME: path.join(folder, "cache"),
  ...environment
})

const inOwnProcess = (
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>
): Promise<Ended> => granary(args, { environment })

export const start = ({ asProcess = false, ...options }: SceneOptions = {}): Effect.Effect<
  S3Scene,
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const endpoint = yield* S3Endpoint.start(options)
    const { path: folder } = yield* Effect.acquireRelease(Effect.sync(fastFolder), ({ remove }) =>
      Effect.sync(remove)
    )
    const program = asProcess ? inOwnProcess : granaryHere
    const run: S3Scene["run"] = (args, runOptions = {}) => program(args, homeOf(folder, runOptions))
    const succeed: S3Scene["succeed"] = async (args, runOptions) => {
      const ended = await run(args, runOptions)
      assert.strictEqual(ended.code, 0, `granary ${args.join(" ")}: ${ended.errors}${ended.text}`)
      return ended
    }
    return {
      endpoint,
      folder,
      run,
      succeed,
      document: async <A>(args: ReadonlyArray<string>, runOptions?: RunOptions): Promise<A> => {
        const parsed: A = JSON.parse((await succeed([...args, "--output", "json"], runOptions)).text)
        return parsed
      },
      createEndpoint: () =>
        succeed(["s3", "endpoint", "create", "minio", "--endpoint", endpoint.url, ...styleOf(endpoint)], {
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
