/** Whatever is asked of the tree in whatever order, it answers as the folder that it was made from. */
import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  symlinkSync,
  truncateSync
} from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as Backup from "../../src/backup/Backup.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import type { Vfs } from "../../src/vfs/Vfs.ts"
import * as VfsLayer from "../../src/vfs/VfsLayer.ts"
import * as backups from "../backup/stores.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { find, inMemoryStore, listIn, pathOf } from "./trees.ts"

type Operations = Vfs["Service"]

const files: Readonly<Record<string, number>> = {
  "a/empty": 0,
  "a/small": 100,
  "a/b/medium": 70_001,
  "a/b/large": 9_000_000,
  "c/one": 1,
  "c/two": 300_000,
  top: 5_000
}

const folders = ["", "a", "a/b", "c"]

const makeTree = (root: string): void => {
  for (const [path, sizeBytes] of Object.entries(files)) {
    backups.writeAt(join(root, path), backups.noise(path, sizeBytes), 1_650_000_000 + sizeBytes)
  }
  for (let index = 0; index < 300; index++)
    backups.writeAt(join(root, "many", `f${index}`), String(index), index)
  symlinkSync("a/b", join(root, "link"))
  mkdirSync(join(root, "nothing"))
}

const sourceRead = (path: string, offset: number, lengthBytes: number): Buffer => {
  const fd = openSync(path, "r")
  const buffer = Buffer.alloc(Math.max(0, Math.min(lengthBytes, fstatSync(fd).size - offset)))
  readSync(fd, buffer, 0, buffer.length, offset)
  closeSync(fd)
  return buffer
}

type Step =
  | {
      readonly kind: "read"
      readonly file: string
      readonly place: number
      readonly lengthBytes: number
      readonly times: number
    }
  | { readonly kind: "list"; readonly folder: string }
  | { readonly kind: "stat"; readonly path: string }
  | { readonly kind: "up"; readonly folder: string }

const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("read" as const),
    file: fc.constantFrom(...Object.keys(files)),
    // Around both ends, and anywhere between.
    place: fc.oneof(fc.constantFrom(0, 0.999999, 1), fc.double({ min: 0, max: 1.01, noNaN: true })),
    lengthBytes: fc.oneof(fc.constantFrom(0, 1, 4096, 131_072), fc.nat(2_000_000)),
    times: fc.integer({ min: 1, max: 4 })
  }),
  fc.record({ kind: fc.constant("list" as const), folder: fc.constantFrom(...folders, "many", "nothing") }),
  fc.record({
    kind: fc.constant("stat" as const),
    path: fc.constantFrom(
      ...Object.keys(files),
      ...folders,
      "many/f7",
      "link",
      "no/such",
      "top/x",
      "a/nothing"
    )
  }),
  fc.record({ kind: fc.constant("up" as const), folder: fc.constantFrom(...folders) })
)

const run = (vfs: Operations, base: string, source: string, step: Step) =>
  Effect.gen(function* () {
    if (step.kind === "read") {
      const { inode, sizeBytes } = yield* find(vfs, `${base}/${step.file}`)
      let offset = Math.floor(step.place * sizeBytes)
      for (let count = 0; count < step.times; count++) {
        const expected = sourceRead(join(source, step.file), offset, step.lengthBytes)
        const found = yield* vfs.read(inode, offset, step.lengthBytes)
        assert.isTrue(expected.equals(found), `${step.file} at ${offset}, ${step.lengthBytes} bytes`)
        const isInside = offset < sizeBytes
        assert.strictEqual(yield* vfs.seek(inode, offset, "data"), isInside ? offset : undefined)
        assert.strictEqual(yield* vfs.seek(inode, offset, "hole"), isInside ? sizeBytes : undefined)
        offset += step.lengthBytes
      }
    } else if (step.kind === "list") {
      const { inode } = yield* find(vfs, `${base}/${step.folder}`)
      const names = (yield* listIn(vfs, inode)).map(({ name }) => Buffer.from(name).toString())
      assert.isDefined(vfs.listNow(inode))
      assert.deepStrictEqual(names.toSorted(), readdirSync(join(source, step.folder)).toSorted())
    } else if (step.kind === "up") {
      const { inode } = yield* find(vfs, `${base}/${step.folder}`)
      const above = step.folder === "" ? join(base, "..") : join(base, step.folder, "..")
      assert.strictEqual(yield* vfs.parent(inode), (yield* find(vfs, above)).inode)
    } else {
      const stat =
        step.path === "top/x" ? undefined : lstatSync(join(source, step.path), { throwIfNoEntry: false })
      const found = yield* Effect.result(find(vfs, `${base}/${step.path}`))
      if (found._tag === "Failure" || stat === undefined) {
        assert.strictEqual(found._tag, "Failure")
        const reason = found._tag === "Failure" ? found.failure.reason : ""
        return assert.strictEqual(reason, step.path === "top/x" ? "NotADirectory" : "NotFound")
      }
      assert.strictEqual(found.success.mode, stat.mode)
      if (stat.isFile()) assert.strictEqual(found.success.sizeBytes, stat.size)
    }
  })

describe("the tree of a backup", () => {
  for (const changeDetection of ["legacy", "data"] as const) {
    it.live(
      `answers like the folder it was made from (${changeDetection})`,
      () =>
        Effect.gen(function* () {
          const source = yield* scratchFolder
          makeTree(source)
          yield* inMemoryStore(() =>
            Effect.gen(function* () {
              const { summary } = yield* backups.backUp(source, { changeDetection })
              // Two chunks' worth: hardly anything that is read stays.
              const vfs = yield* VfsLayer.make({ cacheBytes: 9 * 1024 * 1024 })
              const base = `${pathOf(summary.snapshot)}/root.pxar`
              yield* Effect.promise(() =>
                fc.assert(
                  fc.asyncProperty(
                    fc.array(fc.array(steps, { maxLength: 6 }), { minLength: 1, maxLength: 4 }),
                    (actors) =>
                      Effect.runPromise(
                        Effect.forEach(
                          actors,
                          (own) => Effect.forEach(own, (step) => run(vfs, base, source, step)),
                          { concurrency: "unbounded", discard: true }
                        )
                      )
                  ),
                  { numRuns: 60 }
                )
              )
            })
          )
        }),
      300_000
    )
  }

  it.live("shows an image with its holes", () =>
    Effect.gen(function* () {
      const folder = yield* scratchFolder
      const path = join(folder, "disk")
      const chunkBytes = 4 * 1024 * 1024
      const data = backups.noise("disk", chunkBytes)
      backups.writeAt(path, Buffer.concat([data, Buffer.alloc(2 * chunkBytes), data.subarray(0, 1000)]), 0)
      truncateSync(path, 4 * chunkBytes)
      yield* inMemoryStore(() =>
        Effect.gen(function* () {
          const { snapshot } = yield* Backup.run({
            namespace: Namespace.root,
            group: backups.group,
            owner: backups.owner,
            time: 1_700_000_000,
            archives: [{ kind: "image", archive: ArchiveName.fromClient("disk.img"), path }]
          })
          const vfs = yield* VfsLayer.make({ root: { snapshot, archive: "disk.img" } })
          const { blocks, inode, sizeBytes } = yield* find(vfs, "disk.img")
          assert.strictEqual(sizeBytes, 4 * chunkBytes)
          assert.strictEqual(blocks, (2 * chunkBytes) / 512)
          assert.strictEqual(yield* vfs.seek(inode, 5, "hole"), chunkBytes)
          assert.strictEqual(yield* vfs.seek(inode, chunkBytes, "data"), 3 * chunkBytes)
          const around = yield* vfs.read(inode, 3 * chunkBytes - 10, 20)
          assert.isTrue(Buffer.concat([Buffer.alloc(10), data.subarray(0, 10)]).equals(around))
          assert.strictEqual(vfs.root.kind, "directory")
          assert.strictEqual(yield* vfs.parent(1n), 1n)
        })
      )
    })
  )
})
