/** `granary files SNAPSHOT`: the archives of a snapshot. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { Datastore } from "../../datastore/Datastore.ts"
import type { ManifestFile } from "../../format/Manifest.ts"
import * as Format from "../Format.ts"
import { print } from "../Output.ts"
import { withDatastore } from "../Repository.ts"
import * as SnapshotArgument from "../SnapshotArgument.ts"

const toJson = ({ filename, sizeBytes, cryptMode, csum }: ManifestFile) => ({
  filename,
  size: sizeBytes,
  "crypt-mode": cryptMode,
  csum
})

const toText = (found: ReadonlyArray<ManifestFile>): string => {
  const rows = found.map((file) => [file.filename, Format.bytes(file.sizeBytes), file.cryptMode])
  return Format.table(["file", "size", "encryption"], rows)
}

export const files = Command.make("files", { snapshot: SnapshotArgument.argument("snapshot") }, (input) =>
  withDatastore(
    Effect.gen(function* () {
      const { namespace, snapshot } = yield* SnapshotArgument.resolve(input.snapshot)
      const { snapshotFiles } = yield* Datastore
      const manifest = yield* snapshotFiles.manifest(namespace, snapshot)
      yield* print({ json: manifest.files.map(toJson), text: toText(manifest.files) })
    })
  )
).pipe(Command.withDescription("List the archives of a snapshot"))
