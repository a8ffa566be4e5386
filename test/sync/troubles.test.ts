import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as AuthId from "../../src/model/AuthId.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as DatastoreSource from "../../src/sync/DatastoreSource.ts"
import * as DatastoreTarget from "../../src/sync/DatastoreTarget.ts"
import { syncError } from "../../src/sync/SyncError.ts"
import * as SyncJob from "../../src/sync/SyncJob.ts"
import type { SyncOptions } from "../../src/sync/SyncOptions.ts"
import type { SyncSummary } from "../../src/sync/SyncSummary.ts"
import { hooked } from "./hooked.ts"
import {
  assertSame,
  contentsOf,
  digestOfText,
  failureOf,
  inStore,
  owner,
  play,
  Scene,
  snapshotOf,
  snapshotsOf
} from "./scene.ts"

const errorsOf = ({ groups }: SyncSummary): ReadonlyArray<string> =>
  groups.flatMap(({ error }) => (error === undefined ? [] : [error.message]))

const folderOf = (store: string, group: string, day: number): string =>
  `/${store}/${group}/${snapshotOf(group, day).directory}`

describe("what is wrong on the source", () => {
  for (const kind of ["folder", "bucket"] as const) {
    it(`a corrupt chunk in a ${kind} fails its group there, and the others go on`, () => {
      const scene = new Scene(kind)
      play(
        Effect.gen(function* () {
          yield* scene.backUpDays(scene.source, "vm/100", [["a"], ["a", "bad"], ["c"]])
          yield* scene.backUp(scene.source, { group: "vm/101", day: 0, texts: ["d"] })
          scene.source.damageChunk("bad")
          const summary = yield* scene.sync()
          assert.strictEqual(summary.failedGroups, 1)
          const [error = ""] = errorsOf(summary)
          assert.match(error, /^source.*vm\/100\/2026-01-02T00:00:00Z a.pxar.didx: chunk/)
          assert.include(error, digestOfText("bad"))
          assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0", "vm/101@0"])
        })
      )
    })
  }

  it("a corrupt chunk does not touch the target's good copy", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/100", [["a", "shared"]])
        yield* scene.sync()
        yield* scene.backUp(scene.source, { group: "vm/100", day: 1, texts: ["shared", "new"] })
        scene.source.damageChunk("shared")
        const before = yield* contentsOf(scene.target)
        const summary = yield* scene.sync()
        assert.isEmpty(errorsOf(summary))
        const after = yield* contentsOf(scene.target)
        assert.isEmpty(before.filter((line) => !after.includes(line)))
      })
    )
  })

  it("a chunk that is missing is told as that", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/100", [["a", "gone"]])
        const digest = digestOfText("gone")
        scene.source.disk.unlink(`/source/.chunks/${digest.slice(0, 4)}/${digest}`, 0)
        assert.match(errorsOf(yield* scene.sync())[0] ?? "", /didx: it is missing: .*/)
        assert.isEmpty(yield* snapshotsOf(scene.target))
      })
    )
  })

  it("an index, a blob or a manifest that is not what it should be", () => {
    for (const name of ["a.pxar.didx", "a.conf.blob", "index.json.blob"]) {
      const scene = new Scene()
      play(
        Effect.gen(function* () {
          yield* scene.backUpDays(scene.source, "vm/100", [["a"], ["b"]])
          yield* scene.backUpDays(scene.source, "vm/101", [["c"], ["d"]])
          const [from, to] = [folderOf("source", "vm/100", 0), folderOf("source", "vm/101", 0)]
          const other = scene.source.disk.read(scene.source.disk.open(`${from}/${name}`), 0)
          scene.source.disk.put(`${to}/${name}`, other)
          if (name === "a.conf.blob") scene.source.disk.put(`${to}/${name}`, Buffer.from("short"))
          const summary = yield* scene.sync()
          const [error = ""] = errorsOf(summary)
          assert.match(error, /^source.*: vm\/101\/2026-01-01T00:00:00Z/)
          assert.include(error, name)
          assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0", "vm/100@1"])
        })
      )
    }
  })

  it("a group without an owner is passed over, with a warning", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/100", [["a"]])
        yield* scene.backUpDays(scene.source, "vm/101", [["b"]])
        scene.source.disk.unlink("/source/vm/100/owner", 0)
        const summary = yield* scene.sync({ removeVanished: true })
        assert.deepStrictEqual(
          summary.groups.map(({ state }) => state),
          ["skipped", "done"]
        )
        assert.strictEqual(summary.failedGroups, 0)
        assert.match(errorsOf(summary)[0] ?? "", /has no owner/)
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/101@0"])
      })
    )
  })

  it("a snapshot that vanishes in the middle is left out, without anything of it", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/100", [["a"], ["b"], ["c"]])
        const [, second] = [snapshotOf("vm/100", 0), snapshotOf("vm/100", 1)]
        let isGone = false
        // As on a bucket, where another host may remove what is open here.
        const vanishing = hooked({
          open: (name) =>
            name.endsWith(second.directory) && isGone
              ? Effect.fail(syncError("Missing", "there is no such snapshot"))
              : Effect.void,
          chunk: (_, name) => {
            if (!name.endsWith(second.directory)) return Effect.void
            isGone = true
            return Effect.fail(syncError("Missing", "there is no such chunk"))
          }
        })
        const summary = yield* scene.sync({}, vanishing)
        assert.isEmpty(errorsOf(summary))
        assert.strictEqual(summary.counts.vanishedSnapshots, 1)
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/100@0", "vm/100@2"])
      })
    )
  })

  it("trouble that passes is tried again, what does not pass is not", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/100", [["a", "b"]])
        const attempts = { Unavailable: 0, Failed: 0 }
        const failing = (reason: "Unavailable" | "Failed", times: number) =>
          hooked({
            chunk: () =>
              Effect.suspend(() =>
                attempts[reason]++ < times ? Effect.fail(syncError(reason, "trouble")) : Effect.void
              )
          })
        assert.strictEqual((yield* scene.sync({}, failing("Failed", 1))).failedGroups, 1)
        assert.isAtMost(attempts.Failed, 2)
        assert.strictEqual(
          (yield* scene.sync({ attemptsMax: 3 }, failing("Unavailable", 100))).failedGroups,
          1
        )
        attempts.Unavailable = 0
        assert.strictEqual((yield* scene.sync({}, failing("Unavailable", 3))).failedGroups, 0)
        assert.strictEqual(attempts.Unavailable, 5)
        yield* assertSame(scene)
      })
    )
  })
})

describe("what is wrong on the target", () => {
  it("a group of somebody else: a pull fails it, a push passes it over", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUpDays(scene.source, "vm/100", [["a"], ["b"]])
        yield* scene.backUpDays(scene.source, "vm/101", [["c"]])
        const other = AuthId.parse("other@pbs")
        yield* scene.backUp(scene.target, { group: "vm/100", day: 0, texts: ["x"], owner: other })
        const before = (yield* contentsOf(scene.target)).filter((line) => line.startsWith("vm/100"))
        for (const [direction, state] of [
          ["pull", "failed"],
          ["push", "skipped"]
        ] as const) {
          const summary = yield* scene.sync({ direction, removeVanished: true })
          assert.deepStrictEqual(
            summary.groups.map((group) => group.state),
            [state, "done"]
          )
          assert.match(
            errorsOf(summary)[0] ?? "",
            /vm\/100: this group belongs to other@pbs, not to backup@pbs/
          )
          const after = (yield* contentsOf(scene.target)).filter((line) => line.startsWith("vm/100"))
          assert.deepStrictEqual(after, before)
        }
      })
    )
  })

  it("another snapshot of the same time is not overwritten", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.source, { group: "vm/100", day: 0, texts: ["a"] })
        yield* scene.backUp(scene.target, { group: "vm/100", day: 0, texts: ["b"] })
        const before = yield* contentsOf(scene.target)
        assert.match(errorsOf(yield* scene.sync())[0] ?? "", /the target has another snapshot of this time/)
        assert.deepStrictEqual(yield* contentsOf(scene.target), before)
      })
    )
  })

  it("a backup at work on the group", () => {
    const scene = new Scene()
    play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.source, { group: "vm/100", day: 0, texts: ["a"] })
        const summary = yield* inStore(scene.target, ({ locks }) =>
          Effect.andThen(locks.hold("group vm/100", "exclusive"), scene.sync())
        )
        assert.strictEqual(summary.groups[0]?.error?.reason, "Busy")
      })
    )
  })

  it("a store that can only be read", () => {
    const scene = new Scene("folder", "bucket")
    play(
      Effect.scoped(
        Effect.gen(function* () {
          yield* scene.backUp(scene.source, { group: "vm/100", day: 0, texts: ["a"] })
          yield* scene.backUp(scene.target, { group: "vm/100", day: 0, texts: ["b"] })
          const source = DatastoreSource.make(yield* scene.source.open())
          const target = yield* Effect.provide(
            DatastoreTarget.make(yield* scene.target.openWithoutFolder()),
            scene.source.machine("codec")
          )
          const error = yield* failureOf(SyncJob.make(source, target).run({ direction: "pull", owner }))
          assert.strictEqual(error.reason, "ReadOnly")
        })
      )
    )
  })
})

describe("what makes no sense is refused before anything is done", () => {
  const refused = (options: Partial<SyncOptions>) => {
    const scene = new Scene()
    return play(
      Effect.gen(function* () {
        yield* scene.backUp(scene.source, { group: "vm/100", day: 0, texts: ["a"], namespace: "a/b" })
        const error = yield* failureOf(scene.sync(options))
        assert.isEmpty(yield* snapshotsOf(scene.target))
        return error.message
      })
    )
  }

  it("options", () => {
    assert.match(refused({ parallelGroups: 0 }), /parallel-groups.*1 to 32/)
    assert.match(refused({ parallelGroups: 33 }), /parallel-groups/)
    assert.match(refused({ transferLast: 0 }), /transfer-last/)
    assert.match(refused({ maxDepth: 8 }), /max-depth/)
    assert.match(refused({ direction: "push", resyncCorrupt: true }), /only a pull/)
    assert.match(refused({ rateIn: { bytesPerSecond: 0 } }), /rate/)
    assert.match(refused({ targetNamespace: Namespace.parse("1/2/3/4/5/6") }), /namespace a\/b cannot be put/)
    assert.match(refused({ sourceNamespace: Namespace.parse("nope") }), /^source namespace nope: .*no such/)
  })

  it("the same store on both ends", () => {
    for (const kind of ["folder", "bucket"] as const) {
      const scene = new Scene(kind)
      play(
        Effect.scoped(
          Effect.gen(function* () {
            yield* scene.backUp(scene.source, { group: "vm/100", day: 0, texts: ["a"] })
            const store = yield* scene.source.open()
            const codec = scene.source.machine("codec")
            const target = yield* Effect.provide(DatastoreTarget.make(store), codec)
            const sources = [DatastoreSource.make(store)]
            if (kind === "bucket") sources.push(DatastoreSource.make(yield* scene.source.openWithoutFolder()))
            for (const source of sources) {
              const run = (options: Partial<SyncOptions>) =>
                failureOf(SyncJob.make(source, target).run({ direction: "pull", owner, ...options }))
              const apart = { sourceNamespace: Namespace.parse("a"), targetNamespace: Namespace.parse("b") }
              assert.match((yield* run(apart)).message, /are the same datastore, [^;]+$/)
              const below = { targetNamespace: Namespace.parse("copies") }
              assert.match((yield* run(below)).message, /the root and namespace copies overlap/)
            }
          })
        )
      )
    }
  })
})
