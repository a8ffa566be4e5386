import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { Readable } from "node:stream"
import { buffer } from "node:stream/consumers"
import { crc32, createZstdCompress, zstdCompressSync } from "node:zlib"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as DataBlob from "../../src/format/DataBlob.ts"
import { FormatError } from "../../src/format/FormatError.ts"
import * as ZstdFrame from "../../src/format/ZstdFrame.ts"
import { describeGolden } from "./goldenFolders.ts"

const fixedKey = CryptConfig.fromKey(Uint8Array.from({ length: 32 }, (_, index) => index))

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const pseudoRandom = (sizeBytes: number): Uint8Array => {
  const blocks = Array.from({ length: Math.ceil(sizeBytes / 32) }, (_, index) =>
    createHash("sha256").update(`block ${index}`).digest()
  )
  return Buffer.concat(blocks).subarray(0, sizeBytes)
}

/** A blob around any payload, with a checksum that fits. */
const wrap = (kind: DataBlob.BlobKind, payload: Uint8Array): Uint8Array => {
  const blob = Buffer.alloc(12 + payload.length)
  blob.writeBigUInt64LE(DataBlob.magics[kind], 0)
  blob.writeUInt32LE(crc32(payload), 8)
  blob.set(payload, 12)
  return blob
}

/** The frame of that many MiB of zeros, by a writer that does not know how many will come. */
const streamed = (sizeMebibytes: number): Promise<Buffer> =>
  buffer(
    Readable.from(Array.from({ length: sizeMebibytes }, () => Buffer.alloc(1 << 20))).pipe(
      createZstdCompress()
    )
  )

const refuses = (run: () => unknown, pattern: RegExp): void => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, FormatError)
    assert.match(error.message, pattern)
    return
  }
  assert.fail("expected a FormatError")
}

const kindNames: Record<string, DataBlob.BlobKind> = {
  uncompressed: "plain",
  compressed: "zstd",
  encrypted: "encrypted",
  "encrypted+compressed": "encrypted-zstd"
}

describeGolden("blobs", (golden) => {
  const infos = JSON.parse(`[${golden.read("info.json").toString().trim().replaceAll("}\n{", "},{")}]`)
  const inputs = ["text", "random", "empty", "onebyte"]
  const variants = ["uncompressed", "compress-requested", "encrypted", "encrypted-compress-requested"]
  const cases = inputs.flatMap((input) => variants.map((variant) => ({ input, variant })))

  it("has information on every blob", () => {
    assert.strictEqual(infos.length, cases.length)
    assert.strictEqual(golden.stems(".blob").length, cases.length)
  })

  for (const [index, { input, variant }] of cases.entries()) {
    it(`reads ${input}.${variant}`, () => {
      const blob = golden.read(`${input}.${variant}.blob`)
      const info = infos[index]
      assert.strictEqual(DataBlob.peekKind(blob), kindNames[info.kind])
      assert.strictEqual(blob.readUInt32LE(8), info.crc)
      assert.strictEqual(blob.length, info.raw_size)
      DataBlob.verifyCrc(blob)
      const data = DataBlob.decode(blob, { crypt: fixedKey })
      assert.strictEqual(hex(data), hex(golden.read(`${input}.bin`)))
    })
  }

  for (const input of inputs) {
    it(`writes ${input} uncompressed, byte for byte`, () => {
      const blob = DataBlob.encode(golden.read(`${input}.bin`), { compress: false })
      assert.strictEqual(hex(blob), hex(golden.read(`${input}.uncompressed.blob`)))
    })

    it(`chooses the kind for ${input} as the reference does`, () => {
      for (const crypt of [undefined, fixedKey]) {
        const name = crypt === undefined ? "compress-requested" : "encrypted-compress-requested"
        const options = { compress: true, ...(crypt === undefined ? {} : { crypt }) }
        const { kind } = DataBlob.encodeParts(golden.read(`${input}.bin`), options)
        assert.strictEqual(kind, DataBlob.peekKind(golden.read(`${input}.${name}.blob`)))
      }
    })

    it(`encrypts ${input} byte for byte under the same initialisation vector`, () => {
      const blob = golden.read(`${input}.encrypted.blob`)
      const encrypted = fixedKey.encrypt(golden.read(`${input}.bin`), { iv: blob.subarray(12, 28) })
      assert.strictEqual(hex(encrypted.tag), hex(blob.subarray(28, 44)))
      assert.strictEqual(hex(encrypted.ciphertext), hex(blob.subarray(44)))
    })
  }
})

describe("known blobs", () => {
  it("of two bytes and of a text", () => {
    assert.strictEqual(
      hex(DataBlob.encode(Uint8Array.of(0, 1), { compress: false })),
      "42ab3807be8370a16922de360001"
    )
    const text = DataBlob.encode(Buffer.from("hello world"), { compress: true })
    assert.strictEqual(hex(text), "42ab3807be8370a185114a0d68656c6c6f20776f726c64")
    const digest = createHash("sha256").update(text).digest("hex")
    assert.isTrue(digest.startsWith("3bdccd00") && digest.endsWith("6276e4"))
  })

  it("have magics out of their sentences", () => {
    const sentences: Record<DataBlob.BlobKind, string> = {
      plain: "Proxmox Backup uncompressed blob v1.0",
      zstd: "Proxmox Backup zstd compressed blob v1.0",
      encrypted: "Proxmox Backup encrypted blob v1.0",
      "encrypted-zstd": "Proxmox Backup zstd compressed encrypted blob v1.0"
    }
    for (const [kind, sentence] of Object.entries(sentences)) {
      const magic = createHash("sha256").update(sentence).digest().readBigUInt64LE(0)
      assert.strictEqual(DataBlob.magics[kind as DataBlob.BlobKind], magic)
    }
  })
})

describe("encode", () => {
  const compressible = new Uint8Array(1 << 20).fill(7)

  it("compresses what shrinks, and skips large data that does not", () => {
    const random = pseudoRandom(1 << 20)
    assert.strictEqual(DataBlob.encodeParts(compressible, { compress: true }).kind, "zstd")
    assert.strictEqual(DataBlob.encodeParts(random, { compress: true }).kind, "plain")
    assert.strictEqual(DataBlob.encodeParts(random, { compress: true }).body, random)
  })

  it("compresses large data of which only a part shrinks", () => {
    const mixed = pseudoRandom(1 << 20).slice()
    mixed.fill(0, 0, 1 << 18)
    const { kind, body } = DataBlob.encodeParts(mixed, { compress: true })
    assert.strictEqual(kind, "zstd")
    assert.isBelow(body.length, mixed.length)
  })

  it("uses a fresh initialisation vector each time", () => {
    const first = DataBlob.encode(compressible, { compress: true, crypt: fixedKey })
    const second = DataBlob.encode(compressible, { compress: true, crypt: fixedKey })
    assert.notStrictEqual(hex(first.subarray(12, 28)), hex(second.subarray(12, 28)))
  })

  it("refuses more than 128 MiB", () => {
    const data = new Uint8Array(DataBlob.dataSizeMaxBytes + 1)
    refuses(() => DataBlob.encodeParts(data, { compress: false }), /at most 134217728 bytes/)
  })
})

describe("decode refuses", () => {
  const plain = DataBlob.encode(Buffer.from("some text"), { compress: false })

  it("short and foreign bytes", () => {
    refuses(() => DataBlob.decode(new Uint8Array(0)), /found nothing/)
    refuses(() => DataBlob.decode(new Uint8Array(100)), /the magic of a data blob/)
    refuses(() => DataBlob.decode(plain.subarray(0, 11)), /blob checksum/)
    const encrypted = DataBlob.encode(Buffer.from("x"), { compress: false, crypt: fixedKey })
    refuses(() => DataBlob.decode(encrypted.subarray(0, 43), { crypt: fixedKey }), /authentication tag/)
  })

  it("a payload that does not fit the checksum, unless told otherwise", () => {
    const changed = Uint8Array.from(plain)
    changed[12] = 0
    refuses(() => DataBlob.verifyCrc(changed), /byte 8.*checksum/)
    refuses(() => DataBlob.decode(changed), /checksum/)
    assert.strictEqual(DataBlob.decode(changed, { verifyCrc: false }).length, 9)
  })

  it("an encrypted blob without key, with another key, or changed", () => {
    const blob = DataBlob.encode(Buffer.from("secret"), { compress: false, crypt: fixedKey })
    refuses(() => DataBlob.decode(blob), /encrypted blob and no key/)
    const otherKey = CryptConfig.fromKey(new Uint8Array(32))
    refuses(() => DataBlob.decode(blob, { crypt: otherKey }), /encrypted with this key/)
    const changed = Uint8Array.from(blob)
    changed[30] = (changed[30] ?? 0) ^ 1
    refuses(() => DataBlob.decode(changed, { crypt: fixedKey }), /tag that does not fit/)
  })

  it("more data than allowed, of every kind", () => {
    const data = new Uint8Array(100_000)
    for (const compress of [true, false]) {
      for (const options of [{ compress }, { compress, crypt: fixedKey }]) {
        const blob = DataBlob.encode(data, options)
        assert.strictEqual(DataBlob.decode(blob, { crypt: fixedKey, maxSizeBytes: 100_000 }).length, 100_000)
        refuses(() => DataBlob.decode(blob, { crypt: fixedKey, maxSizeBytes: 99_999 }), /at most 99999 bytes/)
      }
    }
  })

  it("a decompression bomb, whether it states its size or not", async () => {
    const stated = zstdCompressSync(new Uint8Array(64 << 20), { pledgedSrcSize: 64 << 20 })
    const unstated = await streamed(64)
    assert.isUndefined(ZstdFrame.measure("data blob", unstated).contentSizeBytes)
    for (const frame of [stated, unstated]) {
      assert.isBelow(frame.length, 10_000)
      refuses(() => DataBlob.decode(wrap("zstd", frame), { maxSizeBytes: 1 << 20 }), /at most 1048576 bytes/)
    }
    assert.strictEqual(DataBlob.decode(wrap("zstd", unstated)).length, 64 << 20)
  })

  it("a frame that claims more than its blocks can hold, before allocating it", () => {
    const data = new Uint8Array(100_000)
    const frame = Buffer.from(zstdCompressSync(data, { pledgedSrcSize: data.length }))
    const at = frame.indexOf(Buffer.from([0xa0, 0x86, 0x01, 0x00]))
    assert.isAbove(at, 3)
    frame.writeUInt32LE(100_000_000, at)
    refuses(() => DataBlob.decode(wrap("zstd", frame)), /a claim of 100000000/)
  })

  it("bytes behind the frame, a second frame, half a frame, no frame", () => {
    const frame = zstdCompressSync(Buffer.from("some text to compress"))
    refuses(
      () => DataBlob.decode(wrap("zstd", Buffer.concat([frame, Buffer.alloc(1)]))),
      /end of the zstd frame/
    )
    refuses(() => DataBlob.decode(wrap("zstd", Buffer.concat([frame, frame]))), /end of the zstd frame/)
    refuses(() => DataBlob.decode(wrap("zstd", frame.subarray(0, -1))), /bytes left/)
    refuses(() => DataBlob.decode(wrap("zstd", Buffer.alloc(0))), /zstd magic/)
    refuses(() => DataBlob.decode(wrap("zstd", Buffer.from("not zstd at all"))), /a zstd frame/)
  })

  it("a frame with a damaged block", () => {
    const frame = zstdCompressSync(Buffer.from("abcabcabc".repeat(100)))
    frame.fill(0xff, 12, 20)
    refuses(() => DataBlob.decode(wrap("zstd", frame)), /bad data blob/)
  })
})
