/** `granary s3-refresh`: makes the metadata in a cache folder anew, from the bucket. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { UsageError } from "../Failure.ts"
import { print } from "../Output.ts"
import { planFlag } from "../PlanFlag.ts"
import { repository } from "../Repository.ts"

const notInBucket = new UsageError({
  detail: "only a datastore in a bucket can be refreshed",
  hint: "name it with --repository s3:ENDPOINT-ID/BUCKET/STORE, or by its configured name"
})

const flags = {
  plan: planFlag("Say what would be fetched, and change nothing")
}

export const s3Refresh = Command.make("s3-refresh", flags, ({ plan }) =>
  Effect.gen(function* () {
    const place = yield* repository
    if (place.kind === "folder" || place.kind === "remote") return yield* notInBucket
    if (place.kind === "s3") {
      const { refresh } = yield* Effect.promise(() => import("../S3Refresh.ts"))
      return yield* print(yield* refresh(place, { isDryRun: plan }))
    }
    const { refresh } = yield* Effect.promise(() => import("../ConfiguredRefresh.ts"))
    const told = yield* refresh(place.name, { isDryRun: plan })
    yield* told === undefined ? notInBucket : print(told)
  })
).pipe(
  Command.withDescription("Make the metadata in the cache folder of a datastore anew, from its bucket"),
  Command.withExamples([
    {
      command: "granary s3-refresh -r s3:minio/backups/store",
      description: "After another machine has worked on it"
    },
    {
      command: "granary s3-refresh -r cloud",
      description: "One with a configured name: others are kept out meanwhile, and waited for"
    }
  ])
)
