/**
 * RemoteActions: what the commands of `granary remote` do with the configuration. Secrets never come from the command
 * line.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as RemoteConfig from "../config/RemoteConfig.ts"
import * as AuthId from "../model/AuthId.ts"
import * as NodeFileLocks from "../platform/NodeFileLocks.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import * as RemoteAddress from "../remote/RemoteAddress.ts"
import { configFolder } from "./ConfigFlag.ts"
import { section } from "./DatastoreText.ts"
import { parseInput, UsageError } from "./Failure.ts"
import * as Format from "./Format.ts"
import { print } from "./Output.ts"
import { loginFor } from "./RemoteConnection.ts"
import { root } from "./Root.ts"

interface Texts {
  readonly [key: string]: string | ReadonlyArray<string>
}

const machine = Layer.merge(NodeFiles.layer, NodeFileLocks.layer)

/** A word for the address, of which only the user and the host are asked for. */
const anyStore = "any"

/** What the configuration keeps of the login: the secret as it is asked for, and the pin if one was given. */
const loginTexts = (authId: string, host: string) =>
  Effect.gen(function* () {
    const id = yield* parseInput(() => AuthId.parse(authId), "write user@realm or user@realm!token")
    const { fingerprint, secret } = yield* loginFor({
      authId: id,
      host,
      port: RemoteAddress.defaultPort,
      store: anyStore
    })
    const password = RemoteConfig.encodeSecret(Redacted.value(secret))
    return fingerprint === undefined ? { password } : { password, fingerprint }
  })

const tell = (id: string, done: string) =>
  Effect.gen(function* () {
    const entry = yield* RemoteConfig.get(yield* configFolder, id)
    yield* print({ json: RemoteConfig.toJson(entry), text: done })
  })

export const create = (id: string, { authId, host }: { authId: string; host: string }, texts: Texts) =>
  Effect.gen(function* () {
    const login = yield* loginTexts(authId, host)
    yield* RemoteConfig.create(yield* configFolder, id, { ...texts, host, "auth-id": authId, ...login })
    yield* tell(id, `made remote ${id}\nuse it with: granary job sync create JOB --remote ${id}`)
  }).pipe(Effect.provide(machine))

const nothingToChange = new UsageError({
  detail: "nothing to change was given",
  hint: "see: granary remote update --help"
})

/** A pin that was typed is meant for the remote. */
const typedPin = Effect.map(root, ({ serverFingerprint }) =>
  Option.match(serverFingerprint, { onNone: () => ({}), onSome: (fingerprint) => ({ fingerprint }) })
)

export const update = (id: string, takesSecret: boolean, texts: Texts) =>
  Effect.gen(function* () {
    const folder = yield* configFolder
    const { values } = yield* RemoteConfig.get(folder, id)
    const login = takesSecret
      ? yield* loginTexts(String(texts["auth-id"] ?? values["auth-id"]), String(texts["host"] ?? values.host))
      : yield* typedPin
    const all: Texts = { ...texts, ...login }
    if (Object.keys(all).length === 0) return yield* nothingToChange
    yield* RemoteConfig.update(folder, id, all)
    yield* tell(id, `changed remote ${id}`)
  }).pipe(Effect.provide(machine))

const header = ["remote", "host", "auth-id", "fingerprint", "comment"]

const row = ({ id, values }: RemoteConfig.RemoteEntry): ReadonlyArray<string> =>
  [
    id,
    `${values.host ?? ""}${values.port === undefined ? "" : `:${values.port}`}`,
    values["auth-id"] ?? "",
    values.fingerprint === undefined ? "by the system" : `${values.fingerprint.slice(0, 11)}...`,
    values.comment ?? ""
  ].map(Format.name)

export const list = Effect.gen(function* () {
  const entries = yield* RemoteConfig.list(yield* configFolder)
  yield* print({
    json: entries.map(RemoteConfig.toJson),
    text: entries.length === 0 ? "no remotes" : Format.table(header, entries.map(row))
  })
}).pipe(Effect.provide(machine))

export const show = (id: string) =>
  Effect.gen(function* () {
    const entry = yield* RemoteConfig.get(yield* configFolder, id)
    const json = RemoteConfig.toJson(entry)
    yield* print({ json, text: section(json) })
  }).pipe(Effect.provide(machine))

export const remove = (id: string) =>
  Effect.gen(function* () {
    yield* RemoteConfig.remove(yield* configFolder, id)
    yield* print({ json: { id, removed: true }, text: `removed remote ${id}; what is there stays there` })
  }).pipe(Effect.provide(machine))
