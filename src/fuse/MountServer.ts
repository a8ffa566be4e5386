/**
 * MountServer: the work of a mount's own process: it opens the store, mounts its tree, and takes the mount away again
 * when it is told to, by a message or a signal, or when whoever has asked for it is gone.
 *
 * Invariant: the first answer is `ready` or `failed`. `ended` comes when nothing is mounted any more.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Datastore } from "../datastore/Datastore.ts"
import * as CryptConfig from "../format/CryptConfig.ts"
import * as ChunkWorkers from "../platform/ChunkWorkers.ts"
import * as NodePlatform from "../platform/NodePlatform.ts"
import * as VfsLayer from "../vfs/VfsLayer.ts"
import type { Mounted, Unmounted } from "./Driver.ts"
import * as Drivers from "./Drivers.ts"
import { MountError, mountError } from "./MountError.ts"
import * as Mountpoint from "./Mountpoint.ts"
import { type FromMount, type MountRequest, storeOf } from "./MountRequest.ts"
import * as openStore from "./openStore.ts"
import * as Watchdog from "./Watchdog.ts"

const textOf = (error: unknown, key: "message" | "hint"): string => {
  const value: unknown =
    typeof error === "object" && error !== null && key in error ? Reflect.get(error, key) : undefined
  return typeof value === "string" ? value : ""
}

/** Whatever else fails is about the store or its key. */
const toMountError = (mountpoint: string, error: unknown): MountError =>
  error instanceof MountError
    ? error
    : mountError("Unopened", mountpoint, textOf(error, "message") || String(error), textOf(error, "hint"))

const openTree = (request: MountRequest) =>
  Effect.gen(function* () {
    const datastore = yield* openStore.openStore(storeOf(request))
    const crypt = request.key === undefined ? {} : { crypt: CryptConfig.fromKey(request.key) }
    return yield* VfsLayer.make({ ...request.tree, ...crypt }).pipe(
      Effect.provideService(Datastore, datastore)
    )
  })

/** Mounts for as long as the scope. */
const mount = (request: MountRequest): Effect.Effect<Mounted, MountError, Scope.Scope> =>
  Effect.gen(function* () {
    const store = storeOf(request)
    const mountpoint = yield* Mountpoint.check(request.mountpoint, openStore.foldersOf(store))
    const driver = yield* Drivers.choose(request.driver ?? "auto", mountpoint)
    // For as long as the mount.
    const machine = yield* Layer.build(NodePlatform.layer)
    const tree = yield* openTree(request).pipe(
      Effect.provideContext(machine),
      Effect.mapError((error) => toMountError(mountpoint, error))
    )
    const { allowOther = false } = request
    const source = openStore.titleOf(store)
    const mounted = yield* driver.mount({ mountpoint, source, allowOther }, tree)
    yield* Watchdog.watch(mountpoint)
    return mounted
  })

const failedOf = ({ detail, hint, mountpoint, reason }: MountError): FromMount => ({
  kind: "failed",
  reason,
  mountpoint,
  detail,
  hint
})

const unmounted: Unmounted = "unmounted"

/** Serves until it is ended from outside, or `stop` is done. */
export const serve = (
  request: MountRequest,
  stop: Deferred.Deferred<void>,
  tell: (message: FromMount) => void
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const stopped = Deferred.await(stop)
    const mounted = yield* Effect.raceFirst(mount(request), Effect.as(stopped, undefined))
    if (mounted === undefined) return unmounted
    const { driver, ended, mountpoint, unmount } = mounted
    tell({ kind: "ready", driver, mountpoint })
    // There will be chunks to decode, and whoever wants the first one should wait for no thread.
    ChunkWorkers.startEarly(1)
    return yield* Effect.raceFirst(Effect.andThen(stopped, unmount), Effect.as(ended, unmounted))
  }).pipe(
    Effect.scoped,
    Effect.matchCause({
      onSuccess: (outcome) => tell({ kind: "ended", outcome }),
      onFailure: (cause) => {
        const error = cause.reasons.flatMap((reason) => (reason._tag === "Fail" ? [reason.error] : []))[0]
        const told = error ?? mountError("Failed", request.mountpoint, String(cause), "look into the log")
        tell(failedOf(told))
      }
    })
  )
