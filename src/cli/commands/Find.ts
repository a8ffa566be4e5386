/** `granary find SNAPSHOT PATTERN...`: entries of all file archives of a snapshot whose paths match. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as PathPattern from "../../model/PathPattern.ts"
import * as Find from "../../restore/browse/Find.ts"
import * as EntryText from "../EntryText.ts"
import { parseInput } from "../Failure.ts"
import { printList } from "../ListOutput.ts"
import { withDatastore } from "../Repository.ts"
import * as SnapshotArgument from "../SnapshotArgument.ts"

const flags = {
  snapshot: SnapshotArgument.argument("snapshot"),
  patterns: Argument.String("pattern").pipe(
    Argument.withDescription("As in .gitignore: *.jpg, /etc/**/*.conf, cache/ (directories only)"),
    Argument.variadic({ min: 1 })
  )
}

interface FoundEntry extends EntryText.ShownEntry {
  readonly archive: string
}

const toJson = (found: FoundEntry) => ({ archive: found.archive, ...EntryText.toJson(found) })

export const find = Command.make("find", flags, (input) =>
  withDatastore(
    Effect.scoped(
      Effect.gen(function* () {
        const patterns = yield* parseInput(() => input.patterns.map((line) => PathPattern.parse(line)))
        const reader = yield* SnapshotArgument.open(input.snapshot)
        const found = Stream.mapEffect(Find.find(reader, patterns), ({ tree, node }) =>
          Effect.map(EntryText.shown(tree, node), (entry) => ({ ...entry, archive: tree.parts.name }))
        )
        const align = EntryText.aligner()
        const text = (entries: ReadonlyArray<FoundEntry>) =>
          align(
            entries.map((entry) => {
              const columns = EntryText.columns(entry, true)
              return [...columns.slice(0, -1), `${entry.archive}:${columns.at(-1) ?? ""}`]
            })
          )
        yield* printList(found, { json: toJson, text })
      })
    )
  )
).pipe(
  Command.withDescription("Find files in a snapshot by their names"),
  Command.withExamples([
    { command: "granary find host/laptop '*.key'", description: "By name, in all directories" },
    { command: "granary find host/laptop/2026-11-21T10:00:00Z '/etc/**/*.conf'", description: "By path" }
  ])
)
