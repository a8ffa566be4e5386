/** Configured datastores in buckets, by an S3 server in this process: lookups, counters, changed keys, being alone. */
// oxlint-disable-next-line import/no-unassigned-import -- what it does to other modules is what is wanted
import "../platform/noThreads.ts"
// oxlint-disable-next-line import/no-unassigned-import -- what it does to other modules is what is wanted
import "../store/fewFolders.ts"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { existsSync, rmSync } from "node:fs"
import * as path from "node:path"
import * as Backup from "../../src/backup/Backup.ts"
import * as DatastoreConfig from "../../src/config/DatastoreConfig.ts"
import * as Endpoints from "../../src/config/Endpoints.ts"
import * as BucketDatastore from "../../src/datastore/BucketDatastore.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Places from "../../src/datastores/Places.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as NodePlatform from "../../src/platform/NodePlatform.ts"
import * as Refresh from "../../src/refresh/Refresh.ts"
import * as RefreshPlan from "../../src/refresh/RefreshPlan.ts"
import { scratchFolder } from "../platform/scratch.ts"
import * as S3Endpoint from "../s3/S3Endpoint.ts"
import { openService, refusal, type Service } from "./scene.ts"

/** How the server is told of in `s3.cfg`. */
const textsOf = ({
  accessKey,
  port,
  region,
  secretKey
}: S3Endpoint.S3Endpoint): Endpoints.Endpoint["texts"] => ({
  endpoint: "127.0.0.1",
  port: String(port),
  region,
  "path-style": "true",
  "insecure-http": "true",
  "access-key": accessKey,
  "secret-key": secretKey
})

/** A server, a configuration that knows it, and these datastores in its bucket. */
const makeScene = (names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const base = yield* scratchFolder
    const folder = path.join(base, "config")
    const server = yield* S3Endpoint.start()
    yield* Endpoints.create(folder, { id: "cloud", texts: textsOf(server) })
    const backend = `type=s3,client=cloud,bucket=${server.bucket}`
    for (const name of names) {
      const texts = { path: path.join(base, name), backend }
      yield* DatastoreConfig.create(folder, name, texts, (entry) =>
        Effect.scoped(
          Effect.gen(function* () {
            const bucket = yield* Places.make(folder, Places.connectS3).bucketOf(entry)
            if (bucket === undefined) throw new Error("it is in a bucket")
            yield* BucketDatastore.create({ path: DatastoreConfig.folderOf(entry), bucket })
          })
        )
      )
    }
    const service = yield* openService({ folder, editLookMillis: 0 })
    const keys = (): ReadonlyArray<string> => [...server.memory.keys()]
    return { folder, keys, server, service, storeFolder: (name: string) => path.join(base, name) }
  })

const inBucket = <A, E>(
  title: string,
  names: ReadonlyArray<string>,
  test: (
    scene: Effect.Success<ReturnType<typeof makeScene>>
  ) => Effect.Effect<A, E, Layer.Success<typeof NodePlatform.layer> | Scope.Scope>
): void =>
  it.live(title, () =>
    Effect.flatMap(makeScene(names), test).pipe(Effect.scoped, Effect.provide(NodePlatform.layer))
  )

const group = BackupGroup.make("host", "laptop")

/** A backup of a text, by a lookup. */
const backUp = (service: Service, name: string, text: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { store } = yield* service.lookup(name, "write")
      const archive = ArchiveName.fromClient("a.conf")
      return yield* Backup.run({
        namespace: Namespace.root,
        group,
        owner: AuthId.parse("root@pam"),
        archives: [{ kind: "blob", archive, content: Effect.succeed(Buffer.from(text)) }]
      }).pipe(Effect.provideService(Datastore.Datastore, store))
    })
  )

const snapshotsOf = (service: Service, name: string) =>
  Effect.scoped(
    Effect.flatMap(service.lookup(name, "read"), ({ store }) =>
      Effect.map(store.hierarchy.snapshots(Namespace.root, group), (all) => all.length)
    )
  )

describe("configured datastores in a bucket", () => {
  inBucket("are used by name, and count their own requests", ["one", "two"], ({ keys, server, service }) =>
    Effect.gen(function* () {
      assert.isUndefined((yield* service.status("one")).requests)
      const before = server.served.length
      yield* backUp(service, "one", "first")
      const { backend, requests } = yield* service.status("one")
      assert.strictEqual(backend, "s3")
      assert.strictEqual(requests?.requests, server.served.length - before)
      assert.isAbove(requests?.operations.put.requests ?? 0, 0)
      assert.isAbove(requests?.bytesOut ?? 0, 0)
      assert.isUndefined((yield* service.status("two")).requests)
      assert.isTrue(keys().some((key) => key.startsWith("one/.cnt/host/laptop/")))
      assert.isFalse(keys().some((key) => key.startsWith("two/.cnt/host/")))
      const asked = server.served.length
      yield* service.status("one")
      assert.strictEqual(server.served.length, asked)
      assert.strictEqual(yield* snapshotsOf(service, "one"), 1)
    })
  )

  inBucket("use an endpoint's new key at the next lookup, and leave handles alone", ["one"], (scene) =>
    Effect.gen(function* () {
      const { folder, server, service } = scene
      const held = yield* Scope.make()
      const { store } = yield* Scope.provide(service.lookup("one", "read"), held)
      const { memory } = server
      const renewed = yield* S3Endpoint.start({ memory, accessKey: "RENEWED", secretKey: "renewed-secret" })
      yield* Endpoints.update(folder, "cloud", { port: String(renewed.port) })
      const wrong = backUp(service, "one", "with the old key")
      assert.match(yield* refusal(wrong), /access|key|credential|denied|refused/i)
      const asked = server.served.length
      yield* Endpoints.update(folder, "cloud", textsOf(renewed))
      yield* backUp(service, "one", "with the new key")
      assert.strictEqual(server.served.length, asked)
      assert.isTrue(
        renewed.served.some(({ operation, status }) => operation === "PutObject" && status === 200)
      )
      const again = yield* Effect.scoped(service.lookup("one", "read"))
      assert.notStrictEqual(again.store, store)
      // Who has the old one still reaches the server he began with.
      assert.isDefined(store.bucket)
      yield* store.bucket.objects.list({ prefix: store.bucket.prefix })
      assert.strictEqual(server.served.length, asked + 1)
      yield* Scope.close(held, Exit.void)
    })
  )

  inBucket("are refreshed while nobody else is in them", ["one"], ({ service, storeFolder }) =>
    Effect.gen(function* () {
      yield* backUp(service, "one", "text")
      rmSync(path.join(storeFolder("one"), "host"), { recursive: true })
      assert.match(yield* refusal(snapshotsOf(service, "one")), /no such backup group/)
      const mode = { type: "s3-refresh", message: undefined } as const
      const summary = yield* service.alone("one", mode, ({ bucket, entry }) =>
        Effect.gen(function* () {
          if (bucket === undefined) return yield* Effect.die("it is in a bucket")
          const lookup = Effect.scoped(service.lookup("one", "read"))
          assert.match(yield* refusal(lookup), /fetched from the bucket/)
          const plan = yield* RefreshPlan.make({ path: DatastoreConfig.folderOf(entry), bucket })
          return yield* Refresh.run(plan)
        })
      )
      assert.isAbove(summary.fetched.objects, 0)
      assert.strictEqual(yield* snapshotsOf(service, "one"), 1)
    })
  )

  inBucket("leave their content where it is when only the name is removed", ["one"], (scene) =>
    Effect.gen(function* () {
      const { keys, service, storeFolder } = scene
      yield* backUp(service, "one", "text")
      const before = keys()
      yield* service.remove("one")
      assert.deepStrictEqual(
        keys(),
        before.filter((key) => key !== "one/.in-use")
      )
      assert.notStrictEqual(keys().length, before.length)
      assert.isTrue(existsSync(path.join(storeFolder("one"), ".chunks")))
      assert.match(yield* refusal(snapshotsOf(service, "one")), /no such datastore/)
    })
  )

  inBucket("take all of their content with them, and nothing of others", ["one", "two"], (scene) =>
    Effect.gen(function* () {
      const { keys, service, storeFolder } = scene
      yield* backUp(service, "one", "text")
      yield* backUp(service, "two", "text")
      const others = keys().filter((key) => key.startsWith("two/"))
      yield* service.remove("one", { destroyData: true })
      assert.deepStrictEqual(keys(), others)
      assert.isFalse(existsSync(path.join(storeFolder("one"), ".chunks")))
      assert.strictEqual(yield* snapshotsOf(service, "two"), 1)
    })
  )
})
