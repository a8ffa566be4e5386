/**
 * Garbage collection while others work: what happens at chosen moments, by hooks in the collector's files. Every case
 * is run once more without the rule that it needs, and must then lose something: so the case can fail.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import type { GcRules } from "../../src/gc/GcRules.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import type { StoreLayout } from "../../src/store/StoreLayout.ts"
import type { Hooks } from "../store/HookedFiles.ts"
import { platform } from "../store/stores.ts"
import {
  age,
  apart,
  assertGone,
  assertStored,
  backUp,
  begin,
  collect,
  folderOf,
  forget,
  host,
  indexPath,
  inStore,
  insertLoose,
  isStored,
  scene
} from "./scene.ts"

const time = 1_700_000_000

/** Runs `then` right before (or after) the collector's first such operation. */
const once = (
  when: "before" | "after",
  operation: string,
  isPlace: (path: string) => boolean,
  then: Effect.Effect<unknown>
): Hooks => {
  let isDone = false
  return {
    [when]: (actual: string, path: string) => {
      if (isDone || actual !== operation || !isPlace(path)) return Effect.void
      isDone = true
      return Effect.asVoid(then)
    }
  }
}

const at = (expected: string) => (path: string) => path === expected

/** Collects with hooks; answers which of the contents are still there. */
const collectAmid = (
  layout: StoreLayout,
  hooks: Hooks,
  rules: Partial<GcRules>,
  contents: ReadonlyArray<string>
) =>
  Effect.map(collect({}, rules).pipe(inStore(layout, hooks)), () =>
    contents.map((content) => isStored(layout, content))
  )

describe("R1: a group that changes while it is marked", () => {
  const pruneNewest = (rules: Partial<GcRules>) =>
    Effect.gen(function* () {
      const layout = yield* scene
      const older = yield* backUp(layout, { time, contents: ["base"] }).pipe(inStore(layout))
      age(layout)
      // The backup that builds on the older snapshot ends before that one is read and pruned.
      const amid = apart(
        layout,
        Effect.andThen(backUp(layout, { time: time + 1, contents: ["base"] }), forget(older))
      )
      const hooks = once("before", "readFile", at(indexPath(layout, older)), amid)
      return yield* collectAmid(layout, hooks, rules, ["base"])
    }).pipe(Effect.provide(platform))

  it.live("the newest snapshot is replaced by one that builds on it", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* pruneNewest({}), [true])
      assert.deepStrictEqual(yield* pruneNewest({ relistsChangedGroups: false }), [false])
    })
  )

  const forgetNewestThenPrune = (rules: Partial<GcRules>) =>
    Effect.gen(function* () {
      const layout = yield* scene
      const setUp = Effect.gen(function* () {
        const older = yield* backUp(layout, { time, contents: ["base"] })
        const newest = yield* backUp(layout, { time: time + 1, contents: ["newest"] })
        return { older, newest }
      })
      const { newest, older } = yield* setUp.pipe(inStore(layout))
      age(layout)
      const amid = apart(
        layout,
        Effect.gen(function* () {
          yield* forget(newest)
          yield* backUp(layout, { time: time + 2, contents: ["base"] })
          yield* forget(older)
        })
      )
      // The newest has been read by then.
      const hooks = once("before", "readDirectory", at(join(layout.base, Snapshot.format(older))), amid)
      // The walk over the tree comes first, and reads the same folders; the second time counts.
      return yield* collectAmid(layout, afterWalk(layout, hooks), rules, ["base"])
    }).pipe(Effect.provide(platform))

  it.live(
    "the newest is forgotten after it was read, the next builds on the one before, which is pruned",
    () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* forgetNewestThenPrune({}), [true])
        assert.deepStrictEqual(yield* forgetNewestThenPrune({ relistsChangedGroups: false }), [false])
      })
  )

  const sameTimeAgain = (rules: Partial<GcRules>) =>
    Effect.gen(function* () {
      const layout = yield* scene
      const setUp = Effect.gen(function* () {
        const older = yield* backUp(layout, { time, contents: ["base"] })
        const newest = yield* backUp(layout, { time: time + 1, contents: ["newest"] })
        return { older, newest }
      })
      const { newest, older } = yield* setUp.pipe(inStore(layout))
      age(layout)
      const amid = apart(
        layout,
        Effect.gen(function* () {
          yield* forget(newest)
          yield* backUp(layout, { time: time + 1, contents: ["base"] })
          yield* forget(older)
        })
      )
      const hooks = once("before", "readDirectory", at(join(layout.base, Snapshot.format(older))), amid)
      return yield* collectAmid(layout, afterWalk(layout, hooks), rules, ["base"])
    }).pipe(Effect.provide(platform))

  it.live("a snapshot is replaced by another one of the same name", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* sameTimeAgain({}), [true])
      assert.deepStrictEqual(yield* sameTimeAgain({ relistsChangedGroups: false }), [false])
    })
  )
})

describe("R1: a snapshot that comes and goes between two looks", () => {
  it.live("a new name without an index is a reason to look again: its successor may be in place", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      const older = yield* backUp(layout, { time, contents: ["base"] }).pipe(inStore(layout))
      age(layout)
      const middle = Snapshot.make(host, time + 1)
      const folder = (snapshot: Snapshot.Snapshot) => join(layout.base, Snapshot.format(snapshot))
      const replaceOlder = apart(
        layout,
        Effect.andThen(backUp(layout, { time: time + 1, contents: ["base"] }), forget(older))
      )
      // The middle one is being forgotten: its files are gone, its folder is not yet.
      const replaceMiddle = apart(
        layout,
        Effect.andThen(
          backUp(layout, { time: time + 2, contents: ["base"] }),
          Effect.sync(() => {
            for (const name of readdirSync(folder(middle))) rmSync(join(folder(middle), name))
          })
        )
      )
      const first = once("before", "readDirectory", at(folder(older)), replaceOlder)
      const second = once("before", "readDirectory", at(folder(middle)), replaceMiddle)
      const both: Hooks = {
        before: (...call) => Effect.andThen(first.before!(...call), second.before!(...call))
      }
      assert.deepStrictEqual(yield* collectAmid(layout, afterWalk(layout, both), {}, ["base"]), [true])
    }).pipe(Effect.provide(platform))
  )
})

/**
 * The walk over the tree comes first and reads existing folders only; hooks are armed when the groups are asked for.
 */
const afterWalk = (layout: StoreLayout, hooks: Hooks): Hooks => {
  let isArmed = false
  return {
    before: (operation, path, call) => {
      if (operation === "readDirectory" && path === join(layout.base, "vm")) isArmed = true
      return isArmed ? (hooks.before?.(operation, path, call) ?? Effect.void) : Effect.void
    }
  }
}

describe("R16: a group moves while the namespaces are walked", () => {
  const target = Namespace.parse("aa")
  const moving = (rules: Partial<GcRules>, prunes: boolean) =>
    Effect.gen(function* () {
      const layout = yield* scene
      const first = yield* backUp(layout, { time, contents: ["moved"] }).pipe(inStore(layout))
      mkdirSync(join(layout.base, "ns/aa/host"), { recursive: true })
      mkdirSync(join(layout.base, "ns/bb"), { recursive: true })
      const source = Namespace.parse("bb")
      yield* Effect.flatMap(Datastore.Datastore, (store) =>
        store.moveGroup(Namespace.root, host, source)
      ).pipe(inStore(layout))
      age(layout)
      const amid = apart(
        layout,
        Effect.gen(function* () {
          const store = yield* Datastore.Datastore
          yield* store.moveGroup(source, host, target)
          if (!prunes) return
          yield* backUp(layout, { time: time + 1, contents: ["moved"], namespace: target })
          yield* forget(first, target)
        })
      )
      // Namespace aa has been looked at when bb's types are listed.
      const hooks = once("before", "readDirectory", at(join(layout.base, "ns/bb/host")), amid)
      return yield* collectAmid(layout, afterWalk(layout, hooks), rules, ["moved"])
    }).pipe(Effect.provide(platform))

  it.live("the journal tells where it went", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* moving({}, false), [true])
      assert.deepStrictEqual(yield* moving({ drainsMoves: false, marksStrayIndexes: false }, false), [false])
    })
  )

  it.live("also when backups and prunes go on in the new place", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* moving({}, true), [true])
      assert.deepStrictEqual(yield* moving({ drainsMoves: false, marksStrayIndexes: false }, true), [false])
    })
  )
})

describe("writers at work", () => {
  const amidSession = (rules: Partial<GcRules>) =>
    Effect.gen(function* () {
      const layout = yield* scene
      return yield* Effect.gen(function* () {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* begin(layout, { time, contents: ["in the making"] })
            yield* insertLoose(layout, "not indexed yet")
            // As if the session had been at work for hours: younger than its lease, older than the cutoff.
            const leases = yield* Effect.flatMap(Datastore.Datastore, ({ writers }) =>
              writers.live({ removesDead: false })
            )
            assert.strictEqual(leases.length, 1)
            setLease(layout, leases[0]!.name, leases[0]!.startSeconds - 3 * 86_400)
            age(layout)
            yield* collect({}, rules)
          })
        )
        return isStored(layout, "not indexed yet")
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))

  it.live("what a writer stored since its start is kept, however long that is ago", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* amidSession({}))
      assert.isFalse(yield* amidSession({ respectsWriters: false }))
    })
  )

  it.live("with a live lease that nobody can read, nothing goes", () =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* Effect.gen(function* () {
        yield* insertLoose(layout, "loose")
        age(layout)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { writers } = yield* Datastore.Datastore
            yield* writers.register
            const [lease] = yield* writers.live({ removesDead: false })
            writeFileSync(join(layout.writers, `${lease!.name}.json`), "{")
            const { warnings } = yield* collect()
            assertStored(layout, "loose")
            assert.isTrue(warnings.some((line) => line.includes(lease!.name)))
          })
        )
        yield* collect()
        assertGone(layout, "loose")
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))
  )

  const baseRemovedByForce = (rules: Partial<GcRules>) =>
    Effect.gen(function* () {
      const layout = yield* scene
      return yield* Effect.gen(function* () {
        const base = yield* backUp(layout, { time, contents: ["base"] })
        age(layout)
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* begin(layout, { time: time + 1, contents: ["other"] })
            const folder = join(layout.base, Snapshot.format(base))
            // A program that knows nothing of our locks prunes, right after the bases have been marked.
            const amid = Effect.sync(() => rmSync(folder, { recursive: true }))
            const hooks = once("before", "readDirectory", at(join(layout.base, "ns")), amid)
            yield* collect({}, rules).pipe(inStore(layout, hooks))
          })
        )
        return isStored(layout, "base")
      }).pipe(inStore(layout))
    }).pipe(Effect.provide(platform))

  it.live("what a writer builds on is marked even if it is removed behind its back", () =>
    Effect.gen(function* () {
      assert.isTrue(yield* baseRemovedByForce({}))
      assert.isFalse(yield* baseRemovedByForce({ marksWriterBases: false }))
    })
  )

  const usedBeforeItsTurn = (rules: Partial<GcRules>) =>
    Effect.gen(function* () {
      const layout = yield* scene
      yield* insertLoose(layout, "again").pipe(inStore(layout))
      age(layout)
      const group = BackupGroup.make("host", "late")
      // The chunk has been listed as removable by then.
      const amid = apart(layout, backUp(layout, { time, contents: ["again"], group }))
      const hooks = once("after", "statDirectory", at(folderOf(layout, "again")), amid)
      return yield* collectAmid(layout, hooks, rules, ["again"])
    }).pipe(Effect.provide(platform))

  it.live("a chunk that is used again after it was listed is kept", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* usedBeforeItsTurn({}), [true])
      assert.deepStrictEqual(yield* usedBeforeItsTurn({ rechecksUnderGuard: false }), [false])
    })
  )
})

const setLease = (layout: StoreLayout, name: string, start: number): void =>
  writeFileSync(
    join(layout.writers, `${name}.json`),
    JSON.stringify({ host: "x", pid: 1, "process-start": 0, start, bases: [] })
  )
