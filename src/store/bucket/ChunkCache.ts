/**
 * ChunkCache: how much chunk content the cache folder of a bucket's datastore keeps, and which.
 *
 * Everything it goes by lies in the folder: the times of the files say how a chunk was used (see `ChunkRecency`),
 * `.granary-cache` how much there is (see `CacheCount`). So it is shared by all processes on the folder, and outlives
 * them. When the count reaches the bound, whoever notices first lists the folder, counts exactly, and evicts down to
 * nine tenths, in the background; until there is room again, nobody who knows stores content.
 *
 * Invariants: what is evicted becomes an empty file of the same name, by a rename under the digest's guard. So a marker
 * stays a marker, a chunk with content is a marker afterwards, and who has the file open reads on. The content in the
 * folder exceeds the bound at most by a thirty-second part for each process, and by what is being stored just then.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Digest } from "../../model/Digest.ts"
import type { FileLocks } from "../../platform/FileLocks.ts"
import { Files, type FilesError, type FileSystemStat } from "../../platform/Files.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import { chunkPath, type StoreLayout } from "../StoreLayout.ts"
import * as StoreLocks from "../StoreLocks.ts"
import * as CacheAccount from "./CacheAccount.ts"
import * as CacheCount from "./CacheCount.ts"
import { type Census, type ChunkTimes, isRenewalDue } from "./ChunkRecency.ts"
import * as Eviction from "./Eviction.ts"

export interface CacheContent {
  readonly chunks: number
  readonly bytes: number
}

export interface TrimOutcome {
  /** `busy`: another process evicts at this moment, and nothing was done here. */
  readonly state: "trimmed" | "busy"
  /** What the folder held when it was listed. */
  readonly found: CacheContent
  readonly evicted: CacheContent
  /** What could not be listed or evicted. */
  readonly errors: ReadonlyArray<string>
}

export interface ChunkCache {
  /** The bound of the content in the folder. */
  readonly maxBytes: number
  /**
   * Whether content is worth storing at the moment. False when the bound is 0, and while the folder is full and room is
   * being made: then a marker is all that is put there.
   */
  readonly keepsContent: boolean
  /**
   * Says that content of this size has come into the folder. Waits for a listing when the count is lost, never for an
   * eviction. To be called when the digest's guard has been given back.
   */
  readonly added: (sizeBytes: number) => Effect.Effect<void, FilesError>
  /**
   * Says that content was read whose file had these times before: renews its access time when that says something new
   * (most reads cost nothing). A folder that cannot be written to is no reason to fail a reading.
   */
  readonly used: (digest: Digest, times: ChunkTimes) => Effect.Effect<void>
  /** Lists the folder, counts exactly, and evicts down to nine tenths of the bound. */
  readonly trim: Effect.Effect<TrimOutcome, FilesError>
}

export interface ChunkCacheOptions {
  /** 0 keeps nothing. */
  readonly maxBytes: number
}

const evictionLock = "cache eviction"
const stepMaxBytes = 16 * 1024 * 1024
const stepsOfBound = 64
const keptShare = 0.9
const protectedShare = 0.8

const firstPauseSeconds = 1
const pauseMaxSeconds = 600

const nothing: CacheContent = { chunks: 0, bytes: 0 }
const busy: TrimOutcome = { state: "busy", found: nothing, evicted: nothing, errors: [] }

interface Cache {
  readonly files: Files["Service"]
  readonly layout: StoreLayout
  readonly guards: DigestGuards["Service"]
  readonly locks: StoreLocks.StoreLocks["Service"]
  readonly maxBytes: number
  readonly account: CacheAccount.CacheAccount
  readonly trimming: Semaphore.Semaphore
}

const evict = (cache: Cache, census: Census, tally: Eviction.Tally) => {
  const selection = census.select(cache.maxBytes * keptShare, cache.maxBytes * protectedShare)
  if (selection === undefined) return Effect.void
  return Eviction.run({ ...cache, census, selection, tally })
}

/** With the eviction lock held. Counting alone takes no guard. */
const trimAlone = (cache: Cache, evicts: boolean): Effect.Effect<TrimOutcome, FilesError> =>
  Effect.suspend(() => {
    const { account, files, layout, maxBytes } = cache
    const tally = { chunks: 0, bytes: 0, errors: new Array<string>() }
    return Effect.gen(function* () {
      const began = yield* CacheAccount.beginTrim(account)
      if (began === undefined) return busy
      const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const census = yield* Eviction.count(files, layout, nowSeconds, tally.errors)
      if (evicts) yield* evict(cache, census, tally)
      const bytesLeft = yield* CacheAccount.endTrim(account, began, census.bytes - tally.bytes)
      if (bytesLeft !== undefined) account.isFull = bytesLeft >= maxBytes
      const { bytes, chunks, errors } = tally
      const found = { chunks: census.chunks, bytes: census.bytes }
      return { state: "trimmed" as const, found, evicted: { chunks, bytes }, errors }
    }).pipe(Effect.onError(() => CacheAccount.lessen(account, tally.bytes)))
  })

const trim = (cache: Cache, evicts = true): Effect.Effect<TrimOutcome, FilesError> =>
  Effect.scoped(
    Effect.flatMap(cache.locks.tryHold(evictionLock, "exclusive"), (held) =>
      held ? trimAlone(cache, evicts) : Effect.succeed(busy)
    )
  ).pipe(cache.trimming.withPermit)

/** Reports, and sees whether there is room by now; another process may have made it. */
const hasRoom = ({ account, maxBytes }: Cache): Effect.Effect<boolean> =>
  CacheAccount.report(account, 0).pipe(
    Effect.map((count) => {
      if (typeof count === "string") return false
      account.isFull = count.bytes >= maxBytes
      return !account.isFull
    }),
    Effect.catch(() => Effect.succeed(false))
  )

/** Trims until there is room; waits while another process does, and longer each time when nothing helps. */
const makeRoom = (cache: Cache): Effect.Effect<void> =>
  Effect.gen(function* () {
    let pauseSeconds = firstPauseSeconds
    for (;;) {
      const outcome = yield* Effect.result(trim(cache))
      const isBusy = outcome._tag === "Success" && outcome.success.state === "busy"
      if (yield* hasRoom(cache)) return
      if (cache.maxBytes === 0 && outcome._tag === "Success" && !isBusy) return
      yield* Effect.sleep(pauseSeconds * 1000)
      pauseSeconds = isBusy ? firstPauseSeconds : Math.min(pauseSeconds * 2, pauseMaxSeconds)
    }
  }).pipe(Effect.ensuring(Effect.sync(() => void (cache.account.isMakingRoom = false))))

/** Room is made by a fiber of the cache's scope, so that nobody who stores a chunk waits for it. */
const startMakingRoom = (cache: Cache, scope: Scope.Scope): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (cache.account.isMakingRoom) return Effect.void
    cache.account.isMakingRoom = true
    return Effect.asVoid(Effect.forkIn(makeRoom(cache), scope))
  })

/** Where nothing is known, counts first. Whoever stores meanwhile goes on until the overdraft is used up. */
const countAnew = (cache: Cache, takesBytes: number): Effect.Effect<CacheAccount.Reported, FilesError> =>
  Effect.suspend(() => {
    cache.account.isMakingRoom = true
    return Effect.andThen(trim(cache, false), CacheAccount.report(cache.account, takesBytes))
  }).pipe(Effect.ensuring(Effect.sync(() => void (cache.account.isMakingRoom = false))))

const added = (cache: Cache, scope: Scope.Scope, stepBytes: number, sizeBytes: number) =>
  Effect.gen(function* () {
    const { account, maxBytes } = cache
    account.usedBytes += sizeBytes
    if (account.usedBytes <= account.takenBytes || account.isMakingRoom) return
    const reported = yield* CacheAccount.report(account, stepBytes)
    const count = reported === "lost" ? yield* countAnew(cache, stepBytes) : reported
    if (count === "busy") return
    account.isFull = count !== "lost" && count.bytes >= maxBytes
    if (count === "lost" || account.isFull) yield* startMakingRoom(cache, scope)
  })

const used = ({ files, layout }: Cache, digest: Digest, times: ChunkTimes): Effect.Effect<void> =>
  Effect.flatMap(Clock.currentTimeMillis, (nowMillis) =>
    isRenewalDue(times, Math.floor(nowMillis / 1000))
      ? Effect.ignore(files.touch(chunkPath(layout, digest)))
      : Effect.void
  )

export const make = (
  layout: StoreLayout,
  guards: DigestGuards["Service"],
  { maxBytes }: ChunkCacheOptions
): Effect.Effect<ChunkCache, never, Files | FileLocks | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const makeLocks = yield* StoreLocks.Maker
    const files = yield* Files
    const locks = yield* makeLocks(layout)
    const account = CacheAccount.make(files, layout, locks)
    const trimming = Semaphore.makeUnsafe(1)
    const cache: Cache = { files, layout, guards, locks, maxBytes, account, trimming }
    const stepBytes = Math.min(stepMaxBytes, Math.floor(maxBytes / stepsOfBound))
    const overdraftBytes = Math.floor(maxBytes / stepsOfBound)
    yield* Effect.addFinalizer(() => CacheAccount.close(account))
    return {
      maxBytes,
      get keepsContent() {
        const { isFull, takenBytes, usedBytes } = account
        return maxBytes > 0 && !isFull && usedBytes - takenBytes <= overdraftBytes
      },
      added: (sizeBytes) => added(cache, scope, stepBytes, sizeBytes),
      used: (digest, times) => used(cache, digest, times),
      trim: trim(cache)
    }
  })

const marginMinBytes = 1024 ** 3
const marginShare = 1 / 20

/**
 * The bound when none was set: what is available on the file system besides what the cache holds already, but for a
 * twentieth of the file system, 1 GiB at least, or half of what is available where that is less.
 */
export const defaultMaxBytes = ({ totalBytes, availableBytes }: FileSystemStat, cachedBytes = 0): number => {
  const room = availableBytes + cachedBytes
  const margin = Math.max(marginMinBytes, totalBytes * marginShare)
  return Math.floor(room - Math.min(margin, room / 2))
}

/** The default bound for a folder as it stands. */
export const defaultBound = (layout: StoreLayout): Effect.Effect<number, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const stat = yield* files.statFileSystem(layout.base)
    const count = yield* CacheCount.read(files, layout)
    return defaultMaxBytes(stat, count?.bytes)
  })
