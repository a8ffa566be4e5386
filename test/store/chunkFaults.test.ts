/**
 * ChunkStore under trouble: each operation on files fails once, or the fiber is interrupted in front of each.
 * Afterwards the chunk is there as a whole or not at all, no temporary file is left, and the next insert
 * succeeds.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { readFileSync, writeFileSync } from "node:fs"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as ChunkStore from "../../src/store/ChunkStore.ts"
import { chunkPath, type StoreLayout } from "../../src/store/StoreLayout.ts"
import { chunkOf, hardData, key, softData } from "../platform/chunks.ts"
import { atCall, type Hooks, ioError, type Operation } from "./HookedFiles.ts"
import { hookedPlatform, namesBeside, newLayout, platform } from "./stores.ts"

const samples = { plain: chunkOf(softData(1)), encrypted: chunkOf(hardData(1), { crypt: key }) }
type Sample = (typeof samples)["plain"]

/** What lies in the store before the insert. */
const beginnings = {
  nothing: undefined,
  "an empty file": new Uint8Array(0),
  "the chunk itself": "same"
} as const
type Beginning = (typeof beginnings)[keyof typeof beginnings]

const begin = (layout: StoreLayout, sample: Sample, beginning: Beginning): void => {
  if (beginning === undefined) return
  const { data, compress, crypt } = sample
  const same = DataBlob.encode(data, { compress, ...(crypt ? { crypt } : {}) })
  writeFileSync(chunkPath(layout, sample.digest), beginning === "same" ? same : beginning)
}

const insertWith = (layout: StoreLayout, sample: Sample, hooks: Hooks) =>
  Effect.scoped(
    Effect.flatMap(ChunkStore.make(layout, { syncLevel: "file" }), (store) => store.insert(sample)).pipe(
      Effect.provide(hookedPlatform(hooks))
    )
  )

/** Nothing half-made is there, and the store goes on. */
const assertSound = (layout: StoreLayout, sample: Sample, beginning: Beginning) =>
  Effect.gen(function* () {
    const names = namesBeside(layout, sample.digest)
    assert.isTrue(names.length === 0 || (names.length === 1 && names[0] === sample.digest), names.join())
    if (names.length === 1) {
      const blob = readFileSync(chunkPath(layout, sample.digest))
      if (blob.length === 0) assert.instanceOf(beginning, Uint8Array)
      else {
        const data = DataBlob.decode(blob, sample.crypt ? { crypt: sample.crypt } : {})
        assert.deepStrictEqual(Buffer.from(data), Buffer.from(sample.data))
      }
    }
    const store = yield* ChunkStore.make(layout, { syncLevel: "file" })
    yield* store.insert(sample)
    const wanted = { digest: sample.digest, sizeBytes: sample.data.length, crypt: sample.crypt }
    assert.strictEqual((yield* store.check(wanted)).state, "good")
  }).pipe(Effect.provide(platform), Effect.scoped)

/** Every operation of an undisturbed insert, in order. */
const operationsOf = (sample: Sample, beginning: Beginning) =>
  Effect.gen(function* () {
    const operations: Array<Operation> = []
    const layout = yield* newLayout(sample.digest)
    begin(layout, sample, beginning)
    yield* insertWith(layout, sample, {
      before: (operation) => Effect.sync(() => void operations.push(operation))
    })
    return operations
  })

const forAll = (
  title: string,
  test: (sample: Sample, beginning: Beginning, number: number, operation: Operation) => Effect.Effect<void>
): void => {
  for (const [kind, sample] of Object.entries(samples)) {
    for (const [name, beginning] of Object.entries(beginnings)) {
      it.live(`${title}: ${kind}, over ${name}`, () =>
        Effect.gen(function* () {
          const operations = yield* operationsOf(sample, beginning)
          assert.isAtLeast(operations.length, beginning === "same" ? 2 : 5)
          for (const [number, operation] of operations.entries())
            yield* test(sample, beginning, number, operation)
        })
      )
    }
  }
}

/** Interrupts an insert that the hooks have parked; one that never gets there ends as it would. */
const interruptAt = (sample: Sample, beginning: Beginning, hooks: (park: Effect.Effect<void>) => Hooks) =>
  Effect.gen(function* () {
    const layout = yield* newLayout(sample.digest)
    begin(layout, sample, beginning)
    const reached = yield* Deferred.make<void>()
    const proceed = yield* Deferred.make<void>()
    const park = Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(proceed))
    const fiber = yield* Effect.forkChild(insertWith(layout, sample, hooks(park)))
    yield* Effect.raceFirst(Deferred.await(reached), Fiber.await(fiber))
    const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
    yield* Deferred.succeed(proceed, undefined)
    yield* Fiber.join(interruption)
    yield* assertSound(layout, sample, beginning)
  }).pipe(Effect.scoped, Effect.orDie)

describe("ChunkStore.insert", () => {
  forAll("fails cleanly when an operation fails", (sample, beginning, number, operation) =>
    Effect.gen(function* () {
      const layout = yield* newLayout(sample.digest)
      begin(layout, sample, beginning)
      const before = atCall(number, (name, path) => Effect.fail(ioError(name, path)))
      const error = yield* Effect.flip(insertWith(layout, sample, { before }))
      assert.include(error.message, "EIO", operation)
      yield* assertSound(layout, sample, beginning)
    }).pipe(Effect.scoped, Effect.orDie)
  )

  forAll("is interrupted cleanly in front of an operation", (sample, beginning, number) =>
    interruptAt(sample, beginning, (park) => ({ before: atCall(number, () => park) }))
  )

  // So it is with real files: the operation goes on, and the interruption is noticed behind it.
  forAll("is interrupted cleanly during an operation", (sample, beginning, number) =>
    interruptAt(sample, beginning, (park) => ({ after: atCall(number, () => Effect.uninterruptible(park)) }))
  )

  forAll("survives an operation whose answer is lost", (sample, beginning, number, operation) =>
    Effect.gen(function* () {
      // A temporary file that nobody is told of cannot be cleared away: whole files or errors, says the port.
      if (operation === "createFile") return
      const layout = yield* newLayout(sample.digest)
      begin(layout, sample, beginning)
      const after = atCall(number, (name, path) => Effect.fail(ioError(name, path)))
      yield* Effect.exit(insertWith(layout, sample, { after }))
      yield* assertSound(layout, sample, beginning)
    }).pipe(Effect.scoped, Effect.orDie)
  )
})
