/** ChunkPresence: tells what is missing or empty, whatever lies in its place, and waits for a slow disk in other threads. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "fast-check"
import { hash } from "node:crypto"
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import * as TestClock from "effect/testing/TestClock"
import * as Digest from "../../src/model/Digest.ts"
import * as ChunkPresence from "../../src/store/ChunkPresence.ts"
import { chunkPath, type StoreLayout } from "../../src/store/StoreLayout.ts"
import type { Hooks, Operation } from "./HookedFiles.ts"
import { ioError } from "./HookedFiles.ts"
import { hookedPlatform, newLayout, platform, prepareFor } from "./stores.ts"

const digestOf = (number: number): Digest.Digest => Digest.parse(hash("sha256", String(number), "hex"))

const rowOf = (digests: ReadonlyArray<Digest.Digest>): Uint8Array =>
  Buffer.concat(digests.map((digest) => Digest.toBytes(digest)))

const findAbsent = (
  layout: StoreLayout,
  digests: ReadonlyArray<Digest.Digest>,
  options?: ChunkPresence.ChunkPresenceOptions
) => Effect.flatMap(ChunkPresence.make(layout, options), (presence) => presence.findAbsent(rowOf(digests)))

/** What can lie where a chunk should be; the first one is a chunk. */
const places = ["chunk", "nothing", "empty", "folder", "link", "condemned", "temporary", "no prefix"] as const

const put = (layout: StoreLayout, digest: Digest.Digest, place: (typeof places)[number]): void => {
  const path = chunkPath(layout, digest)
  if (place === "no prefix") return
  prepareFor(layout, digest)
  if (place === "chunk") writeFileSync(path, "content")
  if (place === "empty") writeFileSync(path, "")
  if (place === "folder") mkdirSync(path)
  if (place === "link") symlinkSync("/etc/passwd", path)
  if (place === "condemned") writeFileSync(`${path}.0.bad`, "content")
  if (place === "temporary") writeFileSync(`${path}.tmp_abcdef`, "content")
}

/** A store with chunks number 0 to `count` - 1, but for every hundredth. */
const newStore = (count: number) =>
  Effect.gen(function* () {
    const digests = Array.from({ length: count }, (_, number) => digestOf(number))
    const layout = yield* newLayout(...digests)
    digests.forEach((digest, number) => put(layout, digest, number % 100 === 99 ? "nothing" : "chunk"))
    const missing = digests.flatMap((_, number) => (number % 100 === 99 ? [number] : []))
    return { layout, digests, missing }
  })

/** Counts operations; with a delay, each that is not asynchronous takes a second of the test's time. */
const counting = (isSlow: (call: number) => boolean) => {
  const calls: Array<Operation> = []
  const hooks: Hooks = {
    before: (operation) =>
      Effect.suspend(() => {
        calls.push(operation)
        return operation === "statEach" && isSlow(calls.length - 1)
          ? TestClock.adjust("1 second")
          : Effect.void
      })
  }
  return { calls, hooks }
}

/** `a a b` becomes `2 a, 1 b`. */
const inRuns = (calls: ReadonlyArray<string>): string => {
  const runs: Array<{ name: string; count: number }> = []
  for (const name of calls) {
    const last = runs.at(-1)
    if (last?.name === name) last.count++
    else runs.push({ name, count: 1 })
  }
  return runs.map(({ name, count }) => `${count} ${name}`).join(", ")
}

describe("ChunkPresence", () => {
  it.live(
    "finds exactly those that are no regular file with content, whatever is asked in whatever order",
    () =>
      Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(
            FastCheck.array(FastCheck.constantFrom(...places), { maxLength: 150 }),
            FastCheck.array(FastCheck.nat(199), { maxLength: 400 }),
            (laid, asked) =>
              Effect.gen(function* () {
                const layout = yield* newLayout()
                laid.forEach((place, number) => put(layout, digestOf(number), place))
                const absent = yield* findAbsent(layout, asked.map(digestOf))
                const expected = asked.flatMap((number, index) => (laid[number] === "chunk" ? [] : [index]))
                assert.deepStrictEqual(absent, expected)
              }).pipe(Effect.scoped, Effect.provide(platform), Effect.runPromise)
          ),
          { numRuns: 40 }
        )
      )
  )

  it.live("in a cache folder an empty file counts, and nothing else that does not elsewhere", () =>
    Effect.gen(function* () {
      const digests = places.map((_, number) => digestOf(number))
      const layout = yield* newLayout()
      places.forEach((place, number) => put(layout, digestOf(number), place))
      const present = (absent: ReadonlyArray<number>) => places.filter((_, at) => !absent.includes(at))
      assert.deepStrictEqual(present(yield* findAbsent(layout, digests)), ["chunk"])
      const counted = yield* findAbsent(layout, digests, { countsMarkers: true })
      assert.deepStrictEqual(present(counted), ["chunk", "empty"])
    }).pipe(Effect.provide(platform))
  )

  it.effect("looks at dozens in one go as long as that is quick", () =>
    Effect.gen(function* () {
      const { layout, digests, missing } = yield* newStore(1000)
      const { calls, hooks } = counting(() => false)
      const absent = yield* findAbsent(layout, digests).pipe(Effect.provide(hookedPlatform(hooks)))
      assert.deepStrictEqual(absent, missing)
      assert.strictEqual(inRuns(calls), `${Math.ceil(1000 / 64)} statEach`)
    })
  )

  it.effect("waits for a slow disk in other threads, and tries again whether it has become quick", () =>
    Effect.gen(function* () {
      const { layout, digests, missing } = yield* newStore(3000)
      const { calls, hooks } = counting((call) => call < 1100)
      const absent = yield* findAbsent(layout, digests).pipe(Effect.provide(hookedPlatform(hooks)))
      assert.deepStrictEqual(absent, missing)
      const rest = 3000 - 64 - 1024 - 8 - 1024 - 8
      assert.strictEqual(
        inRuns(calls),
        `1 statEach, 1024 stat, 1 statEach, 1024 stat, ${1 + Math.ceil(rest / 64)} statEach`
      )
    })
  )

  it.live("lets everything else in the process have its turn meanwhile", () =>
    Effect.gen(function* () {
      const { layout, digests } = yield* newStore(2000)
      let turns = 0
      let next = setImmediate(() => undefined)
      const turn = (): void => {
        turns++
        next = setImmediate(turn)
      }
      turn()
      yield* findAbsent(layout, digests)
      clearImmediate(next)
      assert.isAtLeast(turns, 2000 / 64 / 2)
    }).pipe(Effect.provide(platform))
  )

  it.effect("tells trouble with looking from a missing chunk, slow or quick", () =>
    Effect.gen(function* () {
      const { layout, digests } = yield* newStore(2000)
      for (const failing of ["statEach", "stat"] as const) {
        const { hooks } = counting(() => true)
        const before: Hooks["before"] = (operation, path, call) =>
          operation === failing ? ioError(operation, path) : hooks.before!(operation, path, call)
        const error = yield* Effect.flip(findAbsent(layout, digests)).pipe(
          Effect.provide(hookedPlatform({ before }))
        )
        assert.deepInclude(error, { operation: failing, reason: "Io" })
      }
    })
  )

  it.live("fails where a folder is not one, instead of calling its chunks missing", () =>
    Effect.gen(function* () {
      const { layout, digests } = yield* newStore(10)
      const folder = chunkPath(layout, digests[3]!).slice(0, -65)
      rmSync(folder, { recursive: true })
      writeFileSync(folder, "")
      const error = yield* Effect.flip(findAbsent(layout, digests))
      assert.deepInclude(error, { reason: "NotADirectory", path: chunkPath(layout, digests[3]!) })
    }).pipe(Effect.provide(platform))
  )

  it.live("has nothing to say about no digests", () =>
    Effect.gen(function* () {
      const layout = yield* newLayout()
      rmSync(layout.chunks, { recursive: true })
      assert.deepStrictEqual(yield* findAbsent(layout, []), [])
    }).pipe(Effect.provide(platform))
  )
})
