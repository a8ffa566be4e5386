/**
 * Reading an archive anywhere: the bytes are those of the model, whatever fails in between; reads in order are fetched
 * ahead, others never; zeros cost nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import type * as Scope from "effect/Scope"
import * as fc from "fast-check"
import { TestClock } from "effect/testing"
import type { ChunkIndex } from "../../../src/format/ChunkIndex.ts"
import { ChunkError } from "../../../src/platform/ChunkCodec.ts"
import {
  contentOf,
  digestOf,
  dynamicOf,
  FarStore,
  fixedOf,
  latencyMillis,
  pageBytes,
  readerOf
} from "./farStore.ts"

describe("against a plain array", () => {
  interface Step {
    readonly kind: "read" | "look" | "seek" | "fail" | "mend" | "leave"
    readonly stream: number
    readonly place: number
    readonly sizeBytes: number
  }

  const step = fc.record<Step>({
    kind: fc.constantFrom("read", "read", "read", "read", "look", "seek", "fail", "mend", "leave"),
    stream: fc.nat({ max: 4 }),
    place: fc.nat({ max: 1_000_000 }),
    sizeBytes: fc.nat({ max: 900 })
  })

  const chunk = fc.record({ number: fc.nat({ max: 20 }), sizeBytes: fc.integer({ min: 1, max: 300 }) })

  /** Streams 0 to 2 go on where they ended, the others read anywhere. All reads of a round are under way at once. */
  const play = (
    contents: ReadonlyArray<Uint8Array>,
    index: ChunkIndex,
    maxBytes: number,
    steps: ReadonlyArray<Step>
  ) =>
    Effect.gen(function* () {
      const model = Buffer.concat(contents)
      const store = new FarStore(
        contents.filter((content) => content.some((byte) => byte !== 0)),
        3
      )
      const reader = yield* readerOf(store, index, maxBytes)
      const positions = [0, 0, 0]
      const reading: Array<Fiber.Fiber<void>> = []
      const broken = new Set<string>()
      const handedOut: Array<{ readonly expected: Buffer; readonly bytes: Uint8Array }> = []
      const touchesBroken = (from: number, until: number) =>
        contents.some((content, number) => {
          const [start, end] = [index.start(number), index.end(number)]
          return start < until && end > from && broken.has(digestOf(content))
        })
      for (const { kind, place, sizeBytes, stream } of steps) {
        const content = contents[place % contents.length] ?? new Uint8Array(0)
        const offset =
          Math.min(kind === "read" ? (positions[stream] ?? place) : place, place) % (model.length + 1)
        const lengthBytes = Math.min(sizeBytes, model.length - offset)
        if (kind === "fail" && content.some((byte) => byte !== 0)) {
          const digest = digestOf(content)
          broken.add(digest)
          store.failures.set(digest, new ChunkError({ digest, reason: "Corrupt", detail: "" }))
        } else if (kind === "mend") store.failures.clear()
        else if (kind === "leave") yield* Effect.forEach(reading.splice(place % 7, 1), Fiber.interrupt)
        else if (kind === "seek") {
          const data = yield* reader.seek(offset, "data")
          if (data === undefined) assert.isTrue(model.subarray(offset).every((byte) => byte === 0))
          else assert.isTrue(model.subarray(offset, data).every((byte) => byte === 0))
        } else {
          if (stream < positions.length) positions[stream] = offset + lengthBytes
          const read = kind === "look" ? reader.look(offset, lengthBytes) : reader.read(offset, lengthBytes)
          const checked = read.pipe(
            Effect.map((bytes) => {
              const expected = model.subarray(offset, offset + lengthBytes)
              assert.isTrue(expected.equals(bytes))
              handedOut.push({ expected, bytes })
            }),
            Effect.catch((error) =>
              Effect.sync(() => {
                assert.strictEqual(error.reason, "Damaged")
                assert.isTrue(touchesBroken(offset, offset + lengthBytes))
              })
            )
          )
          reading.push(yield* Effect.forkChild(checked))
        }
        if (place % 3 === 0) yield* TestClock.adjust(latencyMillis)
      }
      for (let round = 0; round < 2 * steps.length * contents.length; round++) {
        if (reading.every((fiber) => fiber.pollUnsafe() !== undefined)) break
        yield* TestClock.adjust(latencyMillis)
      }
      for (const fiber of reading) {
        const exit = yield* Fiber.await(fiber)
        if (Exit.isFailure(exit)) assert.isTrue(Exit.hasInterrupts(exit), String(exit.cause))
      }
      // What was handed out stays as it is, whatever lies where it came from.
      for (const { bytes, expected } of handedOut) assert.isTrue(expected.equals(bytes))
    })

  const run = <A>(program: Effect.Effect<A, unknown, Scope.Scope>) =>
    Effect.runPromise(
      Effect.scoped(program).pipe(Effect.provide([TestClock.layer(), Logger.layer([])]), Effect.asVoid)
    )

  it.live(
    "random reads and several streams of a dynamic archive, with failures, are what they should be",
    () =>
      Effect.promise(() =>
        fc.assert(
          fc.asyncProperty(
            fc.array(chunk, { minLength: 1, maxLength: 40 }),
            fc.integer({ min: 1, max: 14 }),
            fc.array(step, { maxLength: 60 }),
            (shapes, pages, steps) => {
              const contents = shapes.map(({ number, sizeBytes }) => contentOf(number, sizeBytes))
              return run(play(contents, dynamicOf(contents), pages * pageBytes, steps))
            }
          ),
          { numRuns: 150 }
        )
      )
  )

  it.live("and those of an image with zeros in it, none of which are fetched", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.integer({ min: -8, max: 8 }), { minLength: 1, maxLength: 40 }),
          fc.integer({ min: 1, max: 256 }),
          fc.integer({ min: 1, max: 14 }),
          fc.array(step, { maxLength: 60 }),
          (numbers, lastBytes, pages, steps) => {
            const contents = numbers.map((number, place) => {
              const sizeBytes = place === numbers.length - 1 ? lastBytes : 256
              return number < 0 ? new Uint8Array(sizeBytes) : contentOf(number, sizeBytes)
            })
            // The store does not even have the zeros.
            return run(play(contents, fixedOf(contents, 256), pages * pageBytes, steps))
          }
        ),
        { numRuns: 150 }
      )
    )
  )
})
