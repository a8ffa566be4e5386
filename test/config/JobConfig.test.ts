/** Jobs by name, in the form of Proxmox Backup Server. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as DatastoreConfig from "../../src/config/DatastoreConfig.ts"
import * as JobConfig from "../../src/config/JobConfig.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { scratchFolder } from "../platform/scratch.ts"

const platform = Layer.mergeAll(NodeFiles.layer, NodeFileLocks.layer)

const inFolder = <A, E>(
  title: string,
  test: (folder: string) => Effect.Effect<A, E, Layer.Success<typeof platform>>
): void =>
  it.live(title, () =>
    Effect.flatMap(scratchFolder, (folder) =>
      DatastoreConfig.create(folder, "here", { path: "/srv/here" }).pipe(
        Effect.andThen(test(folder)),
        Effect.provide(platform)
      )
    )
  )

const refusal = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), ({ message }) => message)

const syncJobs = `sync: pull-1
\tgroup-filter type:vm
\tgroup-filter exclude:group:vm/100
\tmax-depth 2
\tns 
\tremote other
\tremote-store there
\tremove-vanished true
\tschedule hourly
\tstore here
\tworker-threads 4
`

describe("JobConfig", () => {
  inFolder("reads sync jobs with their lists and empty values, and writes them as they were", (folder) =>
    Effect.gen(function* () {
      const file = path.join(folder, "sync.cfg")
      writeFileSync(file, syncJobs)
      const job = yield* JobConfig.get(JobConfig.sync, folder, "pull-1")
      assert.deepStrictEqual(JobConfig.toJson(JobConfig.sync, job), {
        id: "pull-1",
        "group-filter": ["type:vm", "exclude:group:vm/100"],
        "max-depth": 2,
        ns: "",
        remote: "other",
        "remote-store": "there",
        "remove-vanished": true,
        schedule: "hourly",
        store: "here",
        "worker-threads": 4
      })
      yield* JobConfig.update(JobConfig.sync, folder, "pull-1", { "group-filter": ["type:ct"], comment: "c" })
      assert.strictEqual(
        readFileSync(file, "utf8"),
        syncJobs
          .replace("\tgroup-filter exclude:group:vm/100\n", "")
          .replace("type:vm", "type:ct")
          .replace("sync: pull-1\n", "sync: pull-1\n\tcomment c\n")
      )
    })
  )

  inFolder("makes, lists and removes jobs of every kind", (folder) =>
    Effect.gen(function* () {
      yield* JobConfig.create(JobConfig.verify, folder, "v-1", { store: "here", "outdated-after": "30" })
      yield* JobConfig.create(JobConfig.prune, folder, "p-1", {
        store: "here",
        schedule: "daily",
        "keep-last": "2"
      })
      assert.deepStrictEqual(yield* JobConfig.namesOn(folder, "here"), ["verify job v-1", "prune job p-1"])
      assert.deepStrictEqual(yield* JobConfig.namesOn(folder, "there"), [])
      const { entries } = yield* JobConfig.list(JobConfig.prune, folder)
      assert.deepStrictEqual(entries[0]?.values, { store: "here", schedule: "daily", "keep-last": 2 })
      yield* JobConfig.remove(JobConfig.prune, folder, "p-1")
      assert.deepStrictEqual((yield* JobConfig.list(JobConfig.prune, folder)).entries, [])
      assert.match(
        yield* refusal(JobConfig.remove(JobConfig.prune, folder, "p-1")),
        /p-1: there is no such prune job in .*prune\.cfg/
      )
    })
  )

  inFolder("refuses a datastore that there is not, unknown keys and bad values", (folder) =>
    Effect.gen(function* () {
      const create = (texts: Parameters<typeof JobConfig.create<JobConfig.SyncFields>>[3]) =>
        refusal(JobConfig.create(JobConfig.sync, folder, "s-1", texts))
      assert.match(yield* create({ store: "her", "remote-store": "x-1" }), /her: .*did you mean here\?/)
      assert.match(
        yield* create({ store: "here", "remote-store": "here" }),
        /another datastore than the job's own/
      )
      assert.match(yield* create({ store: "here" }), /a value for remote-store/)
      const bad = { store: "here", "remote-store": "there" }
      assert.match(yield* create({ ...bad, "worker-threads": "33" }), /from 1 to 32 for worker-threads/)
      assert.match(yield* create({ ...bad, "remove-vanished": "maybe" }), /true or false for remove-vanished/)
      assert.match(yield* create({ ...bad, ns: "a//b" }), /a namespace for ns/)
      assert.match(
        yield* create(Object.assign({ nonsense: "1" }, bad)),
        /a key of a sync job, found "nonsense"/
      )
    })
  )
})
