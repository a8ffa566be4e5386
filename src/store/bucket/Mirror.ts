/**
 * Mirror: what of namespaces, groups and snapshots lies in the bucket, beside the same things in the cache folder.
 *
 * `Hierarchy` and `SnapshotFiles` say when each of these is called (docs/s3.md, "Files of snapshots"); groups are moved
 * by `GroupMove`. Locks are their callers' business, and other hosts do not know them: so whatever could take something
 * from another host looks into the bucket first, instead of trusting the folder.
 *
 * Invariants: a manifest is removed before anything it names; what is listed is listed by a prefix that ends in `/`;
 * everything may be done once more after a crash or a failure at any point, and comes to the same.
 */
import * as Effect from "effect/Effect"
import * as ArchiveName from "../../model/ArchiveName.ts"
import type * as BackupGroup from "../../model/BackupGroup.ts"
import { InvalidName } from "../../model/InvalidName.ts"
import type { Namespace } from "../../model/Namespace.ts"
import * as Snapshots from "../../model/Snapshot.ts"
import type * as ObjectKey from "../../objectstore/ObjectKey.ts"
import { deleteOne } from "../../objectstore/ObjectStore.ts"
import { isNotFound, type ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import { largestBlobBytes } from "../../platform/chunkContent.ts"
import { storeError, type StoreError } from "../StoreError.ts"
import { keyOf, listAll, removeAll, type StoreBucket } from "./StoreBucket.ts"

type Failure = ObjectStoreError | StoreError
type Snapshot = Snapshots.Snapshot
type Group = BackupGroup.BackupGroup

export interface Mirror {
  /** Puts a file of a snapshot, whatever was there. */
  readonly putFile: (
    namespace: Namespace,
    snapshot: Snapshot,
    fileName: string,
    content: Uint8Array
  ) => Effect.Effect<void, Failure>
  /** Removes a file of a snapshot; one that is not there will do. */
  readonly removeFile: (
    namespace: Namespace,
    snapshot: Snapshot,
    fileName: string
  ) => Effect.Effect<void, Failure>
  /** The manifest that is in the bucket. Fails with `NoSuchSnapshot` when there is none. */
  readonly manifest: (namespace: Namespace, snapshot: Snapshot) => Effect.Effect<Uint8Array, Failure>
  /** Names of the files of a snapshot. */
  readonly fileNames: (
    namespace: Namespace,
    snapshot: Snapshot
  ) => Effect.Effect<ReadonlySet<string>, Failure>
  /** Fails with `SnapshotExists` when something of a snapshot that is about to be made is there already. */
  readonly refuseExisting: (namespace: Namespace, snapshot: Snapshot) => Effect.Effect<void, Failure>
  /** Looks; fails with `Protected` when the bucket says so. What it answers removes the snapshot. */
  readonly prepareRemoval: (
    namespace: Namespace,
    snapshot: Snapshot
  ) => Effect.Effect<Effect.Effect<void, Failure>, Failure>
  readonly setProtected: (
    namespace: Namespace,
    snapshot: Snapshot,
    isProtected: boolean
  ) => Effect.Effect<void, Failure>
  /** Puts the owner of a group unless it has one; answers what is there then. */
  readonly claimOwner: (
    namespace: Namespace,
    group: Group,
    content: Uint8Array
  ) => Effect.Effect<Uint8Array, Failure>
  /** Removes owner and notes of a group; false, and nothing happens, when a snapshot of it is there. */
  readonly removeGroupIfEmpty: (namespace: Namespace, group: Group) => Effect.Effect<boolean, Failure>
  /** Makes the marker of one namespace; those around it are asked for one by one. */
  readonly createNamespace: (namespace: Namespace) => Effect.Effect<void, Failure>
  /** Whether a namespace has nothing but its marker. */
  readonly isNamespaceEmpty: (namespace: Namespace) => Effect.Effect<boolean, Failure>
  readonly removeNamespace: (namespace: Namespace) => Effect.Effect<void, Failure>
}

const ownerMaxBytes = 64 * 1024

const empty = new Uint8Array(0)

const ofSnapshot = (snapshot: Snapshot, reason: StoreError["reason"], detail: string): StoreError =>
  storeError(reason, Snapshots.format(snapshot), detail)

/** The parts of `Mirror` that are about one snapshot. */
const snapshotsIn = (bucket: StoreBucket) => {
  const { objects } = bucket

  const fileKey = (
    namespace: Namespace,
    snapshot: Snapshot,
    fileName: string
  ): Effect.Effect<ObjectKey.ObjectKey, StoreError> =>
    Effect.suspend(() => {
      try {
        const name = ArchiveName.fromFile(fileName)
        return Effect.succeed(keyOf(bucket, { kind: "file", namespace, snapshot, name }))
      } catch (error) {
        if (!(error instanceof InvalidName)) throw error
        return Effect.fail(ofSnapshot(snapshot, "Refused", error.message))
      }
    })

  const manifestKey = (namespace: Namespace, snapshot: Snapshot) =>
    fileKey(namespace, snapshot, ArchiveName.manifestFile)

  const list = (namespace: Namespace, snapshot: Snapshot) =>
    listAll(bucket, StoreKeys.snapshotPrefix(bucket.prefix, namespace, snapshot))

  const nameOf = (key: string): string => key.slice(key.lastIndexOf("/") + 1)

  const fileNames = (namespace: Namespace, snapshot: Snapshot) =>
    Effect.map(list(namespace, snapshot), (listed) => new Set(listed.map(({ key }) => nameOf(key))))

  return {
    fileNames,
    putFile: (namespace: Namespace, snapshot: Snapshot, fileName: string, content: Uint8Array) =>
      Effect.flatMap(fileKey(namespace, snapshot, fileName), (key) =>
        Effect.asVoid(objects.put(key, content))
      ),
    removeFile: (namespace: Namespace, snapshot: Snapshot, fileName: string) =>
      Effect.flatMap(fileKey(namespace, snapshot, fileName), (key) => deleteOne(objects, key)),
    manifest: (namespace: Namespace, snapshot: Snapshot) =>
      Effect.flatMap(manifestKey(namespace, snapshot), (key) => objects.get(key, largestBlobBytes)).pipe(
        Effect.catchIf(
          (error) => error._tag === "ObjectStoreError" && isNotFound(error),
          () =>
            Effect.fail(
              ofSnapshot(
                snapshot,
                "NoSuchSnapshot",
                "it is not in the bucket any more, only in the cache folder; run: granary s3-refresh"
              )
            )
        )
      ),
    refuseExisting: (namespace: Namespace, snapshot: Snapshot) =>
      Effect.flatMap(fileNames(namespace, snapshot), (names) => {
        if (names.size === 0) return Effect.void
        const detail =
          "the bucket has files of this snapshot that the cache folder lacks; run: granary s3-refresh"
        return Effect.fail(ofSnapshot(snapshot, "SnapshotExists", detail))
      }),
    prepareRemoval: (namespace: Namespace, snapshot: Snapshot) =>
      Effect.gen(function* () {
        const manifest = yield* manifestKey(namespace, snapshot)
        const keys = (yield* list(namespace, snapshot)).map(({ key }) => key)
        if (keys.some((key) => nameOf(key) === ArchiveName.protectedFile)) {
          return yield* ofSnapshot(snapshot, "Protected", "this snapshot is protected in the bucket")
        }
        return Effect.andThen(
          deleteOne(objects, manifest),
          removeAll(
            bucket,
            keys.filter((key) => key !== manifest)
          )
        )
      }),
    setProtected: (namespace: Namespace, snapshot: Snapshot, isProtected: boolean) => {
      const key = keyOf(bucket, { kind: "protected", namespace, snapshot })
      return isProtected ? Effect.asVoid(objects.put(key, empty)) : deleteOne(objects, key)
    }
  }
}

/** The parts of `Mirror` that are about one group. */
const groupsIn = (bucket: StoreBucket) => {
  const { objects } = bucket

  const claimOwner = (namespace: Namespace, group: Group, content: Uint8Array) =>
    Effect.gen(function* () {
      const key = keyOf(bucket, { kind: "owner", namespace, group })
      const { outcome } = yield* objects.putIfAbsent(key, content)
      if (outcome === "created") return content
      const present = yield* objects.get(key, ownerMaxBytes)
      if (present.length > 0) return present
      // Whoever left it empty has claimed nothing.
      yield* objects.put(key, content)
      return content
    })

  const removeGroupIfEmpty = (namespace: Namespace, group: Group) =>
    Effect.gen(function* () {
      const prefix = StoreKeys.groupPrefix(bucket.prefix, namespace, group)
      // One page tells: names of snapshots begin with a digit and are listed before `notes` and `owner`.
      const { objects: listed, foreignKeys } = yield* objects.list({ prefix })
      const keys = listed.map(({ key }) => key)
      const isDeeper = (key: string): boolean => key.slice(prefix.length).includes("/")
      if (keys.some(isDeeper) || foreignKeys.some(isDeeper)) return false
      yield* removeAll(bucket, keys)
      return true
    })

  return { claimOwner, removeGroupIfEmpty }
}

/** The parts of `Mirror` that are about one namespace. */
const namespacesIn = (bucket: StoreBucket) => {
  const { objects } = bucket
  const markerOf = (namespace: Namespace) => keyOf(bucket, { kind: "namespace", namespace })

  return {
    createNamespace: (namespace: Namespace) => Effect.asVoid(objects.putIfAbsent(markerOf(namespace), empty)),
    isNamespaceEmpty: (namespace: Namespace) =>
      Effect.map(
        objects.list({ prefix: StoreKeys.namespacePrefix(bucket.prefix, namespace), pageSize: 2 }),
        (page) =>
          page.foreignKeys.length === 0 && page.objects.every(({ key }) => key === markerOf(namespace))
      ),
    removeNamespace: (namespace: Namespace) => deleteOne(objects, markerOf(namespace))
  }
}

export const make = (bucket: StoreBucket): Mirror => ({
  ...snapshotsIn(bucket),
  ...groupsIn(bucket),
  ...namespacesIn(bucket)
})
