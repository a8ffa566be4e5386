/** ChunkCodec: the conformance suite over the inline codec and over worker threads, and what only threads can do. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as DataBlob from "../../src/format/DataBlob.ts"
import { ChunkCodec, layerInline, verdictOf } from "../../src/platform/ChunkCodec.ts"
import { largestBlobBytes } from "../../src/platform/chunkContent.ts"
import { FilesError } from "../../src/platform/Files.ts"
import * as NodeChunkCodec from "../../src/platform/NodeChunkCodec.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { chunkCodecSuite } from "../conformance/chunkCodecSuite.ts"
import { chunkOf, hardData, key, shared, softData } from "./chunks.ts"
import { scratchFolder } from "./scratch.ts"

const inline = Layer.provideMerge(layerInline, NodeFiles.layer)
const threads = Layer.merge(NodeChunkCodec.layer({ threads: 2 }), NodeFiles.layer)

chunkCodecSuite("layerInline", inline, { folder: scratchFolder })
chunkCodecSuite("NodeChunkCodec", threads, { folder: scratchFolder })

describe.each([
  ["layerInline", inline],
  ["NodeChunkCodec", threads]
])("%s on a real file system", (_, layer) => {
  it.live("a fifo in a chunk's place is corrupt and keeps nobody waiting", () =>
    Effect.gen(function* () {
      const path = join(yield* scratchFolder, "fifo")
      execFileSync("mkfifo", [path])
      const codec = yield* ChunkCodec
      const request = { path, digest: chunkOf(softData(1)).digest, sizeBytes: 5, crypt: undefined }
      assert.strictEqual((yield* codec.check(request)).state, "corrupt")
      const target = shared(new Uint8Array(10))
      assert.strictEqual((yield* Effect.flip(codec.load({ ...request, target }))).reason, "Corrupt")
    }).pipe(Effect.provide(layer))
  )

  it.live("a file larger than any chunk is corrupt without being read", () =>
    Effect.gen(function* () {
      const path = join(yield* scratchFolder, "large")
      writeFileSync(path, "")
      truncateSync(path, largestBlobBytes + 1)
      const codec = yield* ChunkCodec
      const request = { path, digest: chunkOf(softData(1)).digest, sizeBytes: 5, crypt: undefined }
      assert.strictEqual((yield* codec.check(request)).state, "corrupt")
      assert.strictEqual((yield* Effect.flip(codec.load(request))).reason, "TooLarge")
    }).pipe(Effect.provide(layer))
  )
})

describe("NodeChunkCodec", () => {
  it.live("an interrupted stage has ended when the fiber has: its memory may be used again", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      const codec = yield* ChunkCodec
      const data = shared(hardData(1, 2_000_000))
      const request = { data, compress: false, crypt: undefined, sync: false }
      const fiber = yield* Effect.forkChild(codec.stage({ ...request, temporaryPath: join(folder, "a") }), {
        startImmediately: true
      })
      yield* Fiber.interrupt(fiber)
      data.fill(0)
      if (existsSync(join(folder, "a"))) {
        assert.strictEqual(statSync(join(folder, "a")).size, 2_000_012)
        assert.doesNotThrow(() => DataBlob.verifyCrc(readFileSync(join(folder, "a"))))
      }
    }).pipe(Effect.provide(threads))
  )

  it.live("many jobs at once come back to those who asked", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      const codec = yield* ChunkCodec
      const samples = Array.from({ length: 60 }, (_, index) =>
        chunkOf(softData(index, 100 + index), index % 2 === 0 ? {} : { crypt: key })
      )
      yield* Effect.forEach(
        samples,
        ({ data, digest, compress, crypt }) =>
          Effect.gen(function* () {
            const path = join(folder, digest)
            yield* codec.stage({ data, temporaryPath: path, compress, crypt, sync: false })
            const loaded = yield* codec.load({ path, digest, sizeBytes: data.length, crypt })
            assert.deepStrictEqual(Buffer.from(loaded), Buffer.from(data))
          }),
        { concurrency: 16 }
      )
      assert.strictEqual(readdirSync(folder).length, 60)
    }).pipe(Effect.provide(threads))
  )

  it.live("a blob that is given away crosses without a copy, one that is kept stays", () =>
    Effect.gen(function* () {
      const codec = yield* ChunkCodec
      const sample = chunkOf(hardData(1, 2_000_000))
      const request = { digest: sample.digest, sizeBytes: sample.data.length, crypt: undefined }
      const { blob } = yield* codec.encode(sample)
      yield* codec.decode(blob, request)
      yield* codec.judge(blob, request)
      assert.strictEqual(blob.length, 2_000_012)
      yield* codec.judge(blob, { ...request, consumes: true })
      assert.strictEqual(blob.length, 0)
    }).pipe(Effect.provide(threads))
  )

  it.live("decoding does not keep the main thread from its work", () =>
    Effect.gen(function* () {
      const codec = yield* ChunkCodec
      const sample = chunkOf(hardData(1, 16_000_000), { crypt: key })
      const request = { digest: sample.digest, sizeBytes: sample.data.length, crypt: key }
      const { blob } = yield* codec.encode(sample)
      let turns = 0
      const counting = setInterval(() => turns++, 1)
      yield* Effect.forEach([1, 2, 3, 4], () => codec.decode(shared(blob), request))
      clearInterval(counting)
      assert.isAtLeast(turns, 4)
    }).pipe(Effect.provide(threads))
  )

  it.live("a fault of the program is a defect, and the codec goes on", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      const codec = yield* ChunkCodec
      const sample = chunkOf(softData(1))
      const badKey = { ...key, encKey: new Uint8Array(5) }
      const stage = (crypt: typeof key | undefined) =>
        codec.stage({
          data: sample.data,
          temporaryPath: join(folder, "a"),
          compress: true,
          crypt,
          sync: false
        })
      const cause = yield* Effect.flip(Effect.sandbox(stage(badKey)))
      assert.isTrue(Cause.hasDies(cause))
      assert.isFalse(existsSync(join(folder, "a")))
      yield* stage(undefined)
      assert.isTrue(existsSync(join(folder, "a")))
    }).pipe(Effect.provide(threads))
  )
})

describe("verdictOf", () => {
  it("condemns for what a file is, not for trouble on the way to it", () => {
    const state = (reason: FilesError["reason"]) =>
      verdictOf(new FilesError({ operation: "read", path: "/x", reason })).state
    assert.strictEqual(state("NotFound"), "missing")
    assert.strictEqual(state("TooLarge"), "corrupt")
    for (const reason of ["Io", "PermissionDenied", "TooManyOpenFiles", "IsADirectory"] as const) {
      assert.strictEqual(state(reason), "unreadable")
    }
  })
})
