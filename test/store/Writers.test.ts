/** Writers and the move journal: leases that tell who is at work, and places that are never lost. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Entropy } from "../../src/platform/Entropy.ts"
import { Host } from "../../src/platform/Host.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import * as MoveJournal from "../../src/store/MoveJournal.ts"
import { layoutOf } from "../../src/store/StoreLayout.ts"
import * as StoreLocks from "../../src/store/StoreLocks.ts"
import * as Writers from "../../src/store/Writers.ts"
import { hasForeign, startForeign } from "../platform/LockProcess.ts"
import { scratchFolder } from "../platform/scratch.ts"

const platform = Layer.merge(NodeFiles.layer, NodeFileLocks.layer)

const setUp = Effect.gen(function* () {
  const layout = layoutOf(yield* scratchFolder)
  writeFileSync(layout.processLock, "")
  const locks = yield* StoreLocks.make(layout)
  return {
    layout,
    locks,
    writers: yield* Writers.make(layout, locks),
    journal: yield* MoveJournal.make(layout, locks)
  }
})

const kept = { removesDead: false }
const removed = { removesDead: true }

describe("Writers", () => {
  it.live("a lease says who, since when and on what; it ends with its scope", () =>
    Effect.gen(function* () {
      const { layout, writers } = yield* setUp
      const before = Math.floor(Date.now() / 1000)
      assert.deepStrictEqual(yield* writers.live(kept), [])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* writers.register
          yield* lease.buildsOn(["host/a/2024-01-01T00:00:00Z/a.pxar.didx"])
          const [live] = yield* writers.live(removed)
          assert.strictEqual(live?.pid, process.pid)
          assert.deepStrictEqual(live?.bases, ["host/a/2024-01-01T00:00:00Z/a.pxar.didx"])
          assert.isAtLeast(live?.startSeconds ?? 0, before)
          assert.isAtMost(live?.startSeconds ?? 0, Math.floor(Date.now() / 1000))
        })
      )
      assert.deepStrictEqual(readdirSync(layout.writers), [])
    }).pipe(Effect.provide(platform))
  )

  it.live("many writers have leases of their own, also where randomness is not random", () =>
    Effect.gen(function* () {
      const { writers } = yield* setUp
      yield* Effect.scoped(
        Effect.gen(function* () {
          for (let count = 0; count < 5; count++) yield* writers.register
          assert.strictEqual((yield* writers.live(removed)).length, 5)
        })
      ).pipe(Effect.provideService(Entropy, (count) => new Uint8Array(count)))
    }).pipe(Effect.provide(platform))
  )

  it.live("leases of the dead are told apart, and removed when wanted, temporary files too", () =>
    Effect.gen(function* () {
      const { layout, writers } = yield* setUp
      mkdirSync(layout.writers)
      const { bootId } = yield* Host
      const dead = { host: "x", boot: bootId, pid: 1, start: 1, bases: [] }
      writeFileSync(join(layout.writers, "dead.json"), JSON.stringify(dead))
      writeFileSync(join(layout.writers, "dead.tmp_abcdef"), "{")
      assert.deepStrictEqual(yield* writers.live(kept), [])
      assert.strictEqual(readdirSync(layout.writers).length, 2)
      assert.deepStrictEqual(yield* writers.live(removed), [])
      assert.deepStrictEqual(readdirSync(layout.writers), [])
    }).pipe(Effect.provide(platform))
  )

  it.live("what died with the machine stays in doubt until that is settled", () =>
    Effect.gen(function* () {
      const { layout, writers } = yield* setUp
      mkdirSync(layout.writers)
      const dead = { host: "x", boot: "another", pid: 1, start: 1000, bases: [] }
      writeFileSync(join(layout.writers, "dead.json"), JSON.stringify(dead))
      const [found] = yield* writers.doubts
      assert.strictEqual(found?.fromSeconds, 1000)
      assert.deepStrictEqual(yield* writers.live(removed), [])
      const [fileName = ""] = readdirSync(layout.writers)
      const doubts = yield* writers.doubts
      assert.deepInclude(doubts, {
        fileName,
        fromSeconds: 1000,
        untilSeconds: Number(/-(\d+)/.exec(fileName)?.[1])
      })
      yield* writers.live(removed)
      assert.deepStrictEqual(yield* writers.doubts, doubts)
      yield* writers.settle(doubts)
      assert.deepStrictEqual(readdirSync(layout.writers), [])
    }).pipe(Effect.provide(platform))
  )

  it.live("a writer that gives up before it flushed leaves its lease behind, where that matters", () =>
    Effect.gen(function* () {
      const { layout, locks } = yield* setUp
      const late = yield* Writers.make(layout, locks, { flushesLate: true })
      yield* Effect.scoped(Effect.flatMap(late.register, ({ storing }) => storing))
      assert.strictEqual(readdirSync(layout.writers).length, 1)
      assert.deepStrictEqual([yield* late.doubts, yield* late.live(removed)], [[], []])
      assert.deepStrictEqual(readdirSync(layout.writers), [])
      yield* Effect.scoped(
        Effect.flatMap(late.register, ({ flushed, storing }) => Effect.andThen(storing, flushed))
      )
      assert.deepStrictEqual(readdirSync(layout.writers), [])
    }).pipe(Effect.provide(platform))
  )

  it.live.each([
    "",
    "[]",
    "null",
    '{"host":"x","pid":1,"start":"1","bases":[]}',
    '{"host":"x","pid":1,"start":1,"bases":["/etc/x.didx"]}',
    '{"host":"x","pid":1,"start":1,"bases":["host/../../x.didx"]}'
  ])("a live lease that says %j counts as the oldest there can be", (text) =>
    Effect.gen(function* () {
      const { layout, writers } = yield* setUp
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* writers.register
          const [name = ""] = readdirSync(layout.writers)
          writeFileSync(join(layout.writers, name), text)
          const [live] = yield* writers.live(removed)
          assert.strictEqual(live?.startSeconds, 0)
          assert.deepStrictEqual(live?.bases, [])
          assert.isDefined(live?.problem)
        })
      )
    }).pipe(Effect.provide(platform))
  )

  it.live.skipIf(!hasForeign)("who may not write leaves no lease", () =>
    Effect.gen(function* () {
      const { layout, writers } = yield* setUp
      const foreign = yield* startForeign
      assert.strictEqual(yield* foreign.ask("exclusive", layout.processLock), "yes")
      assert.strictEqual((yield* Effect.flip(Effect.scoped(writers.register))).reason, "Busy")
      assert.deepStrictEqual(readdirSync(layout.writers), [])
    }).pipe(Effect.provide(platform))
  )
})

describe("MoveJournal", () => {
  it.live("the place is in the journal before the move, each once, until it is drained", () =>
    Effect.gen(function* () {
      const { journal, layout } = yield* setUp
      const inJournal = Effect.sync(() => readFileSync(layout.moveJournal, "utf8"))
      assert.strictEqual(yield* journal.record("ns/a/host/x", inJournal), "ns/a/host/x\n")
      yield* Effect.flip(journal.record("ns/b/host/y", Effect.fail("no" as const)))
      yield* journal.record("ns/a/host/x", Effect.void)
      assert.deepStrictEqual(yield* journal.peek, ["ns/a/host/x", "ns/b/host/y"])
      yield* Effect.flip(journal.drain(() => Effect.fail("no" as const)))
      assert.strictEqual((yield* journal.peek).length, 2)
      yield* journal.drain((places) => Effect.sync(() => assert.strictEqual(places.length, 2)))
      assert.deepStrictEqual(yield* journal.peek, [])
    }).pipe(Effect.provide(platform))
  )

  it.live("nobody drains while somebody moves", () =>
    Effect.gen(function* () {
      const { journal, layout, locks } = yield* setUp
      yield* journal.record(
        "host/x",
        Effect.gen(function* () {
          assert.isFalse(yield* Effect.scoped(locks.tryHold("move journal", "exclusive")))
        })
      )
      assert.isTrue(existsSync(layout.moveJournal))
    }).pipe(Effect.provide(platform))
  )
})
