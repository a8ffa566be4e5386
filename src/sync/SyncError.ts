/**
 * SyncError: what can go wrong while one store is copied into another, whichever kind they are. The ports translate
 * their own troubles into it, so that nothing above them knows of files, buckets or connections.
 *
 * Invariants: a reason alone says what to tell the person and whether trying again can help. `Missing` means that the
 * store itself said that the thing is not there; trouble on the way there has another reason. The place is filled in
 * from the inside out: whoever knows more of it adds to it, and takes nothing away.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as BackupGroup from "../model/BackupGroup.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"

export type SyncReason =
  /** It is not there, or not any more. */
  | "Missing"
  /** It is there and is not what it should be. */
  | "Corrupt"
  /** Somebody else works on it. */
  | "Busy"
  /** The backup group belongs to somebody else. */
  | "NotOwner"
  /** The target has something else under this name. */
  | "Conflict"
  | "Protected"
  /** It cannot be opened without a key, or with the keys given. */
  | "KeyNeeded"
  /** The store takes no changes. */
  | "ReadOnly"
  /** The store has no room left. */
  | "Full"
  /** The store asks for fewer requests. */
  | "Throttled"
  /** The store, or the way to it, has trouble that may pass. */
  | "Unavailable"
  /** It was asked for something that it does not do. */
  | "Refused"
  /** Any other trouble, which will not pass by itself. */
  | "Failed"

export type Side = "source" | "target"

/** Where it happened, as far as is known. */
export interface SyncPlace {
  readonly side?: Side
  readonly namespace?: Namespace
  readonly group?: BackupGroup.BackupGroup
  readonly snapshot?: Snapshot.Snapshot
  /** The name of the file in the snapshot. */
  readonly archive?: string
}

const hints: Record<SyncReason, string> = {
  Missing: "it may have been removed meanwhile; run the sync again",
  Corrupt: "verify the source; another copy may be good",
  Busy: "wait for the other operation to end, then run the sync again",
  NotOwner: "use the owner's name with --owner, or change the owner of the group",
  Conflict: "remove one of the two snapshots, or sync into another namespace",
  Protected: "take its protection away first",
  KeyNeeded: "give the right key",
  ReadOnly: "open the target for writing",
  Full: "free some space on the target, and run the sync again",
  Throttled: "run the sync again later, or with a lower rate or fewer parallel groups",
  Unavailable: "check the connection to the store, and run the sync again: it goes on where it stopped",
  Refused: "check what you asked for",
  Failed: "look at the message; verify the store it names"
}

/** The reasons that may pass by themselves. */
const passing: ReadonlySet<SyncReason> = new Set(["Throttled", "Unavailable"])

const groupText = ({ group, snapshot }: SyncPlace): string | undefined =>
  snapshot === undefined ? group && BackupGroup.format(group) : Snapshot.format(snapshot)

/** The place as text: `target namespace a: vm/100/2026-11-21T10:00:00Z drive.img.fidx`. */
export const placeText = (place: SyncPlace): string => {
  const { archive, namespace, side } = place
  const around = namespace === undefined || namespace === "" ? undefined : `namespace ${namespace}`
  const stem = [side, around].filter((part) => part !== undefined).join(" ")
  const thing = [groupText(place), archive].filter((part) => part !== undefined).join(" ")
  return [stem, thing].filter((part) => part !== "").join(": ")
}

export interface SyncErrorFields extends SyncPlace {
  readonly reason: SyncReason
  readonly detail: string
  /** How long the store wants to be left alone. */
  readonly retryAfterSeconds?: number
  /** What to do about it, where the store knows better than the reason. */
  readonly advice?: string
}

export class SyncError extends Data.TaggedError("SyncError")<SyncErrorFields> {
  override get message(): string {
    const place = placeText(this)
    return place === "" ? this.detail : `${place}: ${this.detail}`
  }

  get hint(): string {
    return this.advice ?? hints[this.reason]
  }

  /** The same may well succeed a little later. */
  get retryable(): boolean {
    return passing.has(this.reason)
  }
}

export const syncError = (reason: SyncReason, detail: string, place: SyncPlace = {}): SyncError =>
  new SyncError({ ...place, reason, detail })

/** The error with what is known of its place besides; what it knows itself stays. */
export const at =
  (place: SyncPlace) =>
  (error: SyncError): SyncError =>
    new SyncError({ ...place, ...error })

/** Adds to the place of whatever goes wrong in the effect. */
export const within =
  (place: SyncPlace) =>
  <A, E, R>(effect: Effect.Effect<A, E | SyncError, R>): Effect.Effect<A, E | SyncError, R> =>
    Effect.mapError(effect, (error) => (error instanceof SyncError ? at(place)(error) : error))

/** Where an error happened, without what happened. */
export const placeOf = ({ archive, group, namespace, side, snapshot }: SyncPlace): SyncPlace => ({
  ...(side === undefined ? {} : { side }),
  ...(namespace === undefined ? {} : { namespace }),
  ...(group === undefined ? {} : { group }),
  ...(snapshot === undefined ? {} : { snapshot }),
  ...(archive === undefined ? {} : { archive })
})
