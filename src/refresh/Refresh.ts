/**
 * Refresh: rebuilds the metadata in a cache folder from its bucket: all namespaces, groups and snapshots with their
 * files. Chunks and markers stay as they are.
 *
 * Everything is fetched into a folder beside the old metadata, which stays in use meanwhile, and then put into place by
 * renames, type folder by type folder. Nobody writes or collects on this host from the beginning to the end. What is
 * left are changes to finished snapshots (notes, protection, forgetting): a last listing after the renames finds those
 * that came in between, and what they changed is fetched again, in place.
 *
 * An interrupted refresh leaves the old metadata as it was and what it has fetched; the next one goes on from there.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as BackupTime from "../model/BackupTime.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import type { Files } from "../platform/Files.ts"
import * as Observation from "../platform/Observation.ts"
import { Progress } from "../platform/Progress.ts"
import { manifestLockName } from "../store/SnapshotFiles.ts"
import type { StorageError } from "../store/StorageError.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { StoreLayout } from "../store/StoreLayout.ts"
import * as StoreLocks from "../store/StoreLocks.ts"
import * as Writers from "../store/Writers.ts"
import { type FetchCounts, type FetchScene, Target } from "./Fetching.ts"
import * as MetadataListing from "./MetadataListing.ts"
import type { RefreshPlan } from "./RefreshPlan.ts"
import * as Workplace from "./Workplace.ts"

type Failure = StorageError | StoreError

export interface RefreshSummary {
  readonly plan: RefreshPlan
  /** What was fetched, and what it took; the plan's own listing not counted. */
  readonly fetched: Readonly<FetchCounts>
  /** What an interrupted refresh had fetched. */
  readonly keptObjects: number
  readonly keptBytes: number
  readonly seconds: number
}

/** Keeps everybody out who writes or collects on this host; who is at work is named. */
const holdAlone = (
  layout: StoreLayout,
  locks: StoreLocks.StoreLocks["Service"]
): Effect.Effect<void, Failure, Files | FileLocks | Scope.Scope> =>
  Effect.gen(function* () {
    const held = yield* Effect.result(locks.holdAlone)
    if (held._tag === "Success") return
    if (held.failure._tag !== "StoreError") return yield* held.failure
    const makeWriters = yield* Writers.Maker
    const writers = yield* makeWriters(layout, locks)
    const [writer] = yield* writers.live({ removesDead: false })
    if (writer === undefined) return yield* held.failure
    const { host, pid, startSeconds } = writer
    const detail = `process ${pid} on ${host} has been writing into it since ${BackupTime.format(startSeconds)}`
    return yield* storeError("Busy", layout.base, detail)
  })

const makeReporter = (plan: RefreshPlan, counts: FetchCounts, keptBytes: number) =>
  Effect.map(Progress, (report) => (state: "started" | "running" | "ended", subject: string) => {
    report({
      type: "progress",
      task: "refresh",
      subject,
      state,
      unit: "bytes",
      done: keptBytes + counts.bytes,
      total: plan.bytes,
      counts: { objects: counts.objects, vanished: counts.vanished }
    })
  })

const warnOfForeign = ({ bucket, foreignCount, foreignExamples }: RefreshPlan) =>
  Effect.map(Progress, (report) => {
    if (foreignCount === 0) return
    const shown = foreignExamples.map((key) => JSON.stringify(key)).join(", ")
    const message = `${foreignCount} keys below .cnt/ are not a datastore's and were passed over: ${shown}`
    report({ type: "warning", subject: bucket.title, message })
  })

const listAgain = ({ bucket }: RefreshPlan, counts: FetchCounts) =>
  Effect.tap(MetadataListing.list(bucket), ({ requests }) =>
    Effect.sync(() => {
      counts.lists += requests
    })
  )

/** Fetches everything into the folder beside; answers what is there in the end. */
const rebuild = (
  plan: RefreshPlan,
  scene: FetchScene,
  kept: ReadonlyMap<string, MetadataListing.MetadataFile>
) =>
  Effect.gen(function* () {
    const root = Workplace.rootOf(plan.layout)
    const target = new Target(root, scene, kept)
    const vanished = yield* target.bring(plan.listing.files, () => true)
    const second = yield* listAgain(plan, scene.counts)
    yield* target.follow(second, vanished)
    yield* Workplace.ensureNamespaces(root, second.namespaces)
    return target.held
  })

/** Makes up for what was changed while the folders were put into place. */
const catchUp = (
  plan: RefreshPlan,
  scene: FetchScene,
  held: ReadonlyMap<string, MetadataListing.MetadataFile>
) =>
  Effect.gen(function* () {
    const last = yield* listAgain(plan, scene.counts)
    yield* new Target(plan.layout.base, scene, held).follow(last, new Set())
    yield* Workplace.ensureNamespaces(plan.layout.base, last.namespaces)
  })

/** Carries a plan out. Fails with `Busy` while somebody writes or collects on this host. */
export const run = (plan: RefreshPlan): Effect.Effect<RefreshSummary, Failure, Files | FileLocks> =>
  Effect.gen(function* () {
    const { bucket, id, layout, listing } = plan
    const beginMillis = yield* Clock.currentTimeMillis
    const makeLocks = yield* StoreLocks.Maker
    const locks = yield* makeLocks(layout)
    yield* holdAlone(layout, locks)
    yield* warnOfForeign(plan)
    const kept = yield* Workplace.prepare(layout, id, listing)
    const keptBytes = [...kept.values()].reduce((sum, file) => sum + file.sizeBytes, 0)
    const counts: FetchCounts = { objects: 0, bytes: 0, vanished: 0, gets: 0, lists: 0 }
    const report = yield* makeReporter(plan, counts, keptBytes)
    const scene: FetchScene = {
      bucket,
      counts,
      onFetched: ({ path }) => report("running", path),
      whileManifest: () => (effect) => effect
    }
    report("started", bucket.title)
    const held = yield* rebuild(plan, scene, kept)
    yield* Workplace.swap(layout)
    const whileManifest: FetchScene["whileManifest"] =
      ({ namespace, snapshot }) =>
      (effect) =>
        Effect.scoped(
          Effect.andThen(locks.holdSoon(manifestLockName(namespace, snapshot), "exclusive"), effect)
        )
    yield* catchUp(plan, { ...scene, whileManifest }, held)
    yield* Workplace.clear(layout)
    report("ended", bucket.title)
    const seconds = ((yield* Clock.currentTimeMillis) - beginMillis) / 1000
    return { plan, fetched: counts, keptObjects: kept.size, keptBytes, seconds }
  }).pipe(Effect.scoped, Observation.task("refresh"))
