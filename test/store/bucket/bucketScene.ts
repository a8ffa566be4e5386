/** A bucket that holds what a local datastore holds, object by object, and a server in front of it that counts. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"
import * as Datastore from "../../../src/datastore/Datastore.ts"
import * as Meter from "../../../src/objectstore/decorators/metered.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import * as StoreKeys from "../../../src/objectstore/StoreKeys.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../../src/testing/MemoryObjectStore.ts"
import * as backups from "../../backup/stores.ts"

export const storeName = "backups"

const prefix = StoreKeys.storePrefix(storeName)

/** Every file of the store under its key, and a marker for each namespace. */
export const uploadStore = (base: string, uploadedMillis = 1000): MemoryBucket => {
  const memory = new MemoryBucket()
  const put = (object: StoreKeys.StoreObject, body: Uint8Array) =>
    memory.put(StoreKeys.write(prefix, object), body, uploadedMillis)
  for (const entry of readdirSync(base, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    const local = relative(base, path)
    if (entry.isFile()) {
      const object = StoreKeys.fromLocalPath(local)
      if (object !== undefined) put(object, readFileSync(path))
    } else if (/(?:^|\/)ns\/[^/]+$/.test(local)) {
      const names = local.split("/").filter((_, index) => index % 2 === 1)
      put({ kind: "namespace", namespace: Namespace.parse(names.join("/")) }, new Uint8Array(0))
    }
  }
  return memory
}

export interface Server {
  readonly memory: MemoryBucket
  readonly bucket: StoreBucket.StoreBucket
  readonly meter: Meter.Meter
  /** How often an operation was asked for since the last look. */
  readonly requests: Effect.Effect<Readonly<Record<string, number>>>
}

export const serverOf = (memory: MemoryBucket, options?: MemoryObjectStore.MemoryObjectStoreOptions) =>
  Effect.gen(function* () {
    const meter = new Meter.Meter()
    const objects = yield* Meter.metered(MemoryObjectStore.make(memory, options), { meter })
    const bucket = StoreBucket.make({ objects, name: storeName, title: "s3:test/bucket/backups" })
    let seen: Record<string, number> = {}
    const requests = Effect.map(meter.usage, ({ operations }) => {
      const now = Object.fromEntries(
        Object.entries(operations).map(([name, count]) => [name, count.requests] as const)
      )
      const since = Object.entries(now).map(([name, count]) => [name, count - (seen[name] ?? 0)] as const)
      seen = now
      return Object.fromEntries(since.filter(([, count]) => count > 0))
    })
    const server: Server = { memory, bucket, meter, requests }
    return server
  })

/** Objects of a group with many snapshots that hold nothing. */
export const manySnapshots = (count: number): MemoryBucket => {
  const memory = new MemoryBucket()
  const put = (path: string) => memory.put(`${storeName}/.cnt/${path}`, Buffer.from("{}"), 0)
  put("host/test/owner")
  for (let index = 0; index < count; index++) {
    const snapshot = Snapshot.format(Snapshot.make(backups.group, 1_700_000_000 + index * 3600))
    for (const file of ["index.json.blob", "root.mpxar.didx", "root.ppxar.didx"]) put(`${snapshot}/${file}`)
  }
  return memory
}

export const team = Namespace.parse("team/dev")

/** A folder with backups in two namespaces. */
export const makeStore = Effect.gen(function* () {
  const folder = yield* backups.newStore
  const tree = yield* backups.sampleTree
  const made = yield* backups.inStore(folder)(
    Effect.gen(function* () {
      const { hierarchy } = yield* Datastore.Datastore
      yield* hierarchy.createNamespace(team)
      yield* hierarchy.createNamespace(Namespace.parse("empty"))
      const first = yield* backups.backUp(tree)
      const second = yield* backups.backUp(tree)
      yield* backups.backUp(tree, { namespace: team, changeDetection: "legacy" })
      yield* hierarchy.setProtected(Namespace.root, first.summary.snapshot, true)
      return { first: first.summary.snapshot, second: second.summary.snapshot }
    })
  )
  return { ...made, folder, tree, memory: uploadStore(folder) }
})

export type Store = Effect.Success<typeof makeStore>

/** Made once for all tests of a file, which then have buckets of their own with the same. */
export const sharedStore = () => {
  let store: Store | undefined
  const scope = Scope.makeUnsafe()
  return {
    begin: async () => {
      store = await Effect.runPromise(Scope.provide(makeStore, scope))
    },
    end: () => Effect.runPromise(Scope.close(scope, Exit.void)),
    scene: Effect.suspend(() => {
      if (store === undefined) return Effect.die("the store was not made")
      const made = store
      return Effect.map(serverOf(made.memory.clone()), (server) => ({ ...made, server }))
    })
  }
}
