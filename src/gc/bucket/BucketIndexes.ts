/**
 * BucketIndexes: marks what the indexes of the bucket need that the cache folder lacks: those of other hosts, and
 * those that its copy is not of.
 *
 * Why nothing is missed. Writers of other hosts have ended when this begins, and no other one starts before the
 * collection ends (`Hosts`); what they have finished is in the bucket. This host's own are seen in the folder, by the
 * rules of `MarkPhase`. So it suffices to mark every index that lies in the bucket throughout. But another host may
 * move a group, to a place that has been listed from one that has not, and then a listing shows it in neither.
 * Therefore the listing is repeated until it shows what the one before showed, all of it marked: what was missed by a
 * first one is found by a second, unless it is moved to and fro meanwhile.
 *
 * A copy in the folder stands for an index in the bucket when it was marked, has its size, and is not older than it;
 * of what the bucket got later, by whoever, the folder cannot know. Damage is told as `MarkPhase` tells it. An index
 * that cannot be fetched fails the collection: nobody knows what it needs.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as path from "node:path"
import { Datastore } from "../../datastore/Datastore.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import type * as ObjectKey from "../../objectstore/ObjectKey.ts"
import { type ListedObject, type ListPage, pages } from "../../objectstore/ObjectStore.ts"
import { isNotFound } from "../../objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import { Files } from "../../platform/Files.ts"
import { decodeIndex, indexMaxBytes } from "../../store/SnapshotFiles.ts"
import type { StorageError } from "../../store/StorageError.ts"
import { storeError, type StoreError } from "../../store/StoreError.ts"
import * as IndexFile from "../IndexFile.ts"
import type { Marks } from "../Marks.ts"
import type { MarkOutcome } from "../MarkPhase.ts"
import { type BucketSite, earliestOwnSeconds } from "./BucketSite.ts"

type Failure = StorageError | StoreError

export interface BucketIndexesInput {
  readonly site: BucketSite
  readonly marks: Marks
  /** Paths of the folder's indexes that were marked. */
  readonly marked: MarkOutcome["marked"]
  /** By how many seconds the file system's clock is behind ours. */
  readonly skewSeconds: number
}

export interface BucketIndexes {
  readonly indexFiles: number
  readonly indexBytes: number
  readonly warnings: ReadonlyArray<string>
  readonly damaged: ReadonlyArray<string>
  /** Indexes that were read from the bucket. */
  readonly keys: ReadonlyArray<ObjectKey.ObjectKey>
  /** Snapshots that have a manifest in the bucket, by their paths below the store. */
  readonly finished: ReadonlySet<string>
}

export const nothing: BucketIndexes = {
  indexFiles: 0,
  indexBytes: 0,
  warnings: [],
  damaged: [],
  keys: [],
  finished: new Set()
}

const listingsMax = 100
const fetchesAtOnce = 4

/** Times are rounded, and the folder's copy is written after the object. */
const copyToleranceSeconds = 2

interface Walk extends BucketIndexesInput {
  /** What each index was like when it was marked. */
  readonly seen: Map<ObjectKey.ObjectKey, string>
  readonly read: Set<ObjectKey.ObjectKey>
  readonly damaged: Set<string>
  readonly warnings: Set<string>
  readonly totals: { indexFiles: number; indexBytes: number }
  finished: Set<string>
  /** The listing before. */
  before: string | undefined
}

const stateOf = ({ etag, lastModifiedSeconds, sizeBytes }: ListedObject): string =>
  `${sizeBytes} ${lastModifiedSeconds} ${etag ?? ""}`

const contentPrefix = ({ site }: Walk): ObjectKey.KeyPrefix => StoreKeys.contentPrefix(site.bucket.prefix)

/** Path below the store. */
const relativePath = (walk: Walk, key: string): string => key.slice(contentPrefix(walk).length)

/** Whether the folder's copy, which was marked, says what the object says. */
const isCopied = (walk: Walk, listed: ListedObject) =>
  Effect.gen(function* () {
    const files = yield* Files
    const { layout } = yield* Datastore
    const local = `${layout.base}/${relativePath(walk, listed.key)}`
    if (!walk.marked.has(local)) return false
    const stat = yield* Effect.result(files.stat(local))
    if (stat._tag === "Failure" || stat.success.sizeBytes !== listed.sizeBytes) return false
    const copySeconds = stat.success.mtimeSeconds + Math.max(0, walk.skewSeconds)
    return (
      copySeconds + copyToleranceSeconds >= earliestOwnSeconds(walk.site.skew, listed.lastModifiedSeconds)
    )
  })

/** Undefined when it is gone, or damaged. */
const fetch = (walk: Walk, key: ObjectKey.ObjectKey) =>
  Effect.gen(function* () {
    const { chunks } = yield* Datastore
    const { objects } = walk.site.bucket
    const bytes = yield* objects
      .get(key, indexMaxBytes)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    if (bytes === undefined) return undefined
    return yield* decodeIndex(key, bytes).pipe(
      Effect.tap((index) => IndexFile.prove(key, index, chunks.digest)),
      Effect.catch((error) => Effect.as(foundDamage(walk, key, error), undefined))
    )
  })

const foundDamage = (walk: Walk, key: ObjectKey.ObjectKey, { message }: StoreError) =>
  Effect.sync(() => {
    const isStray = StoreKeys.read(walk.site.bucket.prefix, key) === undefined
    const isNeeded = isStray || walk.finished.has(path.posix.dirname(relativePath(walk, key)))
    if (isNeeded) walk.damaged.add(key)
    walk.warnings.add(isNeeded ? message : `${message}; its backup was never finished`)
  })

const markFetched = (walk: Walk, listed: ReadonlyArray<ListedObject>) =>
  Effect.gen(function* () {
    const { marks, read, seen, totals } = walk
    for (let from = 0; from < listed.length; from += fetchesAtOnce) {
      const some = listed.slice(from, from + fetchesAtOnce)
      const indexes = yield* Effect.forEach(some, ({ key }) => fetch(walk, key), {
        concurrency: fetchesAtOnce
      })
      for (const [number, object] of some.entries()) {
        const index = indexes[number]
        seen.set(object.key, stateOf(object))
        if (index === undefined) continue
        yield* marks.mark(index)
        if (!read.has(object.key)) totals.indexFiles += 1
        totals.indexBytes += index.sizeBytes
        read.add(object.key)
        if (StoreKeys.read(walk.site.bucket.prefix, object.key) === undefined) {
          walk.warnings.add(`${object.key}: an index outside of the expected places; it was marked`)
        }
      }
    }
  })

const noteForeign = ({ site, warnings }: Walk, { foreignKeys }: ListPage): void => {
  for (const key of foreignKeys.filter(IndexFile.isIndexName)) {
    warnings.add(`${site.bucket.title}: ${JSON.stringify(key)} has the name of an index and cannot be read`)
  }
}

/** Answers whether the listing is the one before, so that everything in it is marked. */
const round = (walk: Walk) =>
  Effect.gen(function* () {
    const listed: Array<ListedObject> = []
    walk.finished = new Set()
    yield* Stream.runForEach(pages(walk.site.bucket.objects, contentPrefix(walk)), (page) =>
      Effect.sync(() => {
        noteForeign(walk, page)
        for (const object of page.objects) {
          const name = path.posix.basename(object.key)
          if (name === ArchiveName.manifestFile) {
            walk.finished.add(path.posix.dirname(relativePath(walk, object.key)))
          }
          if (IndexFile.isIndexName(name)) listed.push(object)
        }
      })
    )
    const states = listed.map((object) => `${object.key} ${stateOf(object)}`).join("\n")
    const isSame = walk.before === states
    walk.before = states
    const wanted: Array<ListedObject> = []
    for (const object of listed) {
      if (walk.seen.get(object.key) === stateOf(object)) continue
      if (yield* isCopied(walk, object)) walk.seen.set(object.key, stateOf(object))
      else wanted.push(object)
    }
    yield* markFetched(walk, wanted)
    return isSame && wanted.length === 0
  })

export const mark = (input: BucketIndexesInput): Effect.Effect<BucketIndexes, Failure, Datastore | Files> =>
  Effect.gen(function* () {
    const walk: Walk = {
      ...input,
      seen: new Map(),
      read: new Set(),
      damaged: new Set(),
      warnings: new Set(),
      totals: { indexFiles: 0, indexBytes: 0 },
      finished: new Set(),
      before: undefined
    }
    for (let count = 0; !(yield* round(walk)); count++) {
      if (count === listingsMax) {
        const detail = "its snapshots do not stop changing, on another host perhaps"
        return yield* storeError("Busy", input.site.bucket.title, detail)
      }
    }
    const { damaged, finished, read, totals, warnings } = walk
    return { ...totals, warnings: [...warnings], damaged: [...damaged], keys: [...read], finished }
  })
