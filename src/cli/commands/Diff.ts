/** `granary diff SNAPSHOT SNAPSHOT ARCHIVE`: what changed in a file archive from one snapshot to another. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as ArchiveTree from "../../restore/ArchiveTree.ts"
import * as Diff from "../../restore/browse/Diff.ts"
import * as Format from "../Format.ts"
import { printList } from "../ListOutput.ts"
import * as PathText from "../PathText.ts"
import { withDatastore } from "../Repository.ts"
import * as SnapshotArgument from "../SnapshotArgument.ts"

const flags = {
  before: SnapshotArgument.argument("before"),
  after: SnapshotArgument.argument("after"),
  archive: Argument.String("archive").pipe(Argument.withDescription("The archive, such as root.pxar")),
  compareContents: Flag.Boolean("compare-contents").pipe(
    Flag.withDescription("Read files of the same size and time as well, unless their chunks are the same"),
    Flag.withDefault(false)
  )
}

const signs: Record<Diff.ChangeKind, string> = { added: "+", removed: "-", modified: "M", metadata: "m" }

const lineOf = ({ change, path, left, right }: Diff.Change): string => {
  const isDirectory = (right ?? left)?.entry.kind === "directory" && path.length > 0
  return `${signs[change]}  ${Format.name(PathText.fromRoot(path))}${isDirectory ? "/" : ""}\n`
}

const toJson = ({ change, path }: Diff.Change) => ({
  ...PathText.toJson("path", PathText.fromRoot(path)),
  change
})

export const diff = Command.make("diff", flags, ({ before, after, archive, compareContents }) =>
  withDatastore(
    Effect.scoped(
      Effect.gen(function* () {
        const left = yield* ArchiveTree.open(yield* SnapshotArgument.open(before), archive)
        const right = yield* ArchiveTree.open(yield* SnapshotArgument.open(after), archive)
        yield* printList(Diff.diff(left, right, { compareContents }), {
          json: toJson,
          text: (changes) => changes.map(lineOf).join("")
        })
      })
    )
  )
).pipe(
  Command.withDescription(
    "Show what changed between two snapshots: + added, - removed, M modified, m metadata only"
  ),
  Command.withExamples([
    {
      command: "granary diff host/laptop/2026-11-20T10:00:00Z host/laptop root.pxar",
      description: "From an older snapshot to the newest"
    }
  ])
)
