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
import { localTime } from "./LocalTime.ts"
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

/** The key in a file, and what else the file says of it. */
export interface OpenedKey {
  readonly path: string
  readonly keyFile: KeyFile.KeyFile
  readonly raw: Uint8Array
  readonly crypt: CryptConfig.CryptConfig
}

/** Opens the key in a file, with its passphrase when it needs one. */
export const openKey = (path: string) =>
  Effect.gen(function* () {
    const keyFile = yield* readKeyFile(path)
    const passphrase = keyFile.kdf.kind === "none" ? undefined : yield* Passphrase.forKey(Format.name(path))
    const raw = yield* attemptKey(path, () => KeyFile.unlock(keyFile, passphrase))
    return { path, keyFile, raw, crypt: CryptConfig.fromKey(raw) }
  })

/** The key that `--keyfile` names, opened; undefined without one. */
export const openedKey = Effect.gen(function* () {
  const { keyfile } = yield* root
  return Option.isNone(keyfile) ? undefined : yield* openKey(keyfile.value)
}).pipe(Effect.provide(NodeFiles.layer))

/** The same, where only the key counts. */
export const cryptConfig = Effect.map(openedKey, (opened) => opened?.crypt)

/** What may be told of a key. */
export const toJson = (keyFile: KeyFile.KeyFile) => ({
  fingerprint: keyFile.fingerprint ?? null,
  kdf: keyFile.kdf.kind,
  created: keyFile.created,
  modified: keyFile.modified,
  hint: keyFile.hint ?? null
})

const protectionOf = (kind: KeyFile.KeyFile["kdf"]["kind"]): string =>
  kind === "none" ? "none: whoever reads the file has the key" : `passphrase (${kind})`

export const toText = (keyFile: KeyFile.KeyFile): string =>
  [
    `fingerprint  ${Format.name(keyFile.fingerprint ?? "not recorded")}`,
    `protection   ${protectionOf(keyFile.kdf.kind)}`,
    `created      ${localTime(keyFile.created)}`,
    `modified     ${localTime(keyFile.modified)}`,
    ...(keyFile.hint === undefined ? [] : [`hint         ${Format.name(keyFile.hint)}`])
  ].join("\n")
