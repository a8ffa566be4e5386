/** A machine on which nothing can be changed. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { FileLocks } from "../../src/platform/FileLocks.ts"
import { Files } from "../../src/platform/Files.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import * as Untouched from "../../src/platform/Untouched.ts"
import { scratchFolder } from "./scratch.ts"

const machine = Layer.merge(NodeFiles.layer, NodeFileLocks.layer)
const untouched = Layer.provide(Untouched.layer, machine)

const oneByte = { offset: 3, length: 1 }

describe("Untouched", () => {
  it.effect("reads, and changes nothing", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      const file = join(folder, "file")
      writeFileSync(file, "content")
      mkdirSync(join(folder, "empty"))
      const before = statSync(file, { bigint: true })
      const files = yield* Files
      assert.strictEqual(Buffer.from(yield* files.readFile(file, 100)).toString(), "content")
      assert.strictEqual((yield* files.statDirectory(folder)).length, 2)
      const other = join(folder, "other")
      const changes = [
        files.makeDirectory(other),
        files.makeDirectories(folder, ["other"], 0o755),
        files.createFile(other, Buffer.from("x")),
        files.replaceFile(file, [Buffer.from("x")]),
        files.rename(file, other),
        files.unlink(file),
        files.removeDirectory(join(folder, "empty")),
        files.touch(file)
      ]
      for (const change of changes) {
        const error = yield* Effect.flip(Effect.asVoid(change))
        assert.strictEqual(error.reason, "ReadOnlyFileSystem")
        assert.include(error.message, "a plan, which changes nothing")
      }
      yield* files.syncDirectory(folder)
      yield* files.syncFileSystem(folder)
      assert.deepStrictEqual(readdirSync(folder), ["empty", "file"])
      assert.strictEqual(readFileSync(file, "utf8"), "content")
      const after = statSync(file, { bigint: true })
      assert.deepStrictEqual([after.mtimeNs, after.ctimeNs], [before.mtimeNs, before.ctimeNs])
    }).pipe(Effect.scoped, Effect.provide(untouched))
  )

  it.effect("takes locks where there is a file for them, and makes none", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      const [there, missing] = [join(folder, "there"), join(folder, "missing")]
      writeFileSync(there, "")
      const locks = yield* FileLocks
      assert.isTrue(yield* locks.tryLock(missing, oneByte, "exclusive"))
      const table = yield* locks.openRanges(missing)
      assert.isTrue(yield* table.tryLock(1))
      yield* table.unlock(1)
      assert.deepStrictEqual(readdirSync(folder), ["there"])

      const real = yield* FileLocks.pipe(Effect.provide(NodeFileLocks.layer))
      assert.isTrue(yield* real.tryLock(there, oneByte, "exclusive"))
      assert.isFalse(yield* locks.tryLock(there, oneByte, "shared"))
      assert.isFalse(yield* (yield* locks.openRanges(there)).tryLock(3))
      assert.isTrue(yield* (yield* locks.openRanges(there)).tryLock(4))
    }).pipe(Effect.scoped, Effect.provide(untouched))
  )
})
