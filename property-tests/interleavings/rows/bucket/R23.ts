/**
 * R23: names that begin alike. What is removed with the group `host/a`, or moved with it, is named by prefixes that end
 * in `/`: otherwise `host/ab` would go with it.
 */
import * as Effect from "effect/Effect"
import type { ObjectKey } from "../../../../src/objectstore/ObjectKey.ts"
import * as ObjectKeys from "../../../../src/objectstore/ObjectKey.ts"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import * as Namespace from "../../../../src/model/Namespace.ts"
import * as Snapshot from "../../../../src/model/Snapshot.ts"
import { backUp, forget, move, snapshotAt } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { BucketWorld } from "../../harness/bucket/BucketWorld.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Mutant, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { startMillis, type StoreEffect, timeBefore } from "../../harness/World.ts"

const alike = BackupGroup.make("host", "ab")
const aa = Namespace.parse("aa")

/** The snapshot of the other group. */
const besidePath = Snapshot.format(snapshotAt(timeBefore(1), alike))

const start = prepareBucket({
  contents: ["one", "two", "new"],
  namespaces: ["aa"],
  setUp: {
    here: Effect.gen(function* () {
      yield* backUp(undefined, { time: timeBefore(0), contents: ["one"] })
      yield* backUp(undefined, { time: timeBefore(1), contents: ["two"], group: alike })
    })
  }
})

/** Whoever removes what lies in a folder removes all that begins with the folder's name, without the slash. */
const byBareNames = (isLast: RegExp): Mutation => ({
  objects: (objects) => ({
    ...objects,
    deleteMany: (keys) =>
      Effect.gen(function* () {
        const all = new Set<ObjectKey>(keys)
        for (const key of keys.filter((name) => isLast.test(name))) {
          const name = key.slice(0, key.lastIndexOf("/"))
          const around = ObjectKeys.parsePrefix(name.slice(0, name.lastIndexOf("/") + 1))
          const { objects: listed } = yield* objects.list({ prefix: around })
          for (const found of listed) if (found.key.startsWith(name)) all.add(found.key)
        }
        return yield* objects.deleteMany([...all])
      })
  })
})

const removal = (
  name: string,
  remove: (world: BucketWorld) => StoreEffect,
  mutants: ReadonlyArray<Mutant>
): Case => ({
  name,
  isOpaque: true,
  make: bucketStage({
    start,
    requests: (operation, key) => operation !== "list" && key.includes("/.cnt/"),
    points: () => false,
    invariant: (world) =>
      world.view.snapshots.some(({ isFinished, path }) => isFinished && path === besidePath)
        ? undefined
        : `${besidePath} went too`,
    program: (world) =>
      together(
        world.process("remover")(remove(world)),
        world.process("backup")(backUp(world, { time: startMillis / 1000, contents: ["new"], group: alike }))
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 40,
  mutants
})

const gone = (guard: string, mutation: Mutation): Mutant => ({
  guard,
  mutation,
  by: { strategy: "exhaustive", preemptions: 0 },
  maxRuns: 100
})

export const R23: Row = {
  id: "R23",
  title: "names that begin alike",
  cases: [
    removal(
      "the last snapshot of host/a is forgotten, and host/ab is there",
      (world) => forget(world, snapshotAt(timeBefore(0))),
      [gone("prefixes that end in a slash (groups)", byBareNames(/\/host\/a\/owner$/))]
    ),
    removal("host/a moves into a namespace, and host/ab is there", () => move(Namespace.root, aa), [
      gone("prefixes that end in a slash (moving)", byBareNames(/\/host\/a\/owner$/))
    ])
  ]
}
