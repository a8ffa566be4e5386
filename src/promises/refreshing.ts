/** How the Promise facade makes the metadata in a cache folder anew, and what it says about that. */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as Refresh from "../refresh/Refresh.ts"
import * as RefreshPlan from "../refresh/RefreshPlan.ts"
import { type CachedPlace, openBucket } from "./bucketPlaces.ts"
import type { ProgressOptions } from "./Runs.ts"

export interface RefreshOptions extends ProgressOptions {
  /** Only say what would be fetched. */
  readonly dryRun?: boolean
}

export interface RefreshResult {
  readonly namespaces: number
  readonly groups: number
  readonly snapshots: number
  /** Everything that belongs to the snapshots, but for their chunks. */
  readonly files: number
  readonly sizeBytes: number
  /** Of a dry run: what would be fetched, because no interrupted refresh has left it. */
  readonly fetchedFiles: number
  readonly fetchedBytes: number
}

const contentOf = ({ bytes, groups, namespaces, objects, snapshots }: RefreshPlan.RefreshPlan) => ({
  namespaces,
  groups,
  snapshots,
  files: objects,
  sizeBytes: bytes
})

export const refresh = (place: CachedPlace, { dryRun = false }: RefreshOptions) =>
  Effect.gen(function* () {
    const bucket = yield* openBucket(place)
    const plan = yield* RefreshPlan.make({ path: path.resolve(place.cacheFolder), bucket })
    const { bytes, keptBytes, keptObjects, objects } = plan
    if (dryRun) {
      const result: RefreshResult = {
        ...contentOf(plan),
        fetchedFiles: objects - keptObjects,
        fetchedBytes: bytes - keptBytes
      }
      return result
    }
    const { fetched } = yield* Refresh.run(plan)
    return { ...contentOf(plan), fetchedFiles: fetched.objects, fetchedBytes: fetched.bytes }
  }).pipe(Effect.scoped)
