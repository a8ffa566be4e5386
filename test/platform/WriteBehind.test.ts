/** Writing behind: chunks of every kind, many at once, are on the disk as their blobs would be, and failures are told. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as BulkFile from "../../src/platform/BulkFile.ts"
import { WriteBehind } from "../../src/platform/WriteBehind.ts"

const KiB = 1024
const crypt = CryptConfig.fromKey(Buffer.alloc(32, 5))

/** `noise` cannot be compressed; every block of every chunk differs from all others. */
const dataOf = (number: number, sizeBytes: number, noise: boolean): Uint8Array => {
  const data = Buffer.alloc(sizeBytes, number + 1)
  let state = number * 7919 + 1
  for (let at = 0; at + 4 <= sizeBytes; at += noise ? 4 : 512) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    data.writeUInt32LE((state ^ (state >>> 15)) >>> 0, at)
  }
  return data
}

/** With a header's room before it, at a place that direct transfers like, as in a backup's slots. */
const inSlot = (data: Uint8Array): Uint8Array => {
  const memory = BulkFile.alignedMemory(3 * 1024 * KiB)
  const place = memory.subarray(DataBlob.headerSize("plain"), DataBlob.headerSize("plain") + data.length)
  place.set(data)
  return place
}

const scratch = async (use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = fs.mkdtempSync(path.join(tmpdir(), "granary-behind-"))
  try {
    await use(folder)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

const kinds = [
  { compress: false, key: undefined, noise: true, hasMargins: true },
  { compress: true, key: undefined, noise: true, hasMargins: true },
  { compress: true, key: undefined, noise: false, hasMargins: true },
  { compress: true, key: crypt, noise: false, hasMargins: false },
  { compress: false, key: crypt, noise: true, hasMargins: true }
]

describe("WriteBehind", () => {
  it("writes chunks of every kind and size, all at once, whole and into no other's room", async () => {
    await scratch(async (folder) => {
      const behind = new WriteBehind()
      const chunks = Array.from({ length: 20 }, (_, number) => {
        const kind = kinds[number % kinds.length]!
        const sizeBytes = [1, 200 * KiB, 300 * KiB + 1, 2048 * KiB - 12][number % 4]! + number
        return { ...kind, data: dataOf(number, sizeBytes, kind.noise), file: path.join(folder, `${number}`) }
      })
      const staged = await Promise.all(
        chunks.map(({ compress, data, file, hasMargins, key }) =>
          behind.stage({
            data: hasMargins ? inSlot(data) : new Uint8Array(data),
            temporaryPath: file,
            compress,
            crypt: key,
            sync: compress,
            hasMargins
          })
        )
      )
      for (const [number, { data, file, key }] of chunks.entries()) {
        const blob = fs.readFileSync(file)
        assert.strictEqual(blob.length, staged[number]!.encodedSizeBytes)
        assert.strictEqual(DataBlob.kindOfMagic(blob), staged[number]!.kind)
        const options = { maxSizeBytes: data.length, ...(key === undefined ? {} : { crypt: key }) }
        const decoded = DataBlob.decode(blob, options)
        assert.strictEqual(Buffer.compare(decoded, data), 0, `chunk ${number}`)
      }
    })
  })

  it("tells each failure to the one who asked, and goes on", async () => {
    await scratch(async (folder) => {
      const behind = new WriteBehind()
      const stage = (name: string, key: CryptConfig.CryptConfig | undefined) =>
        behind.stage({
          data: dataOf(1, 600 * KiB, true),
          temporaryPath: path.join(folder, name),
          compress: false,
          crypt: key,
          sync: false
        })
      const names = ["none/a", "b", "none/c", "d", "none/e", "f", "none/g", "h"]
      const ended = await Promise.allSettled(
        names.map((name, number) => stage(name, number % 4 < 2 ? crypt : undefined))
      )
      assert.deepStrictEqual(
        ended.map(({ status }) => status),
        names.map((name) => (name.startsWith("none") ? "rejected" : "fulfilled"))
      )
      assert.deepStrictEqual(fs.readdirSync(folder).toSorted(), ["b", "d", "f", "h"])
    })
  })
})
