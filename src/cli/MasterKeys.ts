/**
 * MasterKeys: the files of master keys that commands read: the public half that a backup's key is sealed with, the
 * private half that opens it again.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { FormatError } from "../format/FormatError.ts"
import * as KeyFile from "../format/KeyFile.ts"
import * as MasterKey from "../format/MasterKey.ts"
import { Files } from "../platform/Files.ts"
import { CommandFailed, UsageError } from "./Failure.ts"
import * as Format from "./Format.ts"
import type { OpenedKey } from "./Keys.ts"
import { AskPassphrase } from "./Passphrase.ts"

/** Of RSA keys in PEM, and of what is sealed with them. */
const fileMaxBytes = 64 * 1024

const passphraseVariable = "GRANARY_MASTER_KEY_PASSPHRASE"

/** Runs what may throw about a master key, and tells it with the file's name. */
const attempt = <A>(path: string, hint: string, run: () => A): Effect.Effect<A, CommandFailed> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      if (!(error instanceof FormatError)) return Effect.die(error)
      const detail = `${Format.name(path)}: expected ${error.expected}, found ${error.found}`
      return Effect.fail(new CommandFailed({ detail, hint }))
    }
  })

const read = (path: string) => Effect.flatMap(Files, (files) => files.readFile(path, fileMaxBytes))

const readText = (path: string) => Effect.map(read(path), (bytes) => new TextDecoder().decode(bytes))

/** The bytes of `rsa-encrypted.key.blob`: the opened key, for the holder of the master key alone. */
export const seal = (publicPath: string, { keyFile, raw }: OpenedKey) =>
  Effect.gen(function* () {
    const { created, hint, modified } = keyFile
    const bare = KeyFile.create({
      raw,
      kdf: "none",
      created,
      modified,
      ...(hint === undefined ? {} : { hint })
    })
    const pem = yield* readText(publicPath)
    const advice = "give the public half of a master key; make one with: granary key create-master-key"
    return yield* attempt(publicPath, advice, () => MasterKey.encrypt(pem, bare))
  })

/** The passphrase of a private master key: from the environment, or typed. */
const passphraseOf = (path: string) =>
  Effect.gen(function* () {
    const given = yield* Effect.orDie(Config.option(Config.String(passphraseVariable)))
    if (Option.isSome(given)) return given.value
    const ask = yield* AskPassphrase
    const typed = yield* ask(`Passphrase of ${Format.name(path)}: `)
    if (typed !== undefined) return typed
    return yield* new UsageError({
      detail: `${Format.name(path)}: a passphrase protects this key and there is nobody to ask for it`,
      hint: `set ${passphraseVariable}`
    })
  })

/** A new passphrase for a private master key, typed twice. */
export const newPassphrase = Effect.gen(function* () {
  const given = yield* Effect.orDie(Config.option(Config.String(passphraseVariable)))
  if (Option.isSome(given)) return given.value
  const ask = yield* AskPassphrase
  const typed = yield* ask("New passphrase of the master key: ")
  if (typed === undefined) {
    return yield* new UsageError({
      detail: "a passphrase protects a new master key and there is nobody to ask for it",
      hint: `set ${passphraseVariable}`
    })
  }
  const again = yield* ask("The same once more: ")
  if (typed === again) return typed
  return yield* new CommandFailed({ detail: "the two passphrases differ", hint: "try again" })
})

/** Opens a sealed key, as a blob or as it was restored, with the private half. */
export const unseal = (privatePath: string, sealedPath: string) =>
  Effect.gen(function* () {
    const pem = yield* readText(privatePath)
    const sealed = yield* read(sealedPath)
    const passphrase = MasterKey.isProtected(pem) ? yield* passphraseOf(privatePath) : undefined
    const opening = "is it the private half of a master key, and the passphrase the right one?"
    yield* attempt(privatePath, opening, () => MasterKey.provePrivate(pem, passphrase))
    const fitting = "is it the rsa-encrypted.key of a backup that was made with this master key?"
    return yield* attempt(sealedPath, fitting, () => MasterKey.decrypt(pem, sealed, passphrase))
  })
