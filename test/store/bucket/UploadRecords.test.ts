/** UploadRecords: what is recorded is found by every process, whatever crashes, is merged or forgotten meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Exit from "effect/Exit"
import fc from "fast-check"
import * as Digest from "../../../src/model/Digest.ts"
import type { FileLocks } from "../../../src/platform/FileLocks.ts"
import { Files, FilesError } from "../../../src/platform/Files.ts"
import { encode, recordBytes, RecordTable, type Uploaded } from "../../../src/store/bucket/RecordTable.ts"
import * as UploadRecords from "../../../src/store/bucket/UploadRecords.ts"
import { layoutOf } from "../../../src/store/StoreLayout.ts"
import * as StoreLocks from "../../../src/store/StoreLocks.ts"
import { chooseFrom, MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as MemoryFileLocks from "../../../src/testing/MemoryFileLocks.ts"
import * as MemoryPlatform from "../../../src/testing/MemoryPlatform.ts"

const layout = layoutOf("/store")
const folder = UploadRecords.folderOf(layout)

const digestOf = (number: number): Digest.Digest => Digest.parse(number.toString(16).padStart(64, "0"))

const md5 = (number: number): string => number.toString(16).padStart(32, "0")

const uploadOf = (number: number): Uploaded => ({ sizeBytes: number + 1, etag: md5(number) })

const compare = (table: RecordTable, number: number, seen: { sizeBytes: number; etag: string | undefined }) =>
  table.compare(Digest.toBytes(digestOf(number)), 0, seen)

const knows = (table: RecordTable, number: number): boolean =>
  compare(table, number, uploadOf(number)) === "as recorded"

/** How many of the first records are known. */
const knownOf = (table: RecordTable, count: number): number =>
  Array.from({ length: count }, (_, number) => number).filter((number) => knows(table, number)).length

const bytesOf = (...uploads: ReadonlyArray<readonly [number, Uploaded]>): Uint8Array => {
  const bytes = new Uint8Array(uploads.length * recordBytes)
  uploads.forEach(([number, upload], at) => encode(bytes, at * recordBytes, digestOf(number), upload))
  return bytes
}

const tableOf = (...files: ReadonlyArray<Uint8Array>): RecordTable => {
  const table = new RecordTable()
  files.forEach((bytes) => table.addAll(bytes))
  return table
}

describe("RecordTable", () => {
  it("compares size and ETag with any record of the digest, and with no other", () => {
    const table = tableOf(bytesOf([1, uploadOf(1)], [2, uploadOf(2)], [1, { sizeBytes: 70, etag: "a-3" }]))
    assert.strictEqual(compare(table, 1, uploadOf(1)), "as recorded")
    assert.strictEqual(compare(table, 1, { sizeBytes: 70, etag: "a-3" }), "as recorded")
    assert.strictEqual(compare(table, 1, { sizeBytes: 70, etag: undefined }), "as recorded")
    assert.strictEqual(compare(table, 1, { sizeBytes: 2, etag: "a-3" }), "another")
    assert.strictEqual(compare(table, 1, { sizeBytes: 71, etag: "a-3" }), "another")
    assert.strictEqual(compare(table, 1, { sizeBytes: 71, etag: undefined }), "another")
    assert.strictEqual(compare(table, 1, { sizeBytes: 70, etag: "a-4" }), "another")
    assert.strictEqual(compare(table, 1, uploadOf(2)), "another")
    assert.strictEqual(compare(table, 3, uploadOf(3)), "no record")
  })

  it("holds equal records once, and gives back all but the dropped ones in pieces", () => {
    const many = Array.from({ length: 5000 }, (_, number) => [number, uploadOf(number)] as const)
    const bytes = bytesOf(...many)
    const table = tableOf(bytes, bytes, bytesOf([7, { sizeBytes: 1, etag: "other" }]))
    assert.strictEqual(table.count, 5001)
    const pieces = [...table.pieces(2000)]
    assert.deepStrictEqual(
      pieces.map((piece) => piece.length / recordBytes),
      [2000, 2000, 1001]
    )
    assert.strictEqual(knownOf(tableOf(...pieces), 5000), 5000)
  })

  it("takes of a torn file what is whole", () => {
    const whole = bytesOf(...[0, 1, 2, 3].map((number) => [number, uploadOf(number)] as const))
    fc.assert(
      fc.property(fc.nat({ max: whole.length }), fc.boolean(), (at, isZeroed) => {
        const torn = isZeroed ? Uint8Array.from(whole).fill(0, at) : whole.slice(0, at)
        assert.strictEqual(knownOf(tableOf(torn), 4), Math.floor(at / recordBytes))
        assert.strictEqual(tableOf(torn).count, Math.floor(at / recordBytes))
      })
    )
    fc.assert(
      fc.property(fc.nat({ max: whole.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const damaged = Uint8Array.from(whole)
        damaged[at] = (damaged[at] ?? 0) ^ change
        assert.strictEqual(tableOf(damaged).count, 3)
      })
    )
  })
})

/** A disk with the store's folder, flushed. */
const newDisk = Effect.gen(function* () {
  const disk = new MemoryDisk()
  yield* Effect.flatMap(Files, (files) => files.makeDirectory(layout.base)).pipe(
    Effect.provide(MemoryPlatform.layer({ disk }))
  )
  disk.syncAll()
  return { disk, locks: new MemoryFileLocks.MemoryLockTable(disk) }
})

const open = Effect.flatMap(StoreLocks.make(layout), (locks) => UploadRecords.make(layout, locks))

const recordAll = (records: UploadRecords.UploadRecords, from: number, to: number) =>
  Effect.forEach(
    Array.from({ length: to - from }, (_, index) => from + index),
    (number) => records.record(digestOf(number), uploadOf(number)),
    { concurrency: 8, discard: true }
  )

const namesIn = (disk: MemoryDisk): ReadonlyArray<string> => disk.list(folder, 0).map(([name]) => name)

const inProgram =
  (world: { readonly disk: MemoryDisk; readonly locks: MemoryFileLocks.MemoryLockTable }, process = "one") =>
  <A, E>(effect: Effect.Effect<A, E, Files | Scope.Scope | FileLocks>) =>
    Effect.scoped(effect).pipe(Effect.provide(MemoryPlatform.layer({ ...world, process })))

const loadAnew = (world: Parameters<typeof inProgram>[0]) =>
  inProgram(world, "reader")(Effect.flatMap(open, ({ load }) => load))

describe("UploadRecords", () => {
  it.effect("nothing is recorded and nothing written where nothing was uploaded", () =>
    Effect.gen(function* () {
      const world = yield* newDisk
      const table = yield* inProgram(world)(
        Effect.gen(function* () {
          const records = yield* open
          yield* records.flush
          yield* records.forget([digestOf(1)])
          return yield* records.load
        })
      )
      assert.strictEqual(table.count, 0)
      assert.deepStrictEqual(
        world.disk.list(layout.base, 0).map(([name]) => name),
        [".granary.lock"]
      )
    })
  )

  it.effect("what was recorded is loaded by the same process at once, and by others after its end", () =>
    Effect.gen(function* () {
      const world = yield* newDisk
      yield* inProgram(world)(
        Effect.gen(function* () {
          const records = yield* open
          yield* recordAll(records, 0, 5000)
          assert.strictEqual(knownOf(yield* records.load, 5000), 5000)
          assert.strictEqual(knownOf(yield* loadAnew(world), 5000), 4992)
        })
      )
      assert.strictEqual(knownOf(yield* loadAnew(world), 5000), 5000)
      assert.lengthOf(namesIn(world.disk), 2)
    })
  )

  it.effect("a process that is killed loses 63 records at most, whole files of the past never", () =>
    Effect.gen(function* () {
      for (const count of [1, 63, 64, 65, 4095, 4096, 4097, 4160]) {
        const world = yield* newDisk
        // A scope that is never closed: the process has no end to tell anybody of.
        const scope = yield* Scope.make()
        yield* Effect.flatMap(open, (records) => recordAll(records, 0, count)).pipe(
          Effect.provideService(Scope.Scope, scope),
          Effect.provide(MemoryPlatform.layer({ ...world, process: "killed" }))
        )
        assert.strictEqual(knownOf(yield* loadAnew(world), count), count - (count % 64), `${count}`)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(knownOf(yield* loadAnew(world), count), count)
      }
    })
  )

  it.effect("what was flushed survives a power loss; of the rest nothing false remains", () =>
    Effect.gen(function* () {
      const world = yield* newDisk
      const scope = yield* Scope.make()
      const records = yield* open.pipe(
        Effect.provideService(Scope.Scope, scope),
        Effect.provide(MemoryPlatform.layer({ ...world, process: "writer" }))
      )
      yield* recordAll(records, 0, 100)
      yield* records.flush
      yield* recordAll(records, 100, 300)
      for (let seed = 0; seed < 200; seed++) {
        const choices = Array.from(
          { length: 12 },
          (_, index) => (seed * 7919 + index * 104_729 * (seed + 1)) % 97
        )
        const disk = world.disk.fork()
        disk.losePower(chooseFrom(choices))
        const table = yield* loadAnew({ disk, locks: new MemoryFileLocks.MemoryLockTable(disk) })
        assert.strictEqual(knownOf(table, 100), 100, `${choices}`)
        assert.strictEqual(knownOf(table, 300), table.count)
      }
    })
  )

  it.effect("many files are merged into one, and a process that goes on loses nothing by it", () =>
    Effect.gen(function* () {
      const world = yield* newDisk
      yield* inProgram(
        world,
        "living"
      )(
        Effect.gen(function* () {
          const living = yield* open
          yield* recordAll(living, 0, 64)
          for (let session = 1; session <= 20; session++) {
            yield* inProgram(
              world,
              `session ${session}`
            )(Effect.flatMap(open, (records) => recordAll(records, session * 100, session * 100 + 10)))
          }
          assert.lengthOf(namesIn(world.disk), 21)
          assert.strictEqual((yield* loadAnew(world)).count, 264)
          assert.lengthOf(namesIn(world.disk), 1)
          yield* recordAll(living, 64, 100)
        })
      )
      assert.lengthOf(namesIn(world.disk), 2)
      const table = yield* loadAnew(world)
      assert.strictEqual(table.count, 300)
      assert.strictEqual(knownOf(table, 100), 100)
    })
  )

  it.effect("who reads while others merge finds everything, whenever they are stopped", () =>
    Effect.gen(function* () {
      let stopped = 0
      for (let stopAt = 0; stopAt < 150; stopAt++) {
        const world = yield* newDisk
        for (let session = 0; session < 20; session++) {
          yield* inProgram(world)(Effect.flatMap(open, (records) => recordAll(records, session, session + 1)))
        }
        let calls = 0
        const goOn = yield* Deferred.make<void>()
        const point = () => (calls++ === stopAt ? Deferred.await(goOn) : Effect.void)
        const merger = yield* Effect.forkChild(
          Effect.scoped(Effect.flatMap(open, ({ load }) => load)).pipe(
            Effect.provide(MemoryPlatform.layer({ ...world, process: "merger", point }))
          ),
          { startImmediately: true }
        )
        for (let turn = 0; turn < 200; turn++) yield* Effect.yieldNow
        stopped += calls > stopAt ? 1 : 0
        const table = yield* inProgram(world, "looker")(Effect.flatMap(open, ({ load }) => load))
        assert.strictEqual(knownOf(table, 20), 20, `stopped at call ${stopAt}`)
        yield* Deferred.succeed(goOn, undefined)
        assert.strictEqual(knownOf(yield* Fiber.join(merger), 20), 20)
        assert.strictEqual(knownOf(yield* loadAnew(world), 20), 20)
      }
      // A merge is some hundred calls: it was stopped in each of them, and in the end not at all.
      assert.isTrue(stopped > 80 && stopped < 150, `${stopped}`)
    })
  )

  it.effect("forgets what it is told, also what it wrote itself and has not saved", () =>
    Effect.gen(function* () {
      const world = yield* newDisk
      yield* inProgram(world)(
        Effect.gen(function* () {
          yield* inProgram(world, "before")(Effect.flatMap(open, (records) => recordAll(records, 0, 10)))
          const records = yield* open
          yield* recordAll(records, 10, 20)
          yield* records.forget([3, 4, 13, 14, 99].map(digestOf))
          yield* recordAll(records, 20, 21)
          const table = yield* records.load
          const left = Array.from({ length: 21 }, (_, number) => number).filter((number) =>
            knows(table, number)
          )
          assert.deepStrictEqual(left, [0, 1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 15, 16, 17, 18, 19, 20])
        })
      )
      assert.strictEqual((yield* loadAnew(world)).count, 17)
    })
  )

  it.effect("a full disk fails no upload, keeps the records in memory, and is told by flush", () =>
    Effect.gen(function* () {
      const world = yield* newDisk
      yield* inProgram(world)(
        Effect.gen(function* () {
          const records = yield* open
          world.disk.isReadOnly = true
          yield* recordAll(records, 0, 5000)
          const error = yield* Effect.flip(records.flush)
          assert.instanceOf(error, FilesError)
          assert.strictEqual(error.reason, "ReadOnlyFileSystem")
          assert.strictEqual(knownOf(yield* records.load, 5000), 5000)
          world.disk.isReadOnly = false
          yield* records.flush
          assert.strictEqual(knownOf(yield* loadAnew(world), 5000), 5000)
        })
      )
    })
  )
})
