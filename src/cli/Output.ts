/**
 * Output: results on standard output, as text or as one JSON document. Everything else (progress, warnings,
 * errors) goes to standard error.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { root } from "./Root.ts"
import * as StoreUsage from "./StoreUsage.ts"

/** Writes all of it, also into a pipe that takes its time. A reader that went away ends the program quietly. */
export const writeStandardOutput = (content: string | Uint8Array): Effect.Effect<void> =>
  Effect.sync(() => {
    let rest = typeof content === "string" ? Buffer.from(content) : content
    while (rest.length > 0) {
      try {
        rest = rest.subarray(fs.writeSync(1, rest))
      } catch (error) {
        const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
        if (code === "EAGAIN") continue
        if (code === "EPIPE") process.exit(0)
        throw error
      }
    }
  })

/** Prints a result in the form the user asked for. */
export const print = (result: { readonly json: unknown; readonly text: string }) =>
  Effect.gen(function* () {
    const { output } = yield* root
    if (output === "json") {
      const json = yield* StoreUsage.withUsage(result.json)
      return yield* writeStandardOutput(`${JSON.stringify(json, null, 2)}\n`)
    }
    const isEnded = result.text === "" || result.text.endsWith("\n")
    yield* writeStandardOutput(isEnded ? result.text : `${result.text}\n`)
  })
