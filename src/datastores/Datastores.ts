/**
 * Datastores: the configured datastores of this host, by name: opened once, shared by all who use them, and kept open
 * while nothing they depend on changes. The entrance for whoever serves many of them.
 *
 * Invariants: a handle is given out only while the configuration, as it is after every change that was done before,
 * has the datastore and its maintenance mode allows the operation; and who gets one is counted before he looks, until
 * everything he had is closed. So who sets a mode and then waits until nobody is counted is alone.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as ConfigFolder from "../config/ConfigFolder.ts"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import type * as Maintenance from "../config/Maintenance.ts"
import type * as Datastore from "../datastore/Datastore.ts"
import { ChunkCodec } from "../platform/ChunkCodec.ts"
import { FileLocks } from "../platform/FileLocks.ts"
import { Files } from "../platform/Files.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"
import * as ActiveOperations from "./ActiveOperations.ts"
import * as Alone from "./Alone.ts"
import * as ConfigCache from "./ConfigCache.ts"
import * as Instances from "./Instances.ts"
import type { ConfigurationError, Handle, LookupError, Parts } from "./Lookup.ts"
import * as Lookup from "./Lookup.ts"
import * as Places from "./Places.ts"
import * as Status from "./Status.ts"

export type { ConfigurationError, Handle, LookupError } from "./Lookup.ts"

export class Datastores extends Context.Service<
  Datastores,
  {
    /** The configuration folder. */
    readonly folder: string
    /** All that are configured, in the order of the file. */
    readonly list: Effect.Effect<ReadonlyArray<DatastoreConfig.DatastoreEntry>, ConfigurationError>
    /** What is configured of one; nothing is opened. Fails while it is being deleted. */
    readonly entry: (name: string) => Effect.Effect<DatastoreConfig.DatastoreEntry, ConfigurationError>
    /** The open datastore. Fails when its maintenance mode does not allow the operation. */
    readonly lookup: (
      name: string,
      operation: ActiveOperations.CountedOperation
    ) => Effect.Effect<Handle, LookupError, Scope.Scope>
    /** Who is at work in it, in all processes of this host. */
    readonly activeOperations: (
      name: string
    ) => Effect.Effect<ActiveOperations.OperationCounts, ConfigurationError>
    /** Puts it into a mode, or out of any. Who is at work is not waited for. */
    readonly setMaintenance: (
      name: string,
      mode: Maintenance.Maintenance | undefined
    ) => Effect.Effect<void, ConfigurationError>
    /**
     * Puts it into a mode, waits until nobody is at work in it on this host, and then runs `use`. Afterwards it is in
     * the mode in which it was before; when the process dies it stays in the new one.
     */
    readonly alone: <A, E, R>(
      name: string,
      mode: Maintenance.Maintenance,
      use: (place: AlonePlace) => Effect.Effect<A, E, R>,
      options?: Alone.WaitOptions
    ) => Effect.Effect<A, E | LookupError, R>
    /**
     * Waits until nobody is at work in it, keeping everybody out who comes, and takes it out of the configuration; with
     * `destroyData` its content is removed first. What was interrupted can be repeated, and nothing else can be done.
     */
    readonly remove: (
      name: string,
      options?: Alone.WaitOptions & { readonly destroyData?: boolean }
    ) => Effect.Effect<void, LookupError>
    /** How it is, without opening or walking it: cheap enough to be asked every second. */
    readonly status: (name: string) => Effect.Effect<Status.DatastoreStatus, ConfigurationError>
    /** Writes down who is at work, and closes what nobody may use any more: done every second by itself. */
    readonly tick: Effect.Effect<void, LookupError>
  }
>()("granary/datastores/Datastores") {}

/** A datastore in which nobody else is at work. */
export interface AlonePlace {
  readonly entry: DatastoreConfig.DatastoreEntry
  /** The bucket that holds it; undefined when the folder does. */
  readonly bucket: StoreBucket | undefined
}

export interface DatastoresOptions {
  /** The configuration folder. */
  readonly folder: string
  /** After how long files are read again although nothing shows that they changed. Default 60; 0: at every lookup. */
  readonly ttlSeconds?: number
  /** How long a look at the stamps of hand-edited files serves. Default 50. */
  readonly editLookMillis?: number
  /** How often `tick` is done. Default 1; 0: only when it is called. */
  readonly tickSeconds?: number
  /** How buckets are reached. Default: as `s3.cfg` says. */
  readonly connect?: Places.Connect
}

const defaultTtlSeconds = 60
const defaultEditLookMillis = 50

const makeParts = (options: DatastoresOptions) =>
  Effect.gen(function* () {
    const { connect = Places.connectS3, folder } = options
    const { editLookMillis = defaultEditLookMillis, ttlSeconds = defaultTtlSeconds } = options
    const parts: Parts = {
      folder,
      cache: yield* ConfigCache.make(folder, { ttlMillis: ttlSeconds * 1000, editLookMillis }),
      operations: yield* ActiveOperations.make(folder),
      instances: yield* Instances.make,
      places: Places.make(folder, connect)
    }
    return parts
  })

/** Only that: the scope of whoever looks something up is his own. */
const machineOf = Effect.map(
  Effect.context<Datastore.DatastoreRequirements>(),
  Context.pick(Files, FileLocks, ChunkCodec)
)

/** The service for one configuration folder, for as long as the scope lives. */
export const make = (
  options: DatastoresOptions
): Effect.Effect<Datastores["Service"], never, Datastore.DatastoreRequirements | Scope.Scope> =>
  Effect.gen(function* () {
    const { folder, tickSeconds = 1 } = options
    const machine = yield* machineOf
    const provided = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provideContext(effect, machine)
    // Registered first, so that it runs when all stores are closed.
    const last: { words?: Effect.Effect<void> } = {}
    yield* Effect.addFinalizer(() => last.words ?? Effect.void)
    const parts = yield* makeParts(options)
    const { record, status } = Status.make(parts)
    last.words = Effect.andThen(Effect.ignore(parts.operations.publishAll), provided(record("all")))
    const sweep = Lookup.makeSweep(parts)
    // In this order: as long as a store is open here, it says so.
    const tick = Effect.gen(function* () {
      const swept = yield* Effect.exit(sweep)
      yield* parts.operations.publishAll
      yield* provided(record("some"))
      yield* swept
    })
    if (tickSeconds > 0) {
      yield* Effect.forkScoped(
        Effect.forever(Effect.andThen(Effect.sleep(tickSeconds * 1000), Effect.ignore(tick)))
      )
    }
    const lookup = Lookup.make(parts, machine)
    const alone = Alone.make(parts)
    const entry = (name: string) =>
      Effect.flatMap(Lookup.configured(parts, name), (found) =>
        Effect.as(Lookup.admit(name, found, "lookup"), found.entry)
      )

    return Datastores.of({
      folder,
      list: Effect.flatMap(parts.cache.current, (configuration) =>
        Effect.forEach(configuration.names, (name) =>
          Effect.map(configuration.get(name), (found) => found.entry)
        )
      ),
      entry,
      lookup,
      activeOperations: (name) =>
        Lookup.configured(parts, name).pipe(
          Effect.andThen(parts.operations.publishAll),
          Effect.andThen(parts.operations.total(name))
        ),
      setMaintenance: (name, mode) => provided(DatastoreConfig.setMaintenance(folder, name, mode)),
      alone: (name, mode, use, waiting) => Effect.provide(alone.run(name, mode, use, waiting), machine),
      remove: (name, removing) => provided(alone.remove(name, removing)),
      status: (name) => provided(status(name)),
      tick
    })
  })

export const layer = (
  options: DatastoresOptions
): Layer.Layer<Datastores, never, Datastore.DatastoreRequirements> => Layer.effect(Datastores, make(options))

/**
 * From the settings `GRANARY_CONFIG_DIR` (default `~/.config/granary`) and `GRANARY_CONFIG_TTL` (seconds).
 */
export const layerConfig: Layer.Layer<Datastores, Config.ConfigError, Datastore.DatastoreRequirements> =
  Layer.effect(
    Datastores,
    Effect.gen(function* () {
      const chosen = yield* Config.option(Config.String("GRANARY_CONFIG_DIR"))
      const ttlSeconds = yield* Config.withDefault(Config.Int("GRANARY_CONFIG_TTL"), defaultTtlSeconds)
      const folder = Option.isSome(chosen) ? chosen.value : yield* ConfigFolder.defaultPath
      return yield* make({ folder, ttlSeconds })
    })
  )
