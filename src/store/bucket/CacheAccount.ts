/**
 * CacheAccount: what one process has stored in the cache folder and taken room for, and how that gets into the count of
 * all (see `CacheCount`).
 *
 * A trim begins an epoch and ends with an exact count. What was reported in between is added to it; so what is stored
 * while folders are listed may be counted twice, and is never missing.
 *
 * Invariant: one report, beginning or end at a time in this process; each changes account and count together.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Files, FilesError } from "../../platform/Files.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import type { StoreLocks } from "../StoreLocks.ts"
import * as CacheCount from "./CacheCount.ts"

export interface CacheAccount {
  readonly files: Files["Service"]
  readonly layout: StoreLayout
  readonly locks: StoreLocks["Service"]
  readonly changing: Semaphore.Semaphore
  /** Stored since the last report. */
  usedBytes: number
  /** Room taken with the last report. */
  takenBytes: number
  epoch: string | undefined
  /** The count has reached the bound, as far as this process knows. */
  isFull: boolean
  isMakingRoom: boolean
}

export const make = (
  files: Files["Service"],
  layout: StoreLayout,
  locks: StoreLocks["Service"]
): CacheAccount => ({
  files,
  layout,
  locks,
  changing: Semaphore.makeUnsafe(1),
  usedBytes: 0,
  takenBytes: 0,
  epoch: undefined,
  isFull: false,
  isMakingRoom: false
})

/** `lost`: nothing is known. `busy`: others kept the count locked for seconds. Then account and count are as before. */
export type Reported = CacheCount.CacheCount | "lost" | "busy"

const reportNow = (
  account: CacheAccount,
  takesBytes: number,
  newEpoch?: string
): Effect.Effect<Reported, FilesError> =>
  Effect.suspend(() => {
    const { files, layout, locks, usedBytes } = account
    let changed: CacheCount.CacheCount | undefined
    const change = (count: CacheCount.CacheCount | undefined) => {
      if (count === undefined) return undefined
      const givenBack = count.epoch === account.epoch ? account.takenBytes : 0
      const bytes = Math.max(0, count.bytes + usedBytes - givenBack + takesBytes)
      return (changed = { bytes, epoch: newEpoch ?? count.epoch })
    }
    return Effect.map(CacheCount.update(files, layout, locks, change), (isDone): Reported => {
      if (changed === undefined) return isDone ? "lost" : "busy"
      account.usedBytes -= usedBytes
      account.takenBytes = takesBytes
      account.epoch = changed.epoch
      return changed
    })
  })

/** Adds what was stored to the count, takes room for more, and gives back what was left of the last. */
export const report = (account: CacheAccount, takesBytes: number): Effect.Effect<Reported, FilesError> =>
  reportNow(account, takesBytes).pipe(account.changing.withPermit, Effect.uninterruptible)

/** How the count stood when a trim began. */
export interface Beginning {
  readonly epoch: string
  /** Undefined when it was lost. */
  readonly countedBytes: number | undefined
  /** Stored by this process and in no count. */
  readonly ownBytes: number
}

/** Begins an epoch; undefined when the count could not be locked. */
export const beginTrim = (account: CacheAccount): Effect.Effect<Beginning | undefined, FilesError> =>
  Effect.flatMap(CacheCount.newEpoch, (epoch) =>
    Effect.map(reportNow(account, 0, epoch), (reported): Beginning | undefined => {
      if (reported === "busy") return undefined
      return reported === "lost"
        ? { epoch, countedBytes: undefined, ownBytes: account.usedBytes }
        : { epoch, countedBytes: reported.bytes, ownBytes: 0 }
    })
  ).pipe(account.changing.withPermit, Effect.uninterruptible)

/** Writes the exact count and answers it; undefined when it could not be locked. */
export const endTrim = (
  account: CacheAccount,
  { epoch, countedBytes, ownBytes }: Beginning,
  leftBytes: number
): Effect.Effect<number | undefined, FilesError> =>
  Effect.suspend(() => {
    const { files, layout, locks } = account
    let bytes = leftBytes
    const change = (count: CacheCount.CacheCount | undefined) => {
      const reported = countedBytes !== undefined && count?.epoch === epoch ? count.bytes - countedBytes : 0
      bytes = Math.max(0, leftBytes + reported)
      return { bytes, epoch }
    }
    return Effect.map(CacheCount.update(files, layout, locks, change), (isDone) => {
      if (!isDone) return undefined
      account.usedBytes -= ownBytes
      if (account.epoch !== epoch) account.takenBytes = 0
      account.epoch = epoch
      return bytes
    })
  }).pipe(account.changing.withPermit, Effect.uninterruptible)

/** Takes bytes off the count: a trim that was broken off has made room all the same. */
export const lessen = (
  { files, layout, locks, changing }: CacheAccount,
  bytes: number
): Effect.Effect<void> =>
  bytes === 0
    ? Effect.void
    : CacheCount.update(files, layout, locks, (count) =>
        count === undefined ? undefined : { ...count, bytes: Math.max(0, count.bytes - bytes) }
      ).pipe(changing.withPermit, Effect.ignore)

/** Reports the last, and gives back the room that was not used. */
export const close = (account: CacheAccount): Effect.Effect<void> =>
  Effect.suspend(() =>
    account.usedBytes === 0 && account.takenBytes === 0 ? Effect.void : Effect.ignore(report(account, 0))
  )
