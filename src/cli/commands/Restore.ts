/** `granary restore SNAPSHOT ARCHIVE TARGET`: brings an archive back, whole or in parts. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as PathPattern from "../../model/PathPattern.ts"
import { monotonicMillis } from "../../platform/Monotonic.ts"
import * as Restore from "../../restore/Restore.ts"
import * as RestorePlan from "../../restore/RestorePlan.ts"
import * as SnapshotReader from "../../restore/SnapshotReader.ts"
import { doneWithWarnings, parseInput } from "../Failure.ts"
import * as Format from "../Format.ts"
import { cryptConfig } from "../Keys.ts"
import { print, writeStandardOutput } from "../Output.ts"
import { planFlag } from "../PlanFlag.ts"
import { namespace, withWorkingDatastore } from "../Repository.ts"
import { resolveSnapshot } from "../SnapshotArgument.ts"
import * as StoreUsage from "../StoreUsage.ts"

const patternFlag = (name: string, description: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.between(0, 10_000))

const flags = {
  snapshot: Argument.String("snapshot").pipe(
    Argument.withDescription("host/laptop/2026-11-21T10:00:00Z, or host/laptop for the latest")
  ),
  archive: Argument.String("archive").pipe(
    Argument.withDescription("Such as root.pxar, disk.img or app.conf")
  ),
  target: Argument.String("target").pipe(
    Argument.withDescription("A folder for a .pxar, a file for anything else; - is standard output")
  ),
  include: patternFlag("include", "Restore only what matches this pattern (repeatable)"),
  exclude: patternFlag("exclude", "Leave out what matches this pattern (repeatable)"),
  overwrite: Flag.Literals("overwrite", ["never", "always", "newer"]).pipe(
    Flag.withDescription("What to do with files that exist in the target"),
    Flag.withDefault("never")
  ),
  plan: planFlag("Say what would be read, and restore nothing")
}

const parsePatterns = (patterns: ReadonlyArray<string>) =>
  parseInput(() => patterns.map((pattern) => PathPattern.parse(pattern)))

const summaryText = (summary: Restore.RestoreSummary, target: string, seconds: number): string => {
  const { extracted, bytes, warnings } = summary
  const what =
    extracted === undefined
      ? summary.archive
      : `${Format.counted(extracted.files, "file")}, ${Format.counted(extracted.directories, "directory")}`
  const rate = `${Format.bytes(bytes)} in ${Format.duration(seconds)} (${Format.rate(bytes, seconds)})`
  return [
    `restored ${what} to ${Format.name(target)}: ${rate}`,
    ...(warnings > 0 ? [`${Format.counted(warnings, "warning")}, see above`] : [])
  ].join("\n")
}

const planLines = (
  { archive, cachedChunks, chunkBytes, chunks, sizeBytes }: RestorePlan.RestorePlan,
  target: string
): ReadonlyArray<string> => {
  const name = target === "-" ? "standard output" : Format.name(target)
  const cached = cachedChunks > 0 ? `, ${Format.count(cachedChunks)} of them in the cache folder` : ""
  return [
    `would restore ${archive} to ${name}: ${Format.bytes(sizeBytes)}`,
    ...(chunks > 0
      ? [`reads ${Format.counted(chunks, "chunk")} with ${Format.bytes(chunkBytes)}${cached}`]
      : [])
  ]
}

const printPlan = (plan: RestorePlan.RestorePlan, target: string) =>
  Effect.flatMap(StoreUsage.plan(plan.cost), ({ json, lines }) => {
    const { archive, cachedChunks, chunkBytes, chunks, sizeBytes } = plan
    const document = {
      archive,
      size: sizeBytes,
      chunks,
      "chunk-bytes": chunkBytes,
      "cached-chunks": cachedChunks,
      ...json
    }
    return print({ json: document, text: [...planLines(plan, target), ...lines].join("\n") })
  })

export const restore = Command.make("restore", flags, (input) =>
  Effect.gen(function* () {
    const crypt = yield* cryptConfig
    const ns = yield* namespace
    const includes = yield* parsePatterns(input.include)
    const excludes = yield* parsePatterns(input.exclude)
    const startedMillis = monotonicMillis()
    yield* withWorkingDatastore(
      Effect.gen(function* () {
        const snapshot = yield* resolveSnapshot(ns, input.snapshot)
        const key = crypt === undefined ? {} : { crypt }
        const reader = yield* SnapshotReader.open({ namespace: ns, snapshot, ...key })
        if (input.plan) {
          const selects = includes.length + excludes.length > 0
          const streams = input.target === "-"
          const plan = yield* RestorePlan.make(reader, { archive: input.archive, streams, selects })
          return yield* printPlan(plan, input.target)
        }
        if (input.target === "-") return yield* Restore.stream(reader, input.archive, writeStandardOutput)
        const { archive, target, overwrite } = input
        const summary = yield* Restore.run(reader, { archive, target, overwrite, includes, excludes })
        const seconds = (monotonicMillis() - startedMillis) / 1000
        const { files, bytes, warnings } = summary
        yield* print({ json: { files, bytes, warnings }, text: summaryText(summary, target, seconds) })
        if (warnings > 0) yield* doneWithWarnings
        return bytes
      }).pipe(Effect.scoped),
      { plans: input.plan }
    )
  })
).pipe(
  Command.withDescription("Bring an archive back, whole or in parts"),
  Command.withExamples([
    { command: "granary restore host/laptop home.pxar /tmp/home", description: "The latest snapshot, whole" },
    {
      command: "granary restore host/laptop home.pxar /tmp/home --include 'me/Documents/**'",
      description: "A part of it"
    },
    {
      command: "granary restore host/laptop home.pxar /tmp/home --plan",
      description: "What that would take"
    },
    { command: "granary restore vm/100 disk.img - | dd of=/dev/vg/root", description: "An image into a pipe" }
  ])
)
