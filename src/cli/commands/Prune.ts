/**
 * `granary prune [GROUP]...`: removes the snapshots that no keep rule wants, and says of every snapshot why it stays or
 * goes. Their chunks stay until garbage is collected.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as Namespace from "../../model/Namespace.ts"
import * as Retention from "../../model/Retention.ts"
import { Progress } from "../../platform/Progress.ts"
import type { Decision } from "../../prune/Decision.ts"
import * as Prune from "../../prune/Prune.ts"
import * as PrunePlan from "../../prune/PrunePlan.ts"
import { doneWithWarnings, parseInput, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { localTime } from "../LocalTime.ts"
import { print } from "../Output.ts"
import { namespace, withDatastore } from "../Repository.ts"

const keepFlag = (rule: Retention.RetentionRule, description: string) =>
  Flag.Int(`keep-${rule}`).pipe(Flag.withDescription(description), Flag.withMetavar("N"), Flag.optional)

const flags = {
  groups: Argument.String("group").pipe(
    Argument.withDescription("Only these backup groups, such as host/laptop; all by default"),
    Argument.withMetavar("GROUP"),
    Argument.variadic()
  ),
  keep: {
    last: keepFlag("last", "Keep the N newest snapshots"),
    hourly: keepFlag("hourly", "Keep the newest snapshot of each of N hours"),
    daily: keepFlag("daily", "Keep the newest snapshot of each of N days"),
    weekly: keepFlag("weekly", "Keep the newest snapshot of each of N weeks (from Monday)"),
    monthly: keepFlag("monthly", "Keep the newest snapshot of each of N months"),
    yearly: keepFlag("yearly", "Keep the newest snapshot of each of N years")
  },
  maxDepth: Flag.Int("max-depth").pipe(
    Flag.withDescription("Levels of namespaces below; all by default, none when groups are named"),
    Flag.withMetavar("N"),
    Flag.optional
  ),
  timeZone: Flag.String("time-zone").pipe(
    Flag.withDescription(
      "Whose hours, days and weeks count, such as Europe/Vienna; the machine's by default"
    ),
    Flag.withMetavar("ZONE"),
    Flag.optional
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Only show what would be kept and removed"),
    Flag.withDefault(false)
  )
}

type KeepInput = { readonly [Rule in Retention.RetentionRule]: Option.Option<number> }

const parseRetention = (keep: KeepInput) => {
  const given: { [Rule in Retention.RetentionRule]?: number } = {}
  for (const rule of Retention.rules) {
    const count = keep[rule]
    if (Option.isSome(count)) given[rule] = count.value
  }
  return parseInput(() => Retention.check(given), "write for example --keep-daily 7")
}

const parseGroups = (texts: ReadonlyArray<string>) =>
  parseInput(
    () => texts.map((text) => BackupGroup.parse(text.replace(/\/+$/, ""))),
    "write TYPE/ID, such as host/laptop"
  )

const parseDepth = (depth: Option.Option<number>) =>
  Option.isSome(depth) && depth.value < 0
    ? Effect.fail(
        new UsageError({
          detail: `bad --max-depth ${depth.value}`,
          hint: `write a number from 0 to ${Namespace.depthMax}`
        })
      )
    : Effect.succeed(Option.isSome(depth) ? { depthMax: depth.value } : {})

const toJson = ({ groups }: PrunePlan.PrunePlan) =>
  groups.flatMap(({ namespace: ns, group, decisions }) =>
    decisions.map((decision) => ({
      ...(ns === Namespace.root ? {} : { ns }),
      "backup-type": group.type,
      "backup-id": group.id,
      "backup-time": decision.snapshot.time,
      keep: decision.keep,
      protected: decision.protected,
      reason: decision.reason
    }))
  )

const rowOf = ({ snapshot, reason }: Decision): ReadonlyArray<string> => [
  `  ${snapshot.directory}`,
  localTime(snapshot.time),
  Format.name(reason)
]

const groupText = ({ namespace: ns, group, decisions }: PrunePlan.PlannedGroup): string => {
  const name = BackupGroup.format(group)
  const heading = ns === Namespace.root ? name : `${ns}: ${name}`
  if (decisions.length === 0) return `${heading}\n  no snapshots\n`
  return `${heading}\n${Format.table(["  snapshot", "local time", "decision"], decisions.map(rowOf))}\n`
}

const toText = (plan: PrunePlan.PrunePlan, isDryRun: boolean): string => {
  if (plan.groups.length === 0) return "no backup groups"
  const [kept, removed] = isDryRun ? ["would keep", "would remove"] : ["kept", "removed"]
  const total = `${kept} ${Format.counted(plan.kept, "snapshot")}, ${removed} ${Format.count(plan.removed)}`
  return [...plan.groups.map(groupText), total].join("\n")
}

const warnKeepsAll = Effect.gen(function* () {
  const report = yield* Progress
  const message = "no keep rule was given, so everything is kept; say for example --keep-daily 7"
  report({ type: "warning", subject: "prune", message })
  yield* doneWithWarnings
})

const execute = (plan: PrunePlan.PrunePlan) =>
  Effect.gen(function* () {
    const summary = yield* Prune.run(plan)
    if (summary.warnings > 0) yield* doneWithWarnings
    return summary
  })

/** Carries a plan out, unless it is only to be shown, and tells what came of it. */
export const carryOut = <E, R>(
  planning: Effect.Effect<PrunePlan.PrunePlan, E, R>,
  { isDryRun }: { readonly isDryRun: boolean }
) =>
  Effect.gen(function* () {
    const plan = yield* planning
    if (plan.keepsAll) yield* warnKeepsAll
    const result = isDryRun ? plan : yield* execute(plan)
    yield* print({ json: toJson(result), text: toText(result, isDryRun) })
  })

export const prune = Command.make("prune", flags, ({ groups, keep, maxDepth, timeZone, dryRun }) =>
  Effect.gen(function* () {
    const retention = yield* parseRetention(keep)
    const only = groups.length === 0 ? {} : { groups: yield* parseGroups(groups) }
    const depth = yield* parseDepth(maxDepth)
    const zone = Option.isSome(timeZone) ? { timeZone: timeZone.value } : {}
    const ns = yield* namespace
    const planning = PrunePlan.make({ namespace: ns, retention, ...only, ...depth, ...zone })
    yield* withDatastore(carryOut(planning, { isDryRun: dryRun }), { writes: !dryRun })
  })
).pipe(
  Command.withDescription(
    "Remove snapshots that no keep rule wants; the space is freed by garbage collection"
  ),
  Command.withExamples([
    {
      command: "granary prune --keep-last 3 --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --dry-run",
      description: "What would go, in all groups and namespaces"
    },
    { command: "granary prune host/laptop --keep-daily 14", description: "One group" }
  ])
)
