/**
 * GroupMove: takes a backup group's objects to another namespace of the bucket. A bucket cannot rename: so they are
 * copied, and the old ones deleted when the cache folder has been renamed.
 *
 * Invariants: a copied manifest comes after everything it names, a manifest is deleted before that; so each place has
 * whole snapshots at every moment, and the group is whole in one place at least. Nothing at the new place that is not
 * from this very move is overwritten, and nothing at the old one is deleted that the new one lacks. The caller holds
 * the locks of both groups and has seen that the cache folder has none at the new place.
 */
import * as Effect from "effect/Effect"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as BackupGroup from "../../model/BackupGroup.ts"
import type { Namespace } from "../../model/Namespace.ts"
import * as ObjectKey from "../../objectstore/ObjectKey.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import { storeError, type StoreError } from "../StoreError.ts"
import { listAll, removeAll, type StoreBucket } from "./StoreBucket.ts"

type Failure = ObjectStoreError | StoreError

export interface Places {
  readonly group: BackupGroup.BackupGroup
  readonly from: Namespace
  readonly to: Namespace
}

/** Requests at once. */
const concurrency = 8

const isManifest = (name: string): boolean => name.endsWith(`/${ArchiveName.manifestFile}`)

const manifestsOf = (names: ReadonlyArray<string>) => names.filter(isManifest)

const othersOf = (names: ReadonlyArray<string>) => names.filter((name) => !isManifest(name))

const prefixesOf = (bucket: StoreBucket, { group, from, to }: Places) => ({
  source: StoreKeys.groupPrefix(bucket.prefix, from, group),
  target: StoreKeys.groupPrefix(bucket.prefix, to, group)
})

/** Names below the prefix, relative to it. */
const namesBelow = (bucket: StoreBucket, prefix: ObjectKey.KeyPrefix) =>
  Effect.map(listAll(bucket, prefix), (listed) => listed.map(({ key }) => key.slice(prefix.length)))

const remove = (bucket: StoreBucket, prefix: ObjectKey.KeyPrefix, names: ReadonlyArray<string>) => {
  const keys = (some: ReadonlyArray<string>) => some.map((name) => ObjectKey.join(prefix, name))
  return Effect.andThen(removeAll(bucket, keys(manifestsOf(names))), removeAll(bucket, keys(othersOf(names))))
}

const copyAll = (bucket: StoreBucket, places: Places, names: ReadonlyArray<string>) => {
  const { source, target } = prefixesOf(bucket, places)
  const copy = (some: ReadonlyArray<string>) =>
    Effect.forEach(
      some,
      (name) => bucket.objects.copy(ObjectKey.join(source, name), ObjectKey.join(target, name)),
      { concurrency, discard: true }
    )
  return Effect.andThen(copy(othersOf(names)), copy(manifestsOf(names)))
}

/** An earlier attempt that was cut off leaves a part of what is to be copied; anything else is another group. */
const refuseOtherGroup = (
  { group, to }: Places,
  sourceNames: ReadonlyArray<string>,
  targetNames: ReadonlyArray<string>
): Effect.Effect<void, StoreError> => {
  const known = new Set(sourceNames)
  if (targetNames.every((name) => known.has(name))) return Effect.void
  const subject = to === "" ? BackupGroup.format(group) : `${to}: ${BackupGroup.format(group)}`
  const detail =
    "the bucket has a backup group of this name that the cache folder lacks; run: granary s3-refresh"
  return Effect.fail(storeError("Refused", subject, detail))
}

export interface FolderMove<E, R> {
  readonly rename: Effect.Effect<void, E, R>
  /** Whether the folder is at its new place, or may be. */
  readonly hasArrived: Effect.Effect<boolean>
}

/**
 * Copies, renames, deletes. What fails before the folder is at its new place is undone; a deletion that fails is taken
 * up by `finish`, when the move is asked for again.
 */
export const move = <E, R>(
  bucket: StoreBucket,
  places: Places,
  { hasArrived, rename }: FolderMove<E, R>
): Effect.Effect<void, E | Failure, R> =>
  Effect.gen(function* () {
    const { source, target } = prefixesOf(bucket, places)
    const names = yield* namesBelow(bucket, source)
    yield* refuseOtherGroup(places, names, yield* namesBelow(bucket, target))
    const undo = Effect.flatMap(hasArrived, (arrived) =>
      arrived ? Effect.void : Effect.ignore(remove(bucket, target, names))
    )
    yield* copyAll(bucket, places, names).pipe(
      Effect.andThen(rename),
      Effect.onError(() => undo)
    )
    yield* remove(bucket, source, names)
  })

/**
 * Deletes what a move that was cut off after its rename has left at the old place; false when there is nothing. The
 * cache folder has the group at the new place only.
 */
export const finish = (bucket: StoreBucket, places: Places): Effect.Effect<boolean, Failure> =>
  Effect.gen(function* () {
    const { source, target } = prefixesOf(bucket, places)
    const arrived = new Set(yield* namesBelow(bucket, target))
    const names = (yield* namesBelow(bucket, source)).filter((name) => arrived.has(name))
    yield* remove(bucket, source, names)
    return names.length > 0
  })
