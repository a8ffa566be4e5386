/**
 * A datastore in a bucket: made, backed up into and collected with a cache folder beside it, then read straight from
 * the bucket, as after a disaster that left nothing else. The bucket of this example is a folder; for a real one put
 * `S3ObjectStore.layer(settings)` in its place.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"
import * as Backup from "granary/backup/Backup"
import * as BucketDatastore from "granary/datastore/BucketDatastore"
import * as BucketReading from "granary/datastore/BucketReading"
import * as Datastore from "granary/datastore/Datastore"
import * as Gc from "granary/gc/Gc"
import * as ArchiveName from "granary/model/ArchiveName"
import * as AuthId from "granary/model/AuthId"
import * as BackupGroup from "granary/model/BackupGroup"
import * as Namespace from "granary/model/Namespace"
import * as Snapshot from "granary/model/Snapshot"
import * as DirectoryObjectStore from "granary/objectstore/DirectoryObjectStore"
import { ObjectStore } from "granary/objectstore/ObjectStore"
import * as Listing from "granary/restore/Listing"
import * as StoreBucket from "granary/store/bucket/StoreBucket"
import { platform, source, temporaryFolder } from "./support/sandbox.ts"

const group = BackupGroup.make("host", "laptop")

const backup = Backup.run({
  namespace: Namespace.root,
  group,
  owner: AuthId.parse("root@pam"),
  archives: [
    { kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: process.argv[2] ?? source }
  ]
})

const work = Effect.gen(function* () {
  const { snapshot, statistics } = yield* backup
  yield* Console.log(`${Snapshot.format(snapshot)}: ${statistics.storedBytes} bytes uploaded`)
  const { requests, status } = yield* Gc.collect()
  yield* Console.log(`collected: ${status.diskChunks} chunks stay, ${JSON.stringify(requests)}`)
})

const look = Listing.snapshotsOf(Namespace.root, group).pipe(
  Stream.runForEach(({ sizeBytes, snapshot, state }) =>
    Console.log(`in the bucket: ${Snapshot.format(snapshot)}, ${state}, ${sizeBytes} bytes`)
  )
)

const program = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  yield* DirectoryObjectStore.create(`${folder}/bucket`)
  const objects = yield* Effect.provide(ObjectStore, DirectoryObjectStore.layer(`${folder}/bucket`))
  const bucket = StoreBucket.make({ objects, name: "store" })
  yield* BucketDatastore.create({ path: `${folder}/cache`, bucket })
  yield* Effect.provide(work, Datastore.layer({ path: `${folder}/cache`, bucket }))
  yield* Effect.provide(look, BucketReading.layer(bucket))
})

program.pipe(Effect.scoped, Effect.provide(platform), NodeRuntime.runMain)
