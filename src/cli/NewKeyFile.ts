/** NewKeyFile: what commands that make a key file have in common: its protection, and that nothing is overwritten. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import { ivSizeBytes } from "../format/CryptConfig.ts"
import * as KeyFile from "../format/KeyFile.ts"
import { Entropy } from "../platform/Entropy.ts"
import { Files } from "../platform/Files.ts"
import { CommandFailed } from "./Failure.ts"
import * as Format from "./Format.ts"
import { attemptKey } from "./Keys.ts"
import * as Passphrase from "./Passphrase.ts"

const saltSizeBytes = 32

export const kdfFlag = Flag.Literals("kdf", ["scrypt", "pbkdf2", "none"]).pipe(
  Flag.withDescription("How the passphrase protects the key; none stores it bare"),
  Flag.withDefault("scrypt")
)

/** A key file for a key; asks for a passphrase where one is to protect it. */
export const make = (
  path: string,
  kdf: "scrypt" | "pbkdf2" | "none",
  known: {
    readonly raw: Uint8Array
    readonly created: number
    readonly modified?: number
    readonly hint?: string
  }
) =>
  Effect.gen(function* () {
    if (kdf === "none") return KeyFile.create({ ...known, kdf })
    const entropy = yield* Entropy
    const passphrase = yield* Passphrase.chosen
    const [salt, iv] = [entropy(saltSizeBytes), entropy(ivSizeBytes)]
    return yield* attemptKey(path, () => KeyFile.create({ ...known, kdf, passphrase, salt, iv }))
  })

/** Told before a passphrase is asked for; `createFile` makes sure of it. */
export const refuseExisting = (path: string) =>
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
