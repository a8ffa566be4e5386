/**
 * SyncAction: opens both ends of a sync and carries it out, or says what it would do; told as it goes, and in the end.
 */
import * as Effect from "effect/Effect"
import type * as Datastore from "../datastore/Datastore.ts"
import * as RequestCosts from "../objectstore/RequestCosts.ts"
import { Progress } from "../platform/Progress.ts"
import * as DatastoreSource from "../sync/DatastoreSource.ts"
import * as DatastoreTarget from "../sync/DatastoreTarget.ts"
import { SyncReporter } from "../sync/SyncEvent.ts"
import * as SyncJob from "../sync/SyncJob.ts"
import type { SyncOptions } from "../sync/SyncOptions.ts"
import type { SyncPlan } from "../sync/SyncPlan.ts"
import * as SyncSummary from "../sync/SyncSummary.ts"
import { doneWithWarnings } from "./Failure.ts"
import { print } from "./Output.ts"
import { machineFor, openPlace } from "./Repository.ts"
import type { RepositoryName } from "./RepositoryName.ts"
import { root } from "./Root.ts"
import * as StoreUsage from "./StoreUsage.ts"
import * as SyncDisplay from "./SyncDisplay.ts"
import * as SyncText from "./SyncText.ts"

export interface SyncRequest {
  readonly from: RepositoryName
  readonly to: RepositoryName
  readonly options: SyncOptions
  readonly isDryRun: boolean
}

type Store = Datastore.Datastore["Service"]

interface Ends {
  readonly source: Store
  readonly target: Store
}

const displayFor = Effect.map(root, ({ output }) =>
  SyncDisplay.make({
    output,
    isTerminal: process.stderr.isTTY === true,
    columns: process.stderr.columns ?? 80,
    write: (text) => void process.stderr.write(text)
  })
)

/** Runs it and tells what happens meanwhile. */
const observed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(displayFor, ({ clear, report, reportStore }) =>
    effect.pipe(
      Effect.provideService(SyncReporter, report),
      Effect.provideService(Progress, reportStore),
      Effect.ensuring(Effect.sync(clear))
    )
  )

/** Index, blob and manifest: what a snapshot has besides its chunks, about. */
const filesOfSnapshot = 3

/** What buckets are going to be asked for: each chunk once, and the files of snapshots. */
const costsOf = ({ source, target }: Ends, { totals }: SyncPlan): RequestCosts.Expectation => {
  const { missingBytes = 0, missingChunks = 0 } = totals.estimate ?? {}
  const requests = missingChunks + totals.snapshots * filesOfSnapshot
  const reads = source.bucket === undefined ? {} : { get: requests, receivedBytes: missingBytes }
  const writes = target.bucket === undefined ? {} : { put: requests, sentBytes: missingBytes }
  return RequestCosts.expectation(RequestCosts.make({ ...reads, ...writes }), {
    requestsAre: "about",
    bytesAre: "about",
    storedBytes: target.bucket === undefined ? 0 : missingBytes
  })
}

const tellPlan = (ends: Ends, plan: SyncPlan) =>
  Effect.gen(function* () {
    const { json, lines } = yield* StoreUsage.plan(costsOf(ends, plan))
    yield* print({
      json: { ...SyncText.planJson(plan), ...json },
      text: [SyncText.planText(plan), ...lines].join("\n")
    })
  })

const tellSummary = (summary: SyncSummary.SyncSummary) =>
  Effect.gen(function* () {
    yield* print({ json: SyncText.summaryJson(summary), text: SyncText.summaryText(summary) })
    if (!SyncSummary.isComplete(summary)) yield* doneWithWarnings
  })

const work = (ends: Ends, { isDryRun, options }: SyncRequest) =>
  Effect.gen(function* () {
    const job = SyncJob.make(DatastoreSource.make(ends.source), yield* DatastoreTarget.make(ends.target))
    if (isDryRun) return yield* tellPlan(ends, yield* observed(job.plan(options)))
    return yield* tellSummary(yield* observed(job.run(options)))
  })

export const run = (request: SyncRequest) =>
  Effect.gen(function* () {
    const { from, isDryRun, to } = request
    const opening = { plans: isDryRun }
    const sync = Effect.gen(function* () {
      const source = yield* openPlace(from, opening)
      const target = yield* openPlace(to, { ...opening, writes: !isDryRun })
      return yield* work({ source, target }, request)
    })
    yield* sync.pipe(Effect.scoped, Effect.provide(machineFor(opening, {})))
  })
