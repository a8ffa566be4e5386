import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { type ChunkIndex, verifyChecksum } from "../../src/format/ChunkIndex.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as FixedIndex from "../../src/format/FixedIndex.ts"
import { FormatError } from "../../src/format/FormatError.ts"
import * as Digest from "../../src/model/Digest.ts"
import { describeGolden, smallGolden } from "./goldenFolders.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

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

const digestOf = (text: string): Uint8Array => createHash("sha256").update(text).digest()

const identity = { uuid: new Uint8Array(16).fill(5), ctime: 1_700_000_000 }

interface GoldenIndex {
  readonly bytes: number
  readonly chunks: ReadonlyArray<{ digest: string; start: number; end: number }>
  readonly computed_csum: string
  readonly header_csum: string
  readonly count: number
  readonly ctime: number
  readonly uuid: string
  readonly kind: string
}

const agrees = (index: ChunkIndex, golden: GoldenIndex): void => {
  assert.strictEqual(index.kind, golden.kind)
  assert.strictEqual(hex(index.uuid), golden.uuid)
  assert.strictEqual(index.ctime, golden.ctime)
  assert.strictEqual(index.count, golden.count)
  assert.strictEqual(index.sizeBytes, golden.bytes)
  assert.strictEqual(index.checksum, golden.header_csum)
  assert.strictEqual(index.computeChecksum(), golden.computed_csum)
  verifyChecksum(index)
  for (const [chunk, expected] of golden.chunks.entries()) {
    assert.strictEqual(index.digest(chunk), expected.digest)
    assert.strictEqual(hex(index.digestBytes(chunk)), expected.digest)
    assert.strictEqual(Digest.fromBytes(index.entries, index.digestOffset(chunk)), expected.digest)
    assert.deepStrictEqual([index.start(chunk), index.end(chunk)], [expected.start, expected.end])
    assert.strictEqual(index.find(expected.start), chunk)
    assert.strictEqual(index.find(expected.end - 1), chunk)
  }
  assert.strictEqual(index.find(golden.bytes), -1)
  assert.strictEqual(index.find(-1), -1)
}

describeGolden("index", (golden) => {
  for (const name of golden.stems(".didx.json")) {
    it(`reads and writes ${name}.didx as the reference does`, () => {
      const bytes = golden.read(`${name}.didx`)
      const index = DynamicIndex.decode(bytes)
      agrees(index, golden.json(`${name}.didx.json`))
      const entries = Array.from({ length: index.count }, (_, chunk) => ({
        end: index.end(chunk),
        digest: index.digest(chunk)
      }))
      const encoded = DynamicIndex.encode({ uuid: index.uuid, ctime: index.ctime, entries })
      assert.strictEqual(hex(encoded.bytes), hex(bytes))
      assert.strictEqual(encoded.checksum, index.checksum)
      assert.deepStrictEqual([encoded.sizeBytes, encoded.count], [index.sizeBytes, index.count])
    })
  }

  for (const name of golden.stems(".fidx.json")) {
    it(`reads and writes ${name}.fidx as the reference does`, () => {
      const bytes = golden.read(`${name}.fidx`)
      const info = golden.json(`${name}.fidx.json`)
      const index = FixedIndex.decode(bytes)
      agrees(index, info)
      assert.strictEqual(index.chunkSizeBytes, info.extra.chunk_size)
      const { uuid, ctime, sizeBytes, chunkSizeBytes } = index
      const entries = Array.from({ length: index.count }, (_, chunk) => index.digest(chunk))
      const encoded = FixedIndex.encode({ uuid, ctime, sizeBytes, chunkSizeBytes, entries })
      assert.strictEqual(hex(encoded.bytes), hex(bytes))
    })
  }

  it("refuses the empty dynamic index, as the reference's reader does", () => {
    refuses(() => DynamicIndex.decode(golden.read("empty.didx")), /at least one entry, found none/)
  })
})

describe("known checksums", () => {
  const zeros = Digest.parse("bb9f8df61474d25e71fa00722318cd387396ca1736605e1248821cc0de3d3af8")
  const chunkBytes = 4 * 1024 * 1024

  it("of chunks of zeros", () => {
    const one = FixedIndex.encode({ ...identity, sizeBytes: chunkBytes, entries: [zeros] })
    assert.strictEqual(one.checksum, "c7e946d101855255d919ef0c70718633adf77d3dfb3adeeecf5d0cb4e951be58")
    const two = FixedIndex.encode({ ...identity, sizeBytes: 2 * chunkBytes, entries: [zeros, zeros] })
    assert.strictEqual(two.checksum, "03ae066c707c588592d9e27aa2444ca98423e0999024f1ceaa11a153790b37de")
    const dynamic = DynamicIndex.encode({ ...identity, entries: [{ end: chunkBytes, digest: zeros }] })
    assert.strictEqual(dynamic.checksum, "951f858f84bc6b1c2b0772b2f992c71d1c61dec30323719ff63d1ac826170676")
  })

  it("and magics out of their sentences", () => {
    const magic = (sentence: string): bigint => Buffer.from(digestOf(sentence)).readBigUInt64LE(0)
    assert.strictEqual(FixedIndex.magic, magic("Proxmox Backup fixed sized chunk index v1.0"))
    assert.strictEqual(DynamicIndex.magic, magic("Proxmox Backup dynamic sized chunk index v1.0"))
  })
})

describe("a dynamic index", () => {
  const golden = smallGolden("index").read("zeros-40M.didx")

  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(golden)
    change(bytes)
    return bytes
  }

  it("is refused with another magic, a cut entry or ends that do not increase", () => {
    refuses(() => DynamicIndex.decode(new Uint8Array(0)), /8 bytes of index magic/)
    refuses(() => DynamicIndex.decode(changed((bytes) => bytes.fill(0, 0, 1))), /byte 0: expected magic/)
    refuses(() => DynamicIndex.decode(golden.subarray(0, 4095)), /bytes of header/)
    refuses(() => DynamicIndex.decode(golden.subarray(0, -1)), /whole entries of 40 bytes/)
    refuses(
      () => DynamicIndex.decode(changed((bytes) => bytes.writeBigUInt64LE(0n, 4096))),
      /byte 4096: expected an end offset above 0/
    )
    refuses(
      () => DynamicIndex.decode(changed((bytes) => bytes.writeBigUInt64LE(16_777_216n, 4136))),
      /byte 4136: expected an end offset above 16777216/
    )
    refuses(
      () => DynamicIndex.decode(changed((bytes) => bytes.writeBigUInt64LE(1n << 53n, 4176))),
      /below 2\^53/
    )
    refuses(() => DynamicIndex.decode(changed((bytes) => bytes.fill(0x7f, 24, 32))), /creation time/)
  })

  it("is readable with a wrong checksum, which shows when asked", () => {
    const index = DynamicIndex.decode(changed((bytes) => bytes.fill(0, 32, 64)))
    assert.strictEqual(index.checksum, "0".repeat(64))
    refuses(() => verifyChecksum(index), /byte 32: expected checksum 4f41003d/)
  })

  it("is not asked for chunks it does not have", () => {
    const index = DynamicIndex.decode(golden)
    for (const chunk of [-1, 3, 0.5, Number.NaN]) {
      assert.throws(() => index.end(chunk), RangeError)
      assert.throws(() => index.start(chunk), RangeError)
      assert.throws(() => index.digest(chunk), RangeError)
    }
  })

  it("is built from chunks in order, at least one", () => {
    const builder = new DynamicIndex.DynamicIndexBuilder()
    refuses(() => builder.finish(identity), /at least one entry/)
    refuses(() => builder.add(0, digestOf("a")), /above 0/)
    for (let chunk = 1; chunk <= 1000; chunk++) builder.add(chunk * 10, digestOf(String(chunk)))
    refuses(() => builder.add(10_000, digestOf("again")), /above 10000/)
    refuses(() => builder.add(10_000.5, digestOf("half")), /above 10000/)
    assert.throws(() => builder.add(10_001, new Uint8Array(31)), RangeError)
    assert.throws(() => builder.finish({ ...identity, uuid: new Uint8Array(15) }), RangeError)
    const { bytes, count, sizeBytes } = builder.finish(identity)
    assert.deepStrictEqual([count, sizeBytes], [1000, 10_000])
    const index = DynamicIndex.decode(bytes)
    assert.strictEqual(hex(index.digestBytes(999)), hex(digestOf("1000")))
  })

  it("may lie anywhere in a larger buffer", () => {
    const shifted = new Uint8Array(golden.length + 3)
    shifted.set(golden, 3)
    assert.strictEqual(DynamicIndex.decode(shifted.subarray(3)).sizeBytes, 41_943_040)
  })
})

describe("a fixed index", () => {
  const golden = smallGolden("index").read("part-5000000.fidx")

  const withShape = (sizeBytes: bigint, chunkSizeBytes: bigint): Buffer => {
    const bytes = Buffer.from(golden)
    bytes.writeBigUInt64LE(sizeBytes, 64)
    bytes.writeBigUInt64LE(chunkSizeBytes, 72)
    return bytes
  }

  it("is refused when its shape is not that of its digests", () => {
    refuses(() => FixedIndex.decode(golden.subarray(0, 79)), /chunk size/)
    refuses(() => FixedIndex.decode(golden.subarray(0, -1)), /2 digests for 5000000 bytes/)
    refuses(() => FixedIndex.decode(Buffer.concat([golden, golden.subarray(-32)])), /2 digests/)
    for (const chunkSizeBytes of [0n, 3n, (1n << 22n) + 1n]) {
      refuses(() => FixedIndex.decode(withShape(5_000_000n, chunkSizeBytes)), /a power of two as chunk size/)
    }
    refuses(() => FixedIndex.decode(withShape(5_000_000n, 1n << 63n)), /chunk size below 2\^53/)
    refuses(() => FixedIndex.decode(withShape(0n, 1n << 22n)), /not empty/)
    refuses(() => FixedIndex.decode(withShape((1n << 53n) - 1n, 1n)), /9007199254740991 digests/)
    refuses(() => FixedIndex.decode(withShape(1n << 60n, 1n << 22n)), /image size below 2\^53/)
  })

  it("takes chunks of a known size in any order", () => {
    const builder = new FixedIndex.FixedIndexBuilder({ chunkSizeBytes: 1024, sizeBytes: 2500 })
    refuses(() => builder.finish(identity), /chunk 0 unset/)
    builder.add(2048, 452, digestOf("c"))
    builder.set(0, digestOf("x"))
    builder.set(0, digestOf("a"))
    refuses(() => builder.finish(identity), /chunk 1 unset/)
    builder.add(1024, 1024, digestOf("b"))
    const index = FixedIndex.decode(builder.finish(identity).bytes)
    assert.deepStrictEqual([index.count, index.sizeBytes, index.end(2)], [3, 2500, 2500])
    assert.deepStrictEqual(
      [0, 1, 2].map((chunk) => hex(index.digestBytes(chunk))),
      ["a", "b", "c"].map((text) => hex(digestOf(text)))
    )
  })

  it("refuses chunks that are misplaced, too short or too long", () => {
    const builder = new FixedIndex.FixedIndexBuilder({ chunkSizeBytes: 1024, sizeBytes: 2500 })
    const digest = digestOf("a")
    for (const [start, length] of [
      [1, 1024],
      [0, 0],
      [0, 1023],
      [0, 1025],
      [0, 2500],
      [2048, 451],
      [2048, 453],
      [2048, 1024],
      [3072, 1024],
      [-1024, 1024],
      [1024, Number.NaN]
    ] as const) {
      refuses(() => builder.add(start, length, digest), /bad fixed index/)
    }
    assert.throws(() => builder.set(0, new Uint8Array(33)), RangeError)
  })

  it("grows when the size is unknown, until a short chunk ends it", () => {
    const builder = new FixedIndex.FixedIndexBuilder({ chunkSizeBytes: 1024 })
    refuses(() => builder.finish(identity), /at least one digest/)
    for (let chunk = 0; chunk < 300; chunk++) builder.set(chunk, digestOf(String(chunk)))
    refuses(() => builder.add(299 * 1024, 100, digestOf("short")), /its last bytes/)
    assert.strictEqual(builder.sizeBytes, 300 * 1024)
    assert.strictEqual(FixedIndex.decode(builder.finish(identity).bytes).count, 300)
    builder.add(300 * 1024, 100, digestOf("last"))
    refuses(() => builder.set(301, digestOf("more")), /within the image/)
    builder.set(7, digestOf("seven"))
    const index = FixedIndex.decode(builder.finish(identity).bytes)
    assert.deepStrictEqual([index.count, index.sizeBytes], [301, 300 * 1024 + 100])
    assert.strictEqual(hex(index.digestBytes(7)), hex(digestOf("seven")))
  })

  it("has a chunk size that is a power of two and an image that is not empty", () => {
    for (const chunkSizeBytes of [0, 3, -4, 0.5]) {
      refuses(() => new FixedIndex.FixedIndexBuilder({ chunkSizeBytes }), /power of two/)
    }
    for (const sizeBytes of [0, -1, 1.5, 2 ** 53]) {
      refuses(() => new FixedIndex.FixedIndexBuilder({ sizeBytes }), /image size/)
    }
  })
})
