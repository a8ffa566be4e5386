/** Stores that lack folders of chunks, as a copy by a program does that leaves out what is empty. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { dirname } from "node:path"
import * as ChunkStore from "../../src/store/ChunkStore.ts"
import { chunkPath, layoutOf } from "../../src/store/StoreLayout.ts"
import { chunkOf, hardData } from "../platform/chunks.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { emptyStore } from "./emptyStore.ts"
import { platform } from "./stores.ts"

const [one, other] = [chunkOf(hardData(1)), chunkOf(hardData(2))]

const newChunks = Effect.gen(function* () {
  const layout = layoutOf(emptyStore(`${yield* scratchFolder}/store`))
  return { layout, chunks: yield* ChunkStore.make(layout, { syncLevel: "file" }) }
})

describe("a store that lacks folders of chunks", () => {
  it.live("gets the folder with its first chunk, of many at once as well", () =>
    Effect.gen(function* () {
      const { layout, chunks } = yield* newChunks
      const inserted = yield* Effect.all([chunks.insert(one), chunks.insert(one), chunks.insert(other)], {
        concurrency: "unbounded"
      })
      assert.lengthOf(
        inserted.filter(({ duplicate }) => !duplicate),
        inserted[0].duplicate || inserted[1].duplicate ? 2 : 3
      )
      for (const chunk of [one, other]) {
        const file = chunkPath(layout, chunk.digest)
        assert.strictEqual(fs.statSync(dirname(file)).mode & 0o777, 0o750)
        const wanted = { digest: chunk.digest, sizeBytes: undefined, crypt: undefined }
        assert.strictEqual((yield* chunks.check(wanted)).state, "good")
      }
      assert.lengthOf(fs.readdirSync(layout.chunks), 2)
    }).pipe(Effect.provide(platform))
  )

  it.live("gets it with a blob that came from elsewhere", () =>
    Effect.gen(function* () {
      const source = yield* newChunks
      yield* source.chunks.insert(one)
      const blob = yield* source.chunks.readEncoded(one.digest)
      const { layout, chunks } = yield* newChunks
      yield* chunks.insertEncoded(one.digest, blob)
      assert.deepStrictEqual(new Uint8Array(fs.readFileSync(chunkPath(layout, one.digest))), blob)
    }).pipe(Effect.provide(platform))
  )

  it.live("gets none where all of them are gone: the disk may not be mounted", () =>
    Effect.gen(function* () {
      const { layout, chunks } = yield* newChunks
      fs.rmdirSync(layout.chunks)
      const error = yield* Effect.flip(chunks.insert(one))
      assert.strictEqual(error.reason, "NotFound")
      assert.include(error.message, one.digest)
      assert.isFalse(fs.existsSync(layout.chunks))
    }).pipe(Effect.provide(platform))
  )
})
