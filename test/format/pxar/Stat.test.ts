import { assert, describe, it } from "@effect/vitest"
import { ByteReader } from "../../../src/format/ByteReader.ts"
import { ByteWriter } from "../../../src/format/ByteWriter.ts"
import { FormatError } from "../../../src/format/FormatError.ts"
import { decodeAll } from "./goldens.ts"
import * as Items from "../../../src/format/pxar/Items.ts"
import { readStat, readStatV1, type Stat, writeStat } from "../../../src/format/pxar/Stat.ts"
import { deviceFromNumber, deviceToNumber, kindOfMode, MODE_TYPE } from "../../../src/model/FileMetadata.ts"

const STAT: Stat = {
  mode: 0o100755,
  flags: 0x40_0000,
  uid: 4294967294,
  gid: 65534,
  mtimeSeconds: -2,
  mtimeNanos: 999999999
}

const readerOf = (bytes: Uint8Array): ByteReader => new ByteReader("pxar archive", bytes)

const contentOf = (stat: Stat): Uint8Array => {
  const writer = new ByteWriter()
  writeStat(writer, stat)
  return writer.finish().subarray(Items.HEADER_BYTES)
}

describe("Stat", () => {
  it("keeps all fields, times before the epoch included", () => {
    assert.deepStrictEqual(readStat(readerOf(contentOf(STAT))), STAT)
    const early = { ...STAT, mtimeSeconds: -(2 ** 33) - 1, mtimeNanos: 0 }
    assert.deepStrictEqual(readStat(readerOf(contentOf(early))), early)
  })

  it("reads the nanoseconds of version 1", () => {
    const writer = new ByteWriter()
    writer.u64(STAT.mode).u64(0).u32(1).u32(2).u64(1_700_000_000_123_456_789n)
    assert.deepStrictEqual(readStatV1(readerOf(writer.finish())), {
      mode: STAT.mode,
      flags: 0,
      uid: 1,
      gid: 2,
      mtimeSeconds: 1_700_000_000,
      mtimeNanos: 123_456_789
    })
  })

  it("reads an archive whose entries are of version 1", () => {
    const writer = new ByteWriter()
    Items.writeHeader(writer, Items.ENTRY_V1, 32).u64(0o40700).u64(0).u32(1).u32(2).u64(3n)
    const goodbyeStart = writer.length
    Items.writeHeader(writer, Items.GOODBYE, 24)
    const marker = Items.GOODBYE_TAIL_MARKER
    writer.u64Halves(marker.low, marker.high).u64(goodbyeStart).u64(40)
    const [root] = decodeAll(writer.finish())
    const metadata =
      root?.kind === "entry" && root.entry.kind === "directory" ? root.entry.metadata : undefined
    assert.strictEqual(metadata?.mode, 0o40700)
    assert.strictEqual(metadata?.mtimeNanos, 3)
  })

  it("refuses what no number holds exactly", () => {
    for (const [at, value] of [
      [0, 2n ** 32n],
      [8, 2n ** 53n],
      [24, 2n ** 63n],
      [32, 1_000_000_000n]
    ] as const) {
      const content = contentOf(STAT)
      new DataView(content.buffer, content.byteOffset).setBigUint64(at, value, true)
      assert.throws(() => readStat(readerOf(content)), FormatError)
    }
  })
})

describe("FileMetadata", () => {
  it("tells kinds from modes", () => {
    for (const [kind, type] of Object.entries(MODE_TYPE)) {
      assert.strictEqual(kindOfMode(type | 0o7777), kind)
    }
    assert.isUndefined(kindOfMode(0))
    assert.isUndefined(kindOfMode(0o777))
  })

  it("splits and joins device numbers as Linux does", () => {
    assert.deepStrictEqual(deviceFromNumber(0x0701n), { major: 7, minor: 1 })
    const large = { major: 4095, minor: 1048575 }
    assert.deepStrictEqual(deviceFromNumber(deviceToNumber(large)), large)
    const largest = { major: 0xffff_ffff, minor: 0xffff_ffff }
    assert.deepStrictEqual(deviceFromNumber(deviceToNumber(largest)), largest)
    assert.strictEqual(deviceToNumber({ major: 259, minor: 256 }), 0x110300n)
  })
})
