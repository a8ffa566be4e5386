/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012) in 32-bit halves, for hashing tens of thousands of short names:
 * no bigint and no allocation per call. The result goes into a caller's two-element array, low half first.
 */

/** A 128-bit key as four 32-bit words, low word of k0 first. */
export interface SipKey {
  readonly k0Low: number
  readonly k0High: number
  readonly k1Low: number
  readonly k1High: number
}

export const makeSipKey = (k0: bigint, k1: bigint): SipKey => ({
  k0Low: Number(BigInt.asIntN(32, k0)),
  k0High: Number(BigInt.asIntN(32, k0 >> 32n)),
  k1Low: Number(BigInt.asIntN(32, k1)),
  k1High: Number(BigInt.asIntN(32, k1 >> 32n))
})

/** Little-endian word at `at`; up to three bytes past the end count as 0. */
const wordAt = (bytes: Uint8Array, at: number): number => {
  if (at + 4 <= bytes.length) {
    return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
  }
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)
}

/** Writes the hash of `bytes` to `out[0]` (low) and `out[1]` (high). */
export const sipHash24 = (key: SipKey, bytes: Uint8Array, out: Uint32Array): void => {
  let v0l = key.k0Low ^ 0x70736575
  let v0h = key.k0High ^ 0x736f6d65
  let v1l = key.k1Low ^ 0x6e646f6d
  let v1h = key.k1High ^ 0x646f7261
  let v2l = key.k0Low ^ 0x6e657261
  let v2h = key.k0High ^ 0x6c796765
  let v3l = key.k1Low ^ 0x79746573
  let v3h = key.k1High ^ 0x74656462
  const last = bytes.length >>> 3
  // The four finalization rounds run as two more blocks of zeros, which need two rounds each like any other
  // block.
  for (let block = 0; block <= last + 2; block++) {
    let low = 0
    let high = 0
    if (block <= last) {
      low = wordAt(bytes, block * 8)
      high = wordAt(bytes, block * 8 + 4)
      if (block === last) high |= bytes.length << 24
    } else if (block === last + 1) {
      v2l ^= 0xff
    }
    v3l ^= low
    v3h ^= high
    for (let round = 0; round < 2; round++) {
      let sum = (v0l >>> 0) + (v1l >>> 0)
      v0h = (v0h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0
      v0l = sum | 0
      let turned = ((v1l << 13) | (v1h >>> 19)) ^ v0l
      v1h = ((v1h << 13) | (v1l >>> 19)) ^ v0h
      v1l = turned
      turned = v0h
      v0h = v0l
      v0l = turned
      sum = (v2l >>> 0) + (v3l >>> 0)
      v2h = (v2h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0
      v2l = sum | 0
      turned = ((v3l << 16) | (v3h >>> 16)) ^ v2l
      v3h = ((v3h << 16) | (v3l >>> 16)) ^ v2h
      v3l = turned
      sum = (v0l >>> 0) + (v3l >>> 0)
      v0h = (v0h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0
      v0l = sum | 0
      turned = ((v3l << 21) | (v3h >>> 11)) ^ v0l
      v3h = ((v3h << 21) | (v3l >>> 11)) ^ v0h
      v3l = turned
      sum = (v2l >>> 0) + (v1l >>> 0)
      v2h = (v2h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0
      v2l = sum | 0
      turned = ((v1l << 17) | (v1h >>> 15)) ^ v2l
      v1h = ((v1h << 17) | (v1l >>> 15)) ^ v2h
      v1l = turned
      turned = v2h
      v2h = v2l
      v2l = turned
    }
    v0l ^= low
    v0h ^= high
  }
  out[0] = v0l ^ v1l ^ v2l ^ v3l
  out[1] = v0h ^ v1h ^ v2h ^ v3h
}
