/** `granary ls SNAPSHOT ARCHIVE [PATH]`: what is inside a file archive, as `ls -l` shows it. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ArchiveTree from "../../restore/ArchiveTree.ts"
import * as EntryText from "../EntryText.ts"
import { printList } from "../ListOutput.ts"
import * as PathText from "../PathText.ts"
import { withDatastore } from "../Repository.ts"
import * as SnapshotArgument from "../SnapshotArgument.ts"

const flags = {
  snapshot: SnapshotArgument.argument("snapshot"),
  archive: Argument.String("archive").pipe(Argument.withDescription("The archive, such as root.pxar")),
  path: Argument.String("path").pipe(
    Argument.withDescription("A directory or file in it (base64:... for names that are not UTF-8)"),
    Argument.withDefault("/")
  ),
  recursive: Flag.Boolean("recursive").pipe(
    Flag.withAlias("R"),
    Flag.withDescription("Everything below as well"),
    Flag.withDefault(false)
  )
}

/** The children of a directory, or the entry itself when it is none. */
const entriesAt = (tree: ArchiveTree.ArchiveTree, path: Uint8Array) =>
  Stream.unwrap(
    Effect.gen(function* () {
      const node = yield* tree.lookup(path)
      if (node.entry.kind !== "directory") return Stream.succeed(node)
      return Stream.fromIterable(yield* tree.children(node))
    })
  )

export const ls = Command.make("ls", flags, (input) =>
  withDatastore(
    Effect.scoped(
      Effect.gen(function* () {
        const path = yield* PathText.parse(input.path)
        const reader = yield* SnapshotArgument.open(input.snapshot)
        const tree = yield* ArchiveTree.open(reader, input.archive)
        const nodes = input.recursive ? tree.walk(path) : entriesAt(tree, path)
        const align = EntryText.aligner()
        yield* printList(
          Stream.mapEffect(nodes, (node) => EntryText.shown(tree, node)),
          {
            json: EntryText.toJson,
            text: (entries) => align(entries.map((entry) => EntryText.columns(entry, input.recursive)))
          }
        )
      })
    )
  )
).pipe(
  Command.withDescription("List what is inside a file archive"),
  Command.withExamples([
    { command: "granary ls host/laptop root.pxar /etc", description: "A directory of the newest snapshot" },
    { command: "granary ls host/laptop root.pxar -R --output json", description: "Everything, for a program" }
  ])
)
