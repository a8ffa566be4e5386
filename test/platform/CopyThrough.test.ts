/** Copying chunk files on worker threads: what is good arrives byte for byte; of anything else nothing is written. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ChunkCodec } from "../../src/platform/ChunkCodec.ts"
import { encodeChunk, largestBlobBytes } from "../../src/platform/chunkContent.ts"
import * as NodeChunkCodec from "../../src/platform/NodeChunkCodec.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { chunkOf, hardData, key, type SampleChunk, softData } from "./chunks.ts"
import { scratchFolder } from "./scratch.ts"

const threads = Layer.merge(NodeChunkCodec.layer({ threads: 2 }), NodeFiles.layer)

const copying = Effect.gen(function* () {
  const { copy } = yield* ChunkCodec
  if (copy === undefined) throw new Error("threads copy files")
  return { copy, folder: yield* scratchFolder }
})

const requestFor = ({ crypt, data, digest }: SampleChunk, from: string, to: string) => ({
  from,
  temporaryPath: to,
  digest,
  sizeBytes: data.length,
  encrypted: crypt !== undefined,
  sync: false
})

describe("copying chunk files", () => {
  const samples = [
    chunkOf(hardData(1)),
    chunkOf(softData(2)),
    chunkOf(softData(3), { crypt: key }),
    ...Array.from({ length: 12 }, (_, number) => chunkOf(hardData(number + 4, 3_000_000 + number))),
    chunkOf(hardData(90, 6_000_000)),
    chunkOf(new Uint8Array(0))
  ]

  it.live("gives the same bytes, many at once", () =>
    Effect.gen(function* () {
      const { copy, folder } = yield* copying
      yield* Effect.forEach(
        samples,
        (sample, number) =>
          Effect.gen(function* () {
            const [from, to] = [join(folder, `from ${number}`), join(folder, `to ${number}`)]
            const { blob, kind } = encodeChunk(sample)
            writeFileSync(from, blob)
            const verdict = yield* copy(requestFor(sample, from, to))
            const isProven = sample.crypt === undefined
            assert.deepStrictEqual(verdict, { state: "good", kind, encodedSizeBytes: blob.length, isProven })
            assert.isTrue(readFileSync(to).equals(blob))
          }),
        { concurrency: "unbounded", discard: true }
      )
    }).pipe(Effect.provide(threads))
  )

  it.live("writes nothing of what is not good, or not of the wanted kind", () =>
    Effect.gen(function* () {
      const { copy, folder } = yield* copying
      const [from, to] = [join(folder, "from"), join(folder, "to")]
      const sample = chunkOf(hardData(1, 1_000_000))
      const { blob } = encodeChunk(sample)
      const request = requestFor(sample, from, to)
      const stateOf = (wanted: Partial<typeof request>, content: Uint8Array = blob) => {
        writeFileSync(from, content)
        return Effect.map(copy({ ...request, ...wanted }), ({ state }) => state)
      }
      const flipped = Uint8Array.from(blob)
      flipped[500_000] = (flipped[500_000] ?? 0) ^ 1
      assert.strictEqual(yield* stateOf({}, flipped), "corrupt")
      assert.strictEqual(yield* stateOf({}, blob.subarray(0, 900_000)), "corrupt")
      assert.strictEqual(yield* stateOf({}, Buffer.from("this is no blob")), "corrupt")
      assert.strictEqual(yield* stateOf({ digest: chunkOf(hardData(2)).digest }), "corrupt")
      assert.strictEqual(yield* stateOf({ sizeBytes: 999_999 }), "corrupt")
      assert.strictEqual(yield* stateOf({ encrypted: true }), "corrupt")
      const sealed = chunkOf(hardData(1), { crypt: key })
      const plainWanted = { ...requestFor(sealed, from, to), encrypted: false }
      assert.strictEqual(yield* stateOf(plainWanted, encodeChunk(sealed).blob), "corrupt")
      assert.strictEqual(yield* stateOf({ from: join(folder, "none") }), "missing")
      assert.strictEqual(yield* stateOf({ from: folder }), "unreadable")
      truncateSync(from, largestBlobBytes + 1)
      assert.strictEqual((yield* copy(request)).state, "corrupt")
      assert.isFalse(existsSync(to))
      assert.strictEqual(yield* stateOf({}), "good")
    }).pipe(Effect.provide(threads))
  )

  it.live("tells when the copy cannot be written", () =>
    Effect.gen(function* () {
      const { copy, folder } = yield* copying
      const sample = chunkOf(hardData(1))
      const from = join(folder, "from")
      writeFileSync(from, encodeChunk(sample).blob)
      const reasonFor = (to: string) =>
        Effect.map(Effect.flip(copy(requestFor(sample, from, to))), ({ operation, reason }) => [
          operation,
          reason
        ])
      assert.deepStrictEqual(yield* reasonFor(join(folder, "none", "to")), ["write", "NotFound"])
      assert.deepStrictEqual(yield* reasonFor(from), ["write", "AlreadyExists"])
    }).pipe(Effect.provide(threads))
  )
})
