/**
 * Keys: the key files that commands read: the one that `--keyfile` names, opened with its passphrase.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as CryptConfig from "../format/CryptConfig.ts"
import { FormatError } from "../format/FormatError.ts"
import * as KeyFile from "../format/KeyFile.ts"
import { Files } from "../platform/Files.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import { CommandFailed } from "./Failure.ts"
import * as Format from "./Format.ts"
import * as Passphrase from "./Passphrase.ts"
import { root } from "./Root.ts"

const keyFileMaxBytes = 64 * 1024

const hints: Record<KeyFile.KeyError["reason"], string> = {
  PassphraseNeeded: "use --passphrase-file or set GRANARY_KEY_PASSPHRASE",
  PassphraseTooShort: "use a longer one",
  WrongPassphrase: "try again; without its passphrase the key cannot be opened",
  FingerprintMismatch: "restore the key file from a copy"
}

/** What is wrong with a key, told with the file's name. */
export const explain = (path: string, error: KeyFile.KeyError | FormatError): CommandFailed =>
  error._tag === "KeyError"
    ? new CommandFailed({ detail: `${Format.name(path)}: ${error.detail}`, hint: hints[error.reason] })
    : new CommandFailed({
        detail: `${Format.name(path)}: this is not a key file: expected ${error.expected}, found ${error.found}`,
        hint: "make one with: granary key create FILE"
      })

/** Runs what may throw about a key. */
export const attemptKey = <A>(path: string, run: () => A): Effect.Effect<A, CommandFailed> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return error instanceof KeyFile.KeyError || error instanceof FormatError
        ? Effect.fail(explain(path, error))
        : Effect.die(error)
    }
  })

/** Reads a key file without opening the key in it. */
export const readKeyFile = (path: string) =>
  Effect.gen(function* () {
    const files = yield* Files
    const bytes = yield* files.readFile(path, keyFileMaxBytes)
    return yield* attemptKey(path, () => KeyFile.decode(bytes))
  })

/** Opens the key in a file, with its passphrase when it needs one. */
export const openKey = (path: string) =>
  Effect.gen(function* () {
    const keyFile = yield* readKeyFile(path)
    const passphrase = keyFile.kdf.kind === "none" ? undefined : yield* Passphrase.forKey(Format.name(path))
    return yield* attemptKey(path, () => CryptConfig.fromKey(KeyFile.unlock(keyFile, passphrase)))
  })

/** The key that `--keyfile` names, ready to use; undefined without one. */
export const cryptConfig = Effect.gen(function* () {
  const { keyfile } = yield* root
  return Option.isNone(keyfile) ? undefined : yield* openKey(keyfile.value)
}).pipe(Effect.provide(NodeFiles.layer))
