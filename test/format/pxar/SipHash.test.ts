import { assert, describe, it } from "@effect/vitest"
import { ARCHIVE_KEY } from "../../../src/format/pxar/Items.ts"
import { makeSipKey, sipHash24, type SipKey } from "../../../src/format/SipHash.ts"
import { bytesOf } from "./goldens.ts"

const hash = (key: SipKey, bytes: Uint8Array): bigint => {
  const out = new Uint32Array(2)
  sipHash24(key, bytes, out)
  return (BigInt(out[1] ?? 0) << 32n) | BigInt(out[0] ?? 0)
}

/** The algorithm as published, in 64-bit arithmetic. */
const model = (k0: bigint, k1: bigint, bytes: Uint8Array): bigint => {
  const word = (value: bigint): bigint => BigInt.asUintN(64, value)
  const turn = (value: bigint, count: bigint): bigint => word((value << count) | (value >> (64n - count)))
  let [a, b, c, d] = [
    k0 ^ 0x736f6d6570736575n,
    k1 ^ 0x646f72616e646f6dn,
    k0 ^ 0x6c7967656e657261n,
    k1 ^ 0x7465646279746573n
  ]
  const round = (): void => {
    a = word(a + b)
    b = turn(b, 13n) ^ a
    a = turn(a, 32n)
    c = word(c + d)
    d = turn(d, 16n) ^ c
    a = word(a + d)
    d = turn(d, 21n) ^ a
    c = word(c + b)
    b = turn(b, 17n) ^ c
    c = turn(c, 32n)
  }
  const padded = new Uint8Array((Math.floor(bytes.length / 8) + 1) * 8)
  padded.set(bytes)
  padded[padded.length - 1] = bytes.length
  const view = new DataView(padded.buffer)
  for (let at = 0; at < padded.length; at += 8) {
    const block = view.getBigUint64(at, true)
    d ^= block
    round()
    round()
    a ^= block
  }
  c ^= 0xffn
  for (let count = 0; count < 4; count++) round()
  return a ^ b ^ c ^ d
}

describe("sipHash24", () => {
  it("gives the published value for 15 bytes", () => {
    const key = makeSipKey(0x0706050403020100n, 0x0f0e0d0c0b0a0908n)
    const input = Uint8Array.from({ length: 15 }, (_, index) => index)
    assert.strictEqual(hash(key, input), 0xa129ca6149be45e5n)
  })

  it("gives the known hashes of names and of item labels", () => {
    assert.strictEqual(hash(ARCHIVE_KEY, bytesOf("file1")), 0x3d21c7e25c46b0a3n)
    assert.strictEqual(hash(ARCHIVE_KEY, bytesOf("a")), 0x0c26e9067c2c7bcfn)
    assert.strictEqual(hash(ARCHIVE_KEY, bytesOf("__PROXMOX_FORMAT_ENTRY_V2__")), 0xd5956474e588acefn)
    assert.strictEqual(
      hash(ARCHIVE_KEY, bytesOf("__PROXMOX_FORMAT_PXAR_GOODBYE_TAIL_MARKER__")),
      0xef5eed5b753e1555n
    )
  })

  it("agrees with 64-bit arithmetic at every length and with bytes of all values", () => {
    const k0 = 0x83ac3f1cfbb450dbn
    const k1 = 0xaa4f1b6879369fbdn
    for (let length = 0; length < 300; length++) {
      const input = Uint8Array.from({ length }, (_, index) => (index * 151 + length * 7 + 0x80) & 0xff)
      assert.strictEqual(hash(makeSipKey(k0, k1), input), model(k0, k1, input), `length ${length}`)
    }
  })
})
