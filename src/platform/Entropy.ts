/**
 * Entropy: where random bytes come from (uuids, salts, vectors). A reference, so that a simulation can make them
 * repeatable; by default the system's secure source.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { randomBytes } from "node:crypto"

export const Entropy = Context.Reference<(countBytes: number) => Uint8Array>("granary/platform/Entropy", {
  defaultValue: () => (countBytes) => randomBytes(countBytes)
})

/** So many random bytes in hexadecimal digits: a name that nobody else takes. */
export const randomHex = (countBytes: number): Effect.Effect<string> =>
  Effect.map(Entropy, (entropy) => Buffer.from(entropy(countBytes)).toString("hex"))
