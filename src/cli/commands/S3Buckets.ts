/** `granary s3 buckets ENDPOINT-ID`: the buckets that a key may see. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import type { BucketInfo } from "../../objectstore/s3/listBuckets.ts"
import * as Format from "../Format.ts"
import { localTime } from "../LocalTime.ts"
import { print } from "../Output.ts"

const header = ["bucket", "created"]

const toText = (found: ReadonlyArray<BucketInfo>): string =>
  found.length === 0
    ? "no buckets"
    : Format.table(
        header,
        found.map(({ name, createdSeconds }) => [
          Format.name(name),
          createdSeconds === undefined ? "" : localTime(createdSeconds)
        ])
      )

/** Settings speak of a bucket, and here it does not matter which. */
const anyBucket = "any-bucket"

export const buckets = Command.make(
  "buckets",
  {
    endpoint: Argument.String("endpoint").pipe(
      Argument.withDescription("The endpoint's name, as granary s3 endpoint list shows it"),
      Argument.withMetavar("ENDPOINT-ID")
    )
  },
  ({ endpoint }) =>
    Effect.gen(function* () {
      const { settingsOf } = yield* Effect.promise(() => import("../S3Connection.ts"))
      const { listBuckets } = yield* Effect.promise(() => import("../../objectstore/s3/listBuckets.ts"))
      const found = yield* listBuckets(yield* settingsOf(endpoint, anyBucket))
      yield* print({
        json: found.map(({ name, createdSeconds }) => ({ name, created: createdSeconds ?? null })),
        text: toText(found)
      })
    })
).pipe(Command.withDescription("List the buckets of an S3 server"))
