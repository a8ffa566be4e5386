/**
 * Passphrase: where the passphrase of a key comes from: `--passphrase-file`, else `GRANARY_KEY_PASSPHRASE`, else the
 * person at the terminal, who types it without seeing it.
 *
 * Questions go to standard error and answers come from the terminal's own input, so standard output stays the
 * command's.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Files } from "../platform/Files.ts"
import { CommandFailed, UsageError } from "./Failure.ts"
import { root } from "./Root.ts"

const fileMaxBytes = 64 * 1024

/** Asks one question without echo; answers undefined where nobody can be asked. */
export type Asker = (question: string) => Effect.Effect<string | undefined, CommandFailed>

const CONTROL_C = "\u0003"
const CONTROL_D = "\u0004"
const BACKSPACES = ["\u007f", "\b"]

const isEnd = (character: string): boolean =>
  character === "\r" || character === "\n" || character === CONTROL_D

/** One line typed on the terminal, unseen; undefined when the user gave up. */
const typeUnseen = (question: string): Effect.Effect<string | undefined> =>
  Effect.callback<string | undefined>((resume) => {
    const { stdin, stderr } = process
    let typed: ReadonlyArray<string> = []

    const release = (): void => {
      stdin.off("data", listen)
      stdin.setRawMode(false)
      stdin.pause()
      stderr.write("\n")
    }
    const listen = (data: Buffer | string): void => {
      for (const character of data.toString()) {
        if (character === CONTROL_C || isEnd(character)) {
          release()
          return resume(Effect.succeed(character === CONTROL_C ? undefined : typed.join("")))
        }
        typed = BACKSPACES.includes(character) ? typed.slice(0, -1) : [...typed, character]
      }
    }
    stderr.write(question)
    stdin.setRawMode(true)
    stdin.setEncoding("utf8")
    stdin.on("data", listen)
    stdin.resume()
    return Effect.sync(release)
  })

const givenUp = new CommandFailed({ detail: "no passphrase was entered", hint: "" })

/** A reference, so that tests and other front ends can answer in place of the terminal. */
export const AskPassphrase = Context.Reference<Asker>("granary/cli/AskPassphrase", {
  defaultValue: () => (question) =>
    process.stdin.isTTY && process.stderr.isTTY
      ? Effect.flatMap(typeUnseen(question), (typed) =>
          typed === undefined ? Effect.fail(givenUp) : Effect.succeed(typed)
        )
      : Effect.succeed(undefined)
})

/** The passphrase that a file or the environment holds. */
export const given = Effect.gen(function* () {
  const { passphraseFile } = yield* root
  if (Option.isSome(passphraseFile)) {
    const files = yield* Files
    const content = yield* files.readFile(passphraseFile.value, fileMaxBytes)
    return (new TextDecoder().decode(content).split("\n")[0] ?? "").replace(/\r$/, "")
  }
  const fromEnvironment = yield* Effect.orDie(Config.option(Config.String("GRANARY_KEY_PASSPHRASE")))
  return Option.getOrUndefined(fromEnvironment)
})

const nobodyToAsk = (keyName: string): UsageError =>
  new UsageError({
    detail: `${keyName}: a passphrase protects this key and there is nobody to ask for it`,
    hint: "use --passphrase-file or set GRANARY_KEY_PASSPHRASE"
  })

/** The passphrase of an existing key. */
export const forKey = (keyName: string) =>
  Effect.gen(function* () {
    const found = yield* given
    if (found !== undefined) return found
    const ask = yield* AskPassphrase
    const typed = yield* ask(`Passphrase of ${keyName}: `)
    return typed ?? (yield* nobodyToAsk(keyName))
  })

/** A new passphrase, typed twice. */
export const chosen = Effect.gen(function* () {
  const found = yield* given
  if (found !== undefined) return found
  const ask = yield* AskPassphrase
  const typed = yield* ask("New passphrase: ")
  if (typed === undefined) return yield* nobodyToAsk("new key")
  const again = yield* ask("The same once more: ")
  if (typed === again) return typed
  return yield* new CommandFailed({ detail: "the two passphrases differ", hint: "try again" })
})
