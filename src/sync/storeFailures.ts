/**
 * storeFailures: the troubles of an open datastore as a sync tells them. What a store says of a thing itself keeps its
 * meaning; what happens on the way to it says whether it may pass.
 */
import * as Effect from "effect/Effect"
import type { ObjectStoreError } from "../objectstore/ObjectStoreError.ts"
import type { FilesError, FilesReason } from "../platform/Files.ts"
import type { StorageError } from "../store/StorageError.ts"
import type { StoreError, StoreReason } from "../store/StoreError.ts"
import { SyncError, type SyncReason } from "./SyncError.ts"

export type StoreFailure = StorageError | StoreError

const ofStore: Record<StoreReason, SyncReason> = {
  NotADatastore: "Failed",
  AlreadyADatastore: "Failed",
  NoSuchNamespace: "Missing",
  NoSuchGroup: "Missing",
  NoSuchSnapshot: "Missing",
  NoSuchArchive: "Missing",
  SnapshotExists: "Conflict",
  Unfinished: "Missing",
  Protected: "Protected",
  NotOwner: "NotOwner",
  Busy: "Busy",
  Damaged: "Corrupt",
  KeyNeeded: "KeyNeeded",
  Refused: "Refused",
  InBucketAlready: "Failed",
  InUse: "Failed",
  LeaseLost: "Unavailable",
  Unsuitable: "Failed",
  NeedsRefresh: "Failed",
  Unreachable: "Unavailable"
}

const ofFiles: Partial<Record<FilesReason, SyncReason>> = {
  NotFound: "Missing",
  NoSpace: "Full",
  ReadOnlyFileSystem: "ReadOnly",
  PermissionDenied: "ReadOnly",
  TooLarge: "Corrupt",
  Busy: "Unavailable",
  TooManyOpenFiles: "Unavailable"
}

const ofObjects = (error: ObjectStoreError): SyncReason => {
  switch (error.reason) {
    case "NotFound":
      return "Missing"
    case "TooLarge":
    case "InvalidRange":
      return "Corrupt"
    case "NoSpace":
      return "Full"
    case "Throttled":
      return "Throttled"
    default:
      return error.retryable ? "Unavailable" : "Failed"
  }
}

/** On the way in, a file that may not be read is trouble of another kind than one that may not be written. */
const reasonOf = (error: StoreFailure, isReading: boolean): SyncReason => {
  if (error._tag === "StoreError") return ofStore[error.reason]
  if (error._tag === "ObjectStoreError") return ofObjects(error)
  if (isReading && error.reason === "PermissionDenied") return "Failed"
  return ofFiles[error.reason] ?? "Failed"
}

/** A store's own hint is about the store alone; the sync has one for each reason. */
const adviceOf = (error: StoreFailure): { readonly advice?: string } => {
  if (error._tag !== "StoreError") return { advice: error.hint }
  return error.advice === undefined ? {} : { advice: error.advice }
}

/** A path says where the store lies, which is the store's own business; what happened is told in its words. */
const translate = (error: StoreFailure, isReading: boolean): SyncError => {
  const wait = error._tag === "ObjectStoreError" ? error.retryAfterSeconds : undefined
  return new SyncError({
    reason: reasonOf(error, isReading),
    detail: error._tag === "StoreError" ? error.detail : error.message,
    ...adviceOf(error),
    ...(wait === undefined ? {} : { retryAfterSeconds: wait })
  })
}

const isStoreFailure = (
  error: StoreFailure | SyncError
): error is FilesError | ObjectStoreError | StoreError => error._tag !== "SyncError"

const translating =
  (isReading: boolean) =>
  <A, R>(effect: Effect.Effect<A, StoreFailure | SyncError, R>): Effect.Effect<A, SyncError, R> =>
    Effect.mapError(effect, (error) => (isStoreFailure(error) ? translate(error, isReading) : error))

/** Of work that only looks. */
export const reading = translating(true)

/** Of work that changes something. */
export const writing = translating(false)
