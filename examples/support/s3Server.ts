/** An S3 server for the examples, in memory and on this machine. A program of one's own names a real one instead. */
import { Effect, Exit, Scope } from "effect"
import type { S3Options } from "granary/promises"
import * as S3Endpoint from "../../test/s3/S3Endpoint.ts"

export interface S3Server extends AsyncDisposable {
  /** How it is reached. */
  readonly s3: S3Options
}

export const startS3Server = async (): Promise<S3Server> => {
  const scope = Scope.makeUnsafe()
  const server = await Effect.runPromise(Scope.provide(S3Endpoint.start(), scope))
  const { accessKey, bucket, region, secretKey, url } = server
  return {
    s3: { bucket, endpoint: url, region, pathStyle: true, accessKey, secretKey },
    [Symbol.asyncDispose]: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
