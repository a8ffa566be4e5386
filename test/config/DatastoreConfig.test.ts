/** Datastores by name in `datastore.cfg`: on a real disk, because modes, locks and digests are part of the promise. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as DatastoreConfig from "../../src/config/DatastoreConfig.ts"
import * as Endpoints from "../../src/config/Endpoints.ts"
import * as Maintenance from "../../src/config/Maintenance.ts"
import * as Sections from "../../src/config/Sections.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { scratchFolder } from "../platform/scratch.ts"

const platform = Layer.mergeAll(NodeFiles.layer, NodeFileLocks.layer)

const inFolder = <A, E>(
  title: string,
  test: (folder: string) => Effect.Effect<A, E, Layer.Success<typeof platform>>
): void =>
  it.live(title, () => Effect.flatMap(scratchFolder, (folder) => Effect.provide(test(folder), platform)))

const refusal = <A, E extends { readonly message: string; readonly hint: string }, R>(
  effect: Effect.Effect<A, E, R>
) => Effect.map(Effect.flip(effect), ({ hint, message }) => `${message} (${hint})`)

/** What Proxmox Backup Server wrote, with a section and keys that nobody here knows. */
const written = `datastore: big
\tbackend type=s3,client=minio,bucket=my-bucket,max-cache-size=10 GiB
\tcomment two  blanks inside
\tgc-schedule daily
\tmaintenance-mode type=read-only,message="disk%20is%20%22old%22"
\tpath /srv/big
\ttuning sync-level=file,gc-atime-cutoff=120,future=1

elsewhere: other
\tkey value

datastore: small
\tkeep-last 3
\tnew-key of a later version
\tpath /srv/small
`

const fileIn = (folder: string): string => path.join(folder, "datastore.cfg")

describe("DatastoreConfig", () => {
  inFolder("reads what Proxmox Backup Server writes", (folder) =>
    Effect.gen(function* () {
      writeFileSync(fileIn(folder), written)
      const { digest, entries } = yield* DatastoreConfig.list(folder)
      assert.match(digest, /^[0-9a-f]{64}$/)
      assert.deepStrictEqual(
        entries.map(({ id }) => id),
        ["big", "small"]
      )
      const [big, small] = entries
      assert.isDefined(big)
      assert.isDefined(small)
      assert.deepStrictEqual(DatastoreConfig.backendOf(big), {
        type: "s3",
        client: "minio",
        bucket: "my-bucket",
        maxCacheBytes: 10 * 1024 ** 3
      })
      assert.deepStrictEqual(DatastoreConfig.maintenanceOf(big), {
        type: "read-only",
        message: 'disk is "old"'
      })
      assert.include(DatastoreConfig.tuningOf(big), { syncLevel: "file", gcAtimeCutoffMinutes: 120 })
      assert.include(DatastoreConfig.tuningOf(small), { syncLevel: "filesystem", gcAtimeSafetyCheck: true })
      assert.strictEqual(DatastoreConfig.folderOf(small), "/srv/small")
      assert.deepStrictEqual(Sections.toJson(DatastoreConfig.kind, small), {
        name: "small",
        "keep-last": 3,
        "new-key": "of a later version",
        path: "/srv/small"
      })
    })
  )

  inFolder("changes one key and leaves all else as it was, for its owner's eyes", (folder) =>
    Effect.gen(function* () {
      writeFileSync(fileIn(folder), written, { mode: 0o644 })
      yield* DatastoreConfig.update(folder, "small", { comment: "a b", "keep-last": "" })
      assert.strictEqual(
        readFileSync(fileIn(folder), "utf8"),
        written.replace("\tkeep-last 3\n", "\tcomment a b\n")
      )
      assert.strictEqual(statSync(fileIn(folder)).mode & 0o777, 0o600)
      assert.deepStrictEqual(
        readdirSync(folder).filter((name) => name.includes(".tmp_")),
        []
      )
    })
  )

  inFolder("refuses a change of what somebody else has changed meanwhile", (folder) =>
    Effect.gen(function* () {
      writeFileSync(fileIn(folder), written)
      const { digest } = yield* DatastoreConfig.list(folder)
      yield* DatastoreConfig.update(folder, "small", { comment: "one" }, { digest })
      const second = DatastoreConfig.update(folder, "small", { comment: "two" }, { digest })
      assert.match(yield* refusal(second), /datastore\.cfg: somebody has changed it since it was read/)
      assert.strictEqual((yield* DatastoreConfig.get(folder, "small")).values.comment, "one")
    })
  )

  inFolder("loses none of the changes that are made at once", (folder) =>
    Effect.gen(function* () {
      const names = Array.from({ length: 12 }, (_, index) => `store-${index}`)
      yield* Effect.forEach(names, (name) => DatastoreConfig.create(folder, name, { path: `/srv/${name}` }), {
        concurrency: "unbounded"
      })
      const { entries } = yield* DatastoreConfig.list(folder)
      assert.deepStrictEqual(entries.map(({ id }) => id).toSorted(), names.toSorted())
    })
  )

  inFolder("says in one line what is wrong, and where", (folder) =>
    Effect.gen(function* () {
      writeFileSync(fileIn(folder), written)
      const create = (name: string, texts: DatastoreConfig.DatastoreTexts) =>
        refusal(DatastoreConfig.create(folder, name, texts))
      for (const [told, expected] of [
        [yield* create("x", { path: "/srv/x" }), /"x": this is no name for a datastore/],
        [
          yield* create("small", { path: "/srv/x" }),
          /small: .* has a section of this name \(datastore: small\)/
        ],
        [yield* create("new", {}), /datastore new: expected a value for path, found none/],
        [yield* create("new", { path: "srv" }), /expected an absolute path for path, found "srv"/],
        [yield* create("new", { path: "/srv/small/in" }), /lies within the folder of datastore small/],
        [yield* create("new", { path: "/srv" }), /\/srv holds the folder of datastore big/],
        [yield* create("new", { path: "/srv/small/" }), /is the folder of datastore small/],
        [
          yield* create("new", { path: "/n", backend: "type=s3,client=none,bucket=bbb" }),
          /none: there is no such endpoint in .*s3\.cfg/
        ],
        [
          yield* create("new", { path: "/n", backend: "type=s3" }),
          /expected a client and a bucket for backend/
        ],
        [
          yield* create("new", { path: "/n", tuning: "sync-level=often" }),
          /one of none, file, filesystem for tuning/
        ],
        [
          yield* create("new", { path: "/n", "keep-last": "0" }),
          /a whole number from 1 .* for keep-last, found "0"/
        ],
        [
          yield* refusal(DatastoreConfig.get(folder, "smal")),
          /smal: there is no such datastore .*did you mean small\?/
        ],
        [
          yield* refusal(DatastoreConfig.update(folder, "small", { path: "/x" })),
          /small: the path of a datastore stays what it was made with/
        ]
      ] as const) {
        assert.match(told, expected)
        assert.notInclude(told, "\n")
      }
      assert.strictEqual(readFileSync(fileIn(folder), "utf8"), written)
      writeFileSync(fileIn(folder), `${written}\n\tbad\n`)
      assert.match(yield* refusal(DatastoreConfig.list(folder)), /datastore\.cfg: .*\(line 17/)
    })
  )

  inFolder("makes a store before its section is written, and writes none when that fails", (folder) =>
    Effect.gen(function* () {
      const create = (ends: Effect.Effect<void, string>) =>
        DatastoreConfig.create(folder, "new", { path: "/srv/new" }, () => ends)
      yield* Effect.flip(create(Effect.fail("no space")))
      assert.deepStrictEqual((yield* DatastoreConfig.list(folder)).entries, [])
      yield* create(Effect.void)
      assert.strictEqual((yield* DatastoreConfig.get(folder, "new")).values.path, "/srv/new")
    })
  )

  inFolder("takes an endpoint that there is", (folder) =>
    Effect.gen(function* () {
      yield* Endpoints.create(folder, { id: "minio", texts: { endpoint: "s3.example.org" } })
      yield* DatastoreConfig.create(folder, "new", { path: "/n", backend: "type=s3,client=minio,bucket=bbb" })
      assert.include(DatastoreConfig.backendOf(yield* DatastoreConfig.get(folder, "new")), {
        client: "minio"
      })
    })
  )

  inFolder("sets maintenance modes, and lets nobody out of a deletion", (folder) =>
    Effect.gen(function* () {
      writeFileSync(fileIn(folder), written)
      const set = (mode: Maintenance.Maintenance | undefined) =>
        DatastoreConfig.setMaintenance(folder, "small", mode)
      const mode = Effect.map(DatastoreConfig.get(folder, "small"), DatastoreConfig.maintenanceOf)
      yield* set({ type: "offline", message: 'moving, "soon" 100%' })
      assert.include(
        readFileSync(fileIn(folder), "utf8"),
        'type=offline,message="moving%2C%20%22soon%22%20100%25"'
      )
      assert.deepStrictEqual(yield* mode, { type: "offline", message: 'moving, "soon" 100%' })
      yield* set(undefined)
      assert.strictEqual(readFileSync(fileIn(folder), "utf8"), written)
      assert.match(yield* refusal(set({ type: "offline", message: "x".repeat(65) })), /at most 64 characters/)
      yield* set({ type: "delete", message: undefined })
      assert.match(yield* refusal(set(undefined)), /small: it is being deleted/)
      assert.match(yield* refusal(set({ type: "offline", message: undefined })), /being deleted/)
      yield* set({ type: "delete", message: undefined })
      assert.strictEqual((yield* mode)?.type, "delete")
    })
  )

  it("allows what the table of maintenance modes says", () => {
    const table: Record<Maintenance.MaintenanceType, string> = {
      "read-only": "read lookup",
      offline: "lookup",
      unmount: "lookup",
      "s3-refresh": "lookup",
      delete: ""
    }
    for (const type of Maintenance.types) {
      const mode = { type, message: undefined }
      const allowed = (["read", "write", "lookup"] as const).filter((each) => Maintenance.allows(mode, each))
      assert.strictEqual(allowed.join(" "), table[type])
      assert.strictEqual(Maintenance.evicts(mode), ["offline", "unmount", "delete"].includes(type))
      assert.strictEqual(Maintenance.field.decode(Maintenance.encode(mode)).type, type)
    }
    assert.isTrue(Maintenance.allows(undefined, "write"))
  })

  inFolder("has no permission in a folder of somebody else's", (folder) =>
    Effect.gen(function* () {
      if (process.getuid?.() === 0) return
      mkdirSync(path.join(folder, "closed"), { mode: 0o500 })
      const create = DatastoreConfig.create(path.join(folder, "closed"), "new", { path: "/n" })
      assert.match(yield* refusal(create), /permission denied/)
    })
  )
})
