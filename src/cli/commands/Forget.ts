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
import type { Namespace } from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
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

/** The snapshots that an argument means; here a group means all of its snapshots, unfinished ones too. */
const expand = (ns: Namespace, text: string) =>
  Effect.gen(function* () {
    const named = yield* SnapshotArgument.parse(text)
    const { hierarchy } = yield* Datastore
    if (named.kind !== "group") {
      const snapshot = yield* SnapshotArgument.locate(ns, named)
      yield* hierarchy.entry(ns, snapshot)
      return [snapshot]
    }
    return (yield* hierarchy.snapshots(ns, named.group)).map(({ snapshot }) => snapshot)
  })

const withoutDuplicates = (snapshots: ReadonlyArray<Snapshot.Snapshot>): ReadonlyArray<Snapshot.Snapshot> => [
  ...new Map(snapshots.map((snapshot) => [Snapshot.format(snapshot), snapshot])).values()
]

interface Outcome {
  readonly snapshot: string
  /** Why it is still there. */
  readonly error: string | undefined
}

const forgetOne = (ns: Namespace, snapshot: Snapshot.Snapshot) =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    yield* datastore.forget(ns, snapshot)
    return { snapshot: Snapshot.format(snapshot), error: undefined } satisfies Outcome
  })

/** Goes on past what cannot be removed. */
const forgetAll = (ns: Namespace, snapshots: ReadonlyArray<Snapshot.Snapshot>) =>
  Effect.forEach(snapshots, (snapshot) =>
    forgetOne(ns, snapshot).pipe(
      Effect.catch(({ message }) =>
        Effect.succeed<Outcome>({ snapshot: Snapshot.format(snapshot), error: message })
      )
    )
  )

const refuseUnasked = (snapshots: ReadonlyArray<Snapshot.Snapshot>) =>
  new UsageError({
    detail: `this would remove ${Format.counted(snapshots.length, "snapshot")}`,
    hint: "say --yes if that is what you want"
  })

const toJson = ({ snapshot, error }: Outcome) =>
  error === undefined ? { snapshot, removed: true } : { snapshot, removed: false, error }

const toText = ({ snapshot, error }: Outcome): string =>
  error === undefined ? `removed ${snapshot}` : `kept ${snapshot}: ${error}`

const isGroup = (text: string): boolean => text.replace(/\/+$/, "").split("/").length === 2

export const forget = Command.make("forget", flags, ({ what }) =>
  withDatastore(
    Effect.gen(function* () {
      const { yes } = yield* root
      const ns = yield* namespace
      const snapshots = withoutDuplicates((yield* Effect.forEach(what, (text) => expand(ns, text))).flat())
      const [only] = snapshots
      const isSingle = snapshots.length === 1 && !what.some(isGroup)
      if (!yes && !isSingle) return yield* refuseUnasked(snapshots)
      // That a single snapshot cannot be removed is the failure of the command, with its own hint.
      const outcomes: ReadonlyArray<Outcome> =
        isSingle && only !== undefined ? [yield* forgetOne(ns, only)] : yield* forgetAll(ns, snapshots)
      yield* print({ json: outcomes.map(toJson), text: outcomes.map(toText).join("\n") })
      const kept = outcomes.filter(({ error }) => error !== undefined).length
      if (kept > 0) {
        return yield* new CommandFailed({
          detail: `${Format.counted(kept, "snapshot")} could not be removed`,
          hint: "the list says why"
        })
      }
    })
  )
).pipe(
  Command.withDescription("Remove snapshots; the space is freed by garbage collection"),
  Command.withExamples([
    { command: "granary forget host/laptop/2026-11-21T10:00:00Z", description: "One snapshot" },
    { command: "granary forget host/old-laptop --yes", description: "A whole group" }
  ])
)
