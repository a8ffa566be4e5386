/**
 * FileLocks over Node: the conformance suite, then what a second process sees, one that dies, and one that knows only
 * POSIX record locks.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { join } from "node:path"
import { FileLocks, type LockMode } from "../../src/platform/FileLocks.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import { fileLocksSuite } from "../conformance/fileLocksSuite.ts"
import { hasForeign, startForeign, startOurs } from "./LockProcess.ts"
import { inOwnMounts, mayMount, readOnlyScript } from "./mounts.ts"
import { listing, scratchFolder } from "./scratch.ts"

const foreignProcess = (folder: string) =>
  Effect.map(startForeign, (foreign) => ({
    tryLock: (mode: LockMode) =>
      Effect.map(foreign.ask(mode, join(folder, ".lock")), (answer) => answer === "yes"),
    free: Effect.asVoid(foreign.ask("free", join(folder, ".lock")))
  }))

fileLocksSuite("NodeFileLocks", NodeFileLocks.layer, {
  folder: scratchFolder,
  describe: (path) =>
    Effect.sync(() => {
      const { mode, size } = fs.lstatSync(path)
      return { mode, sizeBytes: size }
    }),
  startProcess: (folder) =>
    Effect.map(startOurs(folder), (child) => ({
      tryLock: (offset, mode) =>
        Effect.map(child.ask("range", String(offset), mode), (answer) => answer === "yes"),
      kill: child.kill
    })),
  ...(hasForeign ? { startForeign: foreignProcess } : {})
})

const isFree = (path: string, mode: LockMode, offset = 0, length = 1) =>
  Effect.scoped(Effect.flatMap(FileLocks, (locks) => locks.tryLock(path, { offset, length }, mode)))

const lockFile = Effect.map(scratchFolder, (folder) => {
  const path = join(folder, ".lock")
  fs.writeFileSync(path, "")
  return { folder, path }
})

const openDescriptors = (path: string): number =>
  fs.readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${fd}`) === path
    } catch {
      return false
    }
  }).length

describe("NodeFileLocks between processes", () => {
  it.live("shared and exclusive locks of another process, which go when it is killed", () =>
    Effect.gen(function* () {
      const { folder, path } = yield* lockFile
      const child = yield* startOurs(folder)
      assert.strictEqual(yield* child.ask("range", "0", "exclusive"), "yes")
      assert.strictEqual(yield* child.ask("range", "1", "shared"), "yes")
      assert.isFalse(yield* isFree(path, "shared", 0))
      assert.isTrue(yield* isFree(path, "shared", 1))
      assert.isFalse(yield* isFree(path, "exclusive", 1))
      yield* child.kill
      assert.isTrue(yield* isFree(path, "exclusive", 0, 2))
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )
})

describe.skipIf(!hasForeign)("NodeFileLocks and POSIX record locks of a foreign program", () => {
  it.live("exclude each other in both directions", () =>
    Effect.gen(function* () {
      const { path } = yield* lockFile
      const foreign = yield* startForeign
      assert.strictEqual(yield* foreign.ask("exclusive", path), "yes")
      assert.isFalse(yield* isFree(path, "shared", 1))
      assert.strictEqual(yield* foreign.ask("free", path), "yes")
      assert.strictEqual(yield* foreign.ask("shared", path), "yes")
      assert.isTrue(yield* isFree(path, "shared", 1))
      assert.isFalse(yield* isFree(path, "exclusive", 0))
      assert.strictEqual(yield* foreign.ask("free", path), "yes")

      const locks = yield* FileLocks
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.isTrue(yield* locks.tryLock(path, { offset: 1, length: 1 }, "shared"))
          assert.strictEqual(yield* foreign.ask("exclusive", path), "no")
          assert.strictEqual(yield* foreign.ask("shared", path), "yes")
          assert.strictEqual(yield* foreign.ask("free", path), "yes")
        })
      )
      assert.strictEqual(yield* foreign.ask("exclusive", path), "yes")
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("a second descriptor that closes does not drop the first one's lock", () =>
    Effect.gen(function* () {
      const { path } = yield* lockFile
      const foreign = yield* startForeign
      const locks = yield* FileLocks
      assert.isTrue(yield* locks.tryLock(path, { offset: 1, length: 1 }, "shared"))
      assert.isTrue(yield* isFree(path, "shared", 1))
      fs.readFileSync(path)
      assert.strictEqual(yield* foreign.ask("exclusive", path), "no")
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )
})

describe("NodeFileLocks and the system", () => {
  it.live("keeps no descriptor of what it released or was refused", () =>
    Effect.gen(function* () {
      const { path } = yield* lockFile
      const locks = yield* FileLocks
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.isTrue(yield* locks.tryLock(path, { offset: 0, length: 1 }, "exclusive"))
          for (let turn = 0; turn < 10; turn++) {
            assert.isFalse(yield* locks.tryLock(path, { offset: 0, length: 1 }, "shared"))
          }
          assert.strictEqual(openDescriptors(path), 1)
        })
      )
      assert.strictEqual(openDescriptors(path), 0)
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live("never follows a link that lies where the lock file should be", () =>
    Effect.gen(function* () {
      const { folder, path } = yield* lockFile
      fs.symlinkSync(path, join(folder, "link"))
      const error = yield* Effect.flip(isFree(join(folder, "link"), "shared"))
      assert.strictEqual(error.code, "ELOOP")
    }).pipe(Effect.provide(NodeFileLocks.layer))
  )

  it.live.skipIf(!mayMount)("on a read-only file system shared locks succeed and nothing is made", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      fs.mkdirSync(join(folder, "with"))
      fs.mkdirSync(join(folder, "without"))
      fs.writeFileSync(join(folder, "with/.lock"), "")
      const program = join(import.meta.dirname, "readOnlyProgram.ts")
      const { stdout, stderr } = inOwnMounts(readOnlyScript, folder, process.execPath, program, folder)
      assert.deepStrictEqual(JSON.parse(stdout || JSON.stringify(stderr)), {
        withFile: { shared: "true", exclusive: "ReadOnlyFileSystem", table: "ReadOnlyFileSystem" },
        withoutFile: { shared: "true", exclusive: "ReadOnlyFileSystem", table: "ReadOnlyFileSystem" }
      })
      assert.deepStrictEqual(listing(folder), ["with/", "with/.lock", "without/"])
    })
  )
})
