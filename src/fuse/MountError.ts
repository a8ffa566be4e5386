/**
 * MountError: why a tree could not be mounted, or a mount could not be ended. It names the mountpoint and says what to
 * do.
 */
import * as Data from "effect/Data"

export type MountReason =
  /** The mountpoint is missing, no directory, not empty, in use already, or lies where it must not. */
  | "BadMountpoint"
  /** Nothing on this machine can mount it, or not the driver that was asked for. */
  | "NoDriver"
  /** The system does not let this user mount. */
  | "Denied"
  /** There is no mount of granary at this place. */
  | "NotMounted"
  /** The store, its key, or what is to be mounted could not be opened. */
  | "Unopened"
  | "Failed"

export class MountError extends Data.TaggedError("MountError")<{
  readonly reason: MountReason
  readonly mountpoint: string
  readonly detail: string
  readonly hint: string
}> {
  override get message(): string {
    return `${this.mountpoint}: ${this.detail}`
  }
}

export const mountError = (
  reason: MountReason,
  mountpoint: string,
  detail: string,
  hint: string
): MountError => new MountError({ reason, mountpoint, detail, hint })
