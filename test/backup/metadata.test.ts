/** Metadata change detection through whole backups: what is reused, what is not, and that nothing is lost. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { BackupSummary } from "../../src/backup/Backup.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import {
  assertVerified,
  backUp,
  chunkFileOf,
  differences,
  inStore,
  keyOf,
  newStore,
  noise,
  removeChunk,
  sampleTree,
  writeAt
} from "./stores.ts"

const pathIn = (base: string, { snapshot }: BackupSummary, file: string): string =>
  join(base, "host/test", Snapshot.format(snapshot).split("/")[2] ?? "", file)

const indexIn = (base: string, summary: BackupSummary, file: string): DynamicIndex.DynamicIndex =>
  DynamicIndex.decode(readFileSync(pathIn(base, summary, file)))

const reusedOf = ({ entries }: BackupSummary) => [entries.reusedFiles, entries.files]

describe("metadata change detection", () => {
  it.live("does not read what has not changed, and stores what has", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      yield* inStore(base)(
        Effect.gen(function* () {
          const first = yield* backUp(root)
          assert.deepStrictEqual(reusedOf(first.summary), [0, 40])
          const second = yield* backUp(root)
          assert.deepStrictEqual(reusedOf(second.summary), [40, 40])
          assert.strictEqual(second.summary.entries.reusedBytes, second.summary.entries.contentBytes)
          assert.deepStrictEqual(second.warnings, [])
          // The markers of the payload stream are new chunks; the entries differ in where contents stand.
          assert.isBelow(second.summary.statistics.newBytes, 10_000)
          assert.deepStrictEqual(yield* differences(second.summary.snapshot, root), [])

          // Same size, same time: nobody who does not read it can tell.
          writeAt(join(root, "d0/file12"), noise("secret", 12 * 3500), 1_600_000_000)
          const fooled = yield* backUp(root)
          assert.deepStrictEqual(reusedOf(fooled.summary), [40, 40])
          assert.deepStrictEqual(yield* differences(fooled.summary.snapshot, root), [
            `d0/file12: content: byte 0 / another one`
          ])
          const whole = yield* backUp(root, { changeDetection: "data" })
          assert.deepStrictEqual(reusedOf(whole.summary), [0, 40])
          assert.deepStrictEqual(yield* differences(whole.summary.snapshot, root), [])
          yield* assertVerified()
        })
      )
    })
  )

  it.live("stores trees as they are after changes of every kind, generation after generation", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const at = (path: string): string => join(root, path)
      const changes: ReadonlyArray<() => void> = [
        () => undefined,
        () => writeAt(at("d1/file13"), noise("new", 13 * 3500), 1_600_000_001),
        () => rmSync(at("d2/file14")),
        () => chmodSync(at("d3/file15"), 0o600),
        () => renameSync(at("d0/file16"), at("d2/renamed")),
        () => linkSync(at("d0/file20"), at("a-link")),
        () => writeAt(at("d1/file17x"), noise("added", 2_000_000), 1_600_000_002),
        () => {
          rmSync(at("d1/file21"))
          mkdirSync(at("d1/file21"))
          writeAt(at("d1/file21/inside"), "small", 1_600_000_003)
        },
        () => linkSync(at("d1/file25"), at("z-link")),
        () => rmSync(at("a-link"))
      ]
      yield* inStore(base)(
        Effect.gen(function* () {
          let reused = 0
          for (const change of changes) {
            change()
            const { summary, warnings } = yield* backUp(root)
            assert.deepStrictEqual(warnings, [])
            assert.deepStrictEqual(yield* differences(summary.snapshot, root), [])
            reused += summary.entries.reusedFiles
          }
          assert.isAbove(reused, 150)
          yield* assertVerified()
        })
      )
    })
  )

  it.live("reads again what was in a chunk that is gone, and stores it again", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const first = yield* inStore(base)(backUp(root))
      const index = indexIn(base, first.summary, "root.ppxar.didx")
      assert.isAbove(index.count, 1)
      const digest = index.digest(1)
      removeChunk(base, digest)
      // Proving all that is known before it is used would have failed this backup.
      const second = yield* inStore(base)(backUp(root, { knownChunks: "finish" }))
      const { entries, snapshot } = second.summary
      assert.deepStrictEqual(second.warnings, [
        `root.pxar: chunk ${digest} of the previous snapshot is gone: what was in it is read again`
      ])
      assert.strictEqual(entries.warnings, 1)
      assert.isAbove(entries.reusedFiles, 0)
      assert.isBelow(entries.reusedFiles, 40)
      yield* inStore(base)(
        Effect.gen(function* () {
          assert.deepStrictEqual(yield* differences(snapshot, root), [])
          const third = yield* backUp(root)
          assert.deepStrictEqual(third.warnings, [])
          assert.deepStrictEqual(yield* differences(third.summary.snapshot, root), [])
        })
      )
    })
  )

  it.live("reads everything when the previous archive is damaged, and says so", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const damaged = /^root\.pxar: the previous snapshot cannot be compared with/
      const first = yield* inStore(base)(backUp(root))
      const entries = indexIn(base, first.summary, "root.mpxar.didx").digest(0)
      writeFileSync(chunkFileOf(base, entries), "no chunk")
      const second = yield* inStore(base)(backUp(root))
      assert.strictEqual(second.warnings.length, 1)
      assert.match(second.warnings[0]!, damaged)
      assert.deepStrictEqual(reusedOf(second.summary), [0, 40])
      // The same entries come to the same chunk, which is stored anew beside the condemned one.
      assert.deepStrictEqual(yield* inStore(base)(differences(second.summary.snapshot, root)), [])
    })
  )

  it.live("reads everything when an index of the previous snapshot is not the one it names", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const first = yield* inStore(base)(backUp(root))
      const file = pathIn(base, first.summary, "root.ppxar.didx")
      const bytes = readFileSync(file)
      bytes[bytes.length - 1]! ^= 1
      writeFileSync(file, bytes)
      const second = yield* inStore(base)(backUp(root))
      assert.match(
        second.warnings.join(),
        /cannot be compared with: root.ppxar.didx: the index is not the one/
      )
      assert.deepStrictEqual(reusedOf(second.summary), [0, 40])
      assert.deepStrictEqual(yield* inStore(base)(differences(second.summary.snapshot, root)), [])
    })
  )

  it.live("builds on a snapshot of the same key only, of the same mode only, and on none when told so", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      const root = yield* sampleTree
      const encrypt = (byte: number) => ({ key: { crypt: keyOf(byte), mode: "encrypt" } }) as const
      const sign = (byte: number) => ({ key: { crypt: keyOf(byte), mode: "sign-only" } }) as const
      const steps = [
        [{}, 0],
        [encrypt(1), 0],
        [encrypt(1), 40],
        [encrypt(2), 0],
        [sign(2), 0],
        [sign(2), 40],
        [sign(3), 0],
        [{}, 0],
        [{}, 40],
        [{ reusePrevious: false }, 0],
        [{ changeDetection: "legacy" }, 0],
        [{}, 0]
      ] as const
      for (const [options, reused] of steps) {
        const { summary, warnings } = yield* inStore(base)(backUp(root, options))
        assert.deepStrictEqual(reusedOf(summary), [reused, 40], JSON.stringify(options))
        assert.deepStrictEqual(warnings, [])
        const crypt = "key" in options ? options.key.crypt : undefined
        assert.deepStrictEqual(yield* inStore(base)(differences(summary.snapshot, root, crypt)), [])
      }
    })
  )
})
