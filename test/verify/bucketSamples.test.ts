/** Verify of a store in a bucket: without a cache folder, by samples, and while the server has trouble. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import {
  badKeys,
  change,
  chunkGets,
  failed,
  fileKey,
  flipped,
  fork,
  keyOfText,
  largeWorld,
  one,
  type Outcome,
  recordedState,
  smallWorld,
  verify,
  verifyWithoutFolder,
  type World
} from "./bucketScene.ts"

const listed = { depth: "listed" } as const

describe("Verify without a cache folder", () => {
  it.live("in full: every chunk and every index once, and nothing is written", () =>
    Effect.gen(function* () {
      const world = yield* smallWorld
      const found = yield* verifyWithoutFolder(world)
      assert.deepStrictEqual(found.states, { all: "ok", even: "ok" })
      assert.strictEqual(chunkGets(found), 12)
      assert.strictEqual(found.counts.get, found.plan.expected?.cost?.costs.get)
      assert.strictEqual(found.counts.put, 0)
      change(world, keyOfText(one), flipped)
      change(world, fileKey("even", "note.conf.blob"), flipped)
      const damaged = yield* verifyWithoutFolder(world)
      assert.deepStrictEqual(damaged.states, { all: "failed", even: "failed" })
      assert.deepStrictEqual(badKeys(world), [])
    })
  )

  it.live("by listing: chunks are looked for, and none is read", () =>
    Effect.gen(function* () {
      const world = yield* smallWorld
      const found = yield* verifyWithoutFolder(world, listed)
      assert.deepStrictEqual(found.states, { all: "ok", even: "ok" })
      assert.strictEqual(chunkGets(found), 0)
      assert.strictEqual(found.summary.listing?.withoutRecord, 12)
      world.bucket.delete(keyOfText(one), 0)
      const missing = yield* verifyWithoutFolder(world, listed)
      assert.deepStrictEqual(missing.states, { all: "failed", even: "ok" })
    })
  )

  it.live("in a storm: unproven", () =>
    Effect.gen(function* () {
      const world = yield* smallWorld
      const isChunk = (request: string) => request.startsWith("get store/.chunks/")
      const before = (request: string) => (isChunk(request) ? failed(request) : Effect.void)
      const found = yield* verifyWithoutFolder(world, {}, { before })
      assert.deepStrictEqual(found.states, { all: "unproven", even: "unproven" })
    })
  )
})

describe("Verify of a sample", () => {
  it.live("reads so many of the chunks, the same for the same seed, and says what follows", () =>
    Effect.gen(function* () {
      const world = yield* largeWorld
      const found = yield* verify(world, { samplePercent: 10 })
      assert.strictEqual(chunkGets(found), 230)
      assert.strictEqual(found.plan.expected?.reads, 230)
      const seed = found.summary.sample?.seed ?? ""
      assert.match(seed, /^[0-9a-f]{16}$/)
      assert.strictEqual(found.plan.chunks?.sample?.seed, seed)
      assert.strictEqual(found.summary.sample?.good, 230)
      // The exact bound for 230 of 2,300: 29 corrupt ones are excluded, 28 are not.
      assert.strictEqual(found.summary.sample?.corruptShareBelow, 29 / 2300)
      assert.isUndefined(yield* recordedState(world, "one"))
      const chunks = ({ requests }: Outcome) =>
        requests.filter((request) => request.startsWith("get store/.chunks/")).toSorted()
      const again = yield* verify(world, { samplePercent: 10, sampleSeed: seed })
      assert.deepStrictEqual(chunks(again), chunks(found))
      const other = yield* verify(world, { samplePercent: 10, sampleSeed: "another" })
      assert.notDeepEqual(chunks(other), chunks(found))
    })
  )

  it.live("with a listing everything is looked for, and the sample is read", () =>
    Effect.gen(function* () {
      const world = yield* largeWorld
      const found = yield* verify(world, { ...listed, samplePercent: 1 })
      assert.strictEqual(chunkGets(found), 23)
      assert.strictEqual(found.summary.listing?.present, 2300)
      assert.strictEqual(found.summary.sample?.good, 23)
      assert.strictEqual(found.counts.head, 0)
    })
  )

  it.live(
    "a corrupt chunk of the sample fails, is condemned, and leaves nothing to be said of the others",
    () =>
      Effect.gen(function* () {
        const world = yield* smallWorld
        change(world, keyOfText(one), flipped)
        const found = yield* verify(world, { samplePercent: 100 })
        assert.deepStrictEqual(found.states, { all: "failed", even: "ok" })
        assert.lengthOf(badKeys(world), 1)
        assert.strictEqual(found.summary.sample?.good, 11)
        assert.isUndefined(found.summary.sample?.corruptShareBelow)
      })
  )

  it.live("nothing, everything and more are refused or taken as they are", () =>
    Effect.gen(function* () {
      const world = yield* smallWorld
      for (const samplePercent of [0, -1, 100.1, Number.NaN]) {
        const error = yield* Effect.flip(verify(world, { samplePercent }))
        assert.strictEqual("reason" in error ? error.reason : "", "Refused")
      }
      const whole = yield* verify(world, { samplePercent: 100 })
      assert.strictEqual(whole.summary.sample?.corruptShareBelow, 0)
      assert.strictEqual(chunkGets(yield* verify(world, { samplePercent: 0.01 })), 1)
    })
  )
})

/** Everything that a verification must not change while it cannot find out anything. */
const chunksOf = ({ bucket }: World) =>
  bucket
    .keys()
    .filter((key) => key.includes("/.chunks/"))
    .map((key) => [key, bucket.find(key)?.etag])

describe("Verify in a storm", () => {
  for (const depth of ["full", "listed"] as const) {
    it.live(
      `${depth}: what cannot be read is unproven; nothing is condemned, and what was recorded stays`,
      () =>
        Effect.gen(function* () {
          const world = yield* smallWorld
          assert.deepStrictEqual((yield* verify(world)).states, { all: "ok", even: "ok" })
          const before = chunksOf(world)
          const found = yield* verify(world, { depth }, { before: failed })
          assert.deepStrictEqual(found.states, { all: "unproven", even: "unproven" })
          assert.deepStrictEqual(chunksOf(world), before)
          assert.strictEqual(yield* recordedState(world, "all"), "ok")
          assert.strictEqual(found.summary.statistics.corrupt + found.summary.statistics.missing, 0)
          if (depth === "listed") {
            assert.strictEqual(found.summary.listing?.notListed, 12)
            assert.include(found.errors.join(), "12 of its chunks could not be looked at")
          }
        })
    )
  }

  it("any faults: success is true, failure is true, and nothing good is condemned", async () => {
    const world = await Effect.runPromise(smallWorld)
    const missing = keyOfText(one)
    world.bucket.delete(missing, 0)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 80, maxLength: 80 }),
        fc.constantFrom("full" as const, "listed" as const),
        fc.constantFrom(undefined, 50, 100),
        async (dice, depth, samplePercent) => {
          const here = fork(world)
          const before = chunksOf(here)
          let asked = 0
          const options = {
            depth,
            ...(samplePercent === undefined ? {} : { samplePercent, sampleSeed: "s" })
          }
          const found = await Effect.runPromise(
            verify(here, options, {
              before: (request) => (dice[asked++ % dice.length] === 0 ? failed(request) : Effect.void)
            })
          )
          assert.deepStrictEqual(chunksOf(here), before)
          assert.notStrictEqual(found.states["even"], "failed")
          assert.strictEqual(found.summary.statistics.corrupt, 0)
          // Only a full look at everything, or a definite word of the server, says anything of the other one.
          if (samplePercent === undefined) assert.notStrictEqual(found.states["all"], "ok")
        }
      ),
      { numRuns: 150 }
    )
  }, 60_000)
})
