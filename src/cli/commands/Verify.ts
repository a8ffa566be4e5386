/** `granary verify [GROUP|SNAPSHOT]`: says whether what is stored is sound, by reading it or as much as is wanted. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import { monotonicMillis } from "../../platform/Monotonic.ts"
import * as Verify from "../../verify/Verify.ts"
import * as VerifyPlan from "../../verify/VerifyPlan.ts"
import { CommandFailed, parseInput, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { cryptConfig } from "../Keys.ts"
import { print } from "../Output.ts"
import { planFlag } from "../PlanFlag.ts"
import { namespace, withWorkingDatastore } from "../Repository.ts"
import { root } from "../Root.ts"
import * as StoreUsage from "../StoreUsage.ts"
import * as VerifyText from "../VerifyText.ts"

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
  ),
  depth: Flag.Literals("depth", ["full", "listed"]).pipe(
    Flag.withDescription(
      "Read everything, or only look whether all chunks are there (in a bucket: as they were uploaded)"
    ),
    Flag.withDefault("full")
  ),
  sample: Flag.String("sample").pipe(
    Flag.withDescription(
      "Read only so many of the chunks, picked at random; with --depth listed look for the others"
    ),
    Flag.withMetavar("PERCENT"),
    Flag.optional
  ),
  sampleSeed: Flag.String("sample-seed").pipe(
    Flag.withDescription("Pick the same chunks as the run that named this seed"),
    Flag.withMetavar("SEED"),
    Flag.optional
  ),
  plan: planFlag("Say what would be read, and read no chunk")
}

const samplePattern = /^(\d{1,3}(?:\.\d{1,6})?) ?%?$/

const parseSample = (text: string) => {
  const percent = Number(samplePattern.exec(text)?.[1] ?? 0)
  return percent > 0 && percent <= 100
    ? Effect.succeed(percent)
    : Effect.fail(
        new UsageError({
          detail: `${Format.name(text)} is no sample`,
          hint: "give a share of the chunks above 0 % and up to 100 %, such as --sample 10%"
        })
      )
}

const parseWhat = (what: string) =>
  parseInput(
    () =>
      what.split("/").length > 2 ? { snapshot: Snapshot.parse(what) } : { group: BackupGroup.parse(what) },
    "name a group such as host/laptop or a snapshot such as host/laptop/2026-11-21T10:00:00Z"
  )

const printPlan = (plan: VerifyPlan.VerifyPlan) =>
  Effect.flatMap(StoreUsage.plan(plan.expected?.cost), ({ json, lines }) =>
    print({
      json: { ...VerifyText.planToJson(plan), ...json },
      text: [VerifyText.planToText(plan), ...lines].join("\n")
    })
  )

/** Where the result as JSON has no place for it. */
const printNotes = (summary: Verify.VerifySummary) =>
  Effect.map(root, ({ output }) => {
    if (output !== "json") return
    for (const note of VerifyText.notesToJson(summary)) process.stderr.write(`${JSON.stringify(note)}\n`)
  })

const finish = ({ snapshots }: Verify.VerifySummary) => {
  const countOf = (wanted: Verify.FileState): number =>
    snapshots.filter(({ state }) => state === wanted).length
  const [failed, unproven] = [countOf("failed"), countOf("unproven")]
  if (failed > 0) {
    return Effect.fail(
      new CommandFailed({
        detail: `${Format.counted(failed, "snapshot")} failed the verification`,
        hint: "back up again: damaged chunks are stored anew; other copies of the data may help"
      })
    )
  }
  if (unproven === 0) return Effect.void
  return Effect.fail(
    new CommandFailed({
      detail: `of ${Format.counted(unproven, "snapshot")} something could not be looked at`,
      hint: "nothing was found to be wrong; see above what was in the way, then verify again"
    })
  )
}

interface Flags {
  readonly ignoreVerified: boolean
  readonly outdatedAfter: Option.Option<number>
  readonly depth: VerifyPlan.Depth
  readonly sample: Option.Option<string>
  readonly sampleSeed: Option.Option<string>
}

const planOptions = ({ depth, ignoreVerified, outdatedAfter, sample, sampleSeed }: Flags) =>
  Effect.gen(function* () {
    return {
      depth,
      ignoreVerified,
      ...(Option.isSome(outdatedAfter) ? { outdatedAfterDays: outdatedAfter.value } : {}),
      ...(Option.isSome(sample) ? { samplePercent: yield* parseSample(sample.value) } : {}),
      ...(Option.isSome(sampleSeed) ? { sampleSeed: sampleSeed.value } : {})
    }
  })

/** Carries a plan out, unless it is only to be shown, and tells what came of it. */
export const carryOut = <E, R>(
  planning: Effect.Effect<VerifyPlan.VerifyPlan, E, R>,
  { crypt, isPlan }: { readonly crypt?: CryptConfig | undefined; readonly isPlan: boolean }
) =>
  Effect.gen(function* () {
    const startedMillis = monotonicMillis()
    const plan = yield* planning
    if (isPlan) return yield* printPlan(plan)
    yield* StoreUsage.expect(plan.expected?.cost)
    const summary = yield* Verify.run(plan, crypt === undefined ? {} : { crypt })
    const seconds = (monotonicMillis() - startedMillis) / 1000
    yield* print({
      json: VerifyText.toJson(summary),
      text: VerifyText.toText(summary, plan, seconds)
    })
    yield* printNotes(summary)
    yield* finish(summary)
  })

export const verify = Command.make("verify", flags, ({ what, plan: isPlan, ...given }) =>
  Effect.gen(function* () {
    const crypt = yield* cryptConfig
    const selection = Option.isSome(what) ? yield* parseWhat(what.value) : {}
    const options = yield* planOptions(given)
    const planning = VerifyPlan.make({ namespace: yield* namespace, ...selection, ...options })
    const looks = options.depth === "listed" ? { needsChunks: "looking for chunks" } : {}
    yield* withWorkingDatastore(carryOut(planning, { crypt, isPlan }), { plans: isPlan, ...looks })
  })
).pipe(
  Command.withDescription("Read everything and check it against its checksums"),
  Command.withExamples([
    { command: "granary verify -r /mnt/store", description: "Verify the whole datastore" },
    { command: "granary verify host/laptop --ignore-verified --outdated-after 30", description: "Monthly" },
    {
      command: "granary verify --depth listed --sample 1%",
      description: "Look whether every chunk is there, and read one in a hundred"
    }
  ])
)
