/**
 * Hosts: how writers and garbage collections on different cache folders of one datastore keep out of each other's way,
 * through objects in the bucket. Processes on one folder are one host and need none of this among themselves.
 *
 * Who wants to write leaves a mark, and then looks for collections of other hosts; who wants to collect leaves a mark,
 * and then looks for writers and collections of other hosts. Going on takes a look, made after one's own mark was
 * there, that shows nobody in the way: so of two that exclude each other at most one goes on. Of two that meet at their
 * marks one stays and looks again for some seconds, and the other one goes: the writer stays, and of two collections
 * the one whose name is less. Two writers do not mind each other.
 *
 * Whoever has gone on must ask `check` right before it makes anything final (a manifest, a deletion): a host that was
 * cut off or asleep may have been taken for dead.
 *
 * What a collection has removed other hosts learn from the generation (see `Generation`): a writer whose folder goes
 * with another one drops the markers that are not true any more before it looks at anything.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { deleteOne } from "../../objectstore/ObjectStore.ts"
import { randomHex } from "../../platform/Entropy.ts"
import type { FileLocks } from "../../platform/FileLocks.ts"
import { Files, type FilesError } from "../../platform/Files.ts"
import { Host } from "../../platform/Host.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import type { StorageError } from "../StorageError.ts"
import { storeError, type StoreError } from "../StoreError.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import * as StoreLocks from "../StoreLocks.ts"
import * as CacheId from "./CacheId.ts"
import { requireConditions } from "./ConditionCheck.ts"
import * as Generation from "./Generation.ts"
import * as HostLease from "./HostLease.ts"
import * as HostMark from "./HostMark.ts"
import * as StaleMarkers from "./StaleMarkers.ts"
import type { StoreBucket } from "./StoreBucket.ts"

type Failure = StorageError | StoreError

/** What a writer holds towards other hosts. */
export interface WritingLease {
  /** Fails with `LeaseLost` when another host may collect by now. */
  readonly check: Effect.Effect<void, StoreError>
}

/** What a collection holds towards other hosts. */
export interface Collecting {
  /** Fails with `LeaseLost` when another host may write by now; to be asked before every batch of deletions. */
  readonly check: Effect.Effect<void, StoreError>
  /** Tells the other hosts that their markers are not to be relied on. Before the first deletion. */
  readonly beginsRemoving: Effect.Effect<void, Failure>
}

export interface Hosts {
  /**
   * Counts the caller as a writer of this host until the scope closes, and makes the folder's markers reliable. The
   * name is the one of its local lease. Fails with `Busy` while another host collects, and with `Unsuitable` when the
   * server does not honour conditional writes.
   */
  readonly writing: (name: string) => Effect.Effect<WritingLease, Failure, Scope.Scope>
  /**
   * The right to collect, among hosts, until the scope closes. The caller has the right to collect in the folder
   * already. Fails with `Busy` while another host writes or collects.
   */
  readonly collecting: Effect.Effect<Collecting, Failure, Scope.Scope>
  /** To be run before chunks are set aside or removed in the bucket other than by a collection. */
  readonly condemning: Effect.Effect<void, StorageError>
}

const nameBytes = 8
const looksMax = 10
const pauseBetweenLooks = "1 second"

const describeOther = ({ kind, mark }: HostLease.OtherMark): string =>
  `${HostMark.format(mark)} ${kind === "writers" ? "writes into it" : "collects garbage in it"}; a host that has ` +
  `crashed is waited for until ${HostLease.deadAfterMinutes} minutes after its last sign of life`

const busy = (bucket: StoreBucket, other: HostLease.OtherMark): StoreError =>
  storeError("Busy", bucket.title, describeOther(other))

/** Held while the folder's markers are checked, or while it is noted what they go with. */
const markersLockName = "markers"
const lockPause = "250 millis"

/** What one host's marks and markers are made with. */
interface Scene {
  readonly layout: StoreLayout
  readonly bucket: StoreBucket
  readonly guards: DigestGuards["Service"]
  readonly locks: StoreLocks.StoreLocks["Service"]
}

const hold = ({ bucket, layout }: Scene, kind: HostLease.MarkKind, name: string) =>
  Effect.gen(function* () {
    const cacheId = yield* CacheId.obtain(layout)
    const startSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const body = HostMark.encode(yield* Host, cacheId, startSeconds)
    const lease = yield* HostLease.hold(bucket, HostLease.keyOf(bucket, kind, name), body)
    return { body, cacheId, lease }
  })

/** The same mark in other bytes. */
const spelledAnew = (body: Uint8Array): Uint8Array => Buffer.concat([body, Buffer.from("\n")])

/** Looks until nobody is in the way; fails at once when somebody is who stays. */
const makeWay = (
  bucket: StoreBucket,
  lease: HostLease.HostLease,
  isInTheWay: (other: HostLease.OtherMark) => boolean,
  stays: (other: HostLease.OtherMark) => boolean
): Effect.Effect<ReadonlyArray<HostLease.OtherMark>, Failure> => {
  const look = (count: number): Effect.Effect<ReadonlyArray<HostLease.OtherMark>, Failure> =>
    Effect.flatMap(HostLease.others(bucket, lease), (others) => {
      const found = others.filter((other) => !other.isDead && isInTheWay(other))
      const foremost = found.find(stays) ?? found[0]
      if (foremost === undefined) return Effect.succeed(others)
      if (stays(foremost) || count === looksMax) return Effect.fail(busy(bucket, foremost))
      return Effect.andThen(Effect.sleep(pauseBetweenLooks), look(count + 1))
    })
  return look(1)
}

/** One at a time on this host: whoever waited finds that another one has done it. Waits for as long as it takes. */
const withMarkers = <A, E, R>({ locks }: Scene, effect: Effect.Effect<A, E, R>) => {
  const take: Effect.Effect<void, FilesError, Scope.Scope> = Effect.flatMap(
    locks.tryHold(markersLockName, "exclusive"),
    (isHeld) => (isHeld ? Effect.void : Effect.andThen(Effect.sleep(lockPause), take))
  )
  return Effect.scoped(Effect.andThen(take, effect))
}

/** Makes the markers reliable, and answers what they go with. */
const checkMarkers = ({ bucket, guards, layout }: Scene) =>
  Effect.gen(function* () {
    const generation = yield* Generation.ensure(bucket)
    const folder = yield* Generation.ofFolder(layout)
    if (yield* Generation.isKnown(folder, generation)) return generation
    const { dropped, listed, mended } = yield* StaleMarkers.drop(layout, bucket, guards)
    const { bootId } = yield* Host
    // A collection of this host may be under way: its removals need not be on the disk.
    yield* Generation.remember(layout, generation, folder?.boot === bootId ? bootId : undefined)
    yield* Effect.logDebug("checked the markers of the cache folder").pipe(
      Effect.annotateLogs({ store: bucket.title, listed, dropped, mended })
    )
    return generation
  })

/** The dead leave their marks behind; so did those of this folder, which has only one collection at a time. */
const bury = (bucket: StoreBucket, others: ReadonlyArray<HostLease.OtherMark>, cacheId: string) =>
  Effect.forEach(
    others.filter(({ isDead, kind, mark }) => isDead || (kind === "collectors" && mark.cacheId === cacheId)),
    ({ key }) => Effect.ignore(deleteOne(bucket.objects, key)),
    { discard: true }
  )

/**
 * The folder's markers go with the new generation as soon as it is there, for this host removes its markers itself.
 * When the scope closes, everything that was removed from the folder goes to the disk.
 */
const removing = (
  scene: Scene,
  lease: HostLease.HostLease
): Effect.Effect<Effect.Effect<void, Failure, Files>, never, Files | Scope.Scope> =>
  Effect.gen(function* () {
    const { bucket, layout } = scene
    const files = yield* Files
    let settled: Generation.Generation | undefined
    yield* Effect.addFinalizer(() =>
      settled === undefined
        ? Effect.void
        : Effect.ignore(Effect.provideService(Generation.remember(layout, settled), Files, files))
    )
    const begin = Effect.gen(function* () {
      const { condemned } = yield* checkMarkers(scene)
      yield* lease.check
      const generation = { collected: yield* Generation.replaceCollected(bucket), condemned }
      yield* Generation.remember(layout, generation, (yield* Host).bootId)
      settled = generation
    })
    return Effect.andThen(
      lease.check,
      Effect.suspend(() => (settled === undefined ? withMarkers(scene, begin) : Effect.void))
    )
  })

/** Opens nothing and asks nobody; that is left to whoever writes or collects. */
export const make = (
  layout: StoreLayout,
  bucket: StoreBucket,
  guards: DigestGuards["Service"]
): Effect.Effect<Hosts, never, Files | FileLocks> =>
  Effect.gen(function* () {
    const files = yield* Files
    const makeLocks = yield* StoreLocks.Maker
    const scene: Scene = { layout, bucket, guards, locks: yield* makeLocks(layout) }
    const withFiles = Effect.provideService(Files, files)

    const writing = (name: string) =>
      Effect.gen(function* () {
        const { body, cacheId, lease } = yield* hold(scene, "writers", name)
        const isInTheWay = ({ kind, mark }: HostLease.OtherMark) =>
          kind === "collectors" && mark.cacheId !== cacheId
        // Both need the mark and nothing of each other. What the markers go with is read when nobody is in the way.
        yield* Effect.all(
          [
            requireConditions(bucket, lease.key, spelledAnew(body)),
            makeWay(bucket, lease, isInTheWay, () => false)
          ],
          { concurrency: "unbounded", discard: true }
        ).pipe(
          Effect.andThen(withMarkers(scene, checkMarkers(scene))),
          Effect.onError(() => lease.end)
        )
        return { check: lease.check }
      }).pipe(withFiles)

    const collecting = Effect.gen(function* () {
      const name = yield* randomHex(nameBytes)
      const { cacheId, lease } = yield* hold(scene, "collectors", name)
      const others = yield* makeWay(
        bucket,
        lease,
        ({ mark }) => mark.cacheId !== cacheId,
        ({ kind, key }) => kind === "writers" || key < lease.key
      ).pipe(Effect.onError(() => lease.end))
      yield* bury(bucket, others, cacheId)
      const beginsRemoving = yield* removing(scene, lease)
      return { check: lease.check, beginsRemoving: withFiles(beginsRemoving) }
    }).pipe(withFiles)

    return {
      writing,
      collecting,
      condemning: Effect.asVoid(Generation.replaceCondemned(bucket))
    }
  })
