/**
 * ListOutput: prints long lists while they are being found: text batch by batch, JSON as one array.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { writeStandardOutput } from "./Output.ts"
import { root } from "./Root.ts"

export interface ListForm<A> {
  readonly json: (item: A) => unknown
  /** The lines of some items, each line ended. */
  readonly text: (items: ReadonlyArray<A>) => string
}

const indented = (value: unknown): string => `  ${JSON.stringify(value, null, 2).replaceAll("\n", "\n  ")}`

/** Items are gathered, so that columns are aligned and few writes are needed. */
const batchItems = 256

/** Prints every item of the stream; answers how many there were. */
export const printList = <A, E, R>(items: Stream.Stream<A, E, R>, form: ListForm<A>) =>
  Effect.gen(function* () {
    const { output } = yield* root
    let printed = 0
    const printBatch = (batch: ReadonlyArray<A>) => {
      const isFirst = printed === 0
      printed += batch.length
      if (output === "text") return writeStandardOutput(form.text(batch))
      return writeStandardOutput(
        `${isFirst ? "[\n" : ",\n"}${batch.map((item) => indented(form.json(item))).join(",\n")}`
      )
    }
    yield* Stream.runForEachArray(Stream.rechunk(items, batchItems), printBatch)
    if (output === "json") yield* writeStandardOutput(printed === 0 ? "[]\n" : "\n]\n")
    return printed
  })
