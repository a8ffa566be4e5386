/**
 * What every implementation of ChunkCodec must do: its obligations, for all four kinds of blobs, in shared memory and in
 * any other. The layer brings the Files that the codec works on, so that the tests can prepare and damage chunk files.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as DataBlob from "../../src/format/DataBlob.ts"
import { ChunkCodec } from "../../src/platform/ChunkCodec.ts"
import type { Verdict } from "../../src/platform/chunkContent.ts"
import { Files } from "../../src/platform/Files.ts"
import { chunkOf, hardData, key, otherKey, type SampleChunk, shared, softData } from "../platform/chunks.ts"

export interface ChunkCodecSubject {
  /** An empty folder of the layer's Files. */
  readonly folder: Effect.Effect<string, never, Files | Scope.Scope>
}

type Codec = ChunkCodec["Service"]
type Test = (
  codec: Codec,
  folder: string,
  files: Files["Service"]
) => Effect.Effect<void, unknown, Scope.Scope>
type Run = (title: string, test: Test) => void

const samples: ReadonlyArray<readonly [kind: DataBlob.BlobKind, sample: SampleChunk]> = [
  ["plain", chunkOf(hardData(1))],
  ["plain", chunkOf(softData(1), { compress: false })],
  ["zstd", chunkOf(softData(2))],
  ["encrypted", chunkOf(hardData(3), { crypt: key })],
  ["encrypted-zstd", chunkOf(softData(4), { crypt: key })],
  ["plain", chunkOf(new Uint8Array(0))]
]

const stageAt = (codec: Codec, path: string, { data, compress, crypt }: SampleChunk) =>
  codec.stage({ data, temporaryPath: path, compress, crypt, sync: false })

const expected = (path: string, { digest, data, crypt }: SampleChunk) => ({
  path,
  digest,
  sizeBytes: data.length,
  crypt
})

const bytes = (data: Uint8Array): Buffer => Buffer.from(data)

export const chunkCodecSuite = (
  name: string,
  layer: Layer.Layer<ChunkCodec | Files>,
  subject: ChunkCodecSubject
): void => {
  const run: Run = (title, test) =>
    it.live(title, () =>
      Effect.gen(function* () {
        yield* test(yield* ChunkCodec, yield* subject.folder, yield* Files)
      }).pipe(Effect.provide(layer))
    )

  describe(`${name} as ChunkCodec`, () => {
    describe("stage", () => stageTests(run))
    describe("load", () => loadTests(run))
    describe("load into a target", () => targetTests(run))
    describe("check", () => checkTests(run))
    describe("damage", () => damageTests(run))
    describe("in memory", () => {
      encodeTests(run)
      decodeTests(run)
      judgeTests(run)
    })
  })
}

const stageTests = (run: Run): void => {
  run(
    "writes a blob of the right kind that the format decodes, and answers its size",
    (codec, folder, files) =>
      Effect.gen(function* () {
        for (const [index, [kind, sample]] of samples.entries()) {
          const path = `${folder}/${index}`
          const staged = yield* stageAt(codec, path, sample)
          const blob = yield* files.readFile(path, 2 ** 20)
          assert.deepStrictEqual(staged, { encodedSizeBytes: blob.length, kind })
          const data = DataBlob.decode(blob, sample.crypt ? { crypt: sample.crypt } : {})
          assert.deepStrictEqual(bytes(data), bytes(sample.data))
          assert.strictEqual((yield* files.stat(path)).mode & 0o777, 0o644)
        }
      })
  )

  run("takes views, of shared memory and of any other, and leaves them as they are", (codec, folder, files) =>
    Effect.gen(function* () {
      const whole = softData(5, 9000)
      for (const [index, memory] of [shared(whole), Buffer.from(whole)].entries()) {
        const data = memory.subarray(100, 8000)
        const path = `${folder}/${index}`
        yield* codec.stage({ data, temporaryPath: path, compress: false, crypt: undefined, sync: true })
        const blob = yield* files.readFile(path, 2 ** 20)
        assert.deepStrictEqual(bytes(DataBlob.decode(blob)), bytes(whole.subarray(100, 8000)))
        assert.deepStrictEqual(bytes(memory), bytes(whole))
      }
    })
  )

  run("fails when the name is taken, and leaves what is there", (codec, folder, files) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, Buffer.from("there"))
      const error = yield* Effect.flip(stageAt(codec, `${folder}/a`, chunkOf(softData(1))))
      assert.strictEqual(error.reason, "AlreadyExists")
      assert.strictEqual(bytes(yield* files.readFile(`${folder}/a`, 99)).toString(), "there")
      const missing = yield* Effect.flip(stageAt(codec, `${folder}/x/a`, chunkOf(softData(1))))
      assert.strictEqual(missing.reason, "NotFound")
    })
  )
}

const loadTests = (run: Run): void => {
  run("answers the bytes of every kind of blob", (codec, folder) =>
    Effect.gen(function* () {
      for (const [index, [, sample]] of samples.entries()) {
        const path = `${folder}/${index}`
        yield* stageAt(codec, path, sample)
        assert.deepStrictEqual(bytes(yield* codec.load(expected(path, sample))), bytes(sample.data))
      }
    })
  )

  run("does without a known length", (codec, folder) =>
    Effect.gen(function* () {
      const sample = chunkOf(softData(1))
      yield* stageAt(codec, `${folder}/a`, sample)
      const loaded = yield* codec.load({ ...expected(`${folder}/a`, sample), sizeBytes: undefined })
      assert.deepStrictEqual(bytes(loaded), bytes(sample.data))
    })
  )

  run("fails with Missing, Corrupt or KeyNeeded", (codec, folder, files) =>
    Effect.gen(function* () {
      const path = `${folder}/a`
      const plain = chunkOf(softData(1))
      const sealed = chunkOf(softData(1), { crypt: key })
      const reasonFor = (request: Parameters<Codec["load"]>[0]) =>
        Effect.map(Effect.flip(codec.load(request)), ({ reason }) => reason)
      assert.strictEqual(yield* reasonFor(expected(path, plain)), "Missing")
      yield* stageAt(codec, path, sealed)
      assert.strictEqual(yield* reasonFor({ ...expected(path, sealed), crypt: undefined }), "KeyNeeded")
      assert.strictEqual(yield* reasonFor({ ...expected(path, sealed), crypt: otherKey }), "KeyNeeded")
      assert.strictEqual(yield* reasonFor({ ...expected(path, sealed), sizeBytes: 4999 }), "Corrupt")
      assert.strictEqual(yield* reasonFor({ ...expected(path, sealed), digest: plain.digest }), "Corrupt")
      yield* files.replaceFile(path, [])
      assert.strictEqual(yield* reasonFor(expected(path, plain)), "Corrupt")
    })
  )
}

const targetTests = (run: Run): void => {
  run("the bytes are a view of the target's beginning, in whatever memory it lies", (codec, folder) =>
    Effect.gen(function* () {
      for (const [index, [, sample]] of samples.entries()) {
        const path = `${folder}/${index}`
        yield* stageAt(codec, path, sample)
        for (const memory of [shared(new Uint8Array(9000)), new Uint8Array(9000)]) {
          const target = memory.subarray(1000, 8000)
          const loaded = yield* codec.load({ ...expected(path, sample), target })
          assert.strictEqual(loaded.buffer, memory.buffer)
          assert.strictEqual(loaded.byteOffset, 1000)
          assert.deepStrictEqual(bytes(loaded), bytes(sample.data))
          assert.isTrue(memory.subarray(0, 1000).every((byte) => byte === 0))
        }
      }
    })
  )

  run("a chunk that does not fit the target is corrupt, and nothing is written behind it", (codec, folder) =>
    Effect.gen(function* () {
      for (const [index, [, sample]] of samples.slice(0, 5).entries()) {
        const path = `${folder}/${index}`
        yield* stageAt(codec, path, sample)
        for (const memory of [shared(new Uint8Array(9000)), new Uint8Array(9000)]) {
          const request = {
            ...expected(path, sample),
            sizeBytes: undefined,
            target: memory.subarray(0, 4999)
          }
          assert.strictEqual((yield* Effect.flip(codec.load(request))).reason, "Corrupt")
          assert.isTrue(memory.subarray(4999).every((byte) => byte === 0))
        }
      }
    })
  )
}

const checkTests = (run: Run): void => {
  run("judges good chunks, with and without their key", (codec, folder) =>
    Effect.gen(function* () {
      for (const [index, [kind, sample]] of samples.entries()) {
        const path = `${folder}/${index}`
        const { encodedSizeBytes } = yield* stageAt(codec, path, sample)
        const verdict = (isProven: boolean): Verdict => ({ state: "good", kind, encodedSizeBytes, isProven })
        const isPlain = sample.crypt === undefined
        const request = expected(path, sample)
        assert.deepStrictEqual(yield* codec.check(request), verdict(true))
        assert.deepStrictEqual(yield* codec.check({ ...request, crypt: undefined }), verdict(isPlain))
        assert.deepStrictEqual(yield* codec.check({ ...request, crypt: otherKey }), verdict(isPlain))
      }
    })
  )

  run("tells missing, foreign and unreadable apart", (codec, folder, files) =>
    Effect.gen(function* () {
      const sample = chunkOf(softData(1))
      const state = (path: string) =>
        Effect.map(codec.check(expected(path, sample)), (verdict) => verdict.state)
      assert.strictEqual(yield* state(`${folder}/a`), "missing")
      yield* files.createFile(`${folder}/a`, Buffer.from("this is no blob at all"))
      assert.strictEqual(yield* state(`${folder}/a`), "corrupt")
      yield* files.createFile(`${folder}/b`, new Uint8Array(0))
      assert.strictEqual(yield* state(`${folder}/b`), "corrupt")
      yield* files.makeDirectory(`${folder}/c`)
      assert.strictEqual(yield* state(`${folder}/c`), "unreadable")
    })
  )
}

const damageTests = (run: Run): void => {
  run("one flipped bit anywhere is never taken for the chunk", (codec, folder, files) =>
    Effect.gen(function* () {
      const small = [hardData(8, 40), softData(8, 400)]
      const chunks = small.flatMap((data) => [chunkOf(data), chunkOf(data, { crypt: key })])
      for (const [number, sample] of chunks.entries()) {
        const path = `${folder}/${number}`
        yield* stageAt(codec, path, sample)
        const blob = yield* files.readFile(path, 2 ** 20)
        for (let position = 0; position < blob.length; position++) {
          const damaged = Uint8Array.from(blob)
          damaged[position] = (damaged[position] ?? 0) ^ (1 << (position % 8))
          yield* files.replaceFile(path, [damaged])
          const { reason } = yield* Effect.flip(codec.load(expected(path, sample)))
          assert.include(["Corrupt", "KeyNeeded"], reason)
          const verdict = yield* codec.check(expected(path, sample))
          assert.isTrue(verdict.state === "corrupt" || (verdict.state === "good" && !verdict.isProven))
        }
      }
    })
  )

  run("a chunk cut short anywhere is corrupt", (codec, folder, files) =>
    Effect.gen(function* () {
      for (const sample of [chunkOf(softData(8, 400)), chunkOf(hardData(8, 40), { crypt: key })]) {
        const path = `${folder}/a`
        yield* stageAt(codec, `${folder}/whole`, sample)
        const blob = yield* files.readFile(`${folder}/whole`, 2 ** 20)
        yield* files.unlink(`${folder}/whole`)
        for (let length = 0; length < blob.length; length++) {
          yield* files.replaceFile(path, [blob.subarray(0, length)])
          assert.strictEqual((yield* codec.check(expected(path, sample))).state, "corrupt")
          assert.strictEqual((yield* Effect.flip(codec.load(expected(path, sample)))).reason, "Corrupt")
        }
      }
    })
  )
}

/** A blob as a reader gets it: memory of its own, a part of some larger memory, and shared memory. */
const memoriesOf = (blob: Uint8Array): ReadonlyArray<Uint8Array> => {
  const around = new Uint8Array(blob.length + 30)
  around.set(blob, 10)
  return [Uint8Array.from(blob), around.subarray(10, 10 + blob.length), shared(blob)]
}

const wanted = ({ digest, data, crypt }: SampleChunk) => ({ digest, sizeBytes: data.length, crypt })

const encodeTests = (run: Run): void => {
  run(
    "encode answers what stage writes, in the room if there is one, and leaves the data as it is",
    (codec, folder, files) =>
      Effect.gen(function* () {
        for (const [index, [kind, sample]] of samples.entries()) {
          const before = Uint8Array.from(sample.data)
          for (const data of memoriesOf(sample.data)) {
            const room = memoriesOf(new Uint8Array(DataBlob.encodedSizeMax(data.length)))[index % 4]
            const { blob, kind: found } = yield* codec.encode({ ...sample, data, ...(room ? { room } : {}) })
            if (room) assert.deepStrictEqual([blob.buffer, blob.byteOffset], [room.buffer, room.byteOffset])
            assert.strictEqual(found, kind)
            assert.deepStrictEqual(bytes(data), bytes(before))
            const decoded = DataBlob.decode(blob, sample.crypt ? { crypt: sample.crypt } : {})
            assert.deepStrictEqual(bytes(decoded), bytes(before))
            const path = `${folder}/${index}`
            const { encodedSizeBytes } = yield* stageAt(codec, path, sample)
            assert.strictEqual(blob.length, encodedSizeBytes)
            const written = bytes(yield* files.readFile(path, 2 ** 20))
            if (sample.crypt === undefined) assert.deepStrictEqual(bytes(blob), written)
            yield* files.unlink(path)
          }
        }
      })
  )
}

const decodeTests = (run: Run): void => {
  run("decode answers bytes that are no part of the blob, which stays as it is", (codec) =>
    Effect.gen(function* () {
      for (const [, sample] of samples) {
        const { blob } = yield* codec.encode(sample)
        for (const memory of memoriesOf(blob)) {
          const before = Uint8Array.from(memory)
          const data = yield* codec.decode(memory, wanted(sample))
          assert.deepStrictEqual(bytes(data), bytes(sample.data))
          assert.notStrictEqual(data.buffer, memory.buffer)
          assert.deepStrictEqual(bytes(memory), bytes(before))
        }
      }
    })
  )

  run("a blob that is given away is decoded all the same", (codec) =>
    Effect.gen(function* () {
      for (const [, sample] of samples) {
        const { blob } = yield* codec.encode(sample)
        for (const memory of memoriesOf(blob)) {
          const data = yield* codec.decode(memory, { ...wanted(sample), consumes: true })
          assert.deepStrictEqual(bytes(data), bytes(sample.data))
        }
      }
    })
  )

  run(
    "decodes into the target's beginning, in whatever memory it lies; what does not fit is corrupt",
    (codec) =>
      Effect.gen(function* () {
        for (const [, sample] of samples.slice(0, 5)) {
          const { blob } = yield* codec.encode(sample)
          for (const memory of [shared(new Uint8Array(9000)), new Uint8Array(9000)]) {
            const small = { ...wanted(sample), sizeBytes: undefined, target: memory.subarray(0, 4999) }
            assert.strictEqual((yield* Effect.flip(codec.decode(blob, small))).reason, "Corrupt")
            const target = memory.subarray(1000, 8000)
            const data = yield* codec.decode(blob, { ...wanted(sample), target })
            assert.deepStrictEqual([data.buffer, data.byteOffset], [memory.buffer, 1000])
            assert.deepStrictEqual(bytes(data), bytes(sample.data))
          }
        }
      })
  )

  run("decode fails with Corrupt or KeyNeeded", (codec) =>
    Effect.gen(function* () {
      const plain = chunkOf(softData(1))
      const sealed = chunkOf(softData(1), { crypt: key })
      const { blob } = yield* codec.encode(sealed)
      const reasonFor = (request: Parameters<Codec["decode"]>[1], of = blob) =>
        Effect.map(Effect.flip(codec.decode(of, request)), ({ reason }) => reason)
      assert.strictEqual(yield* reasonFor({ ...wanted(sealed), crypt: undefined }), "KeyNeeded")
      assert.strictEqual(yield* reasonFor({ ...wanted(sealed), crypt: otherKey }), "KeyNeeded")
      assert.strictEqual(yield* reasonFor({ ...wanted(sealed), sizeBytes: 4999 }), "Corrupt")
      assert.strictEqual(yield* reasonFor({ ...wanted(sealed), digest: plain.digest }), "Corrupt")
      assert.strictEqual(yield* reasonFor(wanted(sealed), new Uint8Array(0)), "Corrupt")
      assert.strictEqual(yield* reasonFor(wanted(sealed), Buffer.from("this is no blob")), "Corrupt")
    })
  )
}

const judgeTests = (run: Run): void => {
  run("receive writes what is good", (codec, folder, files) =>
    Effect.gen(function* () {
      yield* stageAt(codec, `${folder}/a`, chunkOf(softData(1)))
      const blob = Uint8Array.from(yield* files.readFile(`${folder}/a`, 2 ** 20))
      const to = { ...expected("", chunkOf(softData(1))), temporaryPath: `${folder}/b`, sync: false }
      assert.strictEqual((yield* codec.receive({ ...to, blob: blob.slice(1) })).state, "corrupt")
      assert.strictEqual((yield* codec.receive({ ...to, blob: blob.slice() })).state, "good")
      assert.deepStrictEqual(bytes(yield* files.readFile(`${folder}/b`, 2 ** 20)), bytes(blob))
    })
  )
  run("judge gives the verdicts of check, and leaves the blob as it is", (codec, folder, files) =>
    Effect.gen(function* () {
      for (const [index, [, sample]] of samples.entries()) {
        const path = `${folder}/${index}`
        yield* stageAt(codec, path, sample)
        const blob = yield* files.readFile(path, 2 ** 20)
        const flipped = Uint8Array.from(blob)
        flipped[blob.length - 1] = (flipped[blob.length - 1] ?? 0) ^ 1
        for (const content of [blob, flipped, blob.subarray(0, blob.length - 1), new Uint8Array(0)]) {
          yield* files.replaceFile(path, [content])
          for (const crypt of [undefined, key, otherKey]) {
            for (const sizeBytes of [undefined, sample.data.length, 4999]) {
              const request = { digest: sample.digest, sizeBytes, crypt }
              const verdict = yield* codec.check({ ...request, path })
              for (const memory of memoriesOf(content)) {
                assert.deepStrictEqual(yield* codec.judge(memory, request), verdict)
                assert.deepStrictEqual(bytes(memory), bytes(content))
                assert.deepStrictEqual(yield* codec.judge(memory, { ...request, consumes: true }), verdict)
              }
            }
          }
        }
      }
    })
  )
}
