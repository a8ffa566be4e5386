import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as Digest from "../../src/model/Digest.ts"
import { DigestTable } from "../../src/model/DigestTable.ts"

const digestOf = (number: number): Uint8Array => createHash("sha256").update(String(number)).digest()

const concatenated = (count: number): Uint8Array =>
  Buffer.concat(Array.from({ length: count }, (_, number) => digestOf(number)))

describe("DigestTable", () => {
  it("adds a digest once, at any offset", () => {
    const table = new DigestTable()
    const bytes = new Uint8Array(3 + 40)
    bytes.set(digestOf(1), 3)
    assert.isTrue(table.add(bytes, 3))
    assert.isFalse(table.add(digestOf(1)))
    assert.isTrue(table.hasDigest(Digest.fromBytes(digestOf(1))))
    assert.isFalse(table.addDigest(Digest.fromBytes(digestOf(1))))
    assert.isFalse(table.has(bytes, 4))
    assert.strictEqual(table.size, 1)
    assert.throws(() => table.add(bytes, 12), RangeError)
    assert.throws(() => table.has(bytes, -1), RangeError)
  })

  it.each([
    [32, 0],
    [40, 8],
    [40, 3],
    [33, 0]
  ])("adds many digests %i bytes apart from offset %i on, as it does one by one", (stride, offset) => {
    const count = 3000
    const bytes = new Uint8Array(offset + count * stride)
    // Every second digest comes three times.
    for (let number = 0; number < count; number++) {
      bytes.set(digestOf(number % 2 === 0 ? number % 500 : number), offset + number * stride)
    }
    const oneByOne = new DigestTable(0, 5)
    for (let number = 0; number < count; number++) oneByOne.add(bytes, offset + number * stride)
    const together = new DigestTable(0, 5)
    assert.strictEqual(together.addMany(bytes, offset, stride, count), oneByOne.size)
    assert.strictEqual(together.addMany(bytes, offset, stride, count), 0)
    assert.deepStrictEqual(new Map(together.entries()), new Map(oneByOne.entries()))
    assert.strictEqual(together.addMany(bytes, offset, stride, 0), 0)
    assert.throws(() => together.addMany(bytes, offset + stride, stride, count), RangeError)
  })

  it("takes the digest of all zeros like any other", () => {
    const table = new DigestTable()
    assert.isFalse(table.has(new Uint8Array(32)))
    assert.isTrue(table.add(new Uint8Array(32)))
    assert.isTrue(table.has(new Uint8Array(32)))
  })

  it("grows, keeping digests and numbers", () => {
    const count = 20_000
    const all = concatenated(count)
    const table = new DigestTable(0, 12_345)
    for (let number = 0; number < count; number++) {
      if (number % 2 === 0) table.add(all, number * 32)
      else table.set(all, number * 32, number)
    }
    assert.strictEqual(table.size, count)
    for (let number = 0; number < count; number++) {
      assert.strictEqual(table.get(all, number * 32), number % 2 === 0 ? 0 : number)
    }
    assert.isUndefined(table.get(digestOf(count)))
    const entries = new Map(table.entries())
    assert.strictEqual(entries.size, count)
    assert.strictEqual(entries.get(Digest.fromBytes(all, 7 * 32)), 7)
    const bytes = table.toBytes()
    const again = new DigestTable(count)
    for (let offset = 0; offset < bytes.length; offset += 32) assert.isTrue(again.add(bytes, offset))
    assert.strictEqual(again.size, count)
  })

  it("deletes without losing others, and forgets their numbers", () => {
    const count = 5_000
    const all = concatenated(count)
    const table = new DigestTable()
    for (let number = 0; number < count; number++) table.set(all, number * 32, number + 1)
    for (let number = 0; number < count; number += 3) assert.isTrue(table.delete(all, number * 32))
    for (let number = 0; number < count; number++) {
      assert.strictEqual(table.get(all, number * 32), number % 3 === 0 ? undefined : number + 1)
    }
    assert.isFalse(table.delete(all, 0))
    assert.isTrue(table.add(all, 0))
    assert.strictEqual(table.get(all, 0), 0)
    assert.strictEqual(table.size, count - Math.ceil(count / 3) + 1)
  })

  it("keeps its pace with digests that differ in few bits", () => {
    // With a hash that only folds bits together these would pile up in a few places and take hours.
    for (const step of [1, 2 ** 16, 2 ** 24]) {
      const table = new DigestTable(0, 99)
      const bytes = new Uint8Array(32)
      const view = new DataView(bytes.buffer)
      for (let number = 0; number < 100_000; number++) {
        const value = number * step
        view.setUint32(8, value >>> 0, true)
        view.setUint32(24, Math.floor(value / 2 ** 32), true)
        assert.isTrue(table.add(bytes))
      }
      assert.strictEqual(table.size, 100_000)
    }
  })
})
