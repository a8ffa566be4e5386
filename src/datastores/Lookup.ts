/**
 * Lookup: gives out handles to open datastores, and takes them back.
 *
 * Invariants: who gets a handle is counted before he looks at the configuration, and until everything he had is closed.
 * What is taken is what the configuration wants at that moment, however long the opening took. The usual case, a store
 * that is open and wanted, goes through without waiting for anything.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ConfigError } from "../config/ConfigError.ts"
import type * as DatastoreConfig from "../config/DatastoreConfig.ts"
import * as Maintenance from "../config/Maintenance.ts"
import type * as Datastore from "../datastore/Datastore.ts"
import type { FilesError } from "../platform/Files.ts"
import type { ActiveOperations, CountedOperation } from "./ActiveOperations.ts"
import type { ConfigCache, Configuration, Configured } from "./ConfigCache.ts"
import { DatastoresError } from "./DatastoresError.ts"
import type { Instance, Instances } from "./Instances.ts"
import { countOpen, countOpened, observed, observedOpening, type Request } from "./LookupMetrics.ts"
import type { PlaceError, Places } from "./Places.ts"

export type ConfigurationError = ConfigError | FilesError | DatastoresError

export type LookupError = ConfigurationError | PlaceError

/** A datastore in use, until its scope closes. */
export interface Handle {
  readonly name: string
  readonly operation: CountedOperation
  /** Its section as it was when it was looked up. */
  readonly entry: DatastoreConfig.DatastoreEntry
  readonly store: Datastore.Datastore["Service"]
}

export interface Parts {
  readonly folder: string
  readonly cache: ConfigCache
  readonly instances: Instances
  readonly operations: ActiveOperations
  readonly places: Places
}

/** Fails when the mode keeps the operation out. */
export const admit = (
  name: string,
  { maintenance }: Configured,
  operation: Maintenance.Operation
): Effect.Effect<void, DatastoresError> => {
  if (maintenance === undefined || Maintenance.allows(maintenance, operation)) return Effect.void
  return Effect.fail(
    new DatastoresError({
      reason: "InMaintenance",
      subject: name,
      detail: Maintenance.explain(maintenance),
      hint: Maintenance.hintFor(maintenance)
    })
  )
}

export const configured = (
  { cache }: Pick<Parts, "cache">,
  name: string
): Effect.Effect<Configured, ConfigurationError> =>
  Effect.flatMap(cache.current, (configuration) => configuration.get(name))

const isWantedAs = ({ folder, identity }: Instance, found: Configured): boolean =>
  found.folder === folder && found.identity === identity && !Maintenance.evicts(found.maintenance)

/** Whether an open store that nobody uses may stay open. */
const isWanted = (configuration: Configuration, instance: Instance): Effect.Effect<boolean> => {
  const known = configuration.known(instance.name)
  if (known !== undefined) return Effect.succeed(isWantedAs(instance, known))
  return Effect.match(configuration.get(instance.name), {
    onFailure: () => false,
    onSuccess: (found) => isWantedAs(instance, found)
  })
}

/**
 * Closes an idle store that is not wanted any more. While the configuration cannot be read it stays; what this misses
 * because it changed right now, the next sweep finds.
 */
const settle = ({ cache, instances }: Parts, instance: Instance): Effect.Effect<void> =>
  Effect.matchEffect(cache.recent, {
    onFailure: () => Effect.void,
    onSuccess: (configuration) =>
      Effect.flatMap(isWanted(configuration, instance), (wanted) =>
        wanted ? Effect.void : instances.closeIdle(instance.folder)
      )
  })

/** Closes the idle stores that a change of the configuration has made unwanted. */
export const makeSweep = ({ cache, instances }: Parts): Effect.Effect<void, ConfigurationError> => {
  let swept: Configuration | undefined
  return Effect.gen(function* () {
    const configuration = yield* cache.current
    if (configuration === swept) return
    for (const instance of instances.idle()) {
      if (!(yield* isWanted(configuration, instance))) yield* instances.closeIdle(instance.folder)
    }
    swept = configuration
  })
}

interface Taken {
  readonly entry: DatastoreConfig.DatastoreEntry
  readonly instance: Instance
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

type Lookup = Effect.Effect<Handle, LookupError, Scope.Scope>

/** `machine` is what stores are opened with. */
export const make = (
  parts: Parts,
  machine: Context.Context<Datastore.DatastoreRequirements>
): ((name: string, operation: CountedOperation) => Lookup) => {
  const { cache, instances, operations, places } = parts

  const leave = ({ name, operation }: Request) => Effect.sync(() => operations.leave(name, operation))

  const release = (request: Request, instance: Instance): Effect.Effect<void> =>
    Effect.flatMap(instances.giveBack(instance), (isIdle) =>
      isIdle ? Effect.andThen(settle(parts, instance), leave(request)) : leave(request)
    )

  const hold = (request: Request, { entry, instance }: Taken): Effect.Effect<Handle, never, Scope.Scope> =>
    Effect.as(
      Effect.addFinalizer(() => release(request, instance)),
      { name: request.name, operation: request.operation, entry, store: instance.store }
    )

  /** What is open, if the request may have it. */
  const takeOpen = (configuration: Configuration, { name, operation }: Request): Taken | undefined => {
    const found = configuration.known(name)
    if (found === undefined || !Maintenance.allows(found.maintenance, operation)) return undefined
    const instance = instances.take(found.folder, found.identity)
    return instance === undefined ? undefined : { entry: found.entry, instance }
  }

  /** Says that somebody is at work before he looks. Unknown names, and what is kept out anyway, are not counted. */
  const announce = (request: Request) =>
    Effect.gen(function* () {
      const { name, operation } = request
      yield* admit(name, yield* configured(parts, name), operation)
      operations.enter(name, operation)
      yield* Effect.onError(operations.publish(name), () => leave(request))
    })

  const openAndTake = (request: Request, restore: Restore) =>
    Effect.gen(function* () {
      const { name, operation } = request
      for (;;) {
        const configuration = yield* cache.current
        const found = yield* configuration.get(name)
        yield* admit(name, found, operation)
        const taken = takeOpen(configuration, request)
        if (taken !== undefined) return taken
        const { entry, folder, identity } = found
        const open = observedOpening(name, Effect.provideContext(places.open(entry), machine))
        yield* restore(instances.ensureOpen({ name, folder, identity, open }))
      }
    })

  const lookupCounted = (request: Request, restore: Restore): Lookup =>
    Effect.matchCauseEffect(cache.current, {
      onFailure: (cause) => Effect.andThen(leave(request), Effect.failCause(cause)),
      onSuccess: (configuration) => {
        const taken = takeOpen(configuration, request)
        if (taken !== undefined) return Effect.andThen(countOpen[request.operation], hold(request, taken))
        return Effect.flatMap(
          Effect.onError(openAndTake(request, restore), () => leave(request)),
          (opened) => Effect.andThen(countOpened[request.operation], hold(request, opened))
        )
      }
    })

  const lookup = (request: Request): Lookup =>
    Effect.uninterruptibleMask((restore) => {
      const { name, operation } = request
      if (!operations.isPublished(name, operation)) {
        // Counting is over in a moment; being interrupted between it and what follows would leave a count behind.
        return Effect.andThen(announce(request), lookupCounted(request, restore))
      }
      operations.enter(name, operation)
      return lookupCounted(request, restore)
    })

  return (name, operation) => observed({ name, operation }, lookup({ name, operation }))
}
