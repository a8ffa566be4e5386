/** Chunk content for tests: compressible or not, with its digest, plain or under a key. */
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import type { Digest } from "../../src/model/Digest.ts"
import { digestOf } from "../../src/platform/chunkContent.ts"

export const key = CryptConfig.fromKey(Uint8Array.from({ length: 32 }, (_, index) => index))
export const otherKey = CryptConfig.fromKey(new Uint8Array(32).fill(0xee))

/** Repeats itself, so that compression pays. */
export const softData = (seed: number, sizeBytes = 5000): Uint8Array =>
  Buffer.alloc(sizeBytes, `content number ${seed}, `)

/** Looks random, so that compression does not pay. */
export const hardData = (seed: number, sizeBytes = 5000): Uint8Array => {
  const data = new Uint8Array(sizeBytes)
  let state = (seed + 1) * 0x9e37_79b1
  for (let index = 0; index < sizeBytes; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    data[index] = state
  }
  return data
}

export interface SampleChunk {
  readonly data: Uint8Array
  readonly digest: Digest
  readonly compress: boolean
  readonly crypt: CryptConfig.CryptConfig | undefined
}

export const chunkOf = (
  data: Uint8Array,
  options: { readonly compress?: boolean; readonly crypt?: CryptConfig.CryptConfig } = {}
): SampleChunk => ({
  data,
  digest: digestOf(data, options.crypt),
  compress: options.compress ?? true,
  crypt: options.crypt
})

/** The same bytes in memory that threads share. */
export const shared = (data: Uint8Array): Uint8Array => {
  const copy = new Uint8Array(new SharedArrayBuffer(data.length))
  copy.set(data)
  return copy
}
