/**
 * The inputs that the golden chunk boundaries were computed from, and seeded data for the other chunker
 * tests.
 */
import { createHash } from "node:crypto"

const mebibyte = 1 << 20

/** SHA-256 in counter mode: the seed's text, then the block's number as eight bytes, little endian. */
export const sha256Stream = (seed: string, sizeBytes: number): Uint8Array => {
  const bytes = new Uint8Array(sizeBytes)
  const number = Buffer.alloc(8)
  for (let block = 0; block * 32 < sizeBytes; block++) {
    number.writeBigUInt64LE(BigInt(block))
    const digest = createHash("sha256").update(seed).update(number).digest()
    bytes.set(digest.subarray(0, sizeBytes - block * 32), block * 32)
  }
  return bytes
}

const filled = (sizeBytes: number, value: number): Uint8Array => new Uint8Array(sizeBytes).fill(value)

export const counterBytes = (count: number): Uint8Array =>
  new Uint8Array(Uint32Array.from({ length: count }, (_, index) => index).buffer)

const mixed = (): Uint8Array =>
  Buffer.concat([
    sha256Stream("m1", 7 * mebibyte),
    filled(6 * mebibyte, 0),
    sha256Stream("m2", 5 * mebibyte),
    filled(6 * mebibyte, 0x41)
  ])

/** By the first part of a golden file's name. */
export const goldenInputs: Readonly<Record<string, () => Uint8Array>> = {
  "prng-1M": () => sha256Stream("chunker-1M", mebibyte),
  "prng-20M": () => sha256Stream("chunker-20M", 20 * mebibyte),
  "zeros-40M": () => filled(40 * mebibyte, 0),
  "ff-5M": () => filled(5 * mebibyte, 0xff),
  "u32le-counter-1M": () => counterBytes(1 << 18),
  "period64-3M": () => Uint8Array.from({ length: 3 * mebibyte }, (_, index) => index & 63),
  "mixed-24M": mixed,
  "tiny-63": () => filled(63, 0x61),
  "tiny-64": () => filled(64, 0x61),
  "tiny-65": () => filled(65, 0x61),
  empty: () => new Uint8Array(0)
}

/** A linear congruential generator's bytes, as in the published vectors. */
export const congruentialBytes = (sizeBytes: number): Uint8Array => {
  const bytes = new Uint8Array(sizeBytes)
  let state = 1
  for (let index = 0; index < sizeBytes; index++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    bytes[index] = (state >> 16) & 255
  }
  return bytes
}

/** Fast seeded bytes. */
export const seededBytes = (seed: number, sizeBytes: number): Uint8Array => {
  const bytes = new Uint8Array(sizeBytes)
  let state = seed | 1
  for (let index = 0; index < sizeBytes; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[index] = state
  }
  return bytes
}
