/** What a pull does to snapshots that are there already. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import { counting } from "./hooked.ts"
import {
  assertSame,
  digestOfText,
  inStore,
  play,
  Scene,
  snapshotOf,
  snapshotsOf,
  type Store
} from "./scene.ts"

const group = "vm/100"

const withNotes = (store: Store, day: number, notes: string) =>
  inStore(store, ({ snapshotFiles }) =>
    snapshotFiles.updateManifest(Namespace.root, snapshotOf(group, day), (manifest) =>
      ManifestNotes.withNotes(manifest, notes)
    )
  )

const verified = (store: Store, day: number, state: "ok" | "failed") =>
  inStore(store, ({ snapshotFiles }) =>
    snapshotFiles.updateManifest(Namespace.root, snapshotOf(group, day), (manifest) =>
      ManifestNotes.withVerifyState(manifest, { state, upid: "UPID:x" })
    )
  )

const manifestOf = (store: Store, day: number) =>
  inStore(store, ({ snapshotFiles }) => snapshotFiles.manifest(Namespace.root, snapshotOf(group, day)))

const writeLog = (store: Store, day: number, text: string) =>
  inStore(store, ({ snapshotFiles }) =>
    snapshotFiles.write(Namespace.root, snapshotOf(group, day), ArchiveName.clientLogFile, Buffer.from(text))
  )

const twoDays = (scene: Scene) =>
  Effect.andThen(scene.backUpDays(scene.source, group, [["a"], ["a", "b"]]), scene.sync())

describe("the newest snapshot", () => {
  for (const kind of ["folder", "bucket"] as const) {
    it(`gets notes and the client's log that came later, in a ${kind}`, () => {
      const scene = new Scene("folder", kind)
      play(
        Effect.gen(function* () {
          yield* twoDays(scene)
          yield* withNotes(scene.source, 1, "new words")
          yield* writeLog(scene.source, 1, "the log")
          const { around, read } = counting()
          const { counts } = yield* scene.sync({}, around)
          assert.isEmpty(read)
          assert.deepInclude(counts, { checkedSnapshots: 1, copiedSnapshots: 0, chunks: 0 })
          yield* assertSame(scene)
        })
      )
    })
  }

  it("keeps what the target's own verification said, and its protection", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* twoDays(scene)
        yield* inStore(scene.target, ({ hierarchy }) =>
          hierarchy.setProtected(Namespace.root, snapshotOf(group, 1), true)
        )
        yield* verified(scene.target, 1, "failed")
        yield* verified(scene.source, 1, "ok")
        yield* withNotes(scene.source, 1, "new words")
        yield* scene.sync()
        const manifest = yield* manifestOf(scene.target, 1)
        assert.strictEqual(ManifestNotes.notes(manifest), "new words")
        assert.strictEqual(ManifestNotes.verifyState(manifest)?.state, "failed")
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0", "vm/100@1 p"])
        const { counts } = yield* scene.sync()
        assert.strictEqual(counts.files, 0)
      })
    )
  })

  it("alone is looked at: older ones stay as they are, and so does all after a push", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* twoDays(scene)
        yield* withNotes(scene.source, 0, "old words")
        yield* withNotes(scene.source, 1, "new words")
        yield* scene.sync({ direction: "push" })
        assert.isUndefined(ManifestNotes.notes(yield* manifestOf(scene.target, 1)))
        yield* scene.sync()
        assert.isUndefined(ManifestNotes.notes(yield* manifestOf(scene.target, 0)))
        assert.strictEqual(ManifestNotes.notes(yield* manifestOf(scene.target, 1)), "new words")
      })
    )
  })
})

describe("resync-corrupt", () => {
  const resyncCorrupt = true

  for (const kind of ["folder", "bucket"] as const) {
    it(`brings back what verification condemned in a ${kind}, and keeps protection`, () => {
      const scene = new Scene("folder", kind)
      play(
        Effect.gen(function* () {
          yield* twoDays(scene)
          scene.target.damageChunk("a")
          const { digest } = { digest: digestOfText("a") }
          yield* inStore(scene.target, ({ chunks, hierarchy }) =>
            Effect.andThen(
              chunks.condemn({ digest, sizeBytes: undefined, crypt: undefined }),
              hierarchy.setProtected(Namespace.root, snapshotOf(group, 0), true)
            )
          )
          yield* verified(scene.target, 0, "failed")
          assert.strictEqual((yield* scene.sync()).counts.copiedSnapshots, 0)
          const { around, read } = counting()
          const summary = yield* scene.sync({ resyncCorrupt }, around)
          assert.deepStrictEqual(read, [digest])
          assert.strictEqual(summary.counts.copiedSnapshots, 1)
          assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0 p", "vm/100@1"])
          yield* inStore(scene.target, ({ hierarchy }) =>
            hierarchy.setProtected(Namespace.root, snapshotOf(group, 0), false)
          )
          yield* assertSame(scene)
        })
      )
    })
  }

  it("repairs a manifest that cannot be read, and removes files that it does not name", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* twoDays(scene)
        const folder = `/target/vm/100/${snapshotOf(group, 0).directory}`
        scene.target.disk.put(`${folder}/index.json.blob`, Buffer.from("nonsense"))
        scene.target.disk.create(`${folder}/other.conf.blob`, 0o644, 0)
        yield* scene.sync({ resyncCorrupt })
        yield* assertSame(scene)
      })
    )
  })

  it("that fails leaves the target's snapshot there", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* twoDays(scene)
        yield* verified(scene.target, 0, "failed")
        scene.source.disk.put(
          `/source/vm/100/${snapshotOf(group, 0).directory}/a.pxar.didx`,
          Buffer.from("x")
        )
        const summary = yield* scene.sync({ resyncCorrupt })
        assert.strictEqual(summary.failedGroups, 1)
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0", "vm/100@1"])
      })
    )
  })
})

describe("the snapshot's own proof", () => {
  it("brings chunks again that somebody removes while the sync runs", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, group, [["a", "b", "last"]])
        const digest = digestOfText("a")
        const path = `/target/.chunks/${digest.slice(0, 4)}/${digest}`
        let isRemoved = false
        const { counts } = yield* scene.sync({ pipelining: "off" }, (source) => ({
          ...source,
          openSnapshot: (namespace, snapshot) =>
            Effect.map(source.openSnapshot(namespace, snapshot), (opened) => ({
              ...opened,
              chunk: (wanted) =>
                Effect.suspend(() => {
                  if (wanted === digestOfText("last") && !isRemoved) {
                    isRemoved = true
                    scene.target.disk.unlink(path, 0)
                  }
                  return opened.chunk(wanted)
                })
            }))
        }))
        assert.isTrue(isRemoved)
        assert.strictEqual(counts.chunks, 4)
        yield* assertSame(scene)
      })
    )
  })
})
