/** Hosts on one bucket: writers and collections keep out of each other's way, whoever's clock says what. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import { retrying } from "../../../src/objectstore/decorators/retrying.ts"
import type { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import { ObjectStoreError } from "../../../src/objectstore/ObjectStoreError.ts"
import type { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import { times } from "../../../src/testing/MemoryObjectStore.ts"
import * as Scenes from "./hostScene.ts"

const connect = (name: string, bucket: MemoryBucket, options = {}) =>
  Scenes.hostOn({ name, disk: Scenes.newDisk() }, Scenes.connection(bucket, options))

const marksIn = (bucket: MemoryBucket) =>
  bucket.keys().filter((key) => /\/(?:writers|collectors)\//.test(key))

const minute = 60_000

const foreignMark = Buffer.from(JSON.stringify({ host: "faraway", cache: "another", pid: 5, start: 1000 }))

/** A connection that can be cut. */
const cuttable = (store: ObjectStore["Service"]) => {
  const line = { isCut: false }
  const put: ObjectStore["Service"]["put"] = (key, body) =>
    Effect.suspend(() =>
      line.isCut
        ? Effect.fail(new ObjectStoreError({ operation: "put", key, reason: "Unreachable" }))
        : store.put(key, body)
    )
  return { line, store: { ...store, put } }
}

describe("writers and collections of several hosts", () => {
  it.effect("a writer's lease is in the bucket as long as its scope is open", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const [a, b] = [yield* connect("a", bucket), yield* connect("b", bucket)]
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* a.hosts.writing("one-0")
          yield* b.hosts.writing("two-0")
          assert.deepStrictEqual(marksIn(bucket), [
            "store/.granary/writers/one-0",
            "store/.granary/writers/two-0"
          ])
          const body = bucket.find("store/.granary/writers/one-0")?.body ?? new Uint8Array()
          assert.include(JSON.parse(Buffer.from(body).toString()), {
            host: "a",
            pid: 7,
            start: 0,
            boot: "boot"
          })
          yield* lease.check
        })
      )
      assert.deepStrictEqual(marksIn(bucket), [])
    })
  )

  it.effect("a writer gives way to another host's collection, which it names, and leaves no lease", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const [a, b] = [yield* connect("a", bucket), yield* connect("b", bucket)]
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* TestClock.adjust(5 * minute)
          yield* a.hosts.collecting
          const before = marksIn(bucket)
          const waiting = yield* Effect.forkChild(Effect.flip(Effect.scoped(b.hosts.writing("two-0"))))
          yield* TestClock.adjust("10 seconds")
          const error = yield* Fiber.join(waiting)
          assert.strictEqual(error.reason, "Busy")
          assert.include(
            error.message,
            "s3:here/bucket/store: a (process 7, since 1970-01-01T00:05:00Z) collects"
          )
          assert.deepStrictEqual(marksIn(bucket), before)
          yield* Effect.scoped(a.hosts.writing("three-0"))
        })
      )
      yield* Effect.scoped(b.hosts.writing("two-0"))
    })
  )

  it.effect("a writer that fails has given its lease back although its scope is still open", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const host = yield* connect("a", bucket)
      bucket.put("store/.granary/collectors/x", foreignMark, 0)
      const waiting = yield* Effect.forkChild(
        Effect.scoped(Effect.andThen(Effect.flip(host.hosts.writing("one-0")), marksInEffect(bucket)))
      )
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["store/.granary/collectors/x"])
    })
  )

  it.effect("a writer waits for a collection that only tried", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const host = yield* connect("a", bucket)
      bucket.put("store/.granary/collectors/x", foreignMark, 0)
      const waiting = yield* Effect.forkChild(Effect.scoped(host.hosts.writing("one-0")))
      yield* TestClock.adjust("3 seconds")
      bucket.delete("store/.granary/collectors/x", 0)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(waiting)
    })
  )

  it.effect("a collection gives way to other hosts' writers at once, but not to its own", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const [a, b] = [yield* connect("a", bucket), yield* connect("b", bucket)]
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* a.hosts.writing("one-0")
          const error = yield* Effect.flip(Effect.scoped(b.hosts.collecting))
          assert.strictEqual(error.reason, "Busy")
          assert.include(error.message, "a (process 7, since 1970-01-01T00:00:00Z) writes into it")
          assert.deepStrictEqual(marksIn(bucket), ["store/.granary/writers/one-0"])
          yield* Effect.scoped(a.hosts.collecting)
        })
      )
      yield* Effect.scoped(b.hosts.collecting)
    })
  )

  it.effect("a mark that cannot be understood is in the way as well", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const host = yield* connect("a", bucket)
      for (const text of [
        "",
        "{",
        '{"host":"\u001b[2J","cache":"x","pid":1,"start":1}',
        "x".repeat(70_000)
      ]) {
        bucket.put("store/.granary/writers/x", Buffer.from(text), 0)
        const error = yield* Effect.flip(Effect.scoped(host.hosts.collecting))
        assert.include(error.message, "an unknown host writes into it")
      }
      for (const key of ["writers/x/y", "elsewhere/x", "writers"]) {
        bucket.put(`store/.granary/${key}`, foreignMark, 0)
      }
      bucket.delete("store/.granary/writers/x", 0)
      yield* Effect.scoped(host.hosts.collecting)
    })
  )

  it.effect("a collection takes over what a killed one of its own folder has left", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const disk = Scenes.newDisk()
      const first = yield* Scenes.hostOn({ name: "a", disk }, Scenes.connection(bucket))
      // Its scope is never closed.
      yield* Scope.provide(first.hosts.collecting, yield* Scope.make())
      const [left] = marksIn(bucket)
      const next = yield* Scenes.hostOn({ name: "a", seed: "next", disk }, Scenes.connection(bucket))
      yield* Effect.scoped(next.hosts.writing("one-0"))
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* next.hosts.collecting
          assert.lengthOf(marksIn(bucket), 1)
          assert.notInclude(marksIn(bucket), left)
        })
      )
    })
  )

  it.effect("of two collections one goes on, however they meet", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const [a, b] = [yield* connect("a", bucket), yield* connect("b", bucket)]
      const own = yield* Effect.scoped(Effect.as(a.hosts.collecting, 0)).pipe(
        Effect.andThen(marksInEffect(bucket))
      )
      assert.deepStrictEqual(own, [])
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* a.hosts.collecting
          const waiting = yield* Effect.forkChild(Effect.flip(Effect.scoped(b.hosts.collecting)))
          yield* TestClock.adjust("10 seconds")
          assert.include((yield* Fiber.join(waiting)).message, "a (process 7")
        })
      )
    })
  )
})

/** The clock of a machine that sleeps, or that somebody has set. */
const jumping =
  (which: "wall" | "monotonic", jump: { readonly millis: number }) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.clockWith((clock) => {
      const wall = (): number => (which === "wall" ? jump.millis : 0)
      const nanos = (): bigint => (which === "monotonic" ? BigInt(jump.millis) * 1_000_000n : 0n)
      return Effect.provideService(effect, Clock.Clock, {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + wall(),
        currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + wall()),
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + nanos(),
        monotonicTimeNanos: Effect.map(clock.monotonicTimeNanos, (time) => time + nanos()),
        sleep: (duration) => clock.sleep(duration)
      })
    })

const renewedAt = (which: "wall" | "monotonic"): number => (which === "wall" ? 45 : 5) * minute

const marksInEffect = (bucket: MemoryBucket) => Effect.sync(() => marksIn(bucket))

describe("who is alive, by the server's clock", () => {
  it.effect.each([-7200, 0, 7200])(
    "a mark is dead after thirty minutes; the server is %d seconds ahead",
    (ahead) =>
      Effect.gen(function* () {
        yield* TestClock.adjust(1000 * minute)
        const bucket = Scenes.newBucket()
        const host = yield* connect("a", bucket, { clockSkewSeconds: ahead })
        const serverMillis = 1000 * minute + ahead * 1000
        bucket.put("store/.granary/writers/x", foreignMark, serverMillis - 30 * minute + 1000)
        assert.strictEqual((yield* Effect.flip(Effect.scoped(host.hosts.collecting))).reason, "Busy")
        assert.deepStrictEqual(marksIn(bucket), ["store/.granary/writers/x"])
        yield* TestClock.adjust("1 second")
        yield* Effect.scoped(host.hosts.collecting)
        assert.deepStrictEqual(marksIn(bucket), [])
        bucket.put("store/.granary/collectors/x", foreignMark, serverMillis - 30 * minute)
        yield* Effect.scoped(host.hosts.writing("one-0"))
        assert.deepStrictEqual(marksIn(bucket), ["store/.granary/collectors/x"])
      })
  )

  it.effect("a lease is renewed for as long as it is held", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const [a, b] = [yield* connect("a", bucket), yield* connect("b", bucket)]
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* a.hosts.writing("one-0")
          for (let hour = 0; hour < 3; hour++) {
            yield* TestClock.adjust(61 * minute)
            assert.strictEqual((yield* Effect.flip(Effect.scoped(b.hosts.collecting))).reason, "Busy")
            yield* lease.check
          }
        })
      )
      yield* TestClock.adjust(60 * minute)
      assert.deepStrictEqual(marksIn(bucket), [])
    })
  )

  it.effect("who could not renew for twenty minutes has lost the lease, also when the line is back", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const { line, store } = cuttable(Scenes.connection(bucket))
      const host = yield* Scenes.hostOn({ name: "a", disk: Scenes.newDisk() }, store)
      const leaseFor = (cutMinutes: number) =>
        Effect.scoped(
          Effect.gen(function* () {
            const lease = yield* host.hosts.writing("one-0")
            line.isCut = true
            yield* TestClock.adjust(cutMinutes * minute)
            line.isCut = false
            yield* TestClock.adjust(6 * minute)
            return yield* Effect.exit(lease.check)
          })
        )
      assert.isTrue(Exit.isSuccess(yield* leaseFor(18)))
      assert.isTrue(Exit.isFailure(yield* leaseFor(21)))
      const error = yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* host.hosts.writing("one-0")
          line.isCut = true
          yield* TestClock.adjust(20 * minute)
          const first = yield* Effect.flip(lease.check)
          line.isCut = false
          yield* TestClock.adjust(120 * minute)
          assert.strictEqual((yield* Effect.flip(lease.check)).message, first.message)
          return first
        })
      )
      assert.strictEqual(error.reason, "LeaseLost")
      assert.include(error.message, "20 minutes")
    })
  )

  it.effect.each(["wall", "monotonic"] as const)("a gap that the %s clock alone shows counts", (which) =>
    Effect.gen(function* () {
      const jump = { millis: 0 }
      const bucket = Scenes.newBucket()
      const host = yield* connect("a", bucket)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* host.hosts.writing("one-0").pipe(jumping(which, jump))
          // Nothing runs meanwhile. The renewal that comes next works, and must not hide the gap.
          jump.millis = 40 * minute
          yield* TestClock.adjust(5 * minute)
          assert.strictEqual(
            bucket.find("store/.granary/writers/one-0")?.lastModifiedMillis,
            renewedAt(which)
          )
          const error = yield* Effect.flip(lease.check.pipe(jumping(which, jump)))
          assert.strictEqual(error.reason, "LeaseLost")
        })
      )
    })
  )
})

describe("bad lines and servers", () => {
  it.effect("a lease whose answer was lost is taken back, or found by a retry", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const bad = Scenes.connection(bucket, {
        faults: ["lost answer"],
        decide: (fault, key) => key.includes("writers") && decide(fault, key)
      })
      const decide = times(1)
      const host = yield* Scenes.hostOn({ name: "a", disk: Scenes.newDisk() }, bad)
      const error = yield* Effect.flip(Effect.scoped(host.hosts.writing("one-0")))
      assert.strictEqual(error.reason, "Disconnected")
      assert.deepStrictEqual(marksIn(bucket), [])
      const stubborn = yield* retrying(
        Scenes.connection(bucket, { faults: ["lost answer"], decide: times(1) })
      )
      const second = yield* Scenes.hostOn({ name: "b", disk: Scenes.newDisk() }, stubborn)
      const running = yield* Effect.forkChild(Effect.scoped(second.hosts.writing("two-0")))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(running)
      assert.deepStrictEqual(marksIn(bucket), [])
    })
  )

  it.effect("a server that does not list what was just written is not relied on", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const host = yield* connect("a", bucket, { listing: "weak" })
      const error = yield* Effect.flip(Effect.scoped(host.hosts.writing("one-0")))
      assert.strictEqual(error.reason, "Unsuitable")
      assert.strictEqual((yield* Effect.flip(Effect.scoped(host.hosts.collecting))).reason, "Unsuitable")
    })
  )

  it.effect("an interrupted writer leaves no lease", () =>
    Effect.gen(function* () {
      const bucket = Scenes.newBucket()
      const host = yield* connect("a", bucket)
      bucket.put("store/.granary/collectors/x", foreignMark, 0)
      const scope = yield* Scope.make()
      const running = yield* Effect.forkChild(Scope.provide(host.hosts.writing("one-0"), scope))
      yield* TestClock.adjust("2 seconds")
      assert.lengthOf(marksIn(bucket), 2)
      yield* Fiber.interrupt(running)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(marksIn(bucket), ["store/.granary/collectors/x"])
    })
  )
})
