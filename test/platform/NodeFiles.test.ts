/**
 * Files over Node: the conformance suite, then what depends on the system: full and read-only file systems, the umask,
 * and the undocumented way in which Node leaves a time alone.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { join } from "node:path"
import { Files, fromErrno } from "../../src/platform/Files.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { filesSuite, reasonOf } from "../conformance/filesSuite.ts"
import { inOwnMounts, mayMount, readOnlyScript, tinyScript } from "./mounts.ts"
import { scratchFolder } from "./scratch.ts"

filesSuite("NodeFiles", NodeFiles.layer, {
  folder: scratchFolder,
  makeSymlink: (target, path) => Effect.sync(() => fs.symlinkSync(target, path)),
  makeFifo: (path) => Effect.sync(() => void execFileSync("mkfifo", [path])),
  setTimes: (path, seconds) => Effect.sync(() => fs.utimesSync(path, seconds, seconds)),
  makeLarge: (path, sizeBytes) =>
    Effect.sync(() => {
      fs.writeFileSync(path, "")
      fs.truncateSync(path, sizeBytes)
    })
})

const program = join(import.meta.dirname, "filesProgram.ts")

describe.skipIf(!mayMount)("NodeFiles on special file systems", () => {
  it.live("a full disk is NoSpace, and what was begun is gone", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      const { stdout, stderr } = inOwnMounts(tinyScript, folder, process.execPath, program, "fill", folder)
      assert.deepStrictEqual(JSON.parse(stdout || JSON.stringify(stderr)), {
        create: "NoSpace",
        replace: "NoSpace",
        left: ["small"],
        content: "old"
      })
    })
  )

  it.live("a full disk is NoSpace for a worker thread as well, and its file is gone", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      const { stdout, stderr } = inOwnMounts(tinyScript, folder, process.execPath, program, "stage", folder)
      assert.deepStrictEqual(JSON.parse(stdout || JSON.stringify(stderr)), { reason: "NoSpace", left: [] })
    })
  )

  it.live("a read-only file system is ReadOnlyFileSystem for every change", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      fs.writeFileSync(join(folder, "file"), "old")
      const { stdout, stderr } = inOwnMounts(
        readOnlyScript,
        folder,
        process.execPath,
        program,
        "change",
        folder
      )
      const result = JSON.parse(stdout || JSON.stringify(stderr))
      assert.deepStrictEqual([...new Set(Object.values(result.reasons))], ["ReadOnlyFileSystem"])
      assert.strictEqual(Object.keys(result.reasons).length, 8)
      assert.strictEqual(result.content, "old")
    })
  )
})

describe("NodeFiles", () => {
  it.live("permission bits do not depend on the umask", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      const { stdout, stderr } = spawnSync(
        "sh",
        ["-c", 'umask 077; exec "$@"', "sh", process.execPath, program, "modes", folder],
        {
          encoding: "utf8"
        }
      )
      assert.deepStrictEqual(JSON.parse(stdout || JSON.stringify(stderr)), {
        created: "644",
        replaced: "644",
        folder: "755",
        folders: "750",
        usualFolder: "700"
      })
    })
  )

  it.live("this Node leaves a time alone that is not a number", () =>
    Effect.gen(function* () {
      const path = join(yield* scratchFolder, "file")
      fs.writeFileSync(path, "")
      fs.utimesSync(path, 1_111_111_111, 1_222_222_222.123_456)
      const before = fs.lstatSync(path, { bigint: true })
      yield* Effect.promise(() => fs.promises.lutimes(path, new Date(5_000), new Date(Number.NaN)))
      const after = fs.lstatSync(path, { bigint: true })
      assert.strictEqual(after.mtimeNs, before.mtimeNs)
      assert.strictEqual(after.atimeNs, 5_000_000_000n)
    })
  )

  it.live("times before 1970 are floored", () =>
    Effect.gen(function* () {
      const path = join(yield* scratchFolder, "file")
      fs.writeFileSync(path, "")
      fs.utimesSync(path, new Date(-1500), new Date(-2000))
      const stat = yield* Effect.flatMap(Files, (files) => files.stat(path))
      assert.deepStrictEqual([stat.atimeSeconds, stat.mtimeSeconds], [-2, -2])
    }).pipe(Effect.provide(NodeFiles.layer))
  )

  it.live("too deep a chain of links is an input/output error that names its code", () =>
    Effect.gen(function* () {
      const path = join(yield* scratchFolder, "loop")
      fs.symlinkSync(path, path)
      const files = yield* Files
      const error = yield* Effect.flip(files.readFile(path, 9))
      assert.strictEqual(error.code, "ELOOP")
      assert.include(error.message, "(ELOOP)")
    }).pipe(Effect.provide(NodeFiles.layer))
  )

  it.live("a handle is closed with its scope", () =>
    Effect.gen(function* () {
      const path = join(yield* scratchFolder, "file")
      fs.writeFileSync(path, "content")
      const files = yield* Files
      const handle = yield* Effect.scoped(files.openRead(path))
      assert.strictEqual(yield* reasonOf(handle.readAt(0, new Uint8Array(1))), "Io")
    }).pipe(Effect.provide(NodeFiles.layer))
  )
})

describe("fromErrno", () => {
  it("maps what the system says", () => {
    const reasons = [
      "ENOSPC",
      "EDQUOT",
      "EROFS",
      "EPERM",
      "EMFILE",
      "ENFILE",
      "EBUSY",
      "EIO",
      "ENAMETOOLONG"
    ].map((code) => fromErrno("write", "/x", Object.assign(new Error(code), { code })).reason)
    assert.deepStrictEqual(reasons, [
      "NoSpace",
      "NoSpace",
      "ReadOnlyFileSystem",
      "PermissionDenied",
      "TooManyOpenFiles",
      "TooManyOpenFiles",
      "Busy",
      "Io",
      "Io"
    ])
    assert.strictEqual(fromErrno("write", "/x", new Error("no code")).reason, "Io")
    assert.isUndefined(fromErrno("write", "/x", "text").code)
  })
})
