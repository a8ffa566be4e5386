/** Garbage collection of a small store: what goes, what stays, what it reports. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as FixedIndex from "../../src/format/FixedIndex.ts"
import * as GcStatus from "../../src/gc/GcStatus.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as TaskId from "../../src/model/TaskId.ts"
import { chunkPath } from "../../src/store/StoreLayout.ts"
import { listing } from "../platform/scratch.ts"
import { ioError } from "../store/HookedFiles.ts"
import {
  age,
  archive,
  assertGone,
  assertStored,
  backUp,
  begin,
  collect,
  digestOfText,
  folderOf,
  forget,
  indexPath,
  inStore,
  insertLoose,
  scene,
  verifyState
} from "./scene.ts"
import { platform } from "../store/stores.ts"

const time = 1_700_000_000

describe("what goes and what stays", () => {
  it.live.each(["set", "atime"] as const)("removes exactly what no snapshot needs and is old (%s)", (mark) =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const first = yield* backUp(layout, { time, contents: ["one", "shared"] })
        yield* backUp(layout, { time: time + 1, contents: ["shared", "two"] })
        yield* insertLoose(layout, "loose")
        age(layout)
        yield* insertLoose(layout, "young")
        yield* forget(first)
        const { status, sweep } = yield* collect({ mark })
        assertGone(layout, "one", "loose")
        assertStored(layout, "shared", "two", "young")
        assert.strictEqual(status.removedChunks, 2)
        assert.strictEqual(status.diskChunks + status.pendingChunks, 3)
        assert.strictEqual(status.indexFileCount, 1)
        assert.strictEqual(status.indexDataBytes, "sharedtwo".length)
        assert.deepStrictEqual(sweep?.errors, [])
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("what is unused but younger than the cutoff waits, and the cutoff can be chosen", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        yield* insertLoose(layout, "loose")
        age(layout, 3600)
        const { status } = yield* collect()
        assert.strictEqual(status.pendingChunks, 1)
        assertStored(layout, "loose")
        yield* collect({ cutoffMinutes: 90 })
        assertStored(layout, "loose")
        yield* collect({ cutoffMinutes: 30 })
        assertGone(layout, "loose")
        for (const cutoffMinutes of [0, 2881, 1.5]) {
          assert.strictEqual((yield* Effect.flip(collect({ cutoffMinutes }))).reason, "Refused")
        }
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("corrupt chunks stay while they are all there is, temporary files go, foreign ones stay", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        yield* backUp(layout, { time, contents: ["good", "lost"] })
        const bad = (content: string, number: number) =>
          `${chunkPath(layout, digestOfText(content))}.${number}.bad`
        copyFileSync(chunkPath(layout, digestOfText("good")), bad("good", 0))
        copyFileSync(chunkPath(layout, digestOfText("lost")), bad("lost", 3))
        rmSync(chunkPath(layout, digestOfText("lost")))
        writeFileSync(join(folderOf(layout, "good"), `${digestOfText("good")}.tmp_abcdef`), "x")
        writeFileSync(join(folderOf(layout, "good"), "notes.txt"), "x")
        writeFileSync(join(folderOf(layout, "good"), "0".repeat(64)), "x")
        age(layout)
        writeFileSync(join(folderOf(layout, "good"), `${digestOfText("good")}.tmp_young1`), "x")
        const { plan, status, sweep } = yield* collect()
        assert.deepStrictEqual(
          listing(layout.chunks)
            .filter((name) => !name.endsWith("/"))
            .map((name) => name.slice(5))
            .toSorted(),
          [
            "0".repeat(64),
            digestOfText("good"),
            `${digestOfText("good")}.tmp_young1`,
            `${digestOfText("lost")}.3.bad`,
            "notes.txt"
          ].toSorted()
        )
        assert.strictEqual(status.removedBad, 1)
        assert.strictEqual(status.stillBad, 1)
        assert.strictEqual(sweep?.removedTemporaries.chunks, 1)
        assert.strictEqual(plan.listing.foreign, 2)
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("with access times, condemned copies of a missing chunk are touched instead of it", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        yield* backUp(layout, { time, contents: ["lost"] })
        const file = chunkPath(layout, digestOfText("lost"))
        copyFileSync(file, `${file}.0.bad`)
        rmSync(file)
        age(layout)
        const { plan } = yield* collect({ mark: "atime" })
        assert.deepStrictEqual(listing(folderOf(layout, "lost")), [`${digestOfText("lost")}.0.bad`])
        assert.strictEqual(plan.missing.count, 1)
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("indexes outside of the expected folders count, with a warning; hidden ones do not", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const kept = yield* backUp(layout, { time, contents: ["copied"] })
        mkdirSync(join(layout.base, "old stuff"))
        copyFileSync(indexPath(layout, kept), join(layout.base, "old stuff", "x.didx"))
        const hidden = yield* backUp(layout, { time: time + 1, contents: ["hidden"] })
        mkdirSync(join(layout.base, ".trash"))
        copyFileSync(indexPath(layout, hidden), join(layout.base, ".trash", "x.didx"))
        symlinkSync("/", join(layout.base, "elsewhere"))
        yield* forget(kept)
        yield* forget(hidden)
        age(layout)
        const { warnings } = yield* collect()
        assertStored(layout, "copied")
        assertGone(layout, "hidden")
        assert.isTrue(warnings.some((line) => line.includes("old stuff/x.didx")))
        assert.isTrue(warnings.some((line) => line.includes("elsewhere")))
        yield* collect({}, { marksStrayIndexes: false })
        assertGone(layout, "copied")
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )
})

describe("times", () => {
  it.live("the later of a file's two times counts", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        for (const content of ["used again", "written lately", "old"]) yield* insertLoose(layout, content)
        age(layout)
        // Found in the store, so it is touched: its modification time stays.
        assert.isTrue((yield* insertLoose(layout, "used again")).duplicate)
        utimesSync(chunkPath(layout, digestOfText("written lately")), 1, Date.now() / 1000)
        const { plan } = yield* collect()
        assert.strictEqual(plan.listing.removals.count, 1)
        assertStored(layout, "used again", "written lately")
        assertGone(layout, "old")
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )
})

describe("indexes of the same bytes", () => {
  it.live("one kind does not stand for the other: a forged index cannot hide what a real one needs", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const contents = ["one", "two", "three", "four"]
        const real = yield* backUp(layout, { time, contents })
        // Four entries of 40 bytes are also five digests of 32, with the same checksum.
        const { entries } = DynamicIndex.decode(readFileSync(indexPath(layout, real)))
        const forged = FixedIndex.encode({
          uuid: Buffer.alloc(16),
          ctime: time,
          chunkSizeBytes: 4096,
          sizeBytes: 5 * 4096,
          entries: [0, 1, 2, 3, 4].map((number) => Digest.fromBytes(entries, number * 32))
        })
        // Read before the real one.
        const folder = join(layout.base, "ct/1/2023-01-01T00:00:00Z")
        mkdirSync(folder, { recursive: true })
        writeFileSync(join(folder, "x.img.fidx"), forged.bytes)
        age(layout)
        const { status } = yield* collect()
        assert.strictEqual(status.indexFileCount, 2)
        assertStored(layout, ...contents)
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("equal indexes are marked once, and counted every time", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        yield* backUp(layout, { time, contents: ["one", "two"] })
        yield* backUp(layout, { time: time + 1, contents: ["one", "two"] })
        const { status } = yield* collect()
        assert.deepStrictEqual(status.cacheStats, { hits: 2, misses: 2 })
        assert.strictEqual(status.indexDataBytes, 12)
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )
})

describe("damage", () => {
  it.live.each(["cut off", "changed"] as const)("an index that is %s forbids sweeping, and is named", (how) =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const first = yield* backUp(layout, { time, contents: ["one"] })
        const second = yield* backUp(layout, { time: time + 1, contents: ["one", "two"] })
        yield* insertLoose(layout, "loose")
        age(layout)
        for (const snapshot of [first, second]) {
          const path = indexPath(layout, snapshot)
          if (how === "cut off") truncateSync(path, 4100)
          else {
            const bytes = readFileSync(path)
            bytes[4096 + 12]! ^= 1
            writeFileSync(path, bytes)
          }
        }
        const error = yield* Effect.flip(collect())
        assert.strictEqual(error.reason, "Damaged")
        assert.include(error.message, indexPath(layout, first))
        assert.include(error.message, indexPath(layout, second))
        assertStored(layout, "one", "two", "loose")
        assert.deepStrictEqual(yield* GcStatus.read(layout), GcStatus.empty)
        yield* collect({}, { refusesDamagedIndexes: false })
        assertGone(layout, "one")
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("a damaged index of a backup that was never finished is only told", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        yield* backUp(layout, { time, contents: ["one"] })
        const folder = join(layout.base, "host/a/2024-01-01T00:00:00Z")
        mkdirSync(folder)
        writeFileSync(join(folder, archive.file), "")
        yield* insertLoose(layout, "loose")
        age(layout)
        const { warnings } = yield* collect()
        assertStored(layout, "one")
        assertGone(layout, "loose")
        assert.strictEqual(warnings.filter((line) => line.includes("never finished")).length, 1)
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("missing and empty chunks are named by snapshot and archive, and their snapshots fail", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        const other = ArchiveName.fromFile("b.pxar.didx")
        const first = yield* backUp(layout, { time, contents: ["one", "two", "three"] })
        const second = yield* backUp(layout, {
          time,
          contents: ["two", "four"],
          group: BackupGroup.make("host", "b"),
          archive: other
        })
        const sound = yield* backUp(layout, {
          time,
          contents: ["four"],
          group: BackupGroup.make("host", "c")
        })
        rmSync(chunkPath(layout, digestOfText("one")))
        truncateSync(chunkPath(layout, digestOfText("two")), 0)
        const { plan } = yield* collect()
        assert.deepStrictEqual(
          new Map(
            plan.missing.chunks.map(({ digest, places }) => [digest, places.map((place) => place.archive)])
          ),
          new Map([
            [digestOfText("one"), [archive.file]],
            [digestOfText("two"), [archive.file, other.file]]
          ])
        )
        assert.deepStrictEqual(
          plan.missing.archives.map(({ archive: name, chunks, snapshot }) => [
            snapshot.group.id,
            name,
            chunks
          ]),
          [
            ["a", archive.file, 2],
            ["b", other.file, 1]
          ]
        )
        for (const snapshot of [first, second]) {
          const state = yield* verifyState(snapshot)
          assert.strictEqual(state?.state, "failed")
          assert.strictEqual(TaskId.parse(state?.upid ?? "").workerType, "garbage_collection")
        }
        assert.isUndefined(yield* verifyState(sound))
        const next = yield* Effect.scoped(begin(layout, { time: time + 9, contents: ["one"] }))
        assert.isUndefined(next.previous)
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  it.live("files that cannot be removed and folders that cannot be read are counted, the rest is done", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      const stuck = chunkPath(layout, digestOfText("stuck"))
      const hooks = {
        before: (operation: string, path: string) =>
          (operation === "unlink" && path === stuck) ||
          (operation === "statDirectory" && path === folderOf(layout, "unreadable"))
            ? Effect.fail(ioError(operation, path))
            : Effect.void
      }
      yield* Effect.gen(function* () {
        yield* backUp(layout, { time, contents: ["unreadable"] })
        for (const content of ["stuck", "loose", "loose 2"]) yield* insertLoose(layout, content)
        age(layout)
        const { errors, plan, status } = yield* collect()
        assertStored(layout, "stuck", "unreadable")
        assertGone(layout, "loose", "loose 2")
        assert.strictEqual(errors.length, 2)
        assert.strictEqual(plan.missing.count, 0)
        assert.strictEqual(status.removedChunks, 2)
        assert.strictEqual((yield* Effect.flip(collect({}, { countsErrors: false })))._tag, "FilesError")
      }).pipe(inStore(layout, hooks))
    }).pipe(Effect.provide(platform))
  )
})
