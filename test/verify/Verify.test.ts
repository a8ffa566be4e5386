/** Verify: what is read, what is recorded, what is passed over, and what is told on the way. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as TaskId from "../../src/model/TaskId.ts"
import { Progress, type ProgressEvent } from "../../src/platform/Progress.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"
import { copyOf, describeGoldenStores, goldenKey, smallGoldenStore } from "../datastore/goldenStores.ts"
import { inOwnMounts, mayMount, readOnlyScript } from "../platform/mounts.ts"
import type { Operation } from "../store/HookedFiles.ts"
import { hookedPlatform, platform } from "../store/stores.ts"
import { openCopy, reopened, rewriteManifest, snapshots } from "./scenes.ts"

const root = Namespace.root
const otherKey = CryptConfig.fromKey(new Uint8Array(32).fill(9))

describeGoldenStores("Verify", (golden) => {
  for (const [name, crypt] of [
    ["without a key", undefined],
    ["with the key", goldenKey],
    ["with another key", otherKey]
  ] as const) {
    it.live(`everything is ok ${name}, and recorded so`, () =>
      Effect.gen(function* () {
        const path = yield* copyOf(golden)
        const store = yield* Datastore.open({ path })
        const run = Effect.gen(function* () {
          const plan = yield* VerifyPlan.make({ namespace: root })
          return yield* Verify.run(plan, crypt === undefined ? {} : { crypt })
        })
        const { snapshots: results } = yield* Effect.provideService(run, Datastore.Datastore, store)
        assert.strictEqual(results.length, golden.snapshots.length)
        for (const { namespace, snapshot, state, files } of results) {
          assert.deepStrictEqual(
            files.flatMap(({ errors }) => errors),
            []
          )
          assert.strictEqual(state, "ok")
          const manifest = yield* store.snapshotFiles.manifest(namespace, snapshot)
          const recorded = ManifestNotes.verifyState(manifest)
          assert.strictEqual(recorded?.state, "ok")
          assert.strictEqual(TaskId.parse(recorded?.upid ?? "").workerType, "verify")
          Manifest.verifySignature(manifest, goldenKey)
        }
      }).pipe(Effect.provide(platform))
    )
  }
})

describe("Verify", () => {
  it.live("the task id names the store and whoever asked, and its start", () =>
    Effect.gen(function* () {
      const scene = yield* openCopy
      const authId = AuthId.parse("alice@pbs!laptop")
      const before = Math.floor(fs.statSync(scene.path).ctimeMs / 1000)
      yield* Effect.flatMap(VerifyPlan.make({ namespace: root }), (plan) =>
        Verify.run(plan, { authId })
      ).pipe(Effect.provideService(Datastore.Datastore, scene.store))
      const task = TaskId.parse((yield* scene.verifyState("plain"))?.upid ?? "")
      assert.strictEqual(task.authId, authId)
      assert.strictEqual(task.workerId, "golden")
      assert.strictEqual(task.pid, process.pid)
      assert.isAtLeast(task.starttime, before)
    }).pipe(Effect.provide(platform))
  )

  it.live("a chunk that several snapshots share is read once", () =>
    Effect.gen(function* () {
      const reads = new Map<string, number>()
      const before = (operation: Operation, path: string) =>
        Effect.sync(() => {
          if (operation === "readFile" && path.includes("/.chunks/"))
            reads.set(path, (reads.get(path) ?? 0) + 1)
        })
      const scene = yield* openCopy
      const files = fs.readdirSync(join(scene.path, ".chunks"))
      yield* reopened(scene, hookedPlatform({ before }), (again) =>
        Effect.gen(function* () {
          const { statistics } = yield* again.verify()
          assert.strictEqual(reads.size, files.length)
          assert.deepStrictEqual([...new Set(reads.values())], [1])
          assert.strictEqual(statistics.chunks, files.length)
          const sizes = [...reads.keys()].map((path) => fs.statSync(path).size)
          assert.strictEqual(
            statistics.storedBytes,
            sizes.reduce((total, size) => total + size, 0)
          )
        })
      )
    }).pipe(Effect.provide(platform))
  )

  it.live("tells how far it is, and ends where the plan said", () =>
    Effect.gen(function* () {
      const scene = yield* openCopy
      const events: Array<ProgressEvent> = []
      yield* scene.verify().pipe(Effect.provideService(Progress, (event) => void events.push(event)))
      const done = events.map((event) => (event.type === "progress" ? event.done : -1))
      assert.deepStrictEqual(
        done,
        done.toSorted((left, right) => left - right)
      )
      const [first, last] = [events[0], events.at(-1)]
      assert.isTrue(first?.type === "progress" && first.state === "started" && first.done === 0)
      assert.isTrue(last?.type === "progress" && last.state === "ended" && last.done === last.total)
    }).pipe(Effect.provide(platform))
  )

  it.live("skips a snapshot that is being removed, or has vanished or lost its manifest since the plan", () =>
    Effect.gen(function* () {
      const scene = yield* openCopy
      const plan = yield* VerifyPlan.make({ namespace: root }).pipe(
        Effect.provideService(Datastore.Datastore, scene.store)
      )
      yield* scene.store.locks.hold(Datastore.snapshotLockName(root, snapshots.plain), "exclusive")
      fs.rmSync(scene.file("signed", ""), { recursive: true })
      fs.rmSync(scene.file("host", "index.json.blob"))
      const { snapshots: results } = yield* Effect.provideService(
        Verify.run(plan),
        Datastore.Datastore,
        scene.store
      )
      assert.deepStrictEqual(
        results.map(({ snapshot, state }) => [snapshot.group.id, state]),
        [
          ["100", "ok"],
          ["102", "skipped"],
          ["103", "skipped"],
          ["v1-plain", "skipped"]
        ]
      )
    }).pipe(Effect.provide(platform))
  )

  it.live.skipIf(!mayMount)("a read-only store is verified; the result is told and not recorded", () =>
    Effect.gen(function* () {
      const scene = yield* openCopy
      const file = yield* scene.chunkFile("plain")
      fs.truncateSync(file, 60)
      const program = join(import.meta.dirname, "verifyProgram.ts")
      const { stdout, stderr } = inOwnMounts(
        readOnlyScript,
        scene.path,
        process.execPath,
        program,
        scene.path
      )
      const { states, errors, warnings } = JSON.parse(stdout || JSON.stringify(stderr))
      assert.deepStrictEqual(states, ["ok", "failed", "failed", "failed"])
      assert.match(errors.join(), /is corrupt: .*could not be renamed: .*read-only/)
      assert.strictEqual(warnings, 4)
      assert.isTrue(fs.existsSync(file))
      assert.isFalse(fs.existsSync(join(scene.path, ".granary.lock")))
      assert.isUndefined(yield* scene.verifyState("encrypted"))
    }).pipe(Effect.provide(platform))
  )
})

describe("VerifyPlan", () => {
  const plannedIn = (options: Partial<VerifyPlan.VerifyOptions>) => (store: Datastore.Datastore["Service"]) =>
    Effect.map(
      Effect.provideService(VerifyPlan.make({ namespace: root, ...options }), Datastore.Datastore, store),
      (plan) => ({ ...plan, names: plan.snapshots.map(({ snapshot }) => Snapshot.format(snapshot)) })
    )

  it.live("groups in order, snapshots newest first; unfinished ones and benchmarks are passed over", () =>
    Effect.gen(function* () {
      const { path, store, file } = yield* openCopy
      const newer = join(path, "ct/100/2025-01-01T00:00:00Z")
      fs.mkdirSync(newer)
      fs.mkdirSync(join(path, "host/benchmark"))
      fs.cpSync(file("host", ""), join(path, "host/benchmark/2024-01-02T00:00:00Z"), { recursive: true })
      const plan = yield* plannedIn({})(store)
      assert.deepStrictEqual(plan.names, Object.values(snapshots).map(Snapshot.format))
      assert.strictEqual(plan.unfinished, 1)
      assert.strictEqual(
        plan.sizeBytes,
        plan.snapshots.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
      )
      fs.copyFileSync(file("encrypted", "index.json.blob"), join(newer, "index.json.blob"))
      assert.deepStrictEqual((yield* plannedIn({})(store)).names.slice(0, 2), [
        "ct/100/2025-01-01T00:00:00Z",
        "ct/100/2024-02-29T12:34:56Z"
      ])
      const benchmark = Snapshot.parse("host/benchmark/2024-01-02T00:00:00Z")
      assert.strictEqual((yield* plannedIn({ group: benchmark.group })(store)).names.length, 1)
    }).pipe(Effect.provide(platform))
  )

  it.live("one group, one snapshot, namespaces to a depth", () =>
    Effect.gen(function* () {
      const { path, store } = yield* openCopy
      fs.mkdirSync(join(path, "ns/team/ns/dev"), { recursive: true })
      fs.cpSync(join(path, "ct"), join(path, "ns/team/ct"), { recursive: true })
      fs.cpSync(join(path, "ct"), join(path, "ns/team/ns/dev/ct"), { recursive: true })
      const count = (options: Partial<VerifyPlan.VerifyOptions>) =>
        Effect.map(plannedIn(options)(store), ({ names }) => names.length)
      assert.strictEqual(yield* count({}), 10)
      assert.strictEqual(yield* count({ depthMax: 0 }), 4)
      assert.strictEqual(yield* count({ depthMax: 1 }), 7)
      assert.strictEqual(yield* count({ namespace: Namespace.parse("team") }), 6)
      assert.strictEqual(yield* count({ group: snapshots.plain.group }), 1)
      assert.strictEqual(yield* count({ snapshot: snapshots.plain }), 1)
      const missing = yield* Effect.flip(
        plannedIn({ snapshot: Snapshot.parse("vm/1/2024-01-01T00:00:00Z") })(store)
      )
      assert.strictEqual(missing.reason, "NoSuchSnapshot")
      const nowhere = yield* Effect.flip(plannedIn({ namespace: Namespace.parse("nowhere") })(store))
      assert.strictEqual(nowhere.reason, "NoSuchNamespace")
    }).pipe(Effect.provide(platform))
  )

  it.effect("passes over what was verified, unless that is outdated, whatever came of it", () =>
    Effect.gen(function* () {
      const scene = yield* openCopy
      const secondsPerDay = 86_400
      const now = 100 * secondsPerDay
      const stateOf = (ageSeconds: number, state: "ok" | "failed") => ({
        state,
        upid: TaskId.format(
          TaskId.make({
            node: "node",
            pid: 1,
            pstart: 1,
            taskId: 1,
            starttime: now - ageSeconds,
            workerType: "verify",
            workerId: "",
            authId: AuthId.parse("root@pam")
          })
        )
      })
      const note = (name: keyof typeof snapshots, state: ManifestNotes.VerifyState) =>
        rewriteManifest(scene, name, (manifest) => ManifestNotes.withVerifyState(manifest, state))
      yield* note("encrypted", stateOf(3 * secondsPerDay + 1, "ok"))
      yield* note("signed", stateOf(2 * secondsPerDay, "failed"))
      yield* note("plain", { state: "ok", upid: "no task id" })
      yield* TestClock.setTime(now * 1000)
      const ids = (options: Partial<VerifyPlan.VerifyOptions>) =>
        Effect.map(plannedIn(options)(scene.store), ({ snapshots: planned, upToDate }) => [
          ...planned.map(({ snapshot }) => snapshot.group.id),
          upToDate
        ])
      assert.deepStrictEqual(yield* ids({}), ["100", "102", "103", "v1-plain", 0])
      assert.deepStrictEqual(yield* ids({ outdatedAfterDays: 0 }), ["100", "102", "103", "v1-plain", 0])
      assert.deepStrictEqual(yield* ids({ ignoreVerified: true }), ["v1-plain", 3])
      const outdated = (outdatedAfterDays: number) => ids({ ignoreVerified: true, outdatedAfterDays })
      assert.deepStrictEqual(yield* outdated(3), ["103", "v1-plain", 2])
      assert.deepStrictEqual(yield* outdated(2), ["100", "103", "v1-plain", 1])
      assert.deepStrictEqual(yield* outdated(1), ["100", "102", "103", "v1-plain", 0])
    }).pipe(Effect.provide(platform))
  )
})

describe("the small golden datastore", () => {
  it("holds what these tests rely on", () => {
    assert.deepStrictEqual(
      smallGoldenStore.snapshots.map(({ dir }) => dir).toSorted(),
      Object.values(snapshots).map(Snapshot.format)
    )
  })
})
