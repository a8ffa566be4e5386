/**
 * `granary forget SNAPSHOT|GROUP...`: removes snapshots. Their chunks stay until garbage is collected.
 *
 * One snapshot goes without a question; several, or a whole group, want a yes. Everything named is looked up before
 * anything is removed.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { Datastore } from "../../datastore/Datastore.ts"
import * as BackupGroup from "../../model/BackupGroup.ts"
import type { Namespace } from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import * as ForgetGroup from "../../prune/ForgetGroup.ts"
import { CommandFailed, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { print } from "../Output.ts"
import { namespace, withDatastore } from "../Repository.ts"
import { root } from "../Root.ts"
import * as SnapshotArgument from "../SnapshotArgument.ts"

const flags = {
  what: Argument.String("what").pipe(
    Argument.withDescription("TYPE/ID/TIME, TYPE/ID/latest, or TYPE/ID for a whole group"),
    Argument.withMetavar("SNAPSHOT|GROUP"),
    Argument.variadic({ min: 1 })
  )
}

type Target =
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot.Snapshot }
  | {
      readonly kind: "group"
      readonly group: BackupGroup.BackupGroup
      readonly snapshots: ReadonlyArray<Snapshot.Snapshot>
    }

/** What an argument means; here a group is all of its snapshots, unfinished ones too. */
const locate = (ns: Namespace, text: string) =>
  Effect.gen(function* () {
    const named = yield* SnapshotArgument.parse(text)
    const { hierarchy } = yield* Datastore
    if (named.kind === "group") {
      const snapshots = (yield* hierarchy.snapshots(ns, named.group)).map(({ snapshot }) => snapshot)
      return { kind: "group", group: named.group, snapshots } satisfies Target
    }
    const snapshot = yield* SnapshotArgument.locate(ns, named)
    yield* hierarchy.entry(ns, snapshot)
    return { kind: "snapshot", snapshot } satisfies Target
  })

const keyOf = (target: Target): string =>
  target.kind === "group" ? BackupGroup.format(target.group) : Snapshot.format(target.snapshot)

/** Everything once; a snapshot whose group is named too goes with that. */
const withoutDuplicates = (targets: ReadonlyArray<Target>): ReadonlyArray<Target> => {
  const unique = [...new Map(targets.map((target) => [keyOf(target), target])).values()]
  const groups = new Set(unique.filter(({ kind }) => kind === "group").map(keyOf))
  return unique.filter(
    (target) => target.kind === "group" || !groups.has(BackupGroup.format(target.snapshot.group))
  )
}

interface Outcome {
  readonly snapshot: string
  /** Why it is still there. */
  readonly error: string | undefined
}

interface Forgotten {
  readonly outcomes: ReadonlyArray<Outcome>
  /** The group that went with its snapshots. */
  readonly group?: string
}

const forgetOne = (ns: Namespace, snapshot: Snapshot.Snapshot) =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    yield* datastore.forget(ns, snapshot)
    return { outcomes: [{ snapshot: Snapshot.format(snapshot), error: undefined }] } satisfies Forgotten
  })

/** Newest first, as they are listed. */
const forgetWhole = (ns: Namespace, group: BackupGroup.BackupGroup) =>
  Effect.map(ForgetGroup.forgetGroup(ns, group), ({ removed, kept, isGroupRemoved }): Forgotten => {
    const all = [...removed.map((snapshot) => ({ snapshot, error: undefined })), ...kept].toSorted(
      (left, right) => Snapshot.order(right.snapshot, left.snapshot)
    )
    return {
      outcomes: all.map(({ snapshot, error }) => ({
        snapshot: Snapshot.format(snapshot),
        error: error?.message
      })),
      ...(isGroupRemoved ? { group: BackupGroup.format(group) } : {})
    }
  })

const notRemoved = (target: Target, error: string): Forgotten => ({
  outcomes: (target.kind === "group" ? target.snapshots : [target.snapshot]).map((snapshot) => ({
    snapshot: Snapshot.format(snapshot),
    error
  }))
})

const forgetTarget = (ns: Namespace, target: Target) =>
  target.kind === "group" ? forgetWhole(ns, target.group) : forgetOne(ns, target.snapshot)

/** Goes on past what cannot be removed. */
const forgetAll = (ns: Namespace, targets: ReadonlyArray<Target>) =>
  Effect.forEach(targets, (target) =>
    forgetTarget(ns, target).pipe(Effect.catch(({ message }) => Effect.succeed(notRemoved(target, message))))
  )

const countOf = (targets: ReadonlyArray<Target>): number =>
  targets.reduce((sum, target) => sum + (target.kind === "group" ? target.snapshots.length : 1), 0)

const refuseUnasked = (targets: ReadonlyArray<Target>) =>
  new UsageError({
    detail: `this would remove ${Format.counted(countOf(targets), "snapshot")}`,
    hint: "say --yes if that is what you want"
  })

const toJson = ({ snapshot, error }: Outcome) =>
  error === undefined ? { snapshot, removed: true } : { snapshot, removed: false, error }

const toText = ({ outcomes, group }: Forgotten): ReadonlyArray<string> => [
  ...outcomes.map(({ snapshot, error }) =>
    error === undefined ? `removed ${snapshot}` : `kept ${snapshot}: ${error}`
  ),
  ...(group === undefined ? [] : [`removed the group ${group}`])
]

export const forget = Command.make("forget", flags, ({ what }) =>
  withDatastore(
    Effect.gen(function* () {
      const { yes } = yield* root
      const ns = yield* namespace
      const targets = withoutDuplicates(yield* Effect.forEach(what, (text) => locate(ns, text)))
      const only = targets.length === 1 ? targets[0] : undefined
      if (!yes && only?.kind !== "snapshot") return yield* refuseUnasked(targets)
      // That the one thing named cannot be removed at all is the failure of the command, with its own hint.
      const forgotten = only === undefined ? yield* forgetAll(ns, targets) : [yield* forgetTarget(ns, only)]
      const outcomes = forgotten.flatMap((each) => each.outcomes)
      yield* print({ json: outcomes.map(toJson), text: forgotten.flatMap(toText).join("\n") })
      const kept = outcomes.filter(({ error }) => error !== undefined).length
      if (kept > 0) {
        return yield* new CommandFailed({
          detail: `${Format.counted(kept, "snapshot")} could not be removed`,
          hint: "the list says why"
        })
      }
    }),
    { writes: true }
  )
).pipe(
  Command.withDescription("Remove snapshots; the space is freed by garbage collection"),
  Command.withExamples([
    { command: "granary forget host/laptop/2026-11-21T10:00:00Z", description: "One snapshot" },
    { command: "granary forget host/old-laptop --yes", description: "A whole group" }
  ])
)
