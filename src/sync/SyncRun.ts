/**
 * SyncRun: carries a sync out: namespace by namespace, some groups at a time.
 *
 * Invariants: one writer holds everything that is copied until the end. What vanished from a namespace is removed when
 * all its groups are done; namespaces come last. A group or a namespace that fails leaves the others alone; what
 * concerns the whole sync fails it before anything is changed.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { format } from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Observation from "../platform/Observation.ts"
import * as ChunkTransfer from "./ChunkTransfer.ts"
import { DigestMap } from "./DigestMap.ts"
import * as GroupFilter from "./GroupFilter.ts"
import * as GroupSync from "./GroupSync.ts"
import type { ListedGroup } from "./ListedSnapshot.ts"
import type * as NamespaceMapping from "./NamespaceMapping.ts"
import { onThisThread } from "./RecodingWork.ts"
import * as Retries from "./Retries.ts"
import * as SyncEnds from "./SyncEnds.ts"
import { placeOf, type SyncError, within } from "./SyncError.ts"
import { type Reporter, SyncReporter } from "./SyncEvent.ts"
import { SyncMeter } from "./SyncMeter.ts"
import * as SyncMetrics from "./SyncMetrics.ts"
import type { CheckedOptions, SyncOptions } from "./SyncOptions.ts"
import type { SyncScene } from "./SyncScene.ts"
import { add, type GroupReport, noCounts, type SyncSummary } from "./SyncSummary.ts"
import type { ChunkIntake, TargetWriter } from "./SyncTarget.ts"
import * as TransferRates from "./TransferRates.ts"
import * as TransferWindow from "./TransferWindow.ts"
import * as VanishedRemoval from "./VanishedRemoval.ts"

interface Progress {
  /** Of the namespace at work. */
  totalGroups: number
  doneGroups: number
  /** Sum of what the groups at work have done of themselves. */
  underWay: number
}

/** What a namespace has come to. */
interface NamespaceOutcome {
  readonly groups: ReadonlyArray<GroupReport>
  readonly removal: VanishedRemoval.Removal
}

interface RunScene extends SyncScene {
  readonly progress: Progress
  readonly tell: () => void
}

const retryLine = (report: Reporter) => (error: SyncError) =>
  Effect.sync(() =>
    report({
      type: "log",
      lines: [{ level: "warning", place: placeOf(error), text: `is tried again: ${error.detail}` }]
    })
  )

const makeScene = (
  ends: SyncEnds.SyncEnds,
  options: CheckedOptions,
  writer: TargetWriter,
  report: Reporter
): Effect.Effect<RunScene> =>
  Effect.gen(function* () {
    const { source } = ends
    const retrying = Retries.make(options.attemptsMax, retryLine(report))
    const rateIn = yield* TransferRates.make(options.rateIn)
    const rateOut = yield* TransferRates.make(options.rateOut)
    const { transferBytesMax: bytesMax, transfersMax } = options
    const window = yield* TransferWindow.make({ transfersMax, bytesMax })
    const progress: Progress = { totalGroups: 0, doneGroups: 0, underWay: 0 }
    const tell = (): void => {
      const { doneGroups, totalGroups, underWay } = progress
      const share = totalGroups === 0 ? 1 : (doneGroups + underWay) / totalGroups
      report({
        type: "progress",
        doneGroups,
        totalGroups,
        share,
        counts: meter.counts,
        transferLimit: window.limit()
      })
    }
    const meter: SyncMeter = new SyncMeter(tell)
    const concurrency = options.pipelining === "on" ? transfersMax : 1
    const { claim, store } = writer
    const { target } = ends
    const transferInto = (intake: ChunkIntake) =>
      ChunkTransfer.make({ writer: intake, target: intake, window, rateIn, rateOut, retrying, concurrency })
    const chunks = yield* transferInto({ claim, store, findAbsent: target.findAbsent })
    return {
      options,
      source,
      target,
      writer,
      chunks,
      transferInto,
      recoded: new DigestMap(),
      recodingWork: ends.recodingWork ?? onThisThread,
      rateIn,
      rateOut,
      retrying,
      report,
      meter,
      progress,
      tell
    }
  })

/** Groups of others are passed over without holding them; so are those that nobody owns. */
const syncGroup = (scene: RunScene, pair: NamespaceMapping.NamespacePair, listed: ListedGroup) => {
  const { progress, tell } = scene
  let own = 0
  const onShare = (share: number): void => {
    progress.underWay += share - own
    own = share
    tell()
  }
  const attributes = { "granary.group": format(listed.group), "granary.namespace": pair.source }
  return Effect.map(GroupSync.run(scene, { pair, listed }, onShare), (report) => {
    progress.underWay -= own
    progress.doneGroups += 1
    tell()
    return report
  }).pipe(Effect.tap(SyncMetrics.countGroup), Observation.span("granary.sync.group", attributes))
}

const syncNamespace = (
  scene: RunScene,
  pair: NamespaceMapping.NamespacePair,
  isNew: boolean
): Effect.Effect<NamespaceOutcome> =>
  Effect.gen(function* () {
    const { options, progress, report, retrying, source, writer } = scene
    const found = yield* retrying(
      within({ side: "source", namespace: pair.source })(source.groups(pair.source))
    )
    const groups = found.filter(({ group }) => GroupFilter.accepts(options.groupFilters, group))
    if (isNew) {
      const place = within({ side: "target", namespace: pair.target })
      yield* retrying(place(writer.createNamespace(pair.target)))
    }
    Object.assign(progress, { totalGroups: groups.length, doneGroups: 0, underWay: 0 })
    report({ type: "namespace", ...pair, groups: groups.length })
    const reports = yield* Effect.forEach(groups, (listed) => syncGroup(scene, pair, listed), {
      concurrency: options.parallelGroups
    })
    const removal = options.removeVanished
      ? yield* VanishedRemoval.removeGroups(scene, pair.target, found)
      : VanishedRemoval.nothing
    return { groups: reports, removal }
  }).pipe(
    // The namespace vanished from the source, or cannot be listed: its neighbours go on.
    Effect.catch((error) =>
      Effect.sync(() => {
        tellError(scene, error)
        const problems = error.reason === "Missing" && error.side === "source" ? [] : [error]
        return { groups: [], removal: { ...VanishedRemoval.nothing, problems } }
      })
    )
  )

const tellError = (scene: SyncScene, error: SyncError): void =>
  scene.report({ type: "log", lines: [{ level: "error", place: placeOf(error), text: error.detail }] })

const summarise = (
  { direction }: CheckedOptions,
  outcomes: ReadonlyArray<NamespaceOutcome>,
  vanished: VanishedRemoval.Removal,
  durationSeconds: number
): SyncSummary => {
  const groups = outcomes.flatMap((outcome) => outcome.groups)
  const { problems, removed } = VanishedRemoval.sum([...outcomes.map(({ removal }) => removal), vanished])
  const removedInGroups = groups.reduce((sum, { removedSnapshots }) => sum + removedSnapshots, 0)
  return {
    direction,
    groups,
    failedGroups: groups.filter(({ state }) => state === "failed").length,
    counts: groups.reduce((sum, { counts }) => add(sum, counts), noCounts),
    removed: { ...removed, snapshots: removed.snapshots + removedInGroups },
    problems,
    busySeconds: groups.reduce((sum, group) => sum + group.busySeconds, 0),
    durationSeconds
  }
}

const removeNamespaces = (scene: RunScene, namespaces: ReadonlyArray<Namespace>) =>
  scene.options.removeVanished
    ? VanishedRemoval.removeNamespaces(scene, namespaces)
    : Effect.succeed(VanishedRemoval.nothing)

const runScoped = (
  ends: SyncEnds.SyncEnds,
  wanted: SyncOptions
): Effect.Effect<SyncSummary, SyncError, Scope.Scope> =>
  Effect.gen(function* () {
    const startMillis = yield* Clock.currentTimeMillis
    const report = yield* SyncReporter
    const options = yield* SyncEnds.check(ends, wanted)
    const retrying = Retries.make(options.attemptsMax, retryLine(report))
    const { newOnes, pairs, vanished } = yield* SyncEnds.namespaces(ends, options, retrying)
    const writer = yield* within({ side: "target" })(retrying(ends.target.beginWriting))
    const scene = yield* makeScene(ends, options, writer, report)
    const outcomes = yield* Effect.forEach(pairs, (pair) =>
      syncNamespace(scene, pair, newOnes.has(pair.target))
    )
    const removal = yield* removeNamespaces(scene, vanished)
    const durationSeconds = ((yield* Clock.currentTimeMillis) - startMillis) / 1000
    const summary = summarise(options, outcomes, removal, durationSeconds)
    yield* SyncMetrics.countRemoved(summary)
    report({ type: "summary", summary })
    return summary
  })

export const run = (ends: SyncEnds.SyncEnds, options: SyncOptions): Effect.Effect<SyncSummary, SyncError> =>
  Effect.scoped(runScoped(ends, options)).pipe(
    Observation.task("sync", { "granary.direction": options.direction })
  )
