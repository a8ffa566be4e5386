/** The plan of a backup beside the backup: the same chunks, the same sizes, and nothing changed by planning. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Backup from "../../src/backup/Backup.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Untouched from "../../src/platform/Untouched.ts"
import { changesSince, stateOf } from "../platform/folderState.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { platform } from "../store/stores.ts"
import { chunkFiles, group, inStore, keyOf, newStore, noise, owner, sampleTree, writeAt } from "./stores.ts"

const untouched = Layer.provideMerge(Untouched.layer, platform)

/** As the program plans: with a machine on which nothing can be changed. */
const planIn = (base: string, options: Backup.BackupOptions) =>
  Effect.gen(function* () {
    const before = stateOf(base)
    const plan = yield* Backup.plan(options).pipe(
      Effect.scoped,
      Effect.provide(Layer.provideMerge(Datastore.layer({ path: base }), untouched))
    )
    assert.deepStrictEqual(changesSince(base, before), [])
    return plan
  })

/** What both say, without what depends on the moment. */
const comparable = ({ entries, files, statistics }: Backup.BackupSummary) => ({
  entries,
  files: files.map(({ csum, filename, sizeBytes }) =>
    filename.endsWith(".blob") ? { filename, sizeBytes } : { csum, filename, sizeBytes }
  ),
  statistics
})

const compare = (base: string, options: Backup.BackupOptions) =>
  Effect.gen(function* () {
    const plan = yield* planIn(base, options)
    const summary = yield* inStore(base)(Backup.run(options))
    assert.deepStrictEqual(comparable(plan), comparable(summary))
    assert.deepStrictEqual(plan.snapshot, summary.snapshot)
    assert.deepStrictEqual(plan.previous, summary.previous)
    assert.isUndefined(plan.cost)
    return plan
  })

const optionsFor = (root: string, image: string, time: number): Backup.BackupOptions => ({
  namespace: Namespace.root,
  group,
  owner,
  time,
  archives: [
    { kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: root },
    { kind: "image", archive: ArchiveName.fromClient("disk.img"), path: image },
    {
      kind: "blob",
      archive: ArchiveName.fromClient("a.conf"),
      content: Effect.succeed(Buffer.from("a = b\n".repeat(100)))
    }
  ]
})

const makeImage = (folder: string): string => {
  const image = join(folder, "disk")
  writeFileSync(image, Buffer.concat([noise("image", 5_000_000), Buffer.alloc(9_000_000, 7)]))
  return image
}

const changeDetections = ["legacy", "data", "metadata"] as const

describe("the plan of a backup", () => {
  for (const changeDetection of changeDetections) {
    it.live(`comes to what the backup does: ${changeDetection}`, () =>
      Effect.gen(function* () {
        const base = yield* newStore
        const root = yield* sampleTree
        const image = makeImage(yield* scratchFolder)
        const options = { ...optionsFor(root, image, 1_700_000_000), changeDetection }
        const first = yield* compare(base, options)
        assert.isAbove(first.statistics.newChunks, 3)
        assert.isBelow(first.statistics.storedBytes, first.statistics.newBytes)
        writeAt(join(root, "d1/changed"), noise("changed", 300_000), 1_650_000_000)
        const second = yield* compare(base, { ...options, time: 1_700_000_060 })
        assert.isAbove(second.statistics.reusedChunks, 0)
        assert.isAbove(second.statistics.newChunks, 0)
        if (changeDetection === "metadata") assert.isAbove(second.entries.reusedFiles, 0)
        if (changeDetection !== "legacy") return
        const other = { ...options, time: 1_700_000_120, reusePrevious: false }
        const third = yield* compare(base, other)
        assert.isAbove(third.statistics.duplicateChunks, 0)
      }).pipe(Effect.scoped)
    )
  }

  it.live("is the same with a key", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const image = makeImage(yield* scratchFolder)
      const key = { crypt: keyOf(1), mode: "encrypt" } as const
      const options = { ...optionsFor(root, image, 1_700_000_000), key }
      const { statistics } = yield* compare(base, options)
      assert.isAbove(statistics.storedBytes, 0)
    }).pipe(Effect.scoped)
  )

  it.live("fails as the backup would, and marks nothing", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const image = makeImage(yield* scratchFolder)
      const options = optionsFor(root, image, 1_700_000_000)
      const foreign = { ...options, owner: AuthId.parse("someone@pam") }
      yield* inStore(base)(Backup.run(options))
      const fail = (changed: Partial<Backup.BackupOptions>) =>
        Effect.flip(planIn(base, { ...options, time: 1_700_000_060, ...changed }))
      assert.include((yield* fail(foreign)).message, "belongs to root@pam")
      assert.deepInclude(yield* fail({ time: 1_600_000_000 }), { reason: "SnapshotExists" })
      assert.deepInclude(yield* fail({ namespace: Namespace.parse("none") }), { reason: "NoSuchNamespace" })
      rmSync(chunkFiles(base)[0] ?? "")
      const missing = yield* fail({})
      assert.deepInclude(missing, { _tag: "KnownChunkMissing", count: 1, isMarked: false })
    }).pipe(Effect.scoped)
  )

  it.live("can be made in an empty group of an empty store, of many at once", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const image = makeImage(yield* scratchFolder)
      const options = optionsFor(root, image, 1_700_000_000)
      const plans = yield* Effect.forEach([1, 2, 3], () => planIn(base, options), { concurrency: 3 })
      const [first] = plans
      for (const plan of plans) {
        assert.deepStrictEqual(plan.statistics, first?.statistics)
        assert.isUndefined(plan.previous)
      }
      assert.isFalse(readdirSync(base).includes("host"))
    }).pipe(Effect.scoped)
  )
})
