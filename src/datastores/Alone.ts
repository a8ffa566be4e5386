/**
 * Alone: work for which nobody else may be in a datastore, such as a refresh from its bucket or its removal.
 *
 * Invariant: the mode is set first and read anew by everybody who comes later; then those who came before are waited
 * for. In this order nobody can be overlooked (see `ActiveOperations`). What this process has open itself and does not
 * use is closed.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import type * as Maintenance from "../config/Maintenance.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import type { Files } from "../platform/Files.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import type { Configured } from "./ConfigCache.ts"
import { DatastoresError } from "./DatastoresError.ts"
import { configured, type ConfigurationError as Failure, type Parts } from "./Lookup.ts"
import type { PlaceError } from "./Places.ts"
import * as Removal from "./Removal.ts"
import * as UsageHistory from "./UsageHistory.ts"

export interface WaitOptions {
  /** How long others are waited for. Default: for ever. */
  readonly waitSeconds?: number
}

const pollMillis = 1000

const stillInUse = (name: string, read: number, write: number, hint: string): DatastoresError =>
  new DatastoresError({
    reason: "StillInUse",
    subject: name,
    detail: `others are still at work in it (${read} reading, ${write} writing)`,
    hint
  })

/** Waits until nobody is at work; what this process keeps open without using it is closed. */
const waitForOthers = (
  { instances, operations }: Parts,
  name: string,
  { folder }: Configured,
  { waitSeconds = Number.POSITIVE_INFINITY }: WaitOptions,
  hint: string
): Effect.Effect<void, Failure> =>
  Effect.gen(function* () {
    const startMillis = yield* Clock.currentTimeMillis
    for (;;) {
      yield* instances.closeIdle(folder)
      yield* operations.publish(name)
      const { read, write } = yield* operations.total(name)
      if (read + write === 0) return
      const waitedMillis = (yield* Clock.currentTimeMillis) - startMillis
      if (waitedMillis >= waitSeconds * 1000) return yield* stillInUse(name, read, write, hint)
      yield* Effect.sleep(Math.min(pollMillis, Math.max(1, waitSeconds * 1000 - waitedMillis)))
    }
  })

/** The mode in which it shall be afterwards; who finds it in the mode takes up what was interrupted. */
const modeAfterwards = (
  before: Maintenance.Maintenance | undefined,
  mode: Maintenance.Maintenance
): Maintenance.Maintenance | undefined => (before?.type === mode.type ? undefined : before)

export const make = (parts: Parts) => {
  const { folder, operations, places } = parts

  const run = <A, E, R>(
    name: string,
    mode: Maintenance.Maintenance,
    use: (place: {
      readonly entry: DatastoreConfig.DatastoreEntry
      readonly bucket: StoreBucket | undefined
    }) => Effect.Effect<A, E, R>,
    options: WaitOptions = {}
  ): Effect.Effect<A, E | Failure | PlaceError, R | Files | FileLocks> =>
    Effect.gen(function* () {
      const found = yield* configured(parts, name)
      const { entry, maintenance } = found
      return yield* Effect.acquireUseRelease(
        DatastoreConfig.setMaintenance(folder, name, mode),
        () =>
          Effect.gen(function* () {
            yield* waitForOthers(parts, name, found, options, "try again when they have ended")
            return yield* withBucket(entry, (bucket) => use({ entry, bucket }))
          }),
        () => DatastoreConfig.setMaintenance(folder, name, modeAfterwards(maintenance, mode))
      )
    })

  const withBucket = <A, E, R>(
    entry: DatastoreConfig.DatastoreEntry,
    use: (bucket: StoreBucket | undefined) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E | PlaceError, Exclude<R, Scope.Scope> | Files> =>
    Effect.scoped(Effect.flatMap(places.bucketOf(entry), use))

  const remove = (
    name: string,
    { destroyData = false, ...options }: WaitOptions & { readonly destroyData?: boolean } = {}
  ): Effect.Effect<void, Failure | PlaceError, Files | FileLocks> =>
    Effect.gen(function* () {
      const found = yield* configured(parts, name)
      yield* DatastoreConfig.setMaintenance(folder, name, { type: "delete", message: undefined })
      const hint = `repeat the removal when they have ended: granary datastore remove ${name}`
      yield* waitForOthers(parts, name, found, options, hint)
      yield* withBucket(found.entry, (bucket) => Removal.run({ folder: found.folder, bucket, destroyData }))
      yield* DatastoreConfig.remove(folder, name)
      yield* operations.forget(name)
      yield* UsageHistory.remove(folder, name)
    })

  return { run, remove }
}
