/**
 * A datastore in a bucket and its cache folder, both in memory: hooks around every request, forks to go on from, and the
 * look at both places that says whether they hold the same.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import * as Datastore from "../../../src/datastore/Datastore.ts"
import * as DynamicIndex from "../../../src/format/DynamicIndex.ts"
import * as Manifest from "../../../src/format/Manifest.ts"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../../src/objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../../../src/objectstore/StoreKeys.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import type { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import type { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import type { FilesPoint } from "../../../src/testing/MemoryFiles.ts"
import * as MemoryObjectStore from "../../../src/testing/MemoryObjectStore.ts"
import * as HookedFiles from "../HookedFiles.ts"
import * as MemoryPlatform from "../../../src/testing/MemoryPlatform.ts"

export const base = "/store"
export const prefix = StoreKeys.storePrefix("store")

/** `call` counts the requests of one process, from 0. */
type RequestHook = (call: number, request: string) => Effect.Effect<void, ObjectStoreError>

export interface Hooks {
  readonly before?: RequestHook
  readonly after?: RequestHook
  /** Before each system call. */
  readonly point?: FilesPoint
  /** Around each operation on the folder. */
  readonly files?: HookedFiles.Hooks
  readonly server?: MemoryObjectStore.ServerTraits
}

const noHook: RequestHook = () => Effect.void

const hooked = (objects: ObjectStore["Service"], { after = noHook, before = noHook }: Hooks) => {
  let calls = 0
  const around = <A>(request: string, effect: Effect.Effect<A, ObjectStoreError>) =>
    Effect.suspend(() => {
      const call = calls++
      return before(call, request).pipe(
        Effect.andThen(effect),
        Effect.tap(() => after(call, request))
      )
    })
  return ObjectStore.of({
    put: (key, body) => around(`put ${key}`, objects.put(key, body)),
    putIfAbsent: (key, body) => around(`putIfAbsent ${key}`, objects.putIfAbsent(key, body)),
    get: (key, maxSizeBytes) => around(`get ${key}`, objects.get(key, maxSizeBytes)),
    getRange: (key, range) => around(`getRange ${key}`, objects.getRange(key, range)),
    head: (key) => around(`head ${key}`, objects.head(key)),
    list: (request) => around(`list ${request.prefix}`, objects.list(request)),
    deleteMany: (keys) => around(`delete ${keys.join(" ")}`, objects.deleteMany(keys)),
    copy: (from, to) => around(`copy ${from} ${to}`, objects.copy(from, to))
  })
}

/** What outlives every process. */
export interface World {
  readonly disk: MemoryDisk
  readonly bucket: MemoryBucket
}

export const fork = ({ bucket, disk }: World): World => ({ disk: disk.fork(), bucket: bucket.clone() })

export const bucketOf = ({ bucket }: World, hooks: Hooks = {}): StoreBucket.StoreBucket =>
  StoreBucket.make({ name: "store", objects: hooked(MemoryObjectStore.make(bucket, hooks.server), hooks) })

export type Services = Datastore.Datastore | Scope.Scope

const platformOf = ({ disk }: World, { files, point }: Hooks) => {
  const platform = MemoryPlatform.layer({ disk, ...(point === undefined ? {} : { point }) })
  return files === undefined ? platform : Layer.merge(platform, HookedFiles.layer(platform, files))
}

/** Runs as a process of its own, with the store open. */
export const inWorld =
  (world: World, hooks: Hooks = {}) =>
  <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.provide(
      Effect.scoped(work),
      Layer.provideMerge(
        Layer.fresh(Datastore.layer({ path: base, bucket: bucketOf(world, hooks) })),
        platformOf(world, hooks)
      )
    )

/** Files of snapshots and groups in the cache folder, by path. */
export const folderContent = ({ disk }: World): Map<string, string> => {
  const found = new Map<string, string>()
  const walk = (path: string): void => {
    for (const [name, { content, kind }] of disk.list(`${base}/${path}`, 0)) {
      if (path === "" && name.startsWith(".")) continue
      const below = path === "" ? name : `${path}/${name}`
      if (kind === "directory") walk(below)
      else if (!name.includes(".tmp_")) found.set(below, Buffer.from(content).toString("latin1"))
    }
  }
  walk("")
  return found
}

const namespacesIn = ({ disk }: World, path = base): ReadonlyArray<string> => {
  if (!disk.list(path, 0).some(([name]) => name === "ns")) return []
  return disk
    .list(`${path}/ns`, 0)
    .flatMap(([name]) => [
      `${path}/ns/${name}`.slice(base.length + 1),
      ...namespacesIn({ disk } as World, `${path}/ns/${name}`)
    ])
}

/** Objects of snapshots and groups in the bucket, by the path of the local file that holds the same. */
export const bucketContent = ({ bucket }: World): Map<string, string> => {
  const found = new Map<string, string>()
  for (const text of bucket.keys().filter((key) => key.startsWith(`${prefix}.cnt/`))) {
    const object = StoreKeys.read(prefix, ObjectKey.parse(text))
    assert.isDefined(object, `${text} is foreign`)
    const path = StoreKeys.toLocalPath(object)
    if (path !== undefined) found.set(path, Buffer.from(bucket.find(text)?.body ?? []).toString("latin1"))
  }
  return found
}

const markersIn = ({ bucket }: World): ReadonlyArray<string> =>
  bucket
    .keys()
    .filter((key) => key.endsWith("/.namespace"))
    .map((key) => key.slice(`${prefix}.cnt/`.length, -"/.namespace".length))

/** Paths with a sign of their content, in order. */
export const summary = (content: Map<string, string>): ReadonlyArray<string> =>
  [...content].map(([path, text]) => `${path} ${hash("sha256", text, "hex").slice(0, 8)}`).toSorted()

/** Both places hold the same files with the same content, and the same namespaces. */
export const assertMirrored = (world: World, when: string): void => {
  assert.deepStrictEqual(summary(folderContent(world)), summary(bucketContent(world)), when)
  assert.deepStrictEqual([...namespacesIn(world)].toSorted(), [...markersIn(world)].toSorted(), when)
}

const checksumOf = (name: string, text: string): string => {
  const bytes = Buffer.from(text, "latin1")
  return name.endsWith(".didx") ? DynamicIndex.decode(bytes).computeChecksum() : hash("sha256", bytes, "hex")
}

/** Every manifest in the bucket has everything that it names beside it. */
export const assertWhole = (world: World, when: string): void => {
  const content = bucketContent(world)
  for (const [path, text] of content) {
    if (!path.endsWith("/index.json.blob")) continue
    const beside = (name: string): string | undefined => content.get(path.replace("index.json.blob", name))
    for (const { csum, filename } of Manifest.decode(Buffer.from(text, "latin1")).files) {
      const file = beside(filename)
      assert.isDefined(file, `${path} names ${filename}: ${when}`)
      assert.strictEqual<string>(checksumOf(filename, file), csum, `${path} names ${filename}: ${when}`)
    }
  }
}

/** What is finished in the folder is finished in the bucket. */
export const assertFinishedInBoth = (world: World, when: string): void => {
  const content = bucketContent(world)
  for (const path of folderContent(world).keys()) {
    if (path.endsWith("/index.json.blob")) assert.isTrue(content.has(path), `${path}: ${when}`)
  }
}
