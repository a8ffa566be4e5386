/**
 * KernelDriver: speaks the kernel's protocol itself, without a native module of its own. Linux 5.4 and later.
 *
 * It mounts, answers requests from the tree, and unmounts when its scope ends. Invariant: nothing stays behind:
 * neither a mount that failed half way, nor an effect that nobody waits for.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import type { Driver, DriverOptions, Unmounted } from "./Driver.ts"
import * as Channel from "./kernel/Channel.ts"
import * as Device from "./kernel/Device.ts"
import * as DeviceReader from "./kernel/DeviceReader.ts"
import * as Faults from "./kernel/Faults.ts"
import * as Session from "./kernel/Session.ts"
import { mountError, type MountError } from "./MountError.ts"
import * as MountTable from "./MountTable.ts"
import type { Vfs } from "../vfs/Vfs.ts"
import * as Unmounting from "./Unmounting.ts"

/** So far ahead may a sequential reader's kernel read, instead of 128 KiB: several requests of 1 MiB at a time. */
const readAheadKib = 4096

const raiseReadAhead = (device: string): Effect.Effect<void> =>
  Effect.sync(() => {
    try {
      fs.writeFileSync(`/sys/class/bdi/${device}/read_ahead_kb`, String(readAheadKib))
    } catch {
      // Only root may, where /sys can be written. It is a matter of speed alone.
    }
  })

const initWithin = "10 seconds"

interface Mount {
  readonly fd: number
  /** As `MountTable` names it. */
  readonly device: string
}

const acquire = (options: DriverOptions): Effect.Effect<Mount, MountError> =>
  Effect.gen(function* () {
    const fd = yield* Device.mount(options)
    const entry = yield* MountTable.at(options.mountpoint)
    if (entry !== undefined) return { fd, device: entry.device }
    fs.closeSync(fd)
    return yield* mountError(
      "Failed",
      options.mountpoint,
      "the mount is not where it was made",
      "see: findmnt"
    )
  })

const initialised = (mountpoint: string, outcome: Session.InitOutcome): Effect.Effect<void, MountError> =>
  outcome.kind === "ready"
    ? Effect.void
    : Effect.fail(
        mountError(
          "NoDriver",
          mountpoint,
          `the kernel's protocol is too old: ${outcome.version}`,
          "it needs Linux 5.4 or later; try --driver fuse-native"
        )
      )

const mountWith = (reader: DeviceReader.ReaderKind) => (options: DriverOptions, tree: Vfs["Service"]) =>
  Effect.gen(function* () {
    const { mountpoint } = options
    const context = yield* Effect.context<never>()
    const init = yield* Deferred.make<Session.InitOutcome>()
    const ended = yield* Deferred.make<void>()
    const outcome = yield* Deferred.make<Unmounted, MountError>()
    const faults = Faults.make(context)

    const { device, fd } = yield* Effect.acquireRelease(acquire(options), (mount) =>
      Effect.ignore(Unmounting.end(mountpoint, mount.device))
    )
    const channel = Channel.make(fd, faults.refusedReply)
    const session = Session.make({
      tree,
      channel,
      faults,
      context,
      onInit: (found) => void Deferred.doneUnsafe(init, Effect.succeed(found))
    })
    const reading = yield* Effect.acquireRelease(
      Effect.sync(() =>
        DeviceReader.start(
          fd,
          {
            onRequest: session.onRequest,
            onEnd: (error) => {
              channel.close()
              if (error !== undefined) faults.defect(0, error)
              Deferred.doneUnsafe(ended, Effect.void)
            }
          },
          reader
        )
      ),
      (started) =>
        Effect.sync(() => {
          channel.close()
          started.close()
        })
    )
    yield* Effect.addFinalizer(() => session.interruptAll)
    // The mount is taken away first of all: while it is in use, whoever uses it is served on.
    const unmount = Unmounting.end(mountpoint, device).pipe(
      Effect.onExit((exit) => Deferred.done(outcome, exit)),
      Effect.andThen(Deferred.await(outcome))
    )
    yield* Effect.addFinalizer(() => Effect.ignore(unmount))

    const found = yield* Deferred.await(init).pipe(
      Effect.timeoutOrElse({
        duration: initWithin,
        orElse: () =>
          Effect.fail(mountError("Failed", mountpoint, "the kernel has not answered", "try again"))
      })
    )
    yield* initialised(mountpoint, found)
    yield* raiseReadAhead(device)
    yield* Effect.logDebug(`mounted ${mountpoint}, reading by ${reading.kind}`)
    return { driver: "kernel" as const, mountpoint, ended: Deferred.await(ended), unmount }
  })

/** The driver with another way to wait for requests, for tests of it. */
export const withReader = (reader: DeviceReader.ReaderKind): Driver => ({
  name: "kernel",
  obstacle: Device.obstacle,
  mount: mountWith(reader)
})

export const driver: Driver = withReader("epoll")
