/**
 * `granary inspect FILE`: what a single file of a datastore is and holds. `granary inspect chunks FILE`: how
 * any file would be cut into chunks.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { archiveAverageBytes } from "../../chunking/DynamicChunker.ts"
import { boundaryMask } from "../../chunking/Scanner.ts"
import { fileChunks } from "../../inspect/FileChunks.ts"
import * as Inspect from "../../inspect/Inspect.ts"
import * as NodeFiles from "../../platform/NodeFiles.ts"
import { UsageError } from "../Failure.ts"
import { chunkTable, show } from "../InspectionText.ts"
import { cryptConfig } from "../Keys.ts"
import { printList } from "../ListOutput.ts"
import { print } from "../Output.ts"

const unitBytes: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 }

/** Reads `4MiB`, `512K` or a number of bytes that chunks can have on average. */
const parseAverage = (text: string): Effect.Effect<number, UsageError> => {
  const [, digits, unit = ""] = /^(\d{1,12})\s*(?:([kmg])(?:i?b)?|b)?$/i.exec(text) ?? []
  const sizeBytes = Number(digits) * (unitBytes[unit.toLowerCase()] ?? Number.NaN)
  return Effect.try({
    try: () => {
      boundaryMask(sizeBytes)
      return sizeBytes
    },
    catch: () =>
      new UsageError({
        detail: `--average ${text}: this is no average size of chunks`,
        hint: "use a power of two such as 64KiB, 512KiB or 4MiB"
      })
  })
}

const file = Argument.String("file").pipe(Argument.withDescription("The file"), Argument.withMetavar("FILE"))

const chunks = Command.make(
  "chunks",
  {
    file,
    average: Flag.String("average").pipe(
      Flag.withDescription("Average size of the chunks: 4MiB for archives, 512KiB for catalogs"),
      Flag.withMetavar("BYTES"),
      Flag.withDefault(String(archiveAverageBytes))
    )
  },
  (input) =>
    Effect.gen(function* () {
      const averageBytes = yield* parseAverage(input.average)
      const crypt = yield* cryptConfig
      yield* printList(fileChunks(input.file, { averageBytes, crypt }), {
        json: (chunk) => chunk,
        text: chunkTable
      })
    }).pipe(Effect.provide(NodeFiles.layer))
).pipe(
  Command.withDescription("Show where any file would be cut into chunks, and their digests"),
  Command.withExamples([
    { command: "granary inspect chunks disk.raw --average 64KiB", description: "Small chunks" }
  ])
)

const flags = {
  file: file.pipe(Argument.optional),
  chunks: Flag.Boolean("chunks").pipe(
    Flag.withDescription("List the chunks of an index"),
    Flag.withDefault(false)
  )
}

const noFile = new UsageError({ detail: "no file was named", hint: "granary inspect FILE" })

export const inspect = Command.make("inspect", flags, (input) =>
  Effect.gen(function* () {
    if (Option.isNone(input.file)) return yield* noFile
    const crypt = yield* cryptConfig
    const found = yield* Inspect.inspect(input.file.value, crypt === undefined ? {} : { crypt })
    yield* print(show(found, { withChunks: input.chunks }))
  }).pipe(Effect.provide(NodeFiles.layer))
).pipe(
  Command.withDescription("Show what a file of a datastore is: chunk, blob, index, catalog, archive or key"),
  Command.withExamples([
    { command: "granary inspect root.pxar.didx --chunks", description: "An index and its chunks" },
    { command: "granary inspect index.json.blob", description: "A manifest" }
  ]),
  Command.withSubcommands([chunks])
)
