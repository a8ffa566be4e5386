/**
 * A datastore on MemoryPlatform: made, backed up to, read, verified, forgotten, in one synchronous run; repeatable to the
 * byte; and what is found in it after the power was lost at its worst moment.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Backup from "../../src/backup/Backup.ts"
import * as ByteSource from "../../src/backup/ByteSource.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import { ChunkCodec } from "../../src/platform/ChunkCodec.ts"
import { digestOf } from "../../src/platform/chunkContent.ts"
import { Entropy } from "../../src/platform/Entropy.ts"
import { Host } from "../../src/platform/Host.ts"
import * as ArchiveReader from "../../src/restore/ArchiveReader.ts"
import * as SnapshotReader from "../../src/restore/SnapshotReader.ts"
import { loseAll, MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import { MemoryLockTable } from "../../src/testing/MemoryFileLocks.ts"
import * as MemoryPlatform from "../../src/testing/MemoryPlatform.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"
import { contentsOf } from "./memoryDisks.ts"

const path = "/store"

/** Runs to the end at once, or fails: nothing may wait. The time is always the same. */
const runSync = <A, E>(effect: Effect.Effect<A, E>): A =>
  Effect.runSync(Effect.provide(effect, TestClock.layer()))
const image = Buffer.alloc(5_000_000, "some image ")

/** Made once: every test goes on from a fork. */
const emptyStore = ((): MemoryDisk => {
  const disk = new MemoryDisk()
  runSync(MemoryPlatform.run(Datastore.create(path), { disk }))
  disk.syncAll()
  return disk
})()

const inStore =
  (options: MemoryPlatform.MemoryPlatformOptions) =>
  <A, E>(use: Effect.Effect<A, E, Datastore.Datastore>): Effect.Effect<A, E | Error> =>
    MemoryPlatform.run(Effect.provide(use, Datastore.layer({ path })), options)

const backUp = Effect.gen(function* () {
  const source = yield* ByteSource.fromStream(Stream.fromIterable([image]))
  return yield* Backup.run({
    namespace: Namespace.root,
    group: BackupGroup.make("host", "memory"),
    owner: AuthId.parse("root@pam"),
    archives: [
      {
        kind: "blob",
        archive: ArchiveName.fromClient("a.conf"),
        content: Effect.succeed(Buffer.from("a = 1"))
      },
      { kind: "stream", archive: ArchiveName.fromClient("disk.img"), source }
    ]
  })
}).pipe(Effect.scoped)

const readAll = (snapshot: Backup.BackupSummary["snapshot"]) =>
  Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* SnapshotReader.open({ namespace: Namespace.root, snapshot })
      const index = yield* reader.index(yield* reader.find("disk.img"))
      const archive = yield* ArchiveReader.make(reader.datastore.chunks, index, undefined)
      const blob = yield* reader.blob(yield* reader.find("a.conf"))
      return { image: yield* archive.read(0, archive.sizeBytes), blob: Buffer.from(blob).toString() }
    })
  )

const verifyAll = Effect.gen(function* () {
  const plan = yield* VerifyPlan.make({ namespace: Namespace.root, ignoreVerified: false })
  const { snapshots } = yield* Verify.run(plan)
  return snapshots.map(({ state }) => state)
})

describe("a datastore on MemoryPlatform", () => {
  it("backs up, reads, verifies and forgets without waiting for anything", () => {
    const disk = emptyStore.fork()
    const outcome = runSync(
      inStore({ disk })(
        Effect.gen(function* () {
          const { snapshot } = yield* backUp
          const read = yield* readAll(snapshot)
          const states = yield* verifyAll
          const store = yield* Datastore.Datastore
          yield* store.forget(Namespace.root, snapshot)
          return { read, states }
        })
      )
    )
    assert.strictEqual(Buffer.compare(outcome.read.image, image), 0)
    assert.strictEqual(outcome.read.blob, "a = 1")
    assert.deepStrictEqual(outcome.states, ["ok"])
    const left = contentsOf(disk, path).filter((line) => line.startsWith("/store/host"))
    assert.deepStrictEqual(left, ["/store/host/"])
  })

  it("holds the same bytes after every run, and two programs share it", () => {
    const filled = (): MemoryDisk => {
      const disk = emptyStore.fork()
      const locks = new MemoryLockTable(disk)
      for (const process of ["first", "second"]) {
        runSync(Effect.flip(inStore({ locks, process })(Effect.andThen(backUp, Effect.fail("end")))))
      }
      return disk
    }
    const [one, other] = [contentsOf(filled(), path), contentsOf(filled(), path)]
    assert.deepStrictEqual(one, other)
    assert.strictEqual(one.filter((line) => line.includes("index.json.blob=")).length, 2)
  })

  it("a finished backup survives the worst power loss; an unfinished one leaves no finished snapshot", () => {
    const disk = emptyStore.fork()
    const finished = runSync(inStore({ disk })(backUp))
    disk.losePower(loseAll)
    assert.deepStrictEqual(runSync(inStore({ disk })(verifyAll)), ["ok"])
    assert.strictEqual(runSync(inStore({ disk })(readAll(finished.snapshot))).blob, "a = 1")

    const cut = emptyStore.fork()
    const stopsAtManifest = (label: string) => (label.includes("index.json") ? Effect.never : Effect.void)
    const exit = Effect.runSyncExit(inStore({ disk: cut, point: stopsAtManifest })(backUp))
    assert.isTrue(Exit.hasDies(exit))
    assert.isTrue(contentsOf(cut, path).some((line) => line.includes("disk.img.fidx=")))
    cut.losePower(loseAll)
    assert.deepStrictEqual(runSync(inStore({ disk: cut })(verifyAll)), [])
  })
})

describe("MemoryPlatform", () => {
  it.effect("gives bytes that repeat from run to run, never within one, and a host of its own", () =>
    Effect.gen(function* () {
      const draw = Effect.gen(function* () {
        const entropy = yield* Entropy
        const { nodeName, pid, userName } = yield* Host
        return { bytes: [entropy(16), entropy(16), entropy(70)], host: [nodeName, pid, userName] }
      })
      const one = yield* MemoryPlatform.run(draw, { process: "first", pid: 7 })
      const other = yield* MemoryPlatform.run(draw, { process: "first", pid: 7 })
      assert.deepStrictEqual(one, other)
      assert.notDeepEqual(one.bytes[0], one.bytes[1])
      assert.strictEqual(new Set(one.bytes[2]).size > 40, true)
      assert.deepStrictEqual(one.host, ["memory", 7, "first"])
    })
  )

  it.effect("each program's chunks go through its own files", () =>
    Effect.gen(function* () {
      const passed: Array<string> = []
      const point = (label: string) => Effect.sync(() => void passed.push(label))
      const disk = new MemoryDisk()
      const check = Effect.flatMap(ChunkCodec, (codec) =>
        codec.check({
          path: "/x",
          digest: digestOf(image, undefined),
          sizeBytes: undefined,
          crypt: undefined
        })
      )
      const inner = MemoryPlatform.run(check, { disk, point })
      const states = yield* MemoryPlatform.run(Effect.all([check, inner]), { disk })
      assert.deepStrictEqual(
        states.map(({ state }) => state),
        ["missing", "missing"]
      )
      assert.deepStrictEqual(passed, ["readFile /x"])
    })
  )
})
