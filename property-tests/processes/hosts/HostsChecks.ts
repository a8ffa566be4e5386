/**
 * HostsChecks: what must be true of a datastore in a bucket when nobody is at work, seen by a machine that has nothing
 * but the bucket, and by a host that collects garbage alone. Each check answers what is wrong, one line each.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import * as CryptConfig from "../../../src/format/CryptConfig.ts"
import * as KeyFile from "../../../src/format/KeyFile.ts"
import * as BucketReading from "../../../src/datastore/BucketReading.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import { connectS3 } from "../../../src/objectstore/s3/connectS3.ts"
import * as NodePlatform from "../../../src/platform/NodePlatform.ts"
import * as Restore from "../../../src/restore/Restore.ts"
import * as SnapshotReader from "../../../src/restore/SnapshotReader.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import { settingsOf } from "../../../test/objectstore/s3/buckets.ts"
import * as Checks from "../Checks.ts"
import type { SnapshotFolder } from "../StoreFolder.ts"
import { type Host, type HostsSetup, storeName } from "./HostsSetup.ts"

/** The snapshots in the bucket, by its keys. */
const snapshotFolders = (keys: ReadonlyArray<string>): ReadonlyArray<SnapshotFolder> => {
  const found = new Map<string, boolean>()
  for (const key of keys) {
    const [, name, file] = /^store\/\.cnt\/([^/]+\/[^/]+\/\d{4}-[^/]+)\/(.+)$/.exec(key) ?? []
    if (name !== undefined) found.set(name, found.get(name) === true || file === "index.json.blob")
  }
  return [...found].map(([name, hasManifest]) => ({ name, hasManifest }))
}

/** What the program lists without a folder, compared with the keys. */
export const list = ({ endpoint, reader, sources }: HostsSetup): Promise<Checks.Listed> =>
  Checks.list(reader, sources, async () => snapshotFolders(await endpoint.keys()))

/** Nothing is missing, and of what nobody needs nothing stays in the bucket; nor do marks of the dead. */
export const gcThatSweeps = ({ endpoint }: HostsSetup, { program }: Host): Promise<Checks.Problems> =>
  Checks.gcThatSweeps(program, [], async () => {
    const keys = await endpoint.keys()
    const marks = keys.filter((key) => /\/\.granary\/(?:writers|collectors)\//.test(key))
    return {
      chunks: keys.filter((key) => key.startsWith(`${storeName}/.chunks/`)),
      outliving: marks.map((key) => `${key}: a mark that outlives gc`)
    }
  })

/** Restores everything that is listed as finished straight from the bucket, and compares. */
export const restoreAll = (
  { endpoint, folder, keyFile }: HostsSetup,
  listed: Checks.Listed,
  records: ReadonlyMap<string, Checks.Content>
): Promise<Checks.Restored> =>
  Effect.gen(function* () {
    const crypt = CryptConfig.fromKey(KeyFile.unlock(KeyFile.decode(fs.readFileSync(keyFile)), undefined))
    // With retries, as programs have them: a server closes connections that were idle for a while.
    const { patient: objects } = yield* connectS3(settingsOf(endpoint.place))
    const reading = BucketReading.layer(StoreBucket.make({ objects, name: storeName }))
    const context = yield* Layer.build(Layer.provideMerge(reading, NodePlatform.layer))
    const restore: Checks.Restore = (name, archive, target) =>
      SnapshotReader.open({ namespace: Namespace.root, snapshot: Snapshot.parse(name), crypt }).pipe(
        Effect.flatMap((reader) => Restore.run(reader, { archive, target })),
        Effect.scoped,
        Effect.runPromiseWith(context)
      )
    return yield* Effect.promise(() => Checks.restoreAll(folder, listed, records, restore))
  }).pipe(Effect.scoped, Effect.runPromise)
