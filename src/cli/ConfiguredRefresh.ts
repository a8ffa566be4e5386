/**
 * ConfiguredRefresh: fetches the metadata of a configured datastore from its bucket.
 *
 * Invariant: nobody of this host is at work in the datastore meanwhile: its maintenance mode keeps out who comes, and
 * who is there is waited for. It stays in the mode if the process dies, for its metadata may be incomplete.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import * as NodePlatform from "../platform/NodePlatform.ts"
import { Progress } from "../platform/Progress.ts"
import * as Untouched from "../platform/Untouched.ts"
import * as RefreshPlan from "../refresh/RefreshPlan.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import * as ConfiguredRepository from "./ConfiguredRepository.ts"
import * as S3Refresh from "./S3Refresh.ts"

/** A plan changes nothing, keeps nobody out and waits for nobody. */
const plan = (path: string, bucket: StoreBucket) =>
  Effect.flatMap(RefreshPlan.make({ path, bucket }), S3Refresh.tellPlan).pipe(
    Effect.provide(Layer.provideMerge(Untouched.layer, NodePlatform.layer))
  )

/** Says that others are waited for, which may take long. */
const tellOfOthers = (name: string, { read, write }: { readonly read: number; readonly write: number }) =>
  Effect.map(Progress, (report) => {
    if (read + write === 0) return
    const message = `waiting for others who are at work in it (${read} reading, ${write} writing)`
    report({ type: "warning", subject: name, message })
  })

/** What came of it; undefined for a datastore that is in no bucket. */
export const refresh = (name: string, { isDryRun }: { readonly isDryRun: boolean }) =>
  Effect.gen(function* () {
    const datastores = yield* ConfiguredRepository.datastores(name)
    const entry = yield* datastores.entry(name)
    if (DatastoreConfig.backendOf(entry).type !== "s3") return undefined
    if (isDryRun) {
      const bucket = yield* ConfiguredRepository.bucketOf(entry, { plans: true })
      return bucket === undefined ? undefined : yield* plan(DatastoreConfig.folderOf(entry), bucket)
    }
    yield* tellOfOthers(name, yield* datastores.activeOperations(name))
    const mode = { type: "s3-refresh", message: undefined } as const
    return yield* datastores.alone(name, mode, ({ bucket, entry: current }) =>
      bucket === undefined
        ? Effect.succeed(undefined)
        : S3Refresh.run(DatastoreConfig.folderOf(current), bucket)
    )
  }).pipe(Effect.scoped, Effect.provide(NodePlatform.layer))
