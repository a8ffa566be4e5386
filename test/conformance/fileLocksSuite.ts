/**
 * What every implementation of FileLocks must do: one test for each obligation written in the port.
 *
 * Other processes come through the `FileLocksSubject`; where it lacks one, the test is shown as skipped.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { FileLocks, type LockMode, type LockRange } from "../../src/platform/FileLocks.ts"

export interface FileLocksSubject {
  /** An empty folder. */
  readonly folder: Effect.Effect<string, never, Scope.Scope>
  /** Permission bits and size of a file. */
  readonly describe?: (path: string) => Effect.Effect<{ readonly mode: number; readonly sizeBytes: number }>
  /** Another process of ours that locks bytes of `.lock` in the folder, and keeps them. */
  readonly startProcess?: (folder: string) => Effect.Effect<OtherProcess, never, Scope.Scope>
  /** A program that knows nothing of us and locks the whole of `.lock`, with POSIX record locks for example. */
  readonly startForeign?: (folder: string) => Effect.Effect<ForeignProcess, never, Scope.Scope>
  /** Makes the folder's file system read-only until the scope closes. */
  readonly makeReadOnly?: Effect.Effect<void, never, Scope.Scope>
}

export interface OtherProcess {
  readonly tryLock: (offset: number, mode: LockMode) => Effect.Effect<boolean>
  /** Ends it without giving it a chance to clean up. */
  readonly kill: Effect.Effect<void>
}

export interface ForeignProcess {
  readonly tryLock: (mode: LockMode) => Effect.Effect<boolean>
  readonly free: Effect.Effect<void>
}

const first: LockRange = { offset: 0, length: 1 }
const second: LockRange = { offset: 1, length: 1 }
const both: LockRange = { offset: 0, length: 2 }
const far: LockRange = { offset: 2 ** 52 + 12_345, length: 1 }

type Locks = FileLocks["Service"]
type Test = (locks: Locks, path: string, folder: string) => Effect.Effect<void, unknown, Scope.Scope>

type Run = (title: string, test: Test, isGiven?: boolean) => void

/** Whether the lock is free at the moment; it is not kept. */
const isFree = (locks: Locks, path: string, range: LockRange, mode: LockMode) =>
  Effect.scoped(locks.tryLock(path, range, mode))

export const fileLocksSuite = (
  name: string,
  layer: Layer.Layer<FileLocks>,
  subject: FileLocksSubject
): void => {
  const run: Run = (title, test, isGiven = true) =>
    it.live.skipIf(!isGiven)(title, () =>
      Effect.gen(function* () {
        const folder = yield* subject.folder
        yield* test(yield* FileLocks, `${folder}/.lock`, folder)
      }).pipe(Effect.provide(layer))
    )

  describe(`${name} as FileLocks`, () => {
    describe("conflicts", () => conflictTests(run))
    describe("release", () => releaseTests(run))
    describe("tables", () => tableTests(run))
    describe("other processes", () => processTests(run, subject))
    describe("read-only file systems", () => readOnlyTests(run, subject))
    run(
      "the lock file is made, readable for all and empty, and stays",
      fileTest(subject),
      subject.describe !== undefined
    )
  })
}

const conflictTests = (run: Run): void => {
  run("shared locks go together, and keep exclusive ones out", (locks, path) =>
    Effect.gen(function* () {
      assert.isTrue(yield* locks.tryLock(path, first, "shared"))
      assert.isTrue(yield* locks.tryLock(path, first, "shared"))
      assert.isFalse(yield* locks.tryLock(path, first, "exclusive"))
    })
  )

  run("an exclusive lock keeps all others out, also those of the same fiber", (locks, path) =>
    Effect.gen(function* () {
      assert.isTrue(yield* locks.tryLock(path, first, "exclusive"))
      assert.isFalse(yield* locks.tryLock(path, first, "exclusive"))
      assert.isFalse(yield* locks.tryLock(path, first, "shared"))
    })
  )

  run("ranges that do not touch are independent, ranges that do are not", (locks, path) =>
    Effect.gen(function* () {
      assert.isTrue(yield* locks.tryLock(path, first, "exclusive"))
      assert.isTrue(yield* locks.tryLock(path, far, "exclusive"))
      assert.isFalse(yield* locks.tryLock(path, both, "exclusive"))
      assert.isFalse(yield* locks.tryLock(path, both, "shared"))
      assert.isTrue(yield* locks.tryLock(path, second, "shared"))
      assert.isFalse(yield* locks.tryLock(path, far, "shared"))
    })
  )

  run("neighbours near the end of what numbers can tell apart are not mixed up", (locks, path) =>
    Effect.gen(function* () {
      const last = 2 ** 53 - 2
      assert.isTrue(yield* locks.tryLock(path, { offset: last, length: 1 }, "exclusive"))
      assert.isTrue(yield* locks.tryLock(path, { offset: last - 1, length: 1 }, "exclusive"))
      assert.isFalse(yield* locks.tryLock(path, { offset: last, length: 1 }, "exclusive"))
    })
  )

  run("files are independent", (locks, path) =>
    Effect.gen(function* () {
      assert.isTrue(yield* locks.tryLock(path, first, "exclusive"))
      assert.isTrue(yield* locks.tryLock(`${path}.other`, first, "exclusive"))
    })
  )

  run("a lock in a folder that is missing fails", (locks, path) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(locks.tryLock(`${path}.d/lock`, first, "shared"))
      assert.strictEqual(error.reason, "NotFound")
    })
  )
}

const releaseTests = (run: Run): void => {
  run("a lock ends with its scope, however that ends", (locks, path) =>
    Effect.gen(function* () {
      for (const exit of [Exit.void, Exit.die("defect"), Exit.interrupt()]) {
        const scope = yield* Scope.make()
        assert.isTrue(yield* Scope.provide(locks.tryLock(path, first, "exclusive"), scope))
        assert.isFalse(yield* isFree(locks, path, first, "shared"))
        yield* Scope.close(scope, exit)
        assert.isTrue(yield* isFree(locks, path, first, "exclusive"))
      }
    })
  )

  run("a refused lock changes nothing for those who hold one", (locks, path) =>
    Effect.gen(function* () {
      assert.isTrue(yield* locks.tryLock(path, first, "exclusive"))
      assert.isFalse(yield* isFree(locks, path, first, "exclusive"))
      assert.isFalse(yield* isFree(locks, path, first, "shared"))
      assert.isFalse(yield* isFree(locks, path, both, "exclusive"))
    })
  )

  run("one shared holder that leaves does not free the others' lock", (locks, path) =>
    Effect.gen(function* () {
      assert.isTrue(yield* locks.tryLock(path, first, "shared"))
      assert.isTrue(yield* isFree(locks, path, first, "shared"))
      assert.isFalse(yield* isFree(locks, path, first, "exclusive"))
    })
  )
}

const tableTests = (run: Run): void => {
  run("a table's byte excludes other holders until it is unlocked", (locks, path) =>
    Effect.gen(function* () {
      const table = yield* locks.openRanges(path)
      assert.isTrue(yield* table.tryLock(far.offset))
      assert.isFalse(yield* isFree(locks, path, far, "shared"))
      assert.isTrue(yield* isFree(locks, path, first, "exclusive"))
      yield* table.unlock(far.offset)
      assert.isTrue(yield* isFree(locks, path, far, "exclusive"))
    })
  )

  run("two tables on one file exclude each other byte by byte", (locks, path) =>
    Effect.gen(function* () {
      const one = yield* locks.openRanges(path)
      const other = yield* locks.openRanges(path)
      assert.isTrue(yield* one.tryLock(5))
      assert.isTrue(yield* other.tryLock(6))
      assert.isFalse(yield* other.tryLock(5))
      assert.isFalse(yield* one.tryLock(6))
      yield* one.unlock(5)
      assert.isTrue(yield* other.tryLock(5))
    })
  )

  run("a table that closes gives all its bytes back", (locks, path) =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          const table = yield* locks.openRanges(path)
          for (let offset = 0; offset < 100; offset++) assert.isTrue(yield* table.tryLock(offset))
        })
      )
      assert.isTrue(yield* isFree(locks, path, { offset: 0, length: 100 }, "exclusive"))
    })
  )

  run("a table in a folder that is missing fails", (locks, path) =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(locks.openRanges(`${path}.d/lock`))).reason, "NotFound")
    })
  )
}

const processTests = (run: Run, { startProcess, startForeign }: FileLocksSubject): void => {
  run(
    "locks of another process count like our own, in calls and in tables, until it dies",
    (locks, path, folder) =>
      Effect.gen(function* () {
        if (startProcess === undefined) return
        const other = yield* startProcess(folder)
        assert.isTrue(yield* other.tryLock(0, "exclusive"))
        assert.isTrue(yield* other.tryLock(1, "shared"))
        assert.isFalse(yield* isFree(locks, path, first, "shared"))
        assert.isTrue(yield* isFree(locks, path, second, "shared"))
        assert.isFalse(yield* isFree(locks, path, second, "exclusive"))
        const table = yield* locks.openRanges(path)
        assert.isFalse(yield* table.tryLock(0))
        assert.isFalse(yield* table.tryLock(1))
        assert.isTrue(yield* table.tryLock(2))
        assert.isFalse(yield* other.tryLock(2, "shared"))
        yield* other.kill
        assert.isTrue(yield* table.tryLock(0))
        assert.isTrue(yield* table.tryLock(1))
      }),
    startProcess !== undefined
  )

  run(
    "a foreign program that locks the whole file, and we, keep each other out",
    (locks, path, folder) =>
      Effect.gen(function* () {
        if (startForeign === undefined) return
        yield* isFree(locks, path, first, "shared")
        const foreign = yield* startForeign(folder)
        assert.isTrue(yield* foreign.tryLock("exclusive"))
        assert.isFalse(yield* isFree(locks, path, far, "shared"))
        yield* foreign.free
        assert.isTrue(yield* foreign.tryLock("shared"))
        assert.isTrue(yield* isFree(locks, path, far, "shared"))
        assert.isFalse(yield* isFree(locks, path, far, "exclusive"))
        yield* foreign.free
        assert.isTrue(yield* locks.tryLock(path, second, "shared"))
        assert.isFalse(yield* foreign.tryLock("exclusive"))
        assert.isTrue(yield* foreign.tryLock("shared"))
      }),
    startForeign !== undefined
  )
}

const readOnlyTests = (run: Run, { makeReadOnly }: FileLocksSubject): void => {
  run(
    "shared locks succeed, with and without a lock file; others fail",
    (locks, path) =>
      Effect.gen(function* () {
        if (makeReadOnly === undefined) return
        yield* isFree(locks, path, first, "shared")
        yield* makeReadOnly
        for (const file of [path, `${path}.missing`]) {
          assert.isTrue(yield* isFree(locks, file, first, "shared"))
          const refused = yield* Effect.flip(isFree(locks, file, first, "exclusive"))
          assert.strictEqual(refused.reason, "ReadOnlyFileSystem")
          const table = yield* Effect.flip(locks.openRanges(file))
          assert.strictEqual(table.reason, "ReadOnlyFileSystem")
        }
      }),
    makeReadOnly !== undefined
  )
}

const fileTest =
  ({ describe: describeFile }: FileLocksSubject): Test =>
  (locks, path) =>
    Effect.gen(function* () {
      if (describeFile === undefined) return
      yield* isFree(locks, path, first, "shared")
      const { mode, sizeBytes } = yield* describeFile(path)
      assert.strictEqual(mode & 0o444, 0o444)
      assert.strictEqual(sizeBytes, 0)
      yield* isFree(locks, path, first, "exclusive")
      assert.strictEqual((yield* describeFile(path)).mode, mode)
    })
