/**
 * RemoteConnection: from the name of a datastore on a server to a client that may log in there: the secret and the pin
 * from the flags, else from the environment, else (the secret) from the person at the terminal.
 *
 * Loaded only when a repository is on a server.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { Files } from "../platform/Files.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import * as Remote from "../remote/Remote.ts"
import * as RemoteAddress from "../remote/RemoteAddress.ts"
import { UsageError } from "./Failure.ts"
import { AskPassphrase } from "./Passphrase.ts"
import { root } from "./Root.ts"

export interface RemoteLogin {
  readonly secret: Redacted.Redacted<string>
  /** Lower-case hex pairs with colons. */
  readonly fingerprint?: string
}

const fileMaxBytes = 64 * 1024

/** The first of the variables that is set and not empty. */
const fromEnvironment = (variables: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    for (const variable of variables) {
      const found = yield* Effect.orDie(Config.option(Config.String(variable)))
      if (Option.isSome(found) && found.value !== "") return found.value
    }
    return undefined
  })

const firstLine = (content: Uint8Array): string =>
  (new TextDecoder().decode(content).split("\n")[0] ?? "").replace(/\r$/, "")

const nobodyToAsk = (address: RemoteAddress.RemoteAddress): UsageError =>
  new UsageError({
    detail: `${RemoteAddress.format(address)}: there is no password or token secret, and nobody to ask for it`,
    hint: "set GRANARY_PASSWORD or PBS_PASSWORD, or use --password-file"
  })

const secretFor = (address: RemoteAddress.RemoteAddress) =>
  Effect.gen(function* () {
    const { passwordFile } = yield* root
    if (Option.isSome(passwordFile)) {
      const files = yield* Files
      return firstLine(yield* files.readFile(passwordFile.value, fileMaxBytes))
    }
    const found = yield* fromEnvironment(["GRANARY_PASSWORD", "PBS_PASSWORD"])
    if (found !== undefined) return found
    const ask = yield* AskPassphrase
    const typed = yield* ask(`Password of ${address.authId}: `)
    return typed ?? (yield* nobodyToAsk(address))
  }).pipe(Effect.map(Redacted.make), Effect.provide(NodeFiles.layer))

const pinPattern = /^(?:[0-9a-f]{2}:?){31}[0-9a-f]{2}$/i

const pin = Effect.gen(function* () {
  const { serverFingerprint } = yield* root
  const text = Option.isSome(serverFingerprint)
    ? serverFingerprint.value
    : yield* fromEnvironment(["GRANARY_FINGERPRINT", "PBS_FINGERPRINT"])
  if (text === undefined || pinPattern.test(text.trim())) return text?.trim()
  return yield* new UsageError({
    detail: `bad fingerprint ${JSON.stringify(text)}`,
    hint: "write 64 hex digits, in pairs with colons, as the server shows it"
  })
})

/** What is needed to log in to the server. */
export const loginFor = (address: RemoteAddress.RemoteAddress) =>
  Effect.gen(function* () {
    const fingerprint = yield* pin
    const secret = yield* secretFor(address)
    const login: RemoteLogin = fingerprint === undefined ? { secret } : { secret, fingerprint }
    return login
  })

/** A client for the server, until the scope closes. Nothing is asked of the server yet. */
export const openRemote = (address: RemoteAddress.RemoteAddress) =>
  Effect.flatMap(loginFor(address), (login) => Remote.make({ address, ...login }))
