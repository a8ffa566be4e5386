/** `granary notes SNAPSHOT [TEXT]`: shows the notes on a snapshot, or sets them; an empty text takes them away. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Datastore, snapshotLockName } from "../../datastore/Datastore.ts"
import * as ManifestNotes from "../../format/ManifestNotes.ts"
import type { Namespace } from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import * as Format from "../Format.ts"
import { print } from "../Output.ts"
import { withDatastore } from "../Repository.ts"
import * as SnapshotArgument from "../SnapshotArgument.ts"

const flags = {
  snapshot: SnapshotArgument.argument("snapshot"),
  text: Argument.String("text").pipe(
    Argument.withDescription("The new notes; the first line shows in listings"),
    Argument.optional
  )
}

const write = (namespace: Namespace, snapshot: Snapshot.Snapshot, text: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { locks, snapshotFiles } = yield* Datastore
      yield* locks.holdSoon(snapshotLockName(namespace, snapshot), "shared")
      return yield* snapshotFiles.updateManifest(namespace, snapshot, (manifest) =>
        ManifestNotes.withNotes(manifest, text === "" ? undefined : text)
      )
    })
  )

/** Line by line, as line ends are the one kind of control character that notes may have. */
const shown = (text: string): string => text.split(/\r?\n/).map(Format.name).join("\n")

export const notes = Command.make("notes", flags, (input) =>
  withDatastore(
    Effect.gen(function* () {
      const { namespace, snapshot } = yield* SnapshotArgument.resolve(input.snapshot)
      const { snapshotFiles } = yield* Datastore
      const manifest = Option.isSome(input.text)
        ? yield* write(namespace, snapshot, input.text.value)
        : yield* snapshotFiles.manifest(namespace, snapshot)
      const text = ManifestNotes.notes(manifest)
      yield* print({
        json: { snapshot: Snapshot.format(snapshot), notes: text ?? null },
        text: Option.isSome(input.text) ? "" : shown(text ?? "")
      })
    }),
    { writes: Option.isSome(input.text) }
  )
).pipe(
  Command.withDescription("Show or set the notes on a snapshot"),
  Command.withExamples([
    { command: 'granary notes host/laptop "before the upgrade"', description: "Note on the newest snapshot" }
  ])
)
