/** RsaKeyPair: new pairs of RSA keys, in PEM. Made by OpenSSL with the machine's randomness, on another thread. */
import * as Effect from "effect/Effect"
import { generateKeyPair } from "node:crypto"

export interface RsaKeyPair {
  readonly publicPem: string
  /** Protected by a passphrase (PKCS#8, AES-256). */
  readonly privatePem: string
}

/** What Proxmox Backup's client makes. */
const modulusBits = 4096

export const make = (passphrase: string): Effect.Effect<RsaKeyPair> =>
  Effect.callback<RsaKeyPair>((resume) => {
    generateKeyPair(
      "rsa",
      {
        modulusLength: modulusBits,
        publicKeyEncoding: { type: "spki", format: "pem" },
        privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }
      },
      (error, publicPem, privatePem) =>
        resume(error === null ? Effect.succeed({ publicPem, privatePem }) : Effect.die(error))
    )
  })
