/** MemoryFiles beyond the conformance suite: its points, kills at each of them, full and read-only disks, times. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import type { Files } from "../../src/platform/Files.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as MemoryFiles from "../../src/testing/MemoryFiles.ts"
import { reasonOf } from "../conformance/filesSubject.ts"
import { contentsOf } from "./memoryDisks.ts"

type Service = Files["Service"]

const text = (content: string): Uint8Array => Buffer.from(content)

/** Runs an operation that stops for ever at its `stop`-th point, as a killed program does. */
const killedAt = (
  disk: MemoryDisk,
  stop: number,
  use: (files: Service) => Effect.Effect<void, unknown>
): ReadonlyArray<string> => {
  const passed: Array<string> = []
  const point: MemoryFiles.FilesPoint = (label, step) =>
    Effect.suspend(() => {
      passed.push(`${step} ${label}`)
      return passed.length > stop ? Effect.never : Effect.void
    })
  Effect.runFork(use(MemoryFiles.make(disk, { point })))
  return passed
}

const oldContent = (): MemoryDisk => {
  const disk = new MemoryDisk()
  disk.append(disk.create("/a.blob", 0o644, 0), text("old"), 0)
  disk.syncAll()
  return disk
}

describe("points of MemoryFiles", () => {
  it("are passed before every system call, by stable names", () => {
    const disk = oldContent()
    const passed = killedAt(disk, 99, (files) => files.replaceFile("/a.blob", [text("new")], { sync: true }))
    assert.deepStrictEqual(passed, [
      "0 replaceFile /a.blob",
      "1 replaceFile /a.blob: write",
      "2 replaceFile /a.blob: flush",
      "3 replaceFile /a.blob: rename",
      "4 replaceFile /a.blob: flush directory"
    ])
  })

  it("a program killed at any of them leaves old or new content, and what the fault model says besides", () => {
    const leftAt = (stop: number) => {
      const disk = oldContent()
      killedAt(disk, stop, (files) => files.replaceFile("/a.blob", [text("ne"), text("w")], { sync: true }))
      return contentsOf(disk).join(" ")
    }
    assert.deepStrictEqual([0, 1, 2, 3, 4, 5].map(leftAt), [
      "/a.blob=old",
      "/a.blob=old /a.tmp_aaaaaa=",
      "/a.blob=old /a.tmp_aaaaaa=new",
      "/a.blob=old /a.tmp_aaaaaa=new",
      "/a.blob=new",
      "/a.blob=new"
    ])
  })

  it("cut creations and many folders as well", () => {
    const leftAt = (stop: number, use: (files: Service) => Effect.Effect<void, unknown>) => {
      const disk = new MemoryDisk()
      killedAt(disk, stop, use)
      return contentsOf(disk).join(" ")
    }
    const create = (files: Service) => files.createFile("/a", text("x"))
    assert.deepStrictEqual(
      [0, 1, 2].map((stop) => leftAt(stop, create)),
      ["", "/a=", "/a=x"]
    )
    const make = (files: Service) => files.makeDirectories("/", ["1", "2"], 0o750)
    assert.deepStrictEqual(
      [0, 1, 2].map((stop) => leftAt(stop, make)),
      ["", "/1/", "/1/ /2/"]
    )
  })

  it.effect(
    "an operation interrupted at its first point does not happen, and after it happens as a whole",
    () =>
      Effect.gen(function* () {
        for (const [stop, expected] of [
          [0, []],
          [1, ["/a=x"]]
        ] as const) {
          const disk = new MemoryDisk()
          const point: MemoryFiles.FilesPoint = (_label, step) =>
            step === stop ? Effect.sleep("1 second") : Effect.void
          const files = MemoryFiles.make(disk, { point })
          const fiber = yield* Effect.forkChild(files.createFile("/a", text("x")), { startImmediately: true })
          const interruption = yield* Effect.forkChild(Fiber.interrupt(fiber), { startImmediately: true })
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(interruption)
          assert.deepStrictEqual(contentsOf(disk), expected)
        }
      })
  )
})

describe("MemoryFiles on special disks", () => {
  it.effect("a full disk is NoSpace, and what was begun is gone", () =>
    Effect.gen(function* () {
      for (const options of [{}, { point: () => Effect.yieldNow }]) {
        const disk = new MemoryDisk({ capacityBytes: 100 })
        const files = MemoryFiles.make(disk, options)
        yield* files.createFile("/small", text("old"))
        assert.strictEqual(yield* reasonOf(files.createFile("/large", new Uint8Array(101))), "NoSpace")
        assert.strictEqual(yield* reasonOf(files.replaceFile("/small", [new Uint8Array(98)])), "NoSpace")
        assert.deepStrictEqual(contentsOf(disk), ["/small=old"])
        assert.deepStrictEqual(yield* files.statFileSystem("/"), { totalBytes: 100, availableBytes: 97 })
      }
    })
  )

  it("a program killed before it cleans up on a full disk leaves what fitted", () => {
    const disk = new MemoryDisk({ capacityBytes: 2 })
    const passed = killedAt(disk, 2, (files) => files.createFile("/a", text("123")))
    assert.deepStrictEqual(passed.slice(-1), ["2 createFile /a: remove"])
    assert.deepStrictEqual(contentsOf(disk), ["/a=12"])
  })

  it.effect("a read-only disk is ReadOnlyFileSystem for every change, and readable", () =>
    Effect.gen(function* () {
      const disk = oldContent()
      disk.makeDirectory("/d", 0o755, 0)
      disk.isReadOnly = true
      const files = MemoryFiles.make(disk)
      const reasons = yield* Effect.forEach(
        [
          files.createFile("/new", text("x")),
          files.replaceFile("/a.blob", [text("x")]),
          files.touch("/a.blob"),
          files.unlink("/a.blob"),
          files.rename("/a.blob", "/other"),
          files.makeDirectory("/new"),
          files.makeDirectories("/", ["new"], 0o750),
          files.removeDirectory("/d")
        ],
        (change) => reasonOf<unknown, never>(change)
      )
      assert.deepStrictEqual([...new Set(reasons)], ["ReadOnlyFileSystem"])
      assert.strictEqual(Buffer.from(yield* files.readFile("/a.blob", 9)).toString(), "old")
      assert.isFalse(yield* files.touch("/missing"))
    })
  )

  it.effect("no more files can be open than allowed", () =>
    Effect.gen(function* () {
      const files = MemoryFiles.make(oldContent(), { openFilesMax: 1 })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* files.openRead("/a.blob")
          assert.strictEqual(yield* reasonOf(Effect.scoped(files.openRead("/a.blob"))), "TooManyOpenFiles")
        })
      )
      yield* Effect.scoped(files.openRead("/a.blob"))
    })
  )

  it.effect("times are the Clock's, in whole seconds", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk()
      const files = MemoryFiles.make(disk)
      yield* TestClock.adjust(5999)
      yield* files.createFile("/a", text("x"))
      yield* TestClock.adjust(60_000)
      yield* files.touch("/a")
      const { atimeSeconds, mtimeSeconds } = yield* files.stat("/a")
      assert.deepStrictEqual([atimeSeconds, mtimeSeconds], [65, 5])
      disk.setTimes("/a", -1.5)
      assert.strictEqual((yield* files.stat("/a")).mtimeSeconds, -2)
    })
  )

  it.effect("two programs on one disk never take one temporary name", () =>
    Effect.gen(function* () {
      const disk = new MemoryDisk()
      const [one, other] = [MemoryFiles.make(disk), MemoryFiles.make(disk)]
      const names = yield* Effect.all([one, other, one].map((files) => files.temporaryName("/s/x.blob")))
      assert.deepStrictEqual(names, ["/s/x.tmp_aaaaaa", "/s/x.tmp_aaaaab", "/s/x.tmp_aaaaac"])
    })
  )
})
