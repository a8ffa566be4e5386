/**
 * SyncAction: opens both ends of a sync and carries it out, or says what it would do; told as it goes, and in the end.
 */
import * as Effect from "effect/Effect"
import * as RequestCosts from "../objectstore/RequestCosts.ts"
import { ChunkCodec } from "../platform/ChunkCodec.ts"
import { Progress } from "../platform/Progress.ts"
import { SyncReporter } from "../sync/SyncEvent.ts"
import * as SyncJob from "../sync/SyncJob.ts"
import type { SyncOptions } from "../sync/SyncOptions.ts"
import type { SyncPlan } from "../sync/SyncPlan.ts"
import type { SyncSource } from "../sync/SyncSource.ts"
import * as SyncSummary from "../sync/SyncSummary.ts"
import type { SyncTarget } from "../sync/SyncTarget.ts"
import { doneWithWarnings, UsageError } from "./Failure.ts"
import { print } from "./Output.ts"
import { machineFor } from "./Repository.ts"
import { root } from "./Root.ts"
import * as StoreUsage from "./StoreUsage.ts"
import * as SyncDisplay from "./SyncDisplay.ts"
import * as SyncEnd from "./SyncEnd.ts"
import * as SyncText from "./SyncText.ts"

export interface SyncRequest {
  readonly from: SyncEnd.SyncPlace
  readonly to: SyncEnd.SyncPlace
  readonly options: SyncOptions
  readonly isDryRun: boolean
}

interface Ends {
  readonly source: SyncEnd.SyncEnd<SyncSource["Service"]>
  readonly target: SyncEnd.SyncEnd<SyncTarget["Service"]>
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
  const reads = source.isInBucket ? { get: requests, receivedBytes: missingBytes } : {}
  const writes = target.isInBucket ? { put: requests, sentBytes: missingBytes } : {}
  return RequestCosts.expectation(RequestCosts.make({ ...reads, ...writes }), {
    requestsAre: "about",
    bytesAre: "about",
    storedBytes: target.isInBucket ? missingBytes : 0
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

/** What is made on a server belongs to whom we are there, whatever else was asked for. */
const asKnown = ({ target }: Ends, options: SyncOptions): SyncOptions =>
  target.authId === undefined ? options : { ...options, owner: target.authId }

const work = (ends: Ends, { isDryRun, ...request }: SyncRequest) =>
  Effect.gen(function* () {
    const job = SyncJob.make(ends.source.port, ends.target.port, yield* ChunkCodec)
    const options = asKnown(ends, request.options)
    if (isDryRun) return yield* tellPlan(ends, yield* observed(job.plan(options)))
    return yield* tellSummary(yield* observed(job.run(options)))
  })

const pullsIntoServer = new UsageError({
  detail:
    "a pull cannot go to a server: it changes snapshots that are there, and a server only takes new ones",
  hint: "use: granary sync push"
})

export const run = (request: SyncRequest) =>
  Effect.gen(function* () {
    const { from, isDryRun, options, to } = request
    if (options.direction === "pull" && SyncEnd.isOnServer(to)) return yield* pullsIntoServer
    const opening = { plans: isDryRun }
    const sync = Effect.gen(function* () {
      const source = yield* SyncEnd.openSource(from, opening)
      const target = yield* SyncEnd.openTarget(to, { ...opening, writes: !isDryRun })
      return yield* work({ source, target }, request)
    })
    yield* sync.pipe(Effect.scoped, Effect.provide(machineFor(opening, {})))
  })
