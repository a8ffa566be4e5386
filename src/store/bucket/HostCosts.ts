/**
 * HostCosts: what it takes to keep out of other hosts' way (see `Hosts`), told before it is done. Making it asks the
 * bucket itself a little, and changes nothing there or in the cache folder.
 *
 * Invariant: it follows `Hosts`, `HostLease`, `Generation` and `StaleMarkers` request by request, as they go when
 * nobody is in the way and the lease need not be renewed (every 5 minutes, a put).
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Digest from "../../model/Digest.ts"
import { DigestTable } from "../../model/DigestTable.ts"
import * as ObjectKey from "../../objectstore/ObjectKey.ts"
import { type ListedObject, pages, pageSizeMax } from "../../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import * as RequestCosts from "../../objectstore/RequestCosts.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import { Files, isNotFound } from "../../platform/Files.ts"
import { Host } from "../../platform/Host.ts"
import type { StorageError } from "../StorageError.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import { asksEach } from "./Existence.ts"
import * as Generation from "./Generation.ts"
import { deadAfterMinutes, type MarkKind } from "./HostLease.ts"
import * as HostMark from "./HostMark.ts"
import * as StoreBucket from "./StoreBucket.ts"

type Costs = RequestCosts.RequestCosts

/** A cache id, and a generation's text, have as many letters. */
const idLetters = 32

const markPattern = /^(?:writers|collectors)\/[^/]+$/

/**
 * Leaving one's mark, looking at those of others, taking one's own away again. A writer tries to write its mark once
 * more (`ConditionCheck`), a collection buries the dead.
 */
const markCosts = (bucket: StoreBucket.StoreBucket, kind: MarkKind): Effect.Effect<Costs, ObjectStoreError> =>
  Effect.gen(function* () {
    const prefix = StoreBucket.granaryPrefix(bucket)
    const nowSeconds = (yield* Clock.currentTimeMillis) / 1000
    const listed = yield* StoreBucket.listAll(bucket, prefix)
    const others = listed.filter(({ key }) => markPattern.test(ObjectKey.relativeTo(key, prefix) ?? ""))
    const isDead = ({ lastModifiedSeconds }: ListedObject): boolean =>
      nowSeconds - lastModifiedSeconds >= deadAfterMinutes * 60
    const mark = HostMark.encode(yield* Host, "0".repeat(idLetters), Math.floor(nowSeconds))
    const isWriter = kind === "writers"
    return RequestCosts.make({
      put: isWriter ? 2 : 1,
      sentBytes: isWriter ? 2 * mark.length + 1 : mark.length,
      list: Math.ceil((listed.length + 1) / pageSizeMax),
      get: others.length,
      receivedBytes: others.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
      delete: 1 + (isWriter ? 0 : others.filter(isDead).length)
    })
  })

/** Reading the generation, and making the first one. */
const generationCosts = ({ collected, condemned }: Generation.Generation): Costs =>
  collected === ""
    ? RequestCosts.make({
        put: 1,
        sentBytes: idLetters,
        get: 4,
        receivedBytes: idLetters + 2 * condemned.length
      })
    : RequestCosts.make({ get: 2, receivedBytes: collected.length + condemned.length })

/** Whether the folder's markers are relied on without looking. */
const areKnown = (layout: StoreLayout, generation: Generation.Generation) =>
  generation.collected === ""
    ? Effect.succeed(false)
    : Effect.flatMap(Generation.ofFolder(layout), (folder) => Generation.isKnown(folder, generation))

const listChunks = (bucket: StoreBucket.StoreBucket) =>
  Effect.gen(function* () {
    const listed = new DigestTable()
    let pageCount = 0
    yield* Stream.runForEach(pages(bucket.objects, StoreKeys.chunksPrefix(bucket.prefix)), ({ objects }) =>
      Effect.sync(() => {
        pageCount += 1
        for (const { key } of objects) {
          const object = StoreKeys.read(bucket.prefix, key)
          if (object?.kind === "chunk") listed.addDigest(object.digest)
        }
      })
    )
    return { listed, pageCount }
  })

/** Chunk files of the folder that the listing lacks. */
const countUnlisted = (layout: StoreLayout, listed: DigestTable) =>
  Effect.gen(function* () {
    const files = yield* Files
    let count = 0
    for (const folder of yield* files.readDirectory(layout.chunks)) {
      if (!/^[0-9a-f]{4}$/.test(folder.name)) continue
      const entries = yield* files
        .readDirectory(`${layout.chunks}/${folder.name}`)
        .pipe(Effect.catchIf(isNotFound, () => Effect.succeed([])))
      for (const { name } of entries) {
        if (Digest.isDigest(name) && !listed.hasDigest(name)) count += 1
      }
    }
    return count
  })

export interface WritingCosts {
  readonly costs: Costs
  /** Where the folder's markers are checked first: the chunks that the bucket has. */
  readonly listed: DigestTable | undefined
}

/** What a writer takes, from its registration to its end. */
export const ofWriting = (
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket
): Effect.Effect<WritingCosts, StorageError, Files> =>
  Effect.gen(function* () {
    const marks = yield* markCosts(bucket, "writers")
    const generation = yield* Generation.current(bucket)
    const costs = RequestCosts.sum(marks, generationCosts(generation))
    if (yield* areKnown(layout, generation)) return { costs, listed: undefined }
    const { listed, pageCount } = yield* listChunks(bucket)
    const unlisted = yield* countUnlisted(layout, listed)
    const check = asksEach(unlisted, pageCount)
      ? RequestCosts.make({ list: pageCount, get: unlisted })
      : RequestCosts.make({ list: 2 * pageCount })
    return { costs: RequestCosts.sum(costs, check), listed }
  })

export interface Collection {
  /** Whether anything is removed. */
  readonly removes: boolean
  /** Objects below `.chunks/`. */
  readonly objects: number
}

/** What a collection takes, from its mark to its end, besides looking and removing. */
export const ofCollecting = (
  layout: StoreLayout,
  bucket: StoreBucket.StoreBucket,
  { objects, removes }: Collection
): Effect.Effect<Costs, StorageError, Files> =>
  Effect.gen(function* () {
    const marks = yield* markCosts(bucket, "collectors")
    if (!removes) return marks
    const generation = yield* Generation.current(bucket)
    // By then the sweep has dropped the files that it found to be wrong, so that none is asked for.
    const lists = (yield* areKnown(layout, generation)) ? 0 : Math.max(1, Math.ceil(objects / pageSizeMax))
    const replacing = RequestCosts.make({ list: lists, put: 1, sentBytes: idLetters })
    return RequestCosts.sum(marks, generationCosts(generation), replacing)
  })
