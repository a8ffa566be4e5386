/**
 * The derivation of a key from a passphrase, as key files describe it: scrypt, PBKDF2 with HMAC-SHA256, or
 * none.
 *
 * The parameters come out of a file that anybody may have written, so they are bounded here: no derivation
 * takes more than 1025 MiB of memory (the reference's own limit) or more than some seconds.
 */
import { pbkdf2Sync, scryptSync } from "node:crypto"
import { keySizeBytes } from "./CryptConfig.ts"
import { fail } from "./FormatError.ts"

/** How the key under the passphrase is derived. */
export type Kdf =
  | { readonly kind: "none" }
  | {
      readonly kind: "scrypt"
      readonly n: number
      readonly r: number
      readonly p: number
      readonly salt: Uint8Array
    }
  | { readonly kind: "pbkdf2"; readonly iterations: number; readonly salt: Uint8Array }

export type PassphraseKdf = Exclude<Kdf, { readonly kind: "none" }>

const format = "key file"

const saltMaxBytes = 1024

const scryptMemoryMaxBytes = 1025 * 1024 * 1024

/** Four times the work of the most memory-hungry derivation. */
const scryptWorkMax = 4 * scryptMemoryMaxBytes

const pbkdf2IterationsMax = 10_000_000

/** The reference's parameters for new keys; the salt is 32 random bytes. */
export const scrypt = (salt: Uint8Array): PassphraseKdf => ({ kind: "scrypt", n: 65_536, r: 8, p: 1, salt })

/** The reference's parameters for new keys where scrypt is not wanted. */
export const pbkdf2 = (salt: Uint8Array): PassphraseKdf => ({ kind: "pbkdf2", iterations: 65_535, salt })

const isPositive = (value: number): boolean => Number.isSafeInteger(value) && value > 0

/**
 * Whether scrypt is defined for the parameters: n a power of two and, as RFC 7914 asks, below 2^(128 r / 8).
 */
const isDefined = (n: number, r: number, p: number): boolean =>
  isPositive(n) &&
  isPositive(r) &&
  isPositive(p) &&
  n > 1 &&
  Number.isInteger(Math.log2(n)) &&
  n < 2 ** (16 * r)

const isBearable = (n: number, r: number, p: number): boolean =>
  128 * r * (n + p + 2) <= scryptMemoryMaxBytes && 128 * r * n * p <= scryptWorkMax

/** Throws a `FormatError` when the parameters are senseless or a burden. */
export const check = (kdf: Kdf): void => {
  if (kdf.kind === "none") return
  if (kdf.salt.length > saltMaxBytes) {
    fail(format, 0, `a salt of at most ${saltMaxBytes} bytes`, `${kdf.salt.length} bytes`)
  }
  if (kdf.kind === "pbkdf2") {
    if (isPositive(kdf.iterations) && kdf.iterations <= pbkdf2IterationsMax) return
    fail(format, 0, `1 to ${pbkdf2IterationsMax} iterations of PBKDF2`, String(kdf.iterations))
    return
  }
  const { n, r, p } = kdf
  if (isDefined(n, r, p) && isBearable(n, r, p)) return
  fail(format, 0, "parameters of scrypt that take at most 1025 MiB and some seconds", `n=${n} r=${r} p=${p}`)
}

/** Takes from a tenth of a second to some seconds of the thread, as it is meant to. */
export const derive = (kdf: PassphraseKdf, passphrase: Uint8Array): Uint8Array => {
  check(kdf)
  if (kdf.kind === "pbkdf2") {
    return pbkdf2Sync(passphrase, kdf.salt, kdf.iterations, keySizeBytes, "sha256")
  }
  const cost = { N: kdf.n, r: kdf.r, p: kdf.p, maxmem: scryptMemoryMaxBytes }
  return scryptSync(passphrase, kdf.salt, keySizeBytes, cost)
}
