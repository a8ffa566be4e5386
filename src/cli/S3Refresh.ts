/** S3Refresh: fetches the metadata of a datastore from its bucket into its cache folder, and says what came of it. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodePlatform from "../platform/NodePlatform.ts"
import * as Untouched from "../platform/Untouched.ts"
import * as Refresh from "../refresh/Refresh.ts"
import * as RefreshPlan from "../refresh/RefreshPlan.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import * as Format from "./Format.ts"
import type { S3Place } from "./RepositoryName.ts"
import { bucketOf, cacheFolder, existingCache } from "./S3Repository.ts"
import * as StoreUsage from "./StoreUsage.ts"

/** A result in both forms. */
export interface Told {
  readonly json: Readonly<Record<string, unknown>>
  readonly text: string
}

const filesText = (count: number, bytes: number): string =>
  `${Format.counted(count, "file")}, ${Format.bytes(bytes)}`

const contentText = ({ bytes, groups, objects, snapshots }: RefreshPlan.RefreshPlan): string =>
  `${Format.counted(snapshots, "snapshot")} in ${Format.counted(groups, "group")}: ` +
  filesText(objects, bytes)

const contentJson = ({ bytes, groups, namespaces, objects, snapshots }: RefreshPlan.RefreshPlan) => ({
  namespaces,
  groups,
  snapshots,
  files: objects,
  bytes
})

export const tellPlan = (plan: RefreshPlan.RefreshPlan): Effect.Effect<Told> =>
  Effect.map(StoreUsage.plan(plan.cost), ({ json, lines }) => {
    const kept =
      plan.keptObjects === 0
        ? []
        : [`an interrupted refresh has left ${filesText(plan.keptObjects, plan.keptBytes)}`]
    return {
      json: {
        ...contentJson(plan),
        "kept-files": plan.keptObjects,
        "kept-bytes": plan.keptBytes,
        ...json
      },
      text: [contentText(plan), ...kept, ...lines].join("\n")
    }
  })

const tellSummary = ({ fetched, keptObjects, plan, seconds }: Refresh.RefreshSummary): Told => {
  const kept =
    keptObjects === 0 ? "" : `; ${Format.counted(keptObjects, "file")} of an interrupted refresh used`
  return {
    json: {
      ...contentJson(plan),
      "fetched-files": fetched.objects,
      "fetched-bytes": fetched.bytes,
      "kept-files": keptObjects,
      "duration-seconds": seconds
    },
    text:
      `${contentText(plan)}\n` +
      `fetched ${filesText(fetched.objects, fetched.bytes)} in ${Format.duration(seconds)}${kept}`
  }
}

/** Refreshes a cache folder. */
export const run = (path: string, bucket: StoreBucket) =>
  Effect.gen(function* () {
    const plan = yield* RefreshPlan.make({ path, bucket })
    yield* StoreUsage.expect(plan.cost)
    return tellSummary(yield* Refresh.run(plan))
  })

/** Refreshes the cache folder of the store, or says what that would take. */
export const refresh = (place: S3Place, { isDryRun }: { readonly isDryRun: boolean }) =>
  Effect.gen(function* () {
    const path = yield* existingCache(place, yield* cacheFolder(place))
    const bucket = yield* bucketOf(place, { plans: isDryRun })
    if (!isDryRun) return yield* run(path, bucket)
    return yield* Effect.flatMap(RefreshPlan.make({ path, bucket }), tellPlan)
  }).pipe(
    Effect.scoped,
    Effect.provide(isDryRun ? Layer.provideMerge(Untouched.layer, NodePlatform.layer) : NodePlatform.layer)
  )
