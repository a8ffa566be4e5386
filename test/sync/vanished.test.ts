import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as GroupFilter from "../../src/sync/GroupFilter.ts"
import * as SyncSummary from "../../src/sync/SyncSummary.ts"
import { inStore, play, Scene, snapshotOf, snapshotsOf, type Store } from "./scene.ts"

const removeVanished = true

const forget = (store: Store, group: string, ...days: ReadonlyArray<number>) =>
  inStore(store, (opened) =>
    Effect.forEach(days, (day) => opened.forget(Namespace.root, snapshotOf(group, day)), { discard: true })
  )

const protect = (store: Store, group: string, day: number) =>
  inStore(store, ({ hierarchy }) => hierarchy.setProtected(Namespace.root, snapshotOf(group, day), true))

const namespacesOf = (store: Store) => inStore(store, ({ hierarchy }) => hierarchy.namespaces(Namespace.root))

describe("removing what vanished", () => {
  for (const kind of ["folder", "bucket"] as const) {
    it(`takes snapshots and groups out of a ${kind}, and leaves what is protected`, () => {
      const scene = new Scene("folder", kind)
      play(
        Effect.gen(function* () {
          yield* scene.backUpDays(scene.source, "vm/100", [["a"], ["b"], ["c"], ["d"]])
          yield* scene.backUpDays(scene.source, "vm/101", [["e"], ["f"]])
          yield* scene.backUpDays(scene.source, "vm/102", [["g"]])
          yield* scene.sync()
          yield* protect(scene.target, "vm/100", 1)
          yield* protect(scene.target, "vm/101", 1)
          yield* forget(scene.source, "vm/100", 0, 1)
          yield* forget(scene.source, "vm/101", 0, 1)
          yield* forget(scene.source, "vm/102", 0)
          assert.deepStrictEqual((yield* scene.sync()).removed, { groups: 0, snapshots: 0, namespaces: 0 })
          const planned = yield* scene.plan({ removeVanished })
          assert.strictEqual(planned.totals.removedSnapshots, 3)
          const summary = yield* scene.sync({ removeVanished })
          assert.isTrue(SyncSummary.isComplete(summary))
          assert.deepStrictEqual(summary.removed, { groups: 1, snapshots: 3, namespaces: 0 })
          assert.deepStrictEqual(yield* snapshotsOf(scene.target), [
            "vm/100@1 p",
            "vm/100@2",
            "vm/100@3",
            "vm/101@1 p"
          ])
        })
      )
    })

    it(`takes namespaces out of a ${kind}, children first, when nothing is left in them`, () => {
      const scene = new Scene("folder", kind)
      play(
        Effect.gen(function* () {
          const input = { day: 0, texts: ["a"] }
          yield* scene.backUp(scene.source, { ...input, group: "vm/1", namespace: "keep" })
          yield* scene.backUp(scene.target, { ...input, group: "vm/2", namespace: "old/deep/er" })
          yield* scene.backUp(scene.target, { ...input, group: "vm/3", namespace: "mixed" })
          const other = AuthId.parse("other@pbs")
          yield* scene.backUp(scene.target, { ...input, group: "ct/3", namespace: "mixed", owner: other })
          const { removed } = yield* scene.sync({ removeVanished })
          assert.deepStrictEqual(removed, { groups: 2, snapshots: 2, namespaces: 3 })
          assert.deepStrictEqual(
            yield* namespacesOf(scene.target),
            ["", "keep", "mixed"].map(Namespace.parse)
          )
          assert.deepStrictEqual(yield* snapshotsOf(scene.target, "mixed"), ["ct/3@0"])
          yield* scene.backUp(scene.target, { ...input, group: "vm/9", namespace: "old/deep/er" })
          assert.strictEqual((yield* snapshotsOf(scene.target, "old/deep/er")).length, 1)
        })
      )
    })
  }

  it("takes nothing that filters of snapshots pass over, or that is in progress", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/100", [["a"], ["b"]])
        yield* scene.sync()
        for (const filter of [{ verifiedOnly: true }, { encryptedOnly: true }]) {
          const { groups, removed } = yield* scene.sync({ removeVanished, ...filter })
          assert.strictEqual(removed.snapshots, 0)
          const reason = "verifiedOnly" in filter ? "not verified" : "not encrypted"
          assert.deepStrictEqual(groups[0]?.skipped, { [reason]: 2 })
        }
        scene.source.disk.unlink(`/source/vm/100/${snapshotOf("vm/100", 1).directory}/index.json.blob`, 0)
        assert.strictEqual((yield* scene.sync({ removeVanished })).removed.snapshots, 0)
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0", "vm/100@1"])
      })
    )
  })

  it("takes only groups that the filters of groups take, and that are the owner's", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.target, "vm/100", [["a"]])
        yield* scene.backUpDays(scene.target, "ct/100", [["b"]])
        const other = AuthId.parse("other@pbs")
        yield* scene.backUp(scene.target, { group: "vm/101", day: 0, texts: ["c"], owner: other })
        const groupFilters = [GroupFilter.parse("type:vm")]
        const { removed } = yield* scene.sync({ removeVanished, groupFilters })
        assert.strictEqual(removed.groups, 1)
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["ct/100@0", "vm/101@0"])
      })
    )
  })

  it("stays within the namespaces that are synced", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        const input = { day: 0, texts: ["a"] }
        yield* scene.backUp(scene.source, { ...input, group: "vm/1", namespace: "from" })
        for (const namespace of ["to/gone", "to/gone/deep", "elsewhere", "top"]) {
          yield* scene.backUp(scene.target, { ...input, group: "vm/2", namespace })
        }
        const options = {
          sourceNamespace: Namespace.parse("from"),
          targetNamespace: Namespace.parse("to"),
          removeVanished,
          maxDepth: 1
        }
        yield* scene.sync(options)
        assert.deepStrictEqual(
          yield* namespacesOf(scene.target),
          ["", "elsewhere", "to", "top", "to/gone", "to/gone/deep"].map(Namespace.parse)
        )
        assert.deepStrictEqual(yield* snapshotsOf(scene.target, "to/gone"), [])
        assert.deepStrictEqual(yield* snapshotsOf(scene.target, "to"), ["vm/1@0"])
      })
    )
  })
})

describe("namespaces", () => {
  it("are mapped, and made where they are missing", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        const input = { day: 0, texts: ["a"], group: "vm/1" }
        yield* scene.backUp(scene.source, { ...input, namespace: "a" })
        yield* scene.backUp(scene.source, { ...input, namespace: "a/b/c" })
        yield* scene.backUp(scene.source, { ...input, namespace: "other" })
        yield* scene.sync({
          sourceNamespace: Namespace.parse("a"),
          targetNamespace: Namespace.parse("x/y"),
          maxDepth: 1
        })
        assert.deepStrictEqual(
          yield* namespacesOf(scene.target),
          ["", "x", "x/y", "x/y/b"].map(Namespace.parse)
        )
        assert.deepStrictEqual(yield* snapshotsOf(scene.target, "x/y"), ["vm/1@0"])
      })
    )
  })
})

describe("the owner of new groups", () => {
  it("is the sync's, not the source's", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        const other = AuthId.parse("other@pbs!token")
        yield* scene.backUp(scene.source, { group: "vm/1", day: 0, texts: ["a"], owner: other })
        yield* scene.sync()
        const found = yield* inStore(scene.target, ({ hierarchy }) =>
          hierarchy.owner(Namespace.root, BackupGroup.parse("vm/1"))
        )
        assert.strictEqual(found, "backup@pbs")
      })
    )
  })
})
