/** Prune: what is planned where, what goes in which order, and what stays because something happened in between. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as BackupTime from "../../src/model/BackupTime.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { Progress, type ProgressEvent } from "../../src/platform/Progress.ts"
import { manifestLockName } from "../../src/store/SnapshotFiles.ts"
import { listing } from "../platform/scratch.ts"
import type { Operation } from "../store/HookedFiles.ts"
import { hookedPlatform, platform } from "../store/stores.ts"
import { add, carryOut, finish, lines, planOf, storeWith } from "./scenes.ts"

const root = Namespace.root
const [first, second, third] = [1, 2, 3].map((day) => `host/a/2026-01-0${day}T00:00:00Z`) as [
  string,
  string,
  string
]

const collectingWarnings = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const events: Array<ProgressEvent> = []
    const result = yield* Effect.provideService(effect, Progress, (event) => void events.push(event))
    return {
      result,
      warnings: events.flatMap((event) =>
        event.type === "warning" ? [`${event.subject}: ${event.message}`] : []
      )
    }
  })

describe("PrunePlan", () => {
  it.live("removes nothing and changes nothing", () =>
    Effect.gen(function* () {
      const { path, store } = yield* storeWith(first, `u${second}`, `p${third}`, "vm/7/2026-01-01T00:00:00Z")
      const before = listing(path)
      const plan = yield* planOf(store, { last: 1 })
      assert.deepStrictEqual(lines(plan), [
        `${third} kept: protected`,
        `${second} removed: an older unfinished backup`,
        `${first} kept: last 1`,
        "vm/7/2026-01-01T00:00:00Z kept: last 1"
      ])
      assert.deepStrictEqual([plan.kept, plan.removed, plan.keepsAll], [3, 1, false])
      assert.deepStrictEqual(listing(path), before)
    }).pipe(Effect.provide(platform))
  )

  it.live("goes down into namespaces as deep as asked; into none when groups are named", () =>
    Effect.gen(function* () {
      const { store } = yield* storeWith(first, "ct/1/2026-01-01T00:00:00Z")
      const [team, dev] = [Namespace.parse("team"), Namespace.parse("team/dev")]
      yield* add(store, first, team)
      yield* add(store, first, dev)
      const places = (options: Parameters<typeof planOf>[2]) =>
        Effect.map(planOf(store, { last: 1 }, options), ({ groups }) =>
          groups.map(({ namespace, group }) => `${namespace}:${BackupGroup.format(group)}`)
        )
      const groups = [BackupGroup.parse("host/a")]
      assert.deepStrictEqual(yield* places({}), [":ct/1", ":host/a", "team:host/a", "team/dev:host/a"])
      assert.deepStrictEqual(yield* places({ depthMax: 1 }), [":ct/1", ":host/a", "team:host/a"])
      assert.deepStrictEqual(yield* places({ depthMax: 0 }), [":ct/1", ":host/a"])
      assert.deepStrictEqual(yield* places({ namespace: team }), ["team:host/a", "team/dev:host/a"])
      assert.deepStrictEqual(yield* places({ groups }), [":host/a"])
      assert.deepStrictEqual(yield* places({ groups, depthMax: 2 }), [
        ":host/a",
        "team:host/a",
        "team/dev:host/a"
      ])
      const missing = yield* Effect.flip(
        planOf(store, { last: 1 }, { groups: [BackupGroup.parse("host/none")] })
      )
      assert.match(missing.message, /host\/none.*no such backup group/)
      const nowhere = yield* Effect.flip(planOf(store, { last: 1 }, { namespace: Namespace.parse("no") }))
      assert.match(nowhere.message, /no such namespace/)
    }).pipe(Effect.provide(platform))
  )

  it.live("refuses bad numbers and zones; without a rule it keeps everything", () =>
    Effect.gen(function* () {
      const { store } = yield* storeWith(first, second)
      assert.instanceOf(yield* Effect.flip(planOf(store, { last: -1 })), InvalidName)
      assert.instanceOf(yield* Effect.flip(planOf(store, { last: 1 }, { timeZone: "No/Where" })), InvalidName)
      const plan = yield* planOf(store, {})
      assert.deepStrictEqual([plan.kept, plan.removed, plan.keepsAll], [2, 0, true])
    }).pipe(Effect.provide(platform))
  )
})

describe("Prune", () => {
  it.live("removes the oldest first, its manifest before all else, and exactly what was planned", () => {
    const removed: Array<string> = []
    const before = (operation: Operation, path: string) =>
      Effect.sync(() => {
        if (operation === "unlink") removed.push(path.split("/").slice(-2).join("/"))
      })
    return Effect.gen(function* () {
      const { store, has } = yield* storeWith(third, first, second, "host/b/2026-01-01T00:00:00Z")
      const summary = yield* carryOut(store, yield* planOf(store, { last: 1 }))
      assert.deepStrictEqual(removed, [
        "2026-01-01T00:00:00Z/index.json.blob",
        "2026-01-02T00:00:00Z/index.json.blob"
      ])
      assert.deepStrictEqual([first, second, third].map(has), [false, false, true])
      assert.deepStrictEqual([summary.kept, summary.removed, summary.warnings], [2, 2, 0])
      const again = yield* carryOut(store, yield* planOf(store, { last: 1 }))
      assert.deepStrictEqual([again.kept, again.removed], [2, 0])
    }).pipe(Effect.provide(hookedPlatform({ before })))
  })

  it.live("keeps what is read, tells it, and goes on", () =>
    Effect.gen(function* () {
      const { store, has } = yield* storeWith(first, second, third)
      const plan = yield* planOf(store, { last: 1 })
      const reading = Datastore.snapshotLockName(root, Snapshot.parse(first))
      const { result, warnings } = yield* collectingWarnings(
        Effect.scoped(Effect.andThen(store.locks.hold(reading, "shared"), carryOut(store, plan)))
      )
      assert.deepStrictEqual(warnings, [`${first}: could not be removed: in use`])
      assert.deepStrictEqual(lines(result), [
        `${third} kept: last 1`,
        `${second} removed: no rule keeps it`,
        `${first} kept: in use`
      ])
      assert.deepStrictEqual([result.kept, result.removed, result.warnings], [2, 1, 1])
      assert.deepStrictEqual([first, second, third].map(has), [true, false, true])
    }).pipe(Effect.provide(platform))
  )

  it.live("never touches an unfinished snapshot that a backup is writing, old as it is", () =>
    Effect.gen(function* () {
      const { store, has } = yield* storeWith(`u${first}`, second)
      const writing = Datastore.snapshotLockName(root, Snapshot.parse(first))
      const plan = yield* planOf(store, { last: 1 })
      const summary = yield* Effect.scoped(
        Effect.andThen(store.locks.hold(writing, "exclusive"), carryOut(store, plan))
      )
      assert.isTrue(has(first))
      assert.strictEqual(summary.warnings, 1)
      const after = yield* carryOut(store, plan)
      assert.deepStrictEqual([has(first), after.warnings], [false, 0])
    }).pipe(Effect.provide(platform))
  )

  it.live("keeps what has been finished since the plan, or protected, finished or not", () =>
    Effect.gen(function* () {
      const { store, has } = yield* storeWith(`u${first}`, `u${second}`, "host/a/2026-01-02T12:00:00Z", third)
      const plan = yield* planOf(store, { last: 1 })
      assert.strictEqual(plan.removed, 3)
      yield* finish(store, root, Snapshot.parse(first))
      yield* store.hierarchy.setProtected(root, Snapshot.parse(second), true)
      yield* store.hierarchy.setProtected(root, Snapshot.parse("host/a/2026-01-02T12:00:00Z"), true)
      const { result, warnings } = yield* collectingWarnings(carryOut(store, plan))
      assert.deepStrictEqual(lines(result), [
        `${third} kept: last 1`,
        "host/a/2026-01-02T12:00:00Z kept: protected",
        `${second} kept: protected`,
        `${first} kept: finished meanwhile`
      ])
      assert.deepStrictEqual([warnings, result.warnings, result.removed], [[], 0, 0])
      assert.isTrue([first, second, third].every(has))
    }).pipe(Effect.provide(platform))
  )

  it.live("looks under the lock, not before it: finished between its first step and its last", () => {
    let finishing: Effect.Effect<void, unknown> = Effect.void
    const before = (operation: Operation, path: string) =>
      operation === "unlink" && path.endsWith("01T00:00:00Z/index.json.blob")
        ? Effect.ignore(finishing)
        : Effect.void
    return Effect.gen(function* () {
      // While the first goes, the backup that was writing the second ends well.
      const { store, has } = yield* storeWith(first, `u${second}`, third)
      const plan = yield* planOf(store, { last: 1 })
      finishing = finish(store, root, Snapshot.parse(second))
      const summary = yield* carryOut(store, plan)
      assert.deepStrictEqual([first, second, third].map(has), [false, true, true])
      assert.strictEqual(summary.warnings, 0)
    }).pipe(Effect.provide(hookedPlatform({ before })))
  })

  it.live(
    "a snapshot whose manifest is being changed stays as it is",
    () =>
      Effect.gen(function* () {
        const { path, store, has } = yield* storeWith(`u${first}`, second)
        const changing = manifestLockName(root, Snapshot.parse(first))
        const plan = yield* planOf(store, { last: 1 })
        fs.writeFileSync(join(path, first, "a.conf.blob"), "")
        const summary = yield* Effect.scoped(
          Effect.andThen(store.locks.hold(changing, "exclusive"), carryOut(store, plan))
        )
        assert.deepStrictEqual([summary.warnings, has(`${first}/a.conf.blob`)], [1, true])
      }).pipe(Effect.provide(platform)),
    20_000
  )

  it.live("what somebody else removed in between counts as removed; failing calls are warnings", () => {
    const before = (operation: Operation, path: string) =>
      operation === "removeDirectory" && path.endsWith("02T00:00:00Z")
        ? Effect.sync(() => fs.writeFileSync(join(path, "sudden"), ""))
        : Effect.void
    return Effect.gen(function* () {
      const { path, store, has } = yield* storeWith(first, second, third)
      const plan = yield* planOf(store, { last: 1 })
      fs.rmSync(join(path, first), { recursive: true })
      const { result, warnings } = yield* collectingWarnings(carryOut(store, plan))
      assert.strictEqual(result.warnings, 1)
      assert.match(warnings.join(), /2026-01-02T00:00:00Z: could not be removed: .*not empty/i)
      assert.match(lines(result)[1] ?? "", /02T00:00:00Z kept: .*not empty/i)
      assert.strictEqual(result.removed, 1)
      // It never counts as finished again; the next prune clears it away.
      assert.deepStrictEqual([has(second), has(`${second}/index.json.blob`)], [true, false])
    }).pipe(Effect.provide(hookedPlatform({ before })))
  })

  it.live("a group whose last snapshot goes, goes with it; a namespace stays", () =>
    Effect.gen(function* () {
      const { store, path } = yield* storeWith()
      const team = Namespace.parse("team")
      yield* add(store, `u${first}`, team)
      yield* add(store, `u${second}`, team)
      const plan = yield* planOf(store, { last: 1 })
      yield* carryOut(store, plan)
      assert.deepStrictEqual(fs.readdirSync(join(path, "ns/team/host/a")).toSorted(), [
        "2026-01-02T00:00:00Z",
        "owner"
      ])
      yield* finish(store, team, Snapshot.parse(second))
      yield* add(store, third, team)
      const all = yield* planOf(store, { last: 1 })
      const everything = all.groups.map((group) => ({
        ...group,
        decisions: group.decisions.map((decision) => ({ ...decision, keep: false }))
      }))
      yield* carryOut(store, { ...all, groups: everything })
      assert.isFalse(fs.existsSync(join(path, "ns/team/host/a")))
      assert.isTrue(fs.existsSync(join(path, "ns/team")))
    }).pipe(Effect.provide(platform))
  )

  it.live(
    "a thousand snapshots, four a day: the usual rules keep what one expects",
    () =>
      Effect.gen(function* () {
        const newest = BackupTime.parse("2026-11-20T18:00:00Z")
        const names = Array.from(
          { length: 1000 },
          (_, index) => `host/a/${BackupTime.format(newest - index * 21_600)}`
        )
        const { path, store } = yield* storeWith(...names)
        const retention = { last: 2, daily: 7, weekly: 4, monthly: 6, yearly: 2 }
        const summary = yield* carryOut(store, yield* planOf(store, retention))
        const expected = [
          "2026-11-20T18:00:00Z kept: last 1",
          "2026-11-20T12:00:00Z kept: last 2",
          ...[19, 18, 17, 16, 15, 14, 13].map((day) => `2026-11-${day}T18:00:00Z kept: daily 2026-11-${day}`),
          "2026-11-08T18:00:00Z kept: weekly 2026-W45",
          "2026-11-01T18:00:00Z kept: weekly 2026-W44",
          "2026-10-25T18:00:00Z kept: weekly 2026-W43",
          "2026-10-18T18:00:00Z kept: weekly 2026-W42",
          "2026-09-30T18:00:00Z kept: monthly 2026-09",
          "2026-08-31T18:00:00Z kept: monthly 2026-08",
          "2026-07-31T18:00:00Z kept: monthly 2026-07",
          "2026-06-30T18:00:00Z kept: monthly 2026-06",
          "2026-05-31T18:00:00Z kept: monthly 2026-05",
          "2026-04-30T18:00:00Z kept: monthly 2026-04"
        ].map((line) => `host/a/${line}`)
        assert.deepStrictEqual(
          lines(summary).filter((line) => line.includes("kept")),
          expected
        )
        const left = fs.readdirSync(join(path, "host/a")).filter((name) => name !== "owner")
        assert.deepStrictEqual(
          left.toSorted((a, b) => (a < b ? 1 : -1)).map((name) => `host/a/${name}`),
          expected.map((line) => line.split(" ")[0] ?? "")
        )
        assert.strictEqual(summary.removed, 1000 - expected.length)
      }).pipe(Effect.provide(platform)),
    60_000
  )
})
