/** `granary gc`: removes the chunks that no snapshot needs, and says what the store lacks. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ChunkCounts } from "../../gc/ChunkListing.ts"
import * as CollectionCosts from "../../gc/bucket/CollectionCosts.ts"
import { totalOf as requestTotal } from "../../gc/bucket/BucketSite.ts"
import * as Gc from "../../gc/Gc.ts"
import * as GcPlan from "../../gc/GcPlan.ts"
import * as GcStatus from "../../gc/GcStatus.ts"
import * as MissingChunks from "../../gc/MissingChunks.ts"
import * as Namespace from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import * as ClockSkew from "../../objectstore/ClockSkew.ts"
import { CommandFailed, doneWithWarnings, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { print } from "../Output.ts"
import { planFlag } from "../PlanFlag.ts"
import { withDatastore } from "../Repository.ts"
import * as StoreUsage from "../StoreUsage.ts"

const flags = {
  plan: planFlag("Say what would be removed, and change nothing"),
  mark: Flag.Literals("mark", ["set", "atime"]).pipe(
    Flag.withDescription("Keep marks in memory, or as access times as Proxmox Backup Server does"),
    Flag.withDefault("set")
  ),
  cutoff: Flag.Int("cutoff").pipe(
    Flag.withDescription("Remove what has not been used for so many minutes, 1 to 2880 (default 1445)"),
    Flag.withMetavar("MINUTES"),
    Flag.optional
  )
}

const nameOf = ({ namespace, snapshot }: MissingChunks.MissingPlace): string =>
  namespace === Namespace.root ? Snapshot.format(snapshot) : `${namespace}: ${Snapshot.format(snapshot)}`

/** What is said of a bucket only. */
const bucketJson = (summary: Gc.GcSummary) => {
  const { plan } = summary
  if (plan.bucket === undefined) return {}
  const { mended, untrue } = summary.sweep ?? Gc.expectedOutcome(plan)
  return {
    "repaired-chunks": mended.chunks,
    "repaired-bytes": mended.bytes,
    "dropped-markers": untrue,
    "foreign-index-files": plan.bucket.foreignIndexes
  }
}

const toJson = (summary: Gc.GcSummary) => ({
  ...GcStatus.toJson(summary.status),
  ...bucketJson(summary),
  "missing-chunks": summary.plan.missing.chunks.map(({ digest, places }) => ({
    digest,
    snapshots: [...new Set(places.map((place) => Snapshot.toPath(place.namespace, place.snapshot)))]
  }))
})

const amount = ({ bytes, chunks }: ChunkCounts, noun = "chunk"): string =>
  `${Format.counted(chunks, noun)}, ${Format.bytes(bytes)}`

const optionalLine = (isWanted: boolean, line: string): ReadonlyArray<string> => (isWanted ? [line] : [])

const missingLines = ({ plan }: Gc.GcSummary): ReadonlyArray<string> => {
  const { archives, count } = plan.missing
  if (count === 0) return []
  return [
    `${Format.counted(count, "chunk")} missing that indexes need:`,
    ...archives.map(
      (broken) => `  ${nameOf(broken)} ${broken.archive}: ${Format.counted(broken.chunks, "chunk")}`
    )
  ]
}

/** Seconds; the bounds of equal clocks are about one apart. */
const skewWorthTelling = 5

const bucketLines = (summary: Gc.GcSummary): ReadonlyArray<string> => {
  const { plan, requests } = summary
  if (plan.bucket === undefined || requests === undefined) return []
  const { mended, untrue } = summary.sweep ?? Gc.expectedOutcome(plan)
  const {
    foreignIndexes,
    site: { skew }
  } = plan.bucket
  const would = plan.isDryRun ? "would be " : ""
  return [
    ...optionalLine(
      mended.chunks > 0,
      `missing in the bucket and ${would}put there again from the cache: ${amount(mended)}`
    ),
    ...optionalLine(
      untrue > 0,
      `${Format.counted(untrue, "cache file")} ${would}dropped, whose chunks are not in the bucket`
    ),
    ...optionalLine(
      foreignIndexes > 0,
      `${Format.counted(foreignIndexes, "index file")} read from the bucket (made by other hosts)`
    ),
    ...(skew === undefined || ClockSkew.worstSeconds(skew) <= skewWorthTelling
      ? []
      : [`the server's clock is ${ClockSkew.format(skew)} ahead`]),
    // A plan tells what it asked, and what collecting would ask, in lines of its own.
    ...optionalLine(
      !plan.isDryRun,
      `the collection itself took ${Format.counted(requestTotal(requests), "request")} to the bucket: ` +
        `${Format.counted(requests.list, "list")}, ${Format.counted(requests.deleteMany, "deletion")}`
    )
  ]
}

/** Less than one a second says nothing, of what was little as of what took long. */
const rate = (count: number, unit: string, seconds: number): string => {
  const perSecond = seconds > 0.001 ? Math.round(count / seconds) : 0
  return perSecond > 0 ? ` (${Format.count(perSecond)} ${unit}/s)` : ""
}

const toText = (summary: Gc.GcSummary): string => {
  const { plan, removeSeconds, status, sweep } = summary
  const { listing, marks } = plan
  const temporaries = (sweep ?? Gc.expectedOutcome(plan)).removedTemporaries
  const bad = status.removedBad + status.stillBad
  const removed = amount({ chunks: status.removedChunks, bytes: status.removedBytes })
  const scanned = listing.kept.chunks + listing.pending.chunks + listing.removable.chunks
  return [
    `${plan.isDryRun ? "would remove" : "removed"}: ${removed}`,
    `pending (unused, but too young): ${amount({ chunks: status.pendingChunks, bytes: status.pendingBytes })}`,
    `in use: ${amount({ chunks: status.diskChunks, bytes: status.diskBytes })}`,
    `archives: ${Format.bytes(status.indexDataBytes)} in ${Format.counted(status.indexFileCount, "index file")}`,
    `deduplication factor: ${GcStatus.deduplicationFactor(status).toFixed(2)}`,
    ...optionalLine(
      bad > 0,
      `corrupt chunks set aside: ${Format.count(status.removedBad)} removed, ${Format.count(status.stillBad)} kept`
    ),
    ...optionalLine(temporaries.chunks > 0, `left behind by crashed backups: ${amount(temporaries, "file")}`),
    ...optionalLine(
      plan.writers.length > 0,
      `${Format.counted(plan.writers.length, "writer")} at work meanwhile`
    ),
    ...optionalLine(listing.foreign > 0, `${Format.counted(listing.foreign, "foreign file")} left alone`),
    ...missingLines(summary),
    ...bucketLines(summary),
    `marked ${Format.count(marks.entries)} index entries in ${Format.duration(plan.markSeconds)}` +
      `${rate(marks.entries, "entries", plan.markSeconds)}, ${Format.percent(marks.hits, marks.entries)} repeated`,
    `looked at ${Format.counted(scanned, "chunk")} in ${Format.duration(plan.sweepSeconds)}` +
      rate(scanned, "chunks", plan.sweepSeconds),
    ...optionalLine(!plan.isDryRun, `removed in ${Format.duration(removeSeconds)}`)
  ].join("\n")
}

const finish = ({ errors, plan, warnings }: Gc.GcSummary) => {
  if (plan.missing.count > 0) {
    const snapshots = MissingChunks.snapshotsOf(plan.missing.archives).length
    const marked = plan.isDryRun ? "would be marked as failed" : "marked as failed"
    const missing = `${Format.counted(plan.missing.count, "chunk")} missing`
    return Effect.fail(
      new CommandFailed({
        detail: `${missing}, ${Format.counted(snapshots, "snapshot")} ${marked}`,
        hint: "back up again: everything is stored anew; other copies of the data may help"
      })
    )
  }
  return warnings.length + errors.length > 0 ? doneWithWarnings : Effect.void
}

const cutoffOf = (cutoff: Option.Option<number>) =>
  Option.isNone(cutoff)
    ? Effect.succeed({})
    : GcPlan.checkOptions({ cutoffMinutes: cutoff.value }).pipe(
        Effect.as({ cutoffMinutes: cutoff.value }),
        Effect.mapError((error) => new UsageError({ detail: error.message, hint: "see: granary gc --help" }))
      )

const collect = (options: Gc.GcOptions) =>
  Effect.gen(function* () {
    const summary = yield* Gc.collect(options)
    yield* print({ json: toJson(summary), text: toText(summary) })
    return summary
  })

const tellPlan = (options: Gc.GcOptions) =>
  Effect.gen(function* () {
    const summary = yield* Gc.dryRun(options)
    const { bucket } = summary.plan
    const costs = bucket === undefined ? undefined : yield* CollectionCosts.estimate(summary.plan, bucket)
    const { json, lines } = yield* StoreUsage.plan(costs?.expected, costs?.lookups)
    yield* print({ json: { ...toJson(summary), ...json }, text: [toText(summary), ...lines].join("\n") })
    return summary
  })

export const gc = Command.make("gc", flags, ({ cutoff, mark, plan }) =>
  Effect.gen(function* () {
    const options: Gc.GcOptions = { mark, ...(yield* cutoffOf(cutoff)) }
    const work = plan ? tellPlan(options) : collect(options)
    yield* finish(
      yield* withDatastore(work, { writes: true, plans: plan, needsChunks: "garbage collection" })
    )
  })
).pipe(
  Command.withDescription("Remove chunks that no snapshot needs; backups may go on meanwhile"),
  Command.withExamples([
    { command: "granary gc --plan", description: "What would go, and in a bucket what that would cost" },
    { command: "granary gc --mark atime", description: "As Proxmox Backup Server does it, by access times" }
  ])
)
