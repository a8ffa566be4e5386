/**
 * Driver: what brings a tree of files to the kernel. There are two: `kernel` speaks the kernel's protocol itself,
 * `fuse-native` goes through the package of that name.
 *
 * Invariants of both: what is mounted is read-only (`ro`, `nosuid`, `nodev`), and the kernel checks permissions
 * (`default_permissions`); a fault in the tree fails the one request that met it (EIO), is logged, and never ends the
 * process; a request that the kernel takes back interrupts its effect. The file system's type is `fuse.granary`, by
 * which others know the mount for ours.
 *
 * Whoever mounts must not touch the mount from the same process by synchronous calls: nothing could interrupt it then.
 * That is why `mount` (in `Mount.ts`) has a process of its own for the driver.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Vfs } from "../vfs/Vfs.ts"
import type { MountError } from "./MountError.ts"

export type DriverName = "kernel" | "fuse-native"

/** The part of the file system's type behind `fuse.`. */
export const subtype = "granary"

export interface DriverOptions {
  /** An absolute path to an empty directory; `Mountpoint.check` has looked at it already. */
  readonly mountpoint: string
  /** What `df` and `mount` show as the source, such as the datastore's name. */
  readonly source: string
  /** Other users see the mount too, each with the rights that the files' modes give. */
  readonly allowOther: boolean
}

/**
 * `detached`: files were still in use, so the mount was taken away from its place only, and ends with their last user.
 */
export type Unmounted = "unmounted" | "detached"

/** A mount that is ready: the kernel has been told what it needs to know (INIT). */
export interface Mounted {
  readonly driver: DriverName
  readonly mountpoint: string
  /** Waits until the mount has ended, whoever ended it. */
  readonly ended: Effect.Effect<void>
  /**
   * Ends the mount, and is done by the scope's end too. While files are in use it tries again for some seconds, and
   * then detaches. Ended already, it does nothing.
   */
  readonly unmount: Effect.Effect<Unmounted, MountError>
}

export interface Driver {
  readonly name: DriverName
  /** Why it cannot be used here; undefined when it can. */
  readonly obstacle: Effect.Effect<string | undefined>
  /** Mounts the tree until the scope ends. Logs with the context in which it was called. */
  readonly mount: (
    options: DriverOptions,
    tree: Vfs["Service"]
  ) => Effect.Effect<Mounted, MountError, Scope.Scope>
}
