/** ChunkStore with many at work: fibers and processes that insert the same chunks. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodeChunkCodec from "../../src/platform/NodeChunkCodec.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import * as ChunkStore from "../../src/store/ChunkStore.ts"
import { chunkOf, key, softData } from "../platform/chunks.ts"
import { startOurs } from "../platform/LockProcess.ts"
import { listing } from "../platform/scratch.ts"
import { newLayout, platform, prepareFor } from "./stores.ts"

const threads = Layer.mergeAll(NodeChunkCodec.layer({ threads: 2 }), NodeFiles.layer, NodeFileLocks.layer)

const files = (folder: string) => listing(folder).filter((name) => !name.endsWith("/"))

describe("ChunkStore inserts of the same digest", () => {
  for (const [name, layer] of [
    ["the calling fiber", platform],
    ["worker threads", threads]
  ] as const) {
    it.live(`from many fibers, coded on ${name}: one is new, the others are duplicates`, () =>
      Effect.gen(function* () {
        const samples = [chunkOf(softData(1)), chunkOf(softData(2)), chunkOf(softData(3), { crypt: key })]
        const layout = yield* newLayout(...samples.map(({ digest }) => digest))
        const store = yield* ChunkStore.make(layout, { syncLevel: "none" })
        for (const sample of samples) {
          const results = yield* Effect.forEach(Array.from({ length: 40 }), () => store.insert(sample), {
            concurrency: "unbounded"
          })
          assert.strictEqual(results.filter(({ duplicate }) => !duplicate).length, 1)
          assert.strictEqual((yield* store.check({ ...sample, sizeBytes: 5000 })).state, "good")
        }
        assert.deepStrictEqual(
          files(layout.chunks).map((path) => path.slice(5)),
          samples.map(({ digest }) => digest).toSorted()
        )
      }).pipe(Effect.provide(layer))
    )
  }

  it.live("from two processes: each chunk is new to one of them, and all are good", () =>
    Effect.gen(function* () {
      const count = 150
      const samples = Array.from({ length: count }, (_, number) =>
        chunkOf(Buffer.from(`chunk ${number} `.repeat(500)))
      )
      const layout = yield* newLayout(...samples.map(({ digest }) => digest))
      const children = [yield* startOurs(layout.base), yield* startOurs(layout.base)]
      const answers = yield* Effect.forEach(children, (child) => child.ask("insert", String(count)), {
        concurrency: "unbounded"
      })
      const fresh = answers.map((answer) => Number(answer.split(" ")[0]))
      assert.strictEqual((fresh[0] ?? 0) + (fresh[1] ?? 0), count, answers.join())
      assert.strictEqual(files(layout.chunks).length, count)
      const store = yield* ChunkStore.make(layout, { syncLevel: "none" })
      for (const { digest, data } of samples) {
        const verdict = yield* store.check({ digest, sizeBytes: data.length, crypt: undefined })
        assert.strictEqual(verdict.state, "good")
      }
    }).pipe(Effect.provide(platform))
  )

  it.live("condemning and inserting at the same time ends with a good chunk", () =>
    Effect.gen(function* () {
      const sample = chunkOf(softData(1))
      const layout = yield* newLayout()
      prepareFor(layout, sample.digest)
      const store = yield* ChunkStore.make(layout, { syncLevel: "none" })
      const wanted = { digest: sample.digest, sizeBytes: 5000, crypt: undefined }
      yield* store.insertEncoded(sample.digest, Buffer.from("42ab3807be8370a1ffffffffffff", "hex"))
      const [named] = yield* Effect.all(
        [
          Effect.forEach(Array.from({ length: 5 }), () => store.condemn(wanted), {
            concurrency: "unbounded"
          }),
          Effect.repeat(store.insert(sample), { times: 20 })
        ],
        { concurrency: "unbounded" }
      )
      assert.strictEqual(named.filter((name) => name !== undefined).length, 1)
      yield* store.insert(sample)
      assert.strictEqual((yield* store.check(wanted)).state, "good")
    }).pipe(Effect.provide(platform))
  )
})
