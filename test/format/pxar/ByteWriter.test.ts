import { assert, describe, it } from "@effect/vitest"
import { ByteReader } from "../../../src/format/ByteReader.ts"
import { ByteWriter } from "../../../src/format/ByteWriter.ts"
import { FormatError } from "../../../src/format/FormatError.ts"
import { bytesOf, hex } from "./goldens.ts"

const readerOf = (bytes: Uint8Array): ByteReader => new ByteReader("pxar archive", bytes, 100)

describe("ByteWriter", () => {
  it("keeps every value when any of them makes it grow", () => {
    const writes: ReadonlyArray<(writer: ByteWriter) => void> = [
      (writer) => writer.u8(1),
      (writer) => writer.u32(0x01020304),
      (writer) => writer.u64(0x0102030405060708n),
      (writer) => writer.i64(-2n),
      (writer) => writer.u64(7),
      (writer) => writer.i64(-7),
      (writer) => writer.u64Halves(0x05060708, 0x01020304),
      (writer) => writer.bytes(bytesOf("hello")),
      (writer) => writer.zeros(3)
    ]
    for (const write of writes) {
      const roomy = new ByteWriter(100).u8(9)
      write(roomy)
      const tight = new ByteWriter(1).u8(9)
      write(tight)
      assert.strictEqual(hex(tight.finish()), hex(roomy.finish()))
    }
  })

  it("writes numbers and bigints alike", () => {
    for (const value of [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      assert.deepStrictEqual(
        new ByteWriter().u64(value).finish(),
        new ByteWriter().u64(BigInt(value)).finish()
      )
      for (const signed of [value, -value]) {
        const bytes = new ByteWriter().i64(signed).finish()
        assert.deepStrictEqual(bytes, new ByteWriter().i64(BigInt(signed)).finish())
        assert.strictEqual(readerOf(bytes).integer("number"), signed === 0 ? 0 : signed)
      }
      assert.strictEqual(readerOf(new ByteWriter().u64(value).finish()).size("number"), value)
    }
    for (const value of [0.5, 2 ** 53, NaN, -1, -1n, 2n ** 64n]) {
      assert.throws(() => new ByteWriter().u64(value), RangeError)
    }
  })

  it("counts on while it is drained and passed by, and rewinds", () => {
    const writer = new ByteWriter().u8(1).u8(2)
    assert.throws(() => writer.passBy(5), /drained/)
    assert.strictEqual(hex(writer.drain()), "0102")
    writer.passBy(5)
    writer.u8(3).u8(4).rewind(1)
    assert.throws(() => writer.rewind(2), RangeError)
    assert.strictEqual(writer.position, 8)
    assert.strictEqual(hex(writer.drain()), "03")
    assert.strictEqual(writer.position, 8)
    assert.strictEqual(writer.length, 0)
  })
})

describe("ByteReader", () => {
  it("refuses numbers beyond 2^53 and says where they stand", () => {
    const offsetOf = (read: () => unknown): number | undefined => {
      try {
        read()
      } catch (error) {
        return error instanceof FormatError ? error.offset : undefined
      }
      return undefined
    }
    for (const value of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      const reader = readerOf(new ByteWriter().u64(0).u64(value).finish())
      reader.skip(8, "padding")
      assert.strictEqual(
        offsetOf(() => reader.size("size")),
        108
      )
    }
    for (const value of [2n ** 53n, -(2n ** 53n), -(2n ** 63n)]) {
      const reader = readerOf(new ByteWriter().i64(value).finish())
      assert.strictEqual(
        offsetOf(() => reader.integer("time")),
        100
      )
    }
  })
})
