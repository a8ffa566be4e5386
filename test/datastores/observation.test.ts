/** What lookups of configured datastores, and the work in a store, tell metrics and spans. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as path from "node:path"
import * as Backup from "../../src/backup/Backup.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Gc from "../../src/gc/Gc.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as DatastoreSource from "../../src/sync/DatastoreSource.ts"
import * as DatastoreTarget from "../../src/sync/DatastoreTarget.ts"
import * as SyncJob from "../../src/sync/SyncJob.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { freshMetrics, metricOf, recorded } from "../platform/telemetry.ts"
import { emptyStore } from "../store/emptyStore.ts"
import { platform } from "../store/stores.ts"
import { openService, staged } from "./scene.ts"

describe("lookups", () => {
  staged("count by operation and outcome", ["one", "two"], ({ folder }) =>
    Effect.gen(function* () {
      const service = yield* openService({ folder })
      const reads = (name: string) => Effect.scoped(service.lookup(name, "read"))
      yield* reads("one")
      yield* reads("one")
      yield* Effect.scoped(service.lookup("one", "write"))
      yield* Effect.flip(reads("twoo"))
      yield* service.setMaintenance("two", { type: "read-only", message: undefined })
      yield* Effect.flip(Effect.scoped(service.lookup("two", "write")))
      assert.deepStrictEqual(yield* metricOf("granary_lookups_total"), {
        "opened read": 1,
        "open read": 1,
        "open write": 1,
        "NoSuchDatastore read": 1,
        "InMaintenance write": 1
      })
      assert.deepStrictEqual(yield* metricOf("granary_datastore_open_seconds"), { "": 1 })
      assert.deepStrictEqual(yield* metricOf("granary_open_datastores"), { "": 1 })
      assert.deepStrictEqual(yield* metricOf("granary_config_reads_total"), { "": 2 })
      yield* service.setMaintenance("one", { type: "offline", message: undefined })
      yield* service.tick
      assert.deepStrictEqual(yield* metricOf("granary_open_datastores"), { "": 0 })
    }).pipe(freshMetrics)
  )

  staged("have spans, and opening has its own in it", ["one"], ({ service }) =>
    Effect.gen(function* () {
      const lookup = Effect.scoped(service.lookup("one", "read"))
      const { spans } = yield* recorded(Effect.andThen(lookup, lookup))
      assert.deepStrictEqual(
        spans.map(({ name, parent }) => [name, parent]),
        [
          ["granary.lookup", undefined],
          ["granary.datastore.open", "granary.lookup"],
          ["granary.lookup", undefined]
        ]
      )
      assert.deepStrictEqual(spans[0]?.attributes, {
        "granary.datastore": "one",
        "granary.operation": "read"
      })
    })
  )
})

const group = BackupGroup.make("host", "laptop")

const backup = Backup.run({
  namespace: Namespace.root,
  group,
  owner: AuthId.parse("root@pam"),
  archives: [
    {
      kind: "blob",
      archive: ArchiveName.fromClient("a.conf"),
      content: Effect.succeed(Buffer.from("text"))
    },
    { kind: "directory", archive: ArchiveName.fromClient("here.pxar"), path: import.meta.dirname }
  ]
})

const failingBackup = Effect.exit(
  Backup.run({ namespace: Namespace.root, group, owner: AuthId.parse("root@pam"), archives: [] })
)

const sync = (target: Datastore.Datastore["Service"]) =>
  Effect.gen(function* () {
    const source = yield* Datastore.Datastore
    const job = SyncJob.make(DatastoreSource.make(source), yield* DatastoreTarget.make(target))
    return yield* job.run({ direction: "pull", owner: AuthId.parse("root@pam") })
  })

const openStores = Effect.gen(function* () {
  const base = yield* scratchFolder
  const open = (name: string) => Datastore.open({ path: emptyStore(path.join(base, name)) })
  return { source: yield* open("source"), target: yield* open("target") }
})

describe("work in a store", () => {
  it.live("counts as tasks, with what came of it", () =>
    Effect.gen(function* () {
      const { source, target } = yield* openStores
      const here = Effect.provideService(Datastore.Datastore, source)
      const { spans } = yield* recorded(
        Effect.gen(function* () {
          const { statistics } = yield* here(backup)
          assert.isAbove(statistics.newChunks, 0)
          assert.deepStrictEqual(yield* metricOf("granary_backup_chunks_total"), {
            new: statistics.newChunks
          })
          assert.deepStrictEqual(yield* metricOf("granary_backup_stored_bytes_total"), {
            "": statistics.storedBytes
          })
          const { counts } = yield* here(sync(target))
          assert.deepStrictEqual(yield* metricOf("granary_sync_chunks_total"), { stored: counts.chunks })
          assert.deepStrictEqual(yield* metricOf("granary_sync_groups_total"), { done: 1 })
          assert.deepStrictEqual(yield* metricOf("granary_sync_snapshots_total"), { copied: 1 })
          yield* here(
            Effect.flatMap(VerifyPlan.make({ namespace: Namespace.root }), (plan) => Verify.run(plan))
          )
          yield* here(failingBackup)
          yield* here(Gc.collect({ checksTimes: false }))
        })
      )
      assert.deepStrictEqual(yield* metricOf("granary_tasks_total"), {
        "backup success": 1,
        "backup failure": 1,
        "success sync": 1,
        "success verification": 1,
        "garbage_collection success": 1
      })
      assert.deepStrictEqual(yield* metricOf("granary_tasks_running"), {
        backup: 0,
        sync: 0,
        verification: 0,
        garbage_collection: 0
      })
      const children = (parent: string) =>
        spans.filter((span) => span.parent === parent).map(({ name }) => name)
      assert.deepStrictEqual(children("granary.backup"), ["granary.backup.archive", "granary.backup.archive"])
      assert.deepStrictEqual(children("granary.sync"), ["granary.sync.group"])
      assert.deepStrictEqual(children("granary.garbage_collection"), [
        "granary.gc.plan",
        "granary.gc.execute"
      ])
    }).pipe(freshMetrics, Effect.scoped, Effect.provide(Layer.fresh(platform)))
  )
})
