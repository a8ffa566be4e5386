/** MemoryFileLocks beyond the conformance suite: whose locks they are, which file's, and how many. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as MemoryFileLocks from "../../src/testing/MemoryFileLocks.ts"
import { reasonOf } from "../conformance/filesSubject.ts"

const newTable = () => new MemoryFileLocks.MemoryLockTable(new MemoryDisk())
const byte = (offset: number) => ({ offset, length: 1 })

describe("MemoryFileLocks", () => {
  it.effect("a process that dies gives back its own locks only, tables included", () =>
    Effect.gen(function* () {
      const table = newTable()
      const first = MemoryFileLocks.make(table, { process: "first" })
      const second = MemoryFileLocks.make(table, { process: "second" })
      assert.isTrue(yield* first.tryLock("/lock", byte(1), "shared"))
      assert.isTrue(yield* second.tryLock("/lock", byte(1), "shared"))
      const ranges = yield* first.openRanges("/lock")
      assert.isTrue(yield* ranges.tryLock(7))
      assert.deepStrictEqual(table.held("/lock"), [
        { process: "first", offset: 1, length: 1, mode: "shared" },
        { process: "second", offset: 1, length: 1, mode: "shared" },
        { process: "first", offset: 7, length: 1, mode: "exclusive" }
      ])
      table.releaseProcess("first")
      assert.deepStrictEqual(table.held("/lock"), [
        { process: "second", offset: 1, length: 1, mode: "shared" }
      ])
      table.releaseAll()
      assert.deepStrictEqual(table.held("/lock"), [])
    })
  )

  it.effect("a scope that closes after its process died takes nothing from others", () =>
    Effect.gen(function* () {
      const table = newTable()
      const second = MemoryFileLocks.make(table, { process: "second" })
      const outer = yield* Effect.scope
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* MemoryFileLocks.make(table, { process: "first" }).tryLock("/lock", byte(1), "exclusive")
          table.releaseProcess("first")
          const taken = second.tryLock("/lock", byte(1), "exclusive")
          assert.isTrue(yield* Scope.provide(taken, outer))
        })
      )
      assert.deepStrictEqual(
        table.held("/lock").map(({ process }) => process),
        ["second"]
      )
    })
  )

  it.effect("a lock belongs to the file, not to its name", () =>
    Effect.gen(function* () {
      const table = newTable()
      const locks = MemoryFileLocks.make(table)
      assert.isTrue(yield* locks.tryLock("/lock", byte(0), "exclusive"))
      table.disk.rename("/lock", "/moved", 0)
      assert.isTrue(yield* locks.tryLock("/lock", byte(0), "exclusive"))
      assert.isFalse(yield* locks.tryLock("/moved", byte(0), "exclusive"))
    })
  )

  it.effect("a length of 0 reaches to the end of the file, as foreign locks usually do", () =>
    Effect.gen(function* () {
      const table = newTable()
      const locks = MemoryFileLocks.make(table)
      assert.isTrue(yield* locks.tryLock("/lock", { offset: 5, length: 0 }, "exclusive"))
      assert.isTrue(yield* locks.tryLock("/lock", byte(4), "exclusive"))
      assert.isFalse(yield* locks.tryLock("/lock", byte(2 ** 52), "shared"))
      assert.isUndefined(table.lockForeign("/lock", "shared"))
      assert.isDefined(table.lockForeign("/lock", "exclusive", byte(3)))
      assert.isFalse(yield* locks.tryLock("/lock", byte(3), "shared"))
    })
  )

  it.effect("one table may take a byte twice, and gives it back once", () =>
    Effect.gen(function* () {
      const table = newTable()
      const locks = MemoryFileLocks.make(table)
      const ranges = yield* locks.openRanges("/lock")
      assert.isTrue(yield* ranges.tryLock(1))
      assert.isTrue(yield* ranges.tryLock(1))
      assert.strictEqual(table.held("/lock").length, 1)
      yield* ranges.unlock(1)
      assert.isTrue(yield* locks.tryLock("/lock", byte(1), "exclusive"))
    })
  )

  it.effect("no more locks can be held than files may be open; refused ones do not count", () =>
    Effect.gen(function* () {
      const table = newTable()
      const locks = MemoryFileLocks.make(table, { process: "first", openFilesMax: 2 })
      assert.isTrue(yield* locks.tryLock("/lock", byte(0), "exclusive"))
      for (let turn = 0; turn < 3; turn++) assert.isFalse(yield* locks.tryLock("/lock", byte(0), "shared"))
      yield* locks.openRanges("/lock")
      assert.strictEqual(yield* reasonOf(locks.tryLock("/lock", byte(1), "shared")), "TooManyOpenFiles")
      assert.strictEqual(yield* reasonOf(locks.openRanges("/lock")), "TooManyOpenFiles")
      table.releaseProcess("first")
      assert.isTrue(yield* locks.tryLock("/lock", byte(1), "shared"))
    })
  )

  it.effect("never follows a link, and passes a point before each call", () =>
    Effect.gen(function* () {
      const table = newTable()
      const labels: Array<string> = []
      const point = (label: string) => Effect.sync(() => void labels.push(label))
      const locks = MemoryFileLocks.make(table, { point })
      table.disk.makeSymlink("/lock", "/link")
      const error = yield* Effect.flip(Effect.scoped(locks.tryLock("/link", byte(0), "shared")))
      assert.strictEqual(error.code, "ELOOP")
      yield* Effect.scoped(locks.tryLock("/lock", byte(1), "shared"))
      yield* Effect.scoped(
        Effect.flatMap(locks.openRanges("/lock"), (ranges) =>
          Effect.andThen(ranges.tryLock(2), ranges.unlock(2))
        )
      )
      assert.deepStrictEqual(labels, [
        "tryLock /link 0 shared",
        "tryLock /lock 1 shared",
        "release /lock 1 shared",
        "openRanges /lock",
        "tryLock /lock 2 exclusive",
        "unlock /lock 2"
      ])
    })
  )
})
