/**
 * Secrets: passwords and the secrets of tokens, as they are kept (scrypt with a salt of their own) and compared (in
 * constant time).
 *
 * A kept secret is one word: `scrypt$LOG2_N$R$P$SALT$HASH` in base64url. Its numbers are bounded when they are read, so
 * that a line of the file cannot ask for all of the memory.
 */
import * as Effect from "effect/Effect"
import { scrypt, timingSafeEqual } from "node:crypto"
import { Entropy } from "../../platform/Entropy.ts"

interface Parameters {
  readonly logCost: number
  readonly blockSize: number
  readonly parallelization: number
}

/** 16 MiB and some 40 ms for each guess. */
const usual: Parameters = { logCost: 14, blockSize: 8, parallelization: 1 }

const logCostMax = 17
const blockSizeMax = 16
const parallelizationMax = 4
const saltBytes = 16
const hashBytes = 32
const memoryMaxBytes = 512 * 1024 * 1024

const derive = (secret: string, salt: Uint8Array, parameters: Parameters): Effect.Effect<Uint8Array> =>
  Effect.callback((resume) => {
    const { blockSize, logCost, parallelization } = parameters
    const options = { N: 2 ** logCost, r: blockSize, p: parallelization, maxmem: memoryMaxBytes }
    scrypt(secret.normalize("NFC"), salt, hashBytes, options, (error, key) =>
      resume(error === null ? Effect.succeed(key) : Effect.die(error))
    )
  })

interface Kept {
  readonly parameters: Parameters
  readonly salt: Uint8Array
  readonly hash: Uint8Array
}

const pattern = /^scrypt\$(\d{1,2})\$(\d{1,2})\$(\d)\$([\w-]{22})\$([\w-]{43})$/

/** Undefined for anything that is no kept secret. */
const parse = (kept: string): Kept | undefined => {
  const [, logCost, blockSize, parallelization, salt, hash] = pattern.exec(kept) ?? []
  if (salt === undefined || hash === undefined) return undefined
  const parameters = {
    logCost: Number(logCost),
    blockSize: Number(blockSize),
    parallelization: Number(parallelization)
  }
  const isWithin =
    parameters.logCost >= 1 &&
    parameters.logCost <= logCostMax &&
    parameters.blockSize >= 1 &&
    parameters.blockSize <= blockSizeMax &&
    parameters.parallelization >= 1 &&
    parameters.parallelization <= parallelizationMax
  if (!isWithin) return undefined
  return { parameters, salt: Buffer.from(salt, "base64url"), hash: Buffer.from(hash, "base64url") }
}

export const isKept = (text: string): boolean => parse(text) !== undefined

/** What to keep of a secret. */
export const keep = (secret: string): Effect.Effect<string> =>
  Effect.gen(function* () {
    const entropy = yield* Entropy
    const salt = entropy(saltBytes)
    const hash = yield* derive(secret, salt, usual)
    const { blockSize, logCost, parallelization } = usual
    const words = [Buffer.from(salt).toString("base64url"), Buffer.from(hash).toString("base64url")]
    return ["scrypt", logCost, blockSize, parallelization, ...words].join("$")
  })

const nobody: Kept = {
  parameters: usual,
  salt: new Uint8Array(saltBytes),
  hash: new Uint8Array(hashBytes)
}

/** Whether the secret is the kept one. It takes as long where none is kept: time does not tell who exists. */
export const matches = (secret: string, kept: string | undefined): Effect.Effect<boolean> => {
  const parsed = kept === undefined ? undefined : parse(kept)
  const { hash, parameters, salt } = parsed ?? nobody
  return Effect.map(
    derive(secret, salt, parameters),
    (derived) => timingSafeEqual(derived, hash) && parsed !== undefined
  )
}
