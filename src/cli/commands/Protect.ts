/** `granary protect SNAPSHOT` and `unprotect SNAPSHOT`: whether a snapshot may be removed. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { Datastore, snapshotLockName } from "../../datastore/Datastore.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import { print } from "../Output.ts"
import { withDatastore } from "../Repository.ts"
import * as SnapshotArgument from "../SnapshotArgument.ts"

const flags = { snapshots: SnapshotArgument.argument("snapshot").pipe(Argument.variadic({ min: 1 })) }

/** Under the snapshot's lock, so that it cannot be removed between the look and the mark. */
const mark = (text: string, isProtected: boolean) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { namespace, snapshot } = yield* SnapshotArgument.resolve(text)
      const { hierarchy, locks } = yield* Datastore
      yield* hierarchy.entry(namespace, snapshot)
      yield* locks.holdSoon(snapshotLockName(namespace, snapshot), "shared")
      yield* hierarchy.setProtected(namespace, snapshot, isProtected)
      return Snapshot.format(snapshot)
    })
  )

const makeCommand = <Name extends string>(name: Name, isProtected: boolean, description: string) =>
  Command.make(name, flags, ({ snapshots }) =>
    withDatastore(
      Effect.gen(function* () {
        const marked = yield* Effect.forEach(snapshots, (text) => mark(text, isProtected))
        const verb = isProtected ? "protected" : "unprotected"
        yield* print({
          json: marked.map((snapshot) => ({ snapshot, protected: isProtected })),
          text: marked.map((snapshot) => `${verb} ${snapshot}`).join("\n")
        })
      }),
      { writes: true }
    )
  ).pipe(Command.withDescription(description))

export const protect = makeCommand("protect", true, "Protect snapshots from removal")

export const unprotect = makeCommand("unprotect", false, "Let snapshots be removed again")
