import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { crc32 } from "node:zlib"
import type { ChunkIndex } from "../src/format/ChunkIndex.ts"
import * as CryptConfig from "../src/format/CryptConfig.ts"
import * as DataBlob from "../src/format/DataBlob.ts"
import * as DynamicIndex from "../src/format/DynamicIndex.ts"
import * as FixedIndex from "../src/format/FixedIndex.ts"
import { FormatError } from "../src/format/FormatError.ts"
import * as KeyDerivation from "../src/format/KeyDerivation.ts"
import * as KeyFile from "../src/format/KeyFile.ts"
import * as Manifest from "../src/format/Manifest.ts"
import * as MasterKey from "../src/format/MasterKey.ts"
import * as Digest from "../src/model/Digest.ts"

const golden = resolve(import.meta.dirname, "../test/golden")

const goldenFiles = (area: string, ending: string): ReadonlyArray<Uint8Array> =>
  readdirSync(join(golden, area))
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => readFileSync(join(golden, area, name)))

const crypt = CryptConfig.fromKey(Uint8Array.from({ length: 32 }, (_, index) => index))

/** Damage to a file: bits flipped, the end lost or made up, numbers replaced by extreme ones. */
type Damage = (bytes: Uint8Array) => Uint8Array

const extremes = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0xffffn,
  0x7fff_ffffn,
  0xffff_ffffn,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n
]

/** Places are drawn near the beginning half of the time: that is where the headers are. */
const place = fc.oneof(fc.nat({ max: 64 }), fc.nat({ max: 1 << 20 }))

const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.tuple(place, fc.nat({ max: 7 })).map(([at, bit]): Damage => (bytes) => {
    const changed = Uint8Array.from(bytes)
    const index = at % Math.max(1, bytes.length)
    if (index < changed.length) changed[index] = (changed[index] ?? 0) ^ (1 << bit)
    return changed
  }),
  place.map(
    (at): Damage =>
      (bytes) =>
        bytes.slice(0, at % (bytes.length + 1))
  ),
  fc.uint8Array({ maxLength: 50 }).map(
    (added): Damage =>
      (bytes) =>
        Buffer.concat([bytes, added])
  ),
  fc
    .tuple(place, fc.constantFrom(...extremes), fc.constantFrom(1, 2, 4, 8))
    .map(([at, value, sizeBytes]): Damage => (bytes) => {
      const number = Buffer.alloc(8)
      number.writeBigUInt64LE(value)
      const changed = Uint8Array.from(bytes)
      const start = at % Math.max(1, bytes.length)
      changed.set(number.subarray(0, Math.min(sizeBytes, bytes.length - start)), start)
      return changed
    })
)

const damaged = (files: ReadonlyArray<Uint8Array>): fc.Arbitrary<Uint8Array> =>
  fc
    .tuple(fc.constantFrom(...files), fc.array(damage, { minLength: 1, maxLength: 4 }))
    .map(([file, damages]) => damages.reduce((bytes, apply) => apply(bytes), file))

const onlyFormatErrors = (run: () => void): void => {
  try {
    run()
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    assert.isBelow(error.message.length, 1000)
  }
}

const walk = (index: ChunkIndex): void => {
  let start = 0
  for (let chunk = 0; chunk < index.count; chunk++) {
    assert.strictEqual(index.start(chunk), start)
    assert.isAbove(index.end(chunk), start)
    assert.strictEqual(index.find(start), chunk)
    assert.strictEqual(index.find(index.end(chunk) - 1), chunk)
    start = index.end(chunk)
  }
  assert.strictEqual(start, index.sizeBytes)
}

describe("damaged files are read or refused", () => {
  const numRuns = 1000

  it("data blobs", () => {
    fc.assert(
      fc.property(damaged(goldenFiles("blobs", ".blob")), fc.boolean(), (bytes, verifyCrc) =>
        onlyFormatErrors(() => {
          const maxSizeBytes = 100_000
          assert.isAtMost(DataBlob.decode(bytes, { crypt, maxSizeBytes, verifyCrc }).length, maxSizeBytes)
        })
      ),
      { numRuns }
    )
  })

  it("zstd frames in data blobs of any size", () => {
    const data = Buffer.from("some text that shrinks, ".repeat(20_000))
    const blobs = [data, data.subarray(0, 300), data.subarray(0, 70_000)].map((text) =>
      DataBlob.encode(text, { compress: true })
    )
    fc.assert(
      fc.property(damaged(blobs), (bytes) =>
        onlyFormatErrors(() => {
          assert.isAtMost(DataBlob.decode(bytes, { verifyCrc: false }).length, bytes.length * 32_768)
        })
      ),
      { numRuns }
    )
  })

  it("dynamic indexes", () => {
    fc.assert(
      fc.property(damaged(goldenFiles("index", ".didx")), (bytes) =>
        onlyFormatErrors(() => walk(DynamicIndex.decode(bytes)))
      ),
      { numRuns }
    )
  })

  it("fixed indexes", () => {
    fc.assert(
      fc.property(damaged(goldenFiles("index", ".fidx")), (bytes) =>
        onlyFormatErrors(() => walk(FixedIndex.decode(bytes)))
      ),
      { numRuns }
    )
  })

  it("manifests, as blobs and as JSON in a sound blob", () => {
    const blobs = goldenFiles("manifests", ".index.json.blob")
    const texts = blobs.map((blob) => DataBlob.decode(blob))
    const rewrapped = damaged(texts).map((text) => DataBlob.encode(text, { compress: false }))
    fc.assert(
      fc.property(fc.oneof(damaged(blobs), rewrapped), (bytes) =>
        onlyFormatErrors(() => {
          const manifest = Manifest.decode(bytes)
          assert.deepStrictEqual(Manifest.decode(Manifest.encode(manifest)).files, manifest.files)
          try {
            Manifest.verifySignature(manifest, crypt)
          } catch (error) {
            if (!(error instanceof Manifest.SignatureError)) throw error
          }
        })
      ),
      { numRuns }
    )
  })

  it("manifests of any JSON", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) =>
        onlyFormatErrors(() => Manifest.decode(DataBlob.encode(Buffer.from(text), { compress: true })))
      )
    )
  })

  it("key files", () => {
    fc.assert(
      fc.property(damaged(goldenFiles("keys", ".key.json")), (bytes) =>
        onlyFormatErrors(() => {
          const keyFile = KeyFile.decode(bytes)
          assert.deepStrictEqual(KeyFile.decode(KeyFile.encode(keyFile)), keyFile)
        })
      ),
      { numRuns }
    )
  })

  it("parameters of key derivation: what passes the check can be computed", () => {
    const exponent = fc.integer({ min: -1, max: 18 })
    const small = fc.integer({ min: -1, max: 12 })
    const scrypt = fc
      .tuple(exponent, fc.nat({ max: 1 }), small, small)
      .map(([power, more, r, p]): KeyDerivation.PassphraseKdf => ({
        kind: "scrypt",
        n: 2 ** power + (more === 1 && power > 16 ? 1 : 0),
        r,
        p,
        salt: new Uint8Array(8)
      }))
    fc.assert(
      fc.property(scrypt, (kdf) =>
        onlyFormatErrors(() =>
          assert.strictEqual(KeyDerivation.derive(kdf, Buffer.from("phrase")).length, 32)
        )
      ),
      { numRuns: 60 }
    )
  })

  it("encrypted keys", () => {
    const pem = readFileSync(join(golden, "keys/master-private.pem"), "utf8")
    fc.assert(
      fc.property(damaged(goldenFiles("keys", ".key.blob")), (bytes) =>
        onlyFormatErrors(() => {
          const repaired = Buffer.from(bytes)
          if (repaired.length >= 12) repaired.writeUInt32LE(crc32(repaired.subarray(12)), 8)
          MasterKey.decrypt(pem, repaired)
        })
      ),
      { numRuns: 30 }
    )
  })
})

describe("what is written is read again", () => {
  /** Shrinking data, random data, and both after one another. */
  const data = fc
    .tuple(fc.uint8Array({ maxLength: 2000 }), fc.nat({ max: 300_000 }), fc.nat({ max: 255 }))
    .map(([random, fill, byte]) => Buffer.concat([random, Buffer.alloc(fill, byte)]))

  it("data blobs", () => {
    fc.assert(
      fc.property(data, fc.boolean(), fc.boolean(), (bytes, compress, encrypts) => {
        const options = { compress, ...(encrypts ? { crypt } : {}) }
        const blob = DataBlob.encode(bytes, options)
        assert.isTrue(Buffer.from(DataBlob.decode(blob, { crypt })).equals(bytes))
        const { header, kind } = DataBlob.encodeParts(bytes, options)
        assert.strictEqual(header.length, DataBlob.headerSize(kind))
        assert.strictEqual(DataBlob.peekKind(blob), kind)
        assert.strictEqual(DataBlob.isEncrypted(kind), encrypts)
        assert.isTrue(compress || !DataBlob.isCompressed(kind))
        assert.isAtMost(blob.length, DataBlob.encodedSizeMax(bytes.length))
      }),
      { numRuns: 200 }
    )
  })

  const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Digest.fromBytes(bytes))

  const identity = fc.record({
    uuid: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    ctime: fc.integer({ min: -(2 ** 40), max: 2 ** 40 })
  })

  it("dynamic indexes", () => {
    const chunk = fc.tuple(fc.integer({ min: 1, max: 2 ** 40 }), digest)
    fc.assert(
      fc.property(
        identity,
        fc.array(chunk, { minLength: 1, maxLength: 200, size: "max" }),
        (given, chunks) => {
          let end = 0
          const entries = chunks.map(([length, name]) => ({ end: (end += length), digest: name }))
          const encoded = DynamicIndex.encode({ ...given, entries })
          const index = DynamicIndex.decode(encoded.bytes)
          walk(index)
          assert.deepStrictEqual([index.ctime, index.checksum], [given.ctime, encoded.checksum])
          assert.deepStrictEqual(Uint8Array.from(index.uuid), given.uuid)
          assert.strictEqual(index.computeChecksum(), index.checksum)
          assert.strictEqual(index.sizeBytes, end)
          for (const [position, entry] of entries.entries())
            assert.strictEqual(index.digest(position), entry.digest)
        }
      )
    )
  })

  it("fixed indexes, whatever the order of their chunks", () => {
    const shape = fc.tuple(
      fc.nat({ max: 22 }),
      fc.integer({ min: 1, max: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true })
    )
    fc.assert(
      fc.property(identity, shape, fc.integer(), (given, [exponent, count, part], salt) => {
        const chunkSizeBytes = 2 ** exponent
        const sizeBytes = (count - 1) * chunkSizeBytes + Math.max(1, Math.round(part * chunkSizeBytes))
        const name = (position: number): Uint8Array =>
          createHash("sha256").update(`${salt} ${position}`).digest()
        const builder = new FixedIndex.FixedIndexBuilder({ chunkSizeBytes, sizeBytes })
        const growing = new FixedIndex.FixedIndexBuilder({ chunkSizeBytes })
        for (let position = count - 1; position >= 0; position--) builder.set(position, name(position))
        for (let position = 0; position < count; position++) {
          const start = position * chunkSizeBytes
          growing.add(start, Math.min(chunkSizeBytes, sizeBytes - start), name(position))
        }
        const { bytes } = builder.finish(given)
        assert.isTrue(Buffer.from(bytes).equals(growing.finish(given).bytes))
        const index = FixedIndex.decode(bytes)
        walk(index)
        assert.strictEqual(index.computeChecksum(), index.checksum)
        assert.deepStrictEqual([index.sizeBytes, index.chunkSizeBytes], [sizeBytes, chunkSizeBytes])
      })
    )
  })
})
