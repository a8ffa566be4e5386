/**
 * CacheCount: how many bytes of chunk content the cache folder holds, in the file `.granary-cache`, for all processes.
 *
 * A process takes room before it fills it, in steps, and gives back at its end what it did not fill. So the count is
 * never less than what is there, and a crash can only make it too high, until the next trim has counted.
 *
 * A trim counts what is there; what others had taken before then says nothing any more. So each trim begins an epoch.
 * Who took room in an earlier one reports all it has stored since, and gives nothing back.
 *
 * Invariant: the file is changed under its lock only. One that is missing or cannot be understood means that nothing is
 * known; only a trim makes it anew.
 */
import * as Effect from "effect/Effect"
import { randomHex } from "../../platform/Entropy.ts"
import { type Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import type { StoreLocks } from "../StoreLocks.ts"

export interface CacheCount {
  readonly bytes: number
  /** Which trim it goes back to. */
  readonly epoch: string
}

const lockName = "cache count"
const fileMaxBytes = 4096
const epochBytes = 8

const decode = (text: string): CacheCount | undefined => {
  try {
    const { bytes, epoch } = JSON.parse(text) as Record<string, unknown>
    const isCount = typeof bytes === "number" && Number.isSafeInteger(bytes) && bytes >= 0
    return isCount && typeof epoch === "string" ? { bytes, epoch } : undefined
  } catch {
    return undefined
  }
}

/** What the file says; undefined when nothing is known. */
export const read = (
  files: Files["Service"],
  layout: StoreLayout
): Effect.Effect<CacheCount | undefined, FilesError> =>
  files.readFile(layout.cacheCount, fileMaxBytes).pipe(
    Effect.map((content) => decode(Buffer.from(content).toString())),
    Effect.catchIf(
      (error) => isNotFound(error) || error.reason === "TooLarge",
      () => Effect.succeed(undefined)
    )
  )

export const newEpoch: Effect.Effect<string> = randomHex(epochBytes)

const write = (files: Files["Service"], layout: StoreLayout, count: CacheCount) =>
  files.replaceFile(layout.cacheCount, [Buffer.from(`${JSON.stringify(count)}\n`)])

/**
 * Changes the file under its lock; `change` may leave it as it is by answering undefined. False when others kept the
 * lock for seconds, and nothing was changed.
 */
export const update = (
  files: Files["Service"],
  layout: StoreLayout,
  locks: StoreLocks["Service"],
  change: (count: CacheCount | undefined) => CacheCount | undefined
): Effect.Effect<boolean, FilesError> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* locks.holdSoon(lockName, "exclusive")
      const changed = change(yield* read(files, layout))
      if (changed !== undefined) yield* write(files, layout, changed)
      return true
    })
  ).pipe(Effect.catchTag("StoreError", () => Effect.succeed(false)))
