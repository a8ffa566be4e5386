/**
 * NativeDriver: mounts through the package `fuse-native` and libfuse 2, where the kernel cannot be talked to directly.
 *
 * What it cannot do, because the package cannot: names and link targets that are not UTF-8, times finer than a
 * millisecond or before 1970, inodes of more than 32 bits, telling holes, and taking a read back that nobody waits for
 * any more. Everything else is as with the kernel's driver.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Vfs } from "../vfs/Vfs.ts"
import { type Driver, type DriverOptions, subtype, type Unmounted } from "./Driver.ts"
import * as Faults from "./kernel/Faults.ts"
import { mountError, type MountError } from "./MountError.ts"
import * as MountTable from "./MountTable.ts"
import * as NativeModule from "./native/NativeModule.ts"
import * as Operations from "./native/Operations.ts"
import * as Unmounting from "./Unmounting.ts"

const helper = "fusermount"

const isRoot = (): boolean => process.geteuid?.() === 0

const isOnPath = (program: string): boolean =>
  (process.env["PATH"] ?? "")
    .split(path.delimiter)
    .some((folder) => folder !== "" && fs.existsSync(path.join(folder, program)))

const obstacle: Effect.Effect<string | undefined> = Effect.sync(() => {
  if (process.platform !== "linux") return "it needs Linux"
  if (!fs.existsSync("/dev/fuse")) return "there is no /dev/fuse"
  if (!isRoot() && !isOnPath(helper))
    return `only root can mount without ${helper} (install the package fuse3)`
  const loaded = NativeModule.loadOnce()
  return "obstacle" in loaded ? loaded.obstacle : undefined
})

/** The package has room for 1024 bytes of options. */
const sourceMaxLength = 200
const lastingSeconds = 3600

const escaped = (text: string): string => text.replaceAll(/[\\,]/g, String.raw`\$&`)

/**
 * How long the kernel may believe what it was told is one number for the whole mount here. Inside of a snapshot nothing
 * changes; where the tree begins above, all of it is believed no longer than the lists of snapshots. That a name is
 * missing is not remembered at all.
 */
const rawOptions = (
  { allowOther, source }: DriverOptions,
  { validSeconds }: Vfs["Service"]["root"]
): string => {
  const isLasting = validSeconds === Number.POSITIVE_INFINITY
  const seconds = isLasting ? lastingSeconds : validSeconds
  return [
    escaped([...source].slice(0, sourceMaxLength).join("")),
    `subtype=${subtype}`,
    "ro",
    "nosuid",
    "nodev",
    "default_permissions",
    "use_ino",
    // What a path leads to may be replaced where snapshots come and go: then a file is looked at when it is opened.
    isLasting ? "kernel_cache" : "auto_cache",
    `entry_timeout=${seconds}`,
    `attr_timeout=${seconds}`,
    "negative_timeout=0",
    "max_background=128",
    "congestion_threshold=96",
    ...(allowOther ? ["allow_other"] : [])
  ].join(",")
}

const initWithin = "10 seconds"

const start = (mountpoint: string, mount: NativeModule.NativeMount): Effect.Effect<void, MountError> =>
  Effect.callback<void, MountError>((resume) => {
    const hint = isRoot() ? "try --driver kernel" : "mount as root, or see docs/mount.md"
    mount.start((error) =>
      resume(
        error === null
          ? Effect.void
          : Effect.fail(
              mountError("Denied", mountpoint, `fuse-native cannot mount it: ${error.message}`, hint)
            )
      )
    )
  }).pipe(
    Effect.timeoutOrElse({
      duration: initWithin,
      orElse: () => Effect.fail(mountError("Failed", mountpoint, "the kernel has not answered", "try again"))
    })
  )

const load = (mountpoint: string): Effect.Effect<NativeModule.NativeModule, MountError> =>
  Effect.suspend(() => {
    const loaded = NativeModule.loadOnce()
    return "native" in loaded
      ? Effect.succeed(loaded.native)
      : Effect.fail(mountError("NoDriver", mountpoint, loaded.obstacle, "try --driver kernel"))
  })

const lookEvery = "500 millis"

/** The package does not tell that a mount has ended. */
const untilGone = (mountpoint: string, device: string): Effect.Effect<void> =>
  MountTable.at(mountpoint).pipe(
    Effect.repeat({
      until: (entry) => entry?.device !== device,
      schedule: Schedule.spaced(lookEvery)
    }),
    Effect.asVoid
  )

/** The mount at its place, until the scope ends. */
const placed = (options: DriverOptions, mount: NativeModule.NativeMount) =>
  Effect.acquireRelease(
    Effect.gen(function* () {
      const { mountpoint } = options
      yield* start(mountpoint, mount)
      const entry = yield* MountTable.at(mountpoint)
      if (entry !== undefined) return entry.device
      return yield* mountError("Failed", mountpoint, "the mount is not where it was made", "see: findmnt")
    }),
    (device) => Effect.ignore(Unmounting.end(options.mountpoint, device))
  )

const mount = (options: DriverOptions, tree: Vfs["Service"]) =>
  Effect.gen(function* () {
    const { mountpoint } = options
    const native = yield* load(mountpoint)
    const context = yield* Effect.context<never>()
    const faults = Faults.make(context)
    const operations = Operations.make({ tree, faults, context })
    const made = native.make(mountpoint, operations.native, rawOptions(options, tree.root))
    yield* Effect.addFinalizer(() => Effect.sync(made.release))
    yield* Effect.addFinalizer(() => operations.interruptAll)
    const device = yield* placed(options, made)
    const outcome = yield* Deferred.make<Unmounted, MountError>()
    const unmount = Unmounting.end(mountpoint, device).pipe(
      Effect.onExit((exit) => Deferred.done(outcome, exit)),
      Effect.andThen(Deferred.await(outcome))
    )
    return { driver: "fuse-native" as const, mountpoint, ended: untilGone(mountpoint, device), unmount }
  })

export const driver: Driver = { name: "fuse-native", obstacle, mount }
