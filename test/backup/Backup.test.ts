/** Backup.run: archives of every kind in one snapshot, what it reports, and what it leaves when it fails. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { join } from "node:path"
import * as ByteSource from "../../src/backup/ByteSource.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import { scratchFolder } from "../platform/scratch.ts"
import {
  assertVerified,
  backUp,
  differences,
  inStore,
  newStore,
  noise,
  restoreFile,
  sampleTree
} from "./stores.ts"

const name = ArchiveName.fromClient
const mebibyte = 1024 * 1024

/** Data at both ends of a large hole. */
const writeImage = (path: string): void => {
  const fd = openSync(path, "w")
  writeSync(fd, noise("front", 5 * mebibyte), 0)
  writeSync(fd, "end", 40 * mebibyte)
  ftruncateSync(fd, 41 * mebibyte + 5)
  closeSync(fd)
}

describe("Backup.run", () => {
  it.live("stores archives of every kind in one snapshot", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const folder = yield* scratchFolder
      const image = join(folder, "disk")
      writeImage(image)
      const dump = noise("dump", 3 * mebibyte)
      yield* inStore(base)(
        Effect.gen(function* () {
          const source = yield* ByteSource.fromStream(
            Stream.fromIterable([dump.subarray(0, 1000), dump.subarray(1000)])
          )
          const { events, summary, warnings } = yield* backUp(root, {
            changeDetection: "legacy",
            archives: [
              { kind: "directory", archive: name("root.pxar"), path: root },
              { kind: "image", archive: name("disk.img"), path: image },
              { kind: "stream", archive: name("dump.img"), source },
              { kind: "blob", archive: name("a.conf"), content: Effect.succeed(Buffer.from("a = 1")) }
            ]
          })
          const { entries, files, snapshot } = summary
          assert.deepStrictEqual(
            files.map(({ filename }) => filename),
            ["root.pxar.didx", "disk.img.fidx", "dump.img.fidx", "a.conf.blob", "catalog.pcat1.didx"]
          )
          assert.deepStrictEqual(warnings, [])
          assert.deepInclude(entries, { files: 40, directories: 5, reusedFiles: 0 })
          assert.deepStrictEqual(yield* differences(snapshot, root), [])
          assert.strictEqual(Buffer.compare(yield* restoreFile(snapshot, "disk.img"), readFileSync(image)), 0)
          assert.strictEqual(Buffer.compare(yield* restoreFile(snapshot, "dump.img"), dump), 0)
          assert.strictEqual((yield* restoreFile(snapshot, "a.conf")).toString(), "a = 1")
          yield* assertVerified()

          for (const subject of ["root.pxar", "disk.img", "dump.img"]) {
            const told = events.filter((event) => event.type === "progress" && event.subject === subject)
            const done = told.map((event) => (event.type === "progress" ? event.done : 0))
            assert.deepStrictEqual(
              done,
              done.toSorted((left, right) => left - right)
            )
            assert.deepInclude(told[0], { state: "started", done: 0 })
            const client = name(subject).file
            const { sizeBytes } = files.find(({ filename }) => filename === client)!
            assert.deepInclude(told.at(-1), { state: "ended", done: sizeBytes })
          }
        })
      )
    })
  )

  it.live("knows the chunks of the snapshot before, and finds those of other groups", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      yield* inStore(base)(
        Effect.gen(function* () {
          const first = yield* backUp(root, { changeDetection: "legacy" })
          const again = yield* backUp(root, { changeDetection: "legacy" })
          const { reusedBytes, sizeBytes } = again.summary.statistics
          assert.strictEqual(reusedBytes, sizeBytes)
          assert.deepStrictEqual(again.summary.previous, first.summary.snapshot)
          const untrusting = yield* backUp(root, { changeDetection: "legacy", reusePrevious: false })
          assert.strictEqual(untrusting.summary.statistics.duplicateBytes, sizeBytes)
          assert.strictEqual(untrusting.summary.statistics.newBytes, 0)
        })
      )
    })
  )

  it.live("tells how far it is when contents are taken over", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      yield* inStore(base)(
        Effect.gen(function* () {
          yield* backUp(root)
          const { events, summary } = yield* backUp(root)
          const last = events.findLast((event) => event.type === "progress")
          const payload = summary.files.find(({ filename }) => filename === "root.ppxar.didx")
          assert.deepInclude(last, { state: "ended", done: payload!.sizeBytes })
          assert.deepInclude(last?.type === "progress" ? last.counts : {}, {
            files: 40,
            "reused-files": 40,
            "reused-bytes": summary.statistics.reusedBytes
          })
        })
      )
    })
  )

  it.live("leaves no trace when an archive fails", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const missing = join(root, "nothing")
      yield* inStore(base)(
        Effect.gen(function* () {
          const failed = yield* Effect.flip(
            backUp(root, {
              archives: [
                { kind: "directory", archive: name("root.pxar"), path: root },
                { kind: "image", archive: name("disk.img"), path: missing }
              ]
            })
          )
          assert.include(failed.message, missing)
          assert.isFalse(existsSync(join(base, "host/test")))
          writeFileSync(missing, "")
          const twice = backUp(root, {
            archives: [
              { kind: "directory", archive: name("root.pxar"), path: root },
              { kind: "directory", archive: name("root.pxar"), path: root }
            ]
          })
          assert.include((yield* Effect.flip(twice)).message, "named twice")
          assert.isFalse(existsSync(join(base, "host/test")))
        })
      )
    })
  )
})
