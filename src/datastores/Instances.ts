/**
 * Instances: the datastores that this process has open, one for each folder, shared by all who use them.
 *
 * Invariants: everything that is open on one folder shares one set of digest guards and one set of locks, as one chunk
 * store does, whatever happens to the configuration. When what an open store depends on has
 * changed, the next one who comes gets one opened anew; who uses the old one keeps it until he ends, and it is closed
 * behind the last of them. Opening and closing on one folder go one after the other.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type * as Datastore from "../datastore/Datastore.ts"
import { FileLocks } from "../platform/FileLocks.ts"
import * as Metrics from "../platform/Metrics.ts"
import * as DigestGuards from "../store/DigestGuards.ts"
import { layoutOf } from "../store/StoreLayout.ts"
import * as StoreLocks from "../store/StoreLocks.ts"

type Store = Datastore.Datastore["Service"]

/** One open store. Who has it has counted himself in. */
export interface Instance {
  /** Of the datastore for which it was opened. */
  readonly name: string
  readonly folder: string
  readonly identity: string
  readonly store: Store
}

interface OpenInstance extends Instance {
  readonly scope: Scope.Closeable
  handles: number
}

/** What all that is open on a folder has in common. */
interface Shared {
  readonly scope: Scope.Closeable
  readonly guards: DigestGuards.DigestGuards["Service"]
  readonly locks: StoreLocks.StoreLocks["Service"]
}

interface Slot {
  readonly folder: string
  readonly oneAtATime: Semaphore.Semaphore
  /** Who works on the slot, or waits to. */
  users: number
  shared: Shared | undefined
  current: OpenInstance | undefined
  readonly retired: Set<OpenInstance>
}

export interface Wanted<E, R> {
  readonly name: string
  readonly folder: string
  readonly identity: string
  readonly open: Effect.Effect<Store, E, R | Scope.Scope>
}

export interface Instances {
  /** The open store, if it is the right one; counts the caller in. */
  readonly take: (folder: string, identity: string) => Instance | undefined
  /** Opens the store if it is not open, for whoever takes it next. */
  readonly ensureOpen: <E, R>(wanted: Wanted<E, R>) => Effect.Effect<void, E, R>
  /** Gives one back; answers whether nobody uses the folder any more. */
  readonly giveBack: (instance: Instance) => Effect.Effect<boolean>
  /** Closes what nobody uses on the folder. */
  readonly closeIdle: (folder: string) => Effect.Effect<void>
  /** Folders on which a store is open that nobody uses. */
  readonly idle: () => ReadonlyArray<Instance>
  readonly isOpen: (folder: string) => boolean
}

export const make: Effect.Effect<Instances, never, FileLocks | Scope.Scope> = Effect.gen(function* () {
  const fileLocks = yield* FileLocks
  const makeGuards = yield* DigestGuards.Maker
  const makeLocks = yield* StoreLocks.Maker
  const slots = new Map<string, Slot>()
  const open = new Map<Instance, OpenInstance>()

  const slotOf = (folder: string): Slot => {
    const found = slots.get(folder)
    if (found !== undefined) return found
    const made: Slot = {
      folder,
      oneAtATime: Semaphore.makeUnsafe(1),
      users: 0,
      shared: undefined,
      current: undefined,
      retired: new Set()
    }
    slots.set(folder, made)
    return made
  }

  const share = (slot: Slot): Effect.Effect<Shared> =>
    Effect.gen(function* () {
      if (slot.shared !== undefined) return slot.shared
      const layout = layoutOf(slot.folder)
      const scope = yield* Scope.make()
      const guards = yield* Scope.provide(makeGuards(layout), scope)
      slot.shared = { scope, guards, locks: yield* makeLocks(layout) }
      return slot.shared
    }).pipe(Effect.provideService(FileLocks, fileLocks))

  const close = (slot: Slot, instance: OpenInstance): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (slot.current === instance) slot.current = undefined
      slot.retired.delete(instance)
      const counted = open.delete(instance) ? Metric.modify(Metrics.openDatastores, -1) : Effect.void
      return Effect.andThen(counted, Scope.close(instance.scope, Exit.void))
    })

  /** When nothing is open on the folder any more, what was shared goes as well. */
  const tidy = (slot: Slot): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { shared } = slot
      if (shared === undefined || slot.current !== undefined || slot.retired.size > 0) return Effect.void
      slot.shared = undefined
      return Scope.close(shared.scope, Exit.void)
    })

  /** Alone on the folder. */
  const inSlot = <A, E, R>(
    folder: string,
    use: (slot: Slot) => Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> =>
    Effect.suspend(() => {
      const slot = slotOf(folder)
      slot.users += 1
      const leave = Effect.sync(() => {
        slot.users -= 1
        if (slot.users === 0 && slot.shared === undefined) slots.delete(folder)
      })
      return slot.oneAtATime.withPermit(Effect.ensuring(use(slot), tidy(slot))).pipe(Effect.ensuring(leave))
    })

  const take = (folder: string, identity: string): OpenInstance | undefined => {
    const current = slots.get(folder)?.current
    if (current?.identity !== identity) return undefined
    current.handles += 1
    return current
  }

  const openNew = <E, R>(slot: Slot, wanted: Wanted<E, R>): Effect.Effect<void, E, R> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const { guards, locks } = yield* share(slot)
        const scope = yield* Scope.make()
        const store = yield* restore(Scope.provide(wanted.open, scope)).pipe(
          Effect.provideService(DigestGuards.Maker, () => Effect.succeed(guards)),
          Effect.provideService(StoreLocks.Maker, () => Effect.succeed(locks)),
          Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, Exit.void)))
        )
        const { folder, identity, name } = wanted
        const instance: OpenInstance = { name, folder, identity, store, scope, handles: 0 }
        slot.current = instance
        open.set(instance, instance)
        yield* Metric.modify(Metrics.openDatastores, 1)
      })
    )

  const ensureOpen = <E, R>(wanted: Wanted<E, R>): Effect.Effect<void, E, R> =>
    inSlot(wanted.folder, (slot) =>
      Effect.suspend((): Effect.Effect<void, E, R> => {
        const old = slot.current
        if (old === undefined) return openNew(slot, wanted)
        if (old.identity === wanted.identity) return Effect.void
        slot.current = undefined
        slot.retired.add(old)
        return Effect.andThen(old.handles === 0 ? close(slot, old) : Effect.void, openNew(slot, wanted))
      })
    )

  const closeIdle = (folder: string): Effect.Effect<void> =>
    Effect.suspend(() =>
      slots.has(folder)
        ? inSlot(folder, (slot) => {
            const unused = [...slot.retired, ...(slot.current === undefined ? [] : [slot.current])].filter(
              ({ handles }) => handles === 0
            )
            return Effect.forEach(unused, (instance) => close(slot, instance), { discard: true })
          })
        : Effect.void
    )

  const giveBack = (instance: Instance): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      const own = open.get(instance)
      if (own === undefined) return Effect.succeed(true)
      own.handles -= 1
      if (own.handles > 0) return Effect.succeed(false)
      const isCurrent = slots.get(own.folder)?.current === own
      return isCurrent ? Effect.succeed(true) : Effect.as(closeIdle(own.folder), false)
    })

  yield* Effect.addFinalizer(() =>
    Effect.forEach([...slots.keys()], (folder) =>
      inSlot(folder, (slot) =>
        Effect.forEach(
          [...slot.retired, ...(slot.current === undefined ? [] : [slot.current])],
          (instance) => close(slot, instance),
          { discard: true }
        )
      )
    )
  )

  return {
    take,
    ensureOpen,
    giveBack,
    closeIdle,
    idle: () => [...open.values()].filter(({ handles }) => handles === 0),
    isOpen: (folder) => slots.get(folder)?.shared !== undefined
  }
})
