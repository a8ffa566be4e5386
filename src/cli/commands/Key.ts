/** `granary key create FILE` and `granary key show FILE`: keys for encrypted backups. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ivSizeBytes, keySizeBytes } from "../../format/CryptConfig.ts"
import * as KeyFile from "../../format/KeyFile.ts"
import { Entropy } from "../../platform/Entropy.ts"
import { Files } from "../../platform/Files.ts"
import * as NodeFiles from "../../platform/NodeFiles.ts"
import { CommandFailed } from "../Failure.ts"
import * as Format from "../Format.ts"
import { attemptKey, readKeyFile } from "../Keys.ts"
import { localTime } from "../LocalTime.ts"
import { print } from "../Output.ts"
import * as Passphrase from "../Passphrase.ts"

const saltSizeBytes = 32

const file = Argument.String("file").pipe(
  Argument.withDescription("The key file"),
  Argument.withMetavar("FILE")
)

const flags = {
  file,
  kdf: Flag.Literals("kdf", ["scrypt", "pbkdf2", "none"]).pipe(
    Flag.withDescription("How the passphrase protects the key; none stores it bare"),
    Flag.withDefault("scrypt")
  ),
  hint: Flag.String("hint").pipe(
    Flag.withDescription("Something to remember the passphrase by, stored readable"),
    Flag.optional
  )
}

const toJson = (keyFile: KeyFile.KeyFile) => ({
  fingerprint: keyFile.fingerprint ?? null,
  kdf: keyFile.kdf.kind,
  created: keyFile.created,
  modified: keyFile.modified,
  hint: keyFile.hint ?? null
})

const protectionOf = (kind: KeyFile.KeyFile["kdf"]["kind"]): string =>
  kind === "none" ? "none: whoever reads the file has the key" : `passphrase (${kind})`

const toText = (keyFile: KeyFile.KeyFile): string =>
  [
    `fingerprint  ${Format.name(keyFile.fingerprint ?? "not recorded")}`,
    `protection   ${protectionOf(keyFile.kdf.kind)}`,
    `created      ${localTime(keyFile.created)}`,
    `modified     ${localTime(keyFile.modified)}`,
    ...(keyFile.hint === undefined ? [] : [`hint         ${Format.name(keyFile.hint)}`])
  ].join("\n")

/** Makes a new random key; asks for a passphrase where one is to protect it. */
const makeKey = (path: string, kdf: "scrypt" | "pbkdf2" | "none", hint: string | undefined) =>
  Effect.gen(function* () {
    const entropy = yield* Entropy
    const created = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const common = { raw: entropy(keySizeBytes), created, ...(hint === undefined ? {} : { hint }) }
    if (kdf === "none") return KeyFile.create({ ...common, kdf })
    const passphrase = yield* Passphrase.chosen
    const [salt, iv] = [entropy(saltSizeBytes), entropy(ivSizeBytes)]
    return yield* attemptKey(path, () => KeyFile.create({ ...common, kdf, passphrase, salt, iv }))
  })

/** Told before a passphrase is asked for; `createFile` makes sure of it. */
const refuseExisting = (path: string) =>
  Effect.gen(function* () {
    const files = yield* Files
    const isThere = yield* Effect.match(files.stat(path), {
      onSuccess: () => true,
      onFailure: ({ reason }) => reason !== "NotFound"
    })
    if (isThere) {
      return yield* new CommandFailed({
        detail: `${Format.name(path)}: this file exists already, and a key is never overwritten`,
        hint: "choose another name"
      })
    }
  })

const create = Command.make("create", flags, (input) =>
  Effect.gen(function* () {
    const files = yield* Files
    yield* refuseExisting(input.file)
    const keyFile = yield* makeKey(input.file, input.kdf, Option.getOrUndefined(input.hint))
    yield* files.createFile(input.file, KeyFile.encode(keyFile), { mode: 0o600, sync: true })
    const advice = `Keep a copy of ${Format.name(input.file)} in a safe place: without it encrypted backups are lost.`
    yield* print({ json: toJson(keyFile), text: `${toText(keyFile)}\n${advice}` })
  }).pipe(Effect.provide(NodeFiles.layer))
).pipe(
  Command.withDescription("Make a new key"),
  Command.withExamples([
    { command: "granary key create laptop.key", description: "Protected by a passphrase" },
    {
      command: "granary key create server.key --kdf none",
      description: "For a machine that backs up unattended"
    }
  ])
)

const show = Command.make("show", { file }, (input) =>
  Effect.gen(function* () {
    const keyFile = yield* readKeyFile(input.file)
    yield* print({ json: toJson(keyFile), text: toText(keyFile) })
  }).pipe(Effect.provide(NodeFiles.layer))
).pipe(Command.withDescription("Show what a key file says of its key"))

export const key = Command.make("key").pipe(
  Command.withDescription("Make and show keys for encrypted backups"),
  Command.withSubcommands([create, show])
)
