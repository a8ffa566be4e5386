/**
 * `granary key create-master-key` and `granary key import-with-master-key`: a pair of keys whose public half seals the
 * key of every backup into the backup itself, and the way back to a key that was lost.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { Files } from "../../platform/Files.ts"
import * as NodeFiles from "../../platform/NodeFiles.ts"
import * as RsaKeyPair from "../../platform/RsaKeyPair.ts"
import * as KeyFile from "../../format/KeyFile.ts"
import * as Format from "../Format.ts"
import * as Keys from "../Keys.ts"
import * as MasterKeys from "../MasterKeys.ts"
import * as NewKeyFile from "../NewKeyFile.ts"
import { print } from "../Output.ts"

const createFlags = {
  name: Argument.String("name").pipe(
    Argument.withDescription("The two files are NAME-public.pem and NAME-private.pem"),
    Argument.withMetavar("NAME"),
    Argument.withDefault("master")
  )
}

export const createMasterKey = Command.make("create-master-key", createFlags, ({ name }) =>
  Effect.gen(function* () {
    const files = yield* Files
    const [publicFile, privateFile] = [`${name}-public.pem`, `${name}-private.pem`]
    yield* NewKeyFile.refuseExisting(publicFile)
    yield* NewKeyFile.refuseExisting(privateFile)
    const pair = yield* RsaKeyPair.make(yield* MasterKeys.newPassphrase)
    yield* files.createFile(privateFile, Buffer.from(pair.privatePem), { mode: 0o600, sync: true })
    yield* files.createFile(publicFile, Buffer.from(pair.publicPem), { mode: 0o644, sync: true })
    const text = [
      `public   ${Format.name(publicFile)}: goes with every backup, by --master-pubkey-file`,
      `private  ${Format.name(privateFile)}: keep it and its passphrase away from the machines that back up`
    ]
    yield* print({ json: { public: publicFile, private: privateFile }, text: text.join("\n") })
  }).pipe(Effect.provide(NodeFiles.layer))
).pipe(
  Command.withDescription(
    "Make a master key, which opens the keys of all backups that were made with its public half"
  ),
  Command.withExamples([
    {
      command: "granary key create-master-key",
      description: "Makes master-public.pem and master-private.pem"
    }
  ])
)

const importFlags = {
  file: Argument.String("file").pipe(
    Argument.withDescription("The key file to make"),
    Argument.withMetavar("FILE")
  ),
  masterKeyfile: Flag.String("master-keyfile").pipe(
    Flag.withDescription("The private half of the master key"),
    Flag.withMetavar("FILE")
  ),
  encryptedKeyfile: Flag.String("encrypted-keyfile").pipe(
    Flag.withDescription("rsa-encrypted.key of a snapshot, as restore or cat brings it"),
    Flag.withMetavar("FILE")
  ),
  kdf: NewKeyFile.kdfFlag
}

export const importWithMasterKey = Command.make("import-with-master-key", importFlags, (input) =>
  Effect.gen(function* () {
    const files = yield* Files
    yield* NewKeyFile.refuseExisting(input.file)
    const { created, data, hint, modified } = yield* MasterKeys.unseal(
      input.masterKeyfile,
      input.encryptedKeyfile
    )
    const known = { raw: data, created, modified, ...(hint === undefined ? {} : { hint }) }
    const keyFile = yield* NewKeyFile.make(input.file, input.kdf, known)
    yield* files.createFile(input.file, KeyFile.encode(keyFile), { mode: 0o600, sync: true })
    yield* print({ json: Keys.toJson(keyFile), text: Keys.toText(keyFile) })
  }).pipe(Effect.provide(NodeFiles.layer))
).pipe(
  Command.withDescription("Bring back the key of a backup from its rsa-encrypted.key, with the master key"),
  Command.withExamples([
    {
      command: "granary cat -r /mnt/store host/laptop rsa-encrypted.key > sealed",
      description: "First take the sealed key out of a snapshot"
    },
    {
      command:
        "granary key import-with-master-key laptop.key --master-keyfile master-private.pem --encrypted-keyfile sealed",
      description: "Then open it"
    }
  ])
)
