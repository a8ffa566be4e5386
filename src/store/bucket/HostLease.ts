/**
 * HostLease: a mark of ours in the bucket that is kept alive, and what one sees of the marks of others.
 *
 * A mark is an object that its owner writes anew every five minutes. Others take it for dead when it is thirty minutes
 * old; they measure that by the server's clock alone, against an object that they have just written themselves, so that
 * their own clocks need not agree. The owner measures by its own clock how long a renewal has taken: when it cannot be
 * sure that less than twenty minutes lie between two of them the lease is lost, for good, also when the server answers
 * again. The ten minutes in between are for what it has begun before it noticed.
 *
 * Invariant: names of marks are random, and nobody ever writes a mark of somebody else. So no mark needs a conditional
 * write, and a repeated or late write of a mark says what was said before.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as ObjectKey from "../../objectstore/ObjectKey.ts"
import { deleteOne } from "../../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { storeError, type StoreError } from "../StoreError.ts"
import * as HostMark from "./HostMark.ts"
import * as StoreBucket from "./StoreBucket.ts"

export const renewalMinutes = 5
/** How soon a renewal that failed is tried again. */
const retryMinutes = 1
export const lostAfterMinutes = 20
export const deadAfterMinutes = 30
/** A mark that cannot be deleted at the end dies by itself; so nobody waits long for that. */
const removalTimeout = "30 seconds"

export type MarkKind = "writers" | "collectors"

export interface HostLease {
  readonly key: ObjectKey.ObjectKey
  /** Fails when others may have taken this lease for dead: then nothing may be finished or removed under it. */
  readonly check: Effect.Effect<void, StoreError>
  /** Gives the lease back; the end of the scope does so too. */
  readonly end: Effect.Effect<void>
}

export const keyOf = (bucket: StoreBucket.StoreBucket, kind: MarkKind, name: string): ObjectKey.ObjectKey =>
  ObjectKey.join(StoreBucket.granaryPrefix(bucket), `${kind}/${name}`)

interface Moment {
  readonly wallMillis: number
  readonly monotonicNanos: bigint
}

const now: Effect.Effect<Moment> = Effect.clockWith((clock) =>
  Effect.sync(() => ({
    wallMillis: clock.currentTimeMillisUnsafe(),
    monotonicNanos: clock.monotonicTimeNanosUnsafe()
  }))
)

/** Whichever clock says more: one stands still while the machine sleeps, the other may be set back. */
const minutesBetween = (from: Moment, to: Moment): number =>
  Math.max(to.wallMillis - from.wallMillis, Number((to.monotonicNanos - from.monotonicNanos) / 1_000_000n)) /
  60_000

const remove = (bucket: StoreBucket.StoreBucket, key: ObjectKey.ObjectKey): Effect.Effect<void> =>
  deleteOne(bucket.objects, key).pipe(Effect.timeoutOption(removalTimeout), Effect.ignore)

/** Puts the mark and keeps it alive until the scope closes. */
export const hold = (
  bucket: StoreBucket.StoreBucket,
  key: ObjectKey.ObjectKey,
  body: Uint8Array
): Effect.Effect<HostLease, ObjectStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    let renewedAt = yield* now
    let isLost = false
    const loseAfter = (to: Moment): void => {
      if (minutesBetween(renewedAt, to) >= lostAfterMinutes) isLost = true
    }
    // It counts from before the writing begins, and the server takes down a time that is not before that.
    const renew = Effect.gen(function* () {
      const beganAt = yield* now
      yield* bucket.objects.put(key, body)
      loseAfter(yield* now)
      renewedAt = beganAt
    })
    const renewLater = (pauseMinutes: number): Effect.Effect<never> =>
      Effect.sleep(pauseMinutes * 60_000).pipe(
        Effect.andThen(Effect.result(renew)),
        Effect.flatMap(({ _tag }) => renewLater(_tag === "Success" ? renewalMinutes : retryMinutes))
      )
    let keeper: Fiber.Fiber<never> | undefined
    let isHeld = true
    const end = Effect.suspend(() => {
      if (!isHeld) return Effect.void
      isHeld = false
      const stopped = keeper === undefined ? Effect.void : Fiber.interrupt(keeper)
      return Effect.andThen(stopped, remove(bucket, key))
    })
    // Before the first writing, which may have happened although it fails or is interrupted.
    yield* Effect.addFinalizer(() => end)
    yield* renew
    keeper = yield* Effect.forkScoped(renewLater(renewalMinutes))
    const check = Effect.flatMap(now, (moment) => {
      loseAfter(moment)
      const detail =
        `this host could not renew its lease for ${lostAfterMinutes} minutes; ` +
        "others may take it for dead and work on the datastore"
      return isLost ? Effect.fail(storeError("LeaseLost", bucket.title, detail)) : Effect.void
    })
    return { key, check, end }
  })

/** A mark that somebody else has put there. */
export interface OtherMark {
  readonly kind: MarkKind
  readonly key: ObjectKey.ObjectKey
  readonly isDead: boolean
  readonly mark: HostMark.HostMark
}

const kindOf = (bucket: StoreBucket.StoreBucket, key: ObjectKey.ObjectKey): MarkKind | undefined => {
  const [kind, name, more] = (ObjectKey.relativeTo(key, StoreBucket.granaryPrefix(bucket)) ?? "").split("/")
  if (name === undefined || more !== undefined) return undefined
  return kind === "writers" || kind === "collectors" ? kind : undefined
}

/** Undefined when it is taken away now. */
const readMark = (bucket: StoreBucket.StoreBucket, key: ObjectKey.ObjectKey) =>
  bucket.objects.get(key, HostMark.markMaxBytes).pipe(
    Effect.map(HostMark.decode),
    Effect.catch((error) => {
      if (error.reason === "NotFound") return Effect.succeed(undefined)
      return error.reason === "TooLarge" ? Effect.succeed(HostMark.unreadable) : Effect.fail(error)
    })
  )

/**
 * All marks but our own. Ours must be among what is listed: a server that does not list what was just written cannot
 * tell of others either.
 */
export const others = (
  bucket: StoreBucket.StoreBucket,
  own: HostLease
): Effect.Effect<ReadonlyArray<OtherMark>, ObjectStoreError | StoreError> =>
  Effect.gen(function* () {
    const listed = yield* StoreBucket.listAll(bucket, StoreBucket.granaryPrefix(bucket))
    const ours = listed.find(({ key }) => key === own.key)
    if (ours === undefined) {
      const detail = `the server does not list ${own.key}, which was just written`
      return yield* storeError("Unsuitable", bucket.title, detail)
    }
    const found: Array<OtherMark> = []
    for (const { key, lastModifiedSeconds } of listed) {
      const kind = kindOf(bucket, key)
      if (kind === undefined || key === own.key) continue
      const ageSeconds = ours.lastModifiedSeconds - lastModifiedSeconds
      const mark = yield* readMark(bucket, key)
      if (mark !== undefined) found.push({ kind, key, isDead: ageSeconds >= deadAfterMinutes * 60, mark })
    }
    return found
  })
