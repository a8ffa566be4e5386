/**
 * Runs a command line in this process and hands out what it prints. A test file that uses this mocks `node:fs` as
 * `lookCapture.ts` says.
 */
import * as Effect from "effect/Effect"
import { type Asker, AskPassphrase } from "../../src/cli/Passphrase.ts"
import { run } from "../../src/cli/main.ts"
import { printed } from "./lookCapture.ts"

export interface Outcome {
  readonly code: number
  readonly bytes: Buffer
  readonly text: string
  readonly errors: string
}

const nobody: Asker = () => Effect.succeed(undefined)

/** Runs `granary` with these arguments. */
export const granary = (args: ReadonlyArray<string>, ask: Asker = nobody): Effect.Effect<Outcome> =>
  Effect.suspend(() => {
    printed.length = 0
    let errors = ""
    const write = process.stderr.write
    process.stderr.write = (chunk: string | Uint8Array) => {
      errors += Buffer.from(chunk).toString()
      return true
    }
    return run(args).pipe(
      Effect.provideService(AskPassphrase, ask),
      Effect.map((code) => {
        const bytes = Buffer.concat(printed)
        return { code, bytes, text: bytes.toString(), errors }
      }),
      Effect.ensuring(
        Effect.sync(() => {
          process.stderr.write = write
        })
      )
    )
  })

/** The same with `--output json`; the document that was printed. */
export const granaryJson = (args: ReadonlyArray<string>) =>
  Effect.map(granary([...args, "--output", "json"]), (outcome) => ({
    ...outcome,
    json: JSON.parse(outcome.text)
  }))
