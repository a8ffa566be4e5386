/** `granary key create FILE` and `granary key show FILE`: keys for encrypted backups. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { keySizeBytes } from "../../format/CryptConfig.ts"
import * as KeyFile from "../../format/KeyFile.ts"
import { Entropy } from "../../platform/Entropy.ts"
import { Files } from "../../platform/Files.ts"
import * as NodeFiles from "../../platform/NodeFiles.ts"
import * as Format from "../Format.ts"
import { readKeyFile, toJson, toText } from "../Keys.ts"
import * as NewKeyFile from "../NewKeyFile.ts"
import { print } from "../Output.ts"
import { createMasterKey, importWithMasterKey } from "./KeyMaster.ts"

const file = Argument.String("file").pipe(
  Argument.withDescription("The key file"),
  Argument.withMetavar("FILE")
)

const flags = {
  file,
  kdf: NewKeyFile.kdfFlag,
  hint: Flag.String("hint").pipe(
    Flag.withDescription("Something to remember the passphrase by, stored readable"),
    Flag.optional
  )
}

const create = Command.make("create", flags, (input) =>
  Effect.gen(function* () {
    const files = yield* Files
    yield* NewKeyFile.refuseExisting(input.file)
    const entropy = yield* Entropy
    const created = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const hint = Option.getOrUndefined(input.hint)
    const known = { raw: entropy(keySizeBytes), created, ...(hint === undefined ? {} : { hint }) }
    const keyFile = yield* NewKeyFile.make(input.file, input.kdf, known)
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
  Command.withSubcommands([create, show, createMasterKey, importWithMasterKey])
)
