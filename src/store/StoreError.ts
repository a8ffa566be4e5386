/**
 * What can be wrong with a datastore as such, apart from failing system calls (`FilesError`) and unusable chunks
 * (`ChunkError`). Every reason has its hint: what the person in front of it can do.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { FormatError } from "../format/FormatError.ts"
import { InvalidName } from "../model/InvalidName.ts"

export type StoreReason =
  | "NotADatastore"
  | "AlreadyADatastore"
  | "NoSuchNamespace"
  | "NoSuchGroup"
  | "NoSuchSnapshot"
  | "NoSuchArchive"
  | "SnapshotExists"
  | "Unfinished"
  | "Protected"
  | "NotOwner"
  | "Busy"
  | "Damaged"
  | "KeyNeeded"
  | "Refused"
  /** The bucket has a datastore of this name already. */
  | "InBucketAlready"
  /** Another host has marked the datastore in the bucket as its own. */
  | "InUse"
  /** Others may have taken this process for dead. */
  | "LeaseLost"
  /** The server does not keep what a datastore needs. */
  | "Unsuitable"
  /** The cache folder lacks what its bucket holds. */
  | "NeedsRefresh"
  /** The way to the server that holds the store has trouble that may pass. */
  | "Unreachable"

const hints: Record<StoreReason, string> = {
  NotADatastore: "make one with: granary init PATH",
  AlreadyADatastore: "use it as it is, or choose an empty folder",
  NoSuchNamespace: "list them with: granary namespaces",
  NoSuchGroup: "list them with: granary snapshots",
  NoSuchSnapshot: "list them with: granary snapshots",
  NoSuchArchive: "list them with: granary files SNAPSHOT",
  SnapshotExists: "use a later --backup-time",
  Unfinished: "it was interrupted; remove it with: granary forget SNAPSHOT",
  Protected: "take its protection away first",
  NotOwner: "use the owner's name with --owner, or another --backup-id",
  Busy: "wait for the other operation to end, then try again",
  Damaged: "run: granary verify; restore from another snapshot or copy",
  KeyNeeded: "give the right key with --keyfile",
  Refused: "check what you asked for",
  InBucketAlready: "take it over with --reuse, or choose another name",
  InUse: "if that host does not use it any more, or both are to use it, repeat with --overwrite-in-use",
  LeaseLost: "check the connection to the server, then start again",
  Unsuitable: "run: granary s3 check",
  NeedsRefresh: "run: granary s3-refresh",
  Unreachable: "check the connection to the server, then start again"
}

export class StoreError extends Data.TaggedError("StoreError")<{
  readonly reason: StoreReason
  /** The thing: a path, a snapshot, an archive. */
  readonly subject: string
  readonly detail: string
  /** What to do about it, where somebody knows better than the reason. */
  readonly advice?: string
}> {
  override get message(): string {
    return `${this.subject}: ${this.detail}`
  }

  get hint(): string {
    return this.advice ?? hints[this.reason]
  }
}

export const storeError = (reason: StoreReason, subject: string, detail: string): StoreError =>
  new StoreError({ reason, subject, detail })

/** Runs a pure decoder; what it dislikes is damage of `subject`. */
export const decodeOrDamaged = <A>(subject: string, decode: () => A): Effect.Effect<A, StoreError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(decode())
    } catch (error) {
      if (error instanceof FormatError || error instanceof InvalidName) {
        return Effect.fail(storeError("Damaged", subject, error.message))
      }
      return Effect.die(error)
    }
  })
