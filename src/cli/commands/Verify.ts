/** `granary verify [GROUP|SNAPSHOT]`: reads everything and says whether it is sound. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as Namespace from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import { monotonicMillis } from "../../platform/Monotonic.ts"
import * as Verify from "../../verify/Verify.ts"
import * as VerifyPlan from "../../verify/VerifyPlan.ts"
import { CommandFailed, parseInput } from "../Failure.ts"
import * as Format from "../Format.ts"
import { cryptConfig } from "../Keys.ts"
import { print } from "../Output.ts"
import { namespace, withWorkingDatastore } from "../Repository.ts"

const flags = {
  what: Argument.String("what").pipe(
    Argument.withDescription("A group such as host/laptop, or a snapshot; everything by default"),
    Argument.optional
  ),
  ignoreVerified: Flag.Boolean("ignore-verified").pipe(
    Flag.withDescription("Pass over snapshots that were verified before"),
    Flag.withDefault(false)
  ),
  outdatedAfter: Flag.Int("outdated-after").pipe(
    Flag.withDescription("With --ignore-verified: verify again what was verified more than so many days ago"),
    Flag.withMetavar("DAYS"),
    Flag.optional
  )
}

const parseWhat = (what: string) =>
  parseInput(
    () =>
      what.split("/").length > 2 ? { snapshot: Snapshot.parse(what) } : { group: BackupGroup.parse(what) },
    "name a group such as host/laptop or a snapshot such as host/laptop/2026-11-21T10:00:00Z"
  )

const nameOf = ({ namespace: ns, snapshot }: Verify.SnapshotResult): string =>
  ns === Namespace.root ? Snapshot.format(snapshot) : `${ns}: ${Snapshot.format(snapshot)}`

const toJson = (summary: Verify.VerifySummary) =>
  summary.snapshots.map((result) => ({
    snapshot: Snapshot.format(result.snapshot),
    ns: result.namespace,
    state: result.state,
    files: result.files
  }))

const toText = (summary: Verify.VerifySummary, plan: VerifyPlan.VerifyPlan, seconds: number): string => {
  const { statistics } = summary
  const lines = summary.snapshots.flatMap((result) => [
    `${result.state.padEnd(7)} ${nameOf(result)}`,
    ...result.files.flatMap(({ filename, errors }) => errors.map((error) => `        ${filename}: ${error}`))
  ])
  const rate = Format.rate(statistics.storedBytes, seconds)
  const stored = `${Format.counted(statistics.chunks, "chunk")}, ${Format.bytes(statistics.storedBytes)}`
  return [
    ...lines,
    ...(plan.upToDate > 0 ? [`${Format.counted(plan.upToDate, "snapshot")} verified before`] : []),
    ...(plan.unfinished > 0 ? [`${Format.counted(plan.unfinished, "unfinished snapshot")} passed over`] : []),
    `read ${stored} in ${Format.duration(seconds)} (${rate})`
  ].join("\n")
}

export const verify = Command.make("verify", flags, ({ what, ignoreVerified, outdatedAfter }) =>
  Effect.gen(function* () {
    const crypt = yield* cryptConfig
    const selection = Option.isSome(what) ? yield* parseWhat(what.value) : {}
    const days = Option.isSome(outdatedAfter) ? { outdatedAfterDays: outdatedAfter.value } : {}
    const startedMillis = monotonicMillis()
    const ns = yield* namespace
    const failed = yield* withWorkingDatastore(
      Effect.gen(function* () {
        const plan = yield* VerifyPlan.make({ namespace: ns, ...selection, ignoreVerified, ...days })
        const summary = yield* Verify.run(plan, crypt === undefined ? {} : { crypt })
        const seconds = (monotonicMillis() - startedMillis) / 1000
        yield* print({ json: toJson(summary), text: toText(summary, plan, seconds) })
        return summary.snapshots.filter(({ state }) => state === "failed").length
      })
    )
    if (failed > 0) {
      return yield* new CommandFailed({
        detail: `${Format.counted(failed, "snapshot")} failed the verification`,
        hint: "back up again: damaged chunks are stored anew; other copies of the data may help"
      })
    }
  })
).pipe(
  Command.withDescription("Read everything and check it against its checksums"),
  Command.withExamples([
    { command: "granary verify -r /mnt/store", description: "Verify the whole datastore" },
    { command: "granary verify host/laptop --ignore-verified --outdated-after 30", description: "Monthly" }
  ])
)
