/**
 * Mount: a datastore, or a part of one, mounted as a file system for as long as a program wants it.
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const { mountpoint } = yield* Mount
 *   return yield* Effect.promise(() => readdir(mountpoint))
 * })
 * const mounted = Mount.layer({ store: { kind: "folder", path: "/mnt/store" }, mountpoint: "/mnt/backups" })
 * Effect.provide(program, mounted)
 * ```
 *
 * A process of its own serves it; see `mountProcess`. What is read through it holds the snapshot's shared lock there,
 * so that nobody removes it meanwhile.
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { MountError } from "./MountError.ts"
import { mount, type MountHandle } from "./mountProcess.ts"
import type { MountOptions } from "./MountRequest.ts"

export { mount, type MountHandle } from "./mountProcess.ts"
export { unmount } from "./Unmounting.ts"

export class Mount extends Context.Service<Mount, MountHandle>()("granary/fuse/Mount") {
  static readonly layer = (options: MountOptions): Layer.Layer<Mount, MountError> =>
    Layer.effect(Mount, mount(options))
}
