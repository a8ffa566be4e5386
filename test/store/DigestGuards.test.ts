/** DigestGuards: one at a time for each digest, across fibers and processes, and nothing left behind. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { existsSync } from "node:fs"
import * as Digest from "../../src/model/Digest.ts"
import { FileLocks } from "../../src/platform/FileLocks.ts"
import { FilesError } from "../../src/platform/Files.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as DigestGuards from "../../src/store/DigestGuards.ts"
import { layoutOf } from "../../src/store/StoreLayout.ts"
import { startOurs } from "../platform/LockProcess.ts"
import { scratchFolder } from "../platform/scratch.ts"

const layoutHere = Effect.map(scratchFolder, layoutOf)

const one = Digest.parse("0".repeat(63) + "1")
const other = Digest.parse("f".repeat(64))
/** Shares its first 52 bits with `one`. */
const neighbour = Digest.parse("0".repeat(13) + "e".repeat(51))

describe("DigestGuards in one process", () => {
  it.live("one fiber at a time for each digest, and for digests that share an offset", () =>
    Effect.gen(function* () {
      const guards = yield* DigestGuards.make(yield* layoutHere)
      let inside = 0
      let insideMax = 0
      const work = Effect.gen(function* () {
        inside += 1
        insideMax = Math.max(insideMax, inside)
        yield* Effect.sleep(1)
        inside -= 1
      })
      yield* Effect.forEach(
        Array.from({ length: 30 }),
        (_, index) => guards.guard(index % 2 === 0 ? one : neighbour)(work),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(insideMax, 1)
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("different digests do not wait for each other", () =>
    Effect.gen(function* () {
      const guards = yield* DigestGuards.make(yield* layoutHere)
      const both = yield* Deferred.make<void>()
      const holding = yield* Effect.forkChild(guards.guard(one)(Deferred.await(both)))
      yield* guards.guard(other)(Deferred.succeed(both, undefined))
      yield* Fiber.join(holding)
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("two open stores on one folder exclude each other as well", () =>
    Effect.gen(function* () {
      const layout = yield* layoutHere
      const first = yield* DigestGuards.make(layout)
      const second = yield* DigestGuards.make(layout)
      const order: Array<string> = []
      const note = (text: string) => Effect.sync(() => order.push(text))
      const inside = yield* Deferred.make<void>()
      const holding = first.guard(one)(
        Effect.gen(function* () {
          yield* Deferred.succeed(inside, undefined)
          yield* Effect.sleep(30)
          yield* note("first")
        })
      )
      const fiber = yield* Effect.forkChild(holding)
      yield* Deferred.await(inside)
      yield* second.guard(one)(note("second"))
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(order, ["first", "second"])
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("failures, defects and interruption give the guard back", () =>
    Effect.gen(function* () {
      const guards = yield* DigestGuards.make(yield* layoutHere)
      assert.strictEqual(yield* Effect.flip(guards.guard(one)(Effect.fail("failed"))), "failed")
      yield* Effect.exit(guards.guard(one)(Effect.die("defect")))
      const fiber = yield* Effect.forkChild(guards.guard(one)(Effect.never), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(yield* guards.guard(one)(Effect.succeed("free")), "free")
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("who is interrupted while waiting for another fiber leaves nothing behind", () =>
    Effect.gen(function* () {
      const guards = yield* DigestGuards.make(yield* layoutHere)
      const release = yield* Deferred.make<void>()
      const holding = yield* Effect.forkChild(guards.guard(one)(Deferred.await(release)), {
        startImmediately: true
      })
      let entered = false
      for (let turn = 0; turn < 5; turn++) {
        const waiting = yield* Effect.forkChild(guards.guard(one)(Effect.sync(() => (entered = true))))
        yield* Effect.sleep(2)
        yield* Fiber.interrupt(waiting)
      }
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(holding)
      assert.isFalse(entered)
      assert.strictEqual(yield* guards.guard(one)(Effect.succeed("free")), "free")
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("many at once are those that nobody has, without waiting, and nobody has them meanwhile", () =>
    Effect.gen(function* () {
      const guards = yield* DigestGuards.make(yield* layoutHere)
      const release = yield* Deferred.make<void>()
      const holding = yield* Effect.forkChild(guards.guard(one)(Deferred.await(release)), {
        startImmediately: true
      })
      let entered = false
      const free = yield* guards.guardFree([one, other, neighbour, other], (found) =>
        Effect.gen(function* () {
          const waiting = guards.guard(other)(Effect.sync(() => (entered = true)))
          yield* Effect.forkDetach(waiting, { startImmediately: true })
          yield* Effect.sleep(20)
          assert.isFalse(entered)
          return found
        })
      )
      // A neighbour shares the offset of one that is held.
      assert.deepStrictEqual(free, [other, other])
      yield* Deferred.succeed(release, undefined)
      yield* Fiber.join(holding)
      yield* guards.guard(other)(Effect.void)
      assert.isTrue(entered)
      const both = yield* guards.guardFree([one, neighbour], Effect.succeed)
      assert.deepStrictEqual(both, [one, neighbour])
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("many at once are given back after failures and interruption, and when a lock fails", () =>
    Effect.gen(function* () {
      const layout = yield* layoutHere
      const guards = yield* DigestGuards.make(layout)
      assert.strictEqual(yield* Effect.flip(guards.guardFree([one, other], () => Effect.fail("no"))), "no")
      const fiber = yield* Effect.forkChild(
        guards.guardFree([one, other], () => Effect.never),
        { startImmediately: true }
      )
      yield* Fiber.interrupt(fiber)
      let tries = 0
      const failing = Layer.effect(
        FileLocks,
        Effect.map(FileLocks, (locks) => ({
          ...locks,
          openRanges: (path: string) =>
            Effect.map(locks.openRanges(path), (table) => ({
              ...table,
              tryLock: (offset: number) =>
                ++tries === 2
                  ? Effect.fail(new FilesError({ operation: "lock", path, reason: "Io" }))
                  : table.tryLock(offset)
            }))
        }))
      ).pipe(Layer.provide(NodeFileLocks.layer))
      const failed = yield* DigestGuards.make(layout).pipe(
        Effect.flatMap((made) =>
          Effect.andThen(
            Effect.flip(made.guardFree([one, other], Effect.succeed)),
            made.guardFree([one, other], Effect.succeed)
          )
        ),
        Effect.provide(failing)
      )
      assert.deepStrictEqual(failed, [one, other])
      assert.deepStrictEqual(yield* guards.guardFree([one, other], Effect.succeed), [one, other])
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("a lock file that cannot be opened fails this guard only, not the next", () => {
    let refusals = 2
    const refusing = Layer.effect(
      FileLocks,
      Effect.map(FileLocks, (locks) => ({
        ...locks,
        openRanges: (path: string) =>
          Effect.suspend(() =>
            refusals-- > 0
              ? Effect.fail(new FilesError({ operation: "lock", path, reason: "TooManyOpenFiles" }))
              : locks.openRanges(path)
          )
      }))
    ).pipe(Layer.provide(NodeFileLocks.layer))
    return Effect.gen(function* () {
      const guards = yield* DigestGuards.make(yield* layoutHere)
      const guarded = guards.guard(one)(Effect.succeed("inside"))
      assert.strictEqual((yield* Effect.flip(guarded)).reason, "TooManyOpenFiles")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(guarded)))
      assert.strictEqual(yield* guarded, "inside")
    }).pipe(Effect.provide(refusing))
  })

  it.live("no lock file is made before the first guard", () =>
    Effect.gen(function* () {
      const layout = yield* layoutHere
      const guards = yield* DigestGuards.make(layout)
      assert.isFalse(existsSync(layout.granaryLock))
      yield* guards.guard(one)(Effect.void)
      assert.isTrue(existsSync(layout.granaryLock))
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )
})

describe("DigestGuards across processes", () => {
  it.live("wait for another process's guard, until it is killed", () =>
    Effect.gen(function* () {
      const layout = yield* layoutHere
      const child = yield* startOurs(layout.base)
      assert.strictEqual(yield* child.ask("guard", one), "yes")
      const guards = yield* DigestGuards.make(layout)
      assert.deepStrictEqual(yield* guards.guardFree([one, other], Effect.succeed), [other])
      let entered = false
      const waiting = yield* Effect.forkChild(guards.guard(one)(Effect.sync(() => (entered = true))))
      yield* guards.guard(other)(Effect.sleep(40))
      assert.isFalse(entered)
      yield* child.kill
      yield* Fiber.join(waiting)
      assert.isTrue(entered)
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("who is interrupted while waiting for another process leaves nothing behind", () =>
    Effect.gen(function* () {
      const layout = yield* layoutHere
      const child = yield* startOurs(layout.base)
      assert.strictEqual(yield* child.ask("guard", one), "yes")
      const guards = yield* DigestGuards.make(layout)
      const waiting = yield* Effect.forkChild(guards.guard(one)(Effect.void))
      yield* Effect.sleep(20)
      yield* Fiber.interrupt(waiting)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiting)))
      assert.strictEqual(yield* child.ask("free"), "yes")
      assert.strictEqual(yield* guards.guard(one)(Effect.succeed("free")), "free")
      assert.strictEqual(yield* child.ask("guard", one), "yes")
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )
})
