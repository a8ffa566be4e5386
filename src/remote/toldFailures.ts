/**
 * toldFailures: the troubles of a server in the words of those who write to stores, and of those who copy them.
 *
 * Invariant: only what the server itself says is not there is told as missing.
 */
import * as StoreErrors from "../store/StoreError.ts"
import { SyncError, type SyncReason } from "../sync/SyncError.ts"
import type { RemoteError, RemoteReason } from "./RemoteError.ts"

const notOwner = /owner check failed/i
const alreadyThere = /timestamp is older|already exists/i
const isProtected = /protected/i
const inUse = /another operation is working/i

const ofStore: Partial<Record<RemoteReason, StoreErrors.StoreReason>> = {
  Busy: "Busy",
  Missing: "NoSuchSnapshot",
  Unreachable: "Unreachable",
  Disconnected: "Unreachable"
}

const refusedAs = (detail: string): StoreErrors.StoreReason => {
  if (notOwner.test(detail)) return "NotOwner"
  if (inUse.test(detail)) return "Busy"
  return alreadyThere.test(detail) ? "SnapshotExists" : "Refused"
}

/** As a store's own trouble; the server is the subject. */
export const asStoreError = (error: RemoteError): StoreErrors.StoreError => {
  const { detail, hint: advice, server: subject } = error
  const reason = error.reason === "Refused" ? refusedAs(detail) : (ofStore[error.reason] ?? "Refused")
  const knowsBetter = reason === "NotOwner" || reason === "SnapshotExists"
  return new StoreErrors.StoreError({ reason, subject, detail, ...(knowsBetter ? {} : { advice }) })
}

const ofSync: Record<RemoteReason, SyncReason> = {
  Refused: "Refused",
  Missing: "Missing",
  Busy: "Busy",
  Unreachable: "Unavailable",
  Disconnected: "Unavailable",
  Certificate: "Failed",
  Login: "Failed",
  BadAnswer: "Failed",
  TooLarge: "Corrupt"
}

const syncReasonOf = ({ detail, reason }: RemoteError): SyncReason => {
  if (reason !== "Refused") return ofSync[reason]
  if (notOwner.test(detail)) return "NotOwner"
  if (inUse.test(detail)) return "Busy"
  if (alreadyThere.test(detail)) return "Conflict"
  return isProtected.test(detail) ? "Protected" : "Refused"
}

const own: ReadonlySet<SyncReason> = new Set(["Missing", "NotOwner", "Conflict", "Protected", "Unavailable"])

/** As a trouble of one end of a sync. */
export const asSyncError = (error: RemoteError): SyncError => {
  const reason = syncReasonOf(error)
  return new SyncError({
    reason,
    detail: error.message,
    ...(own.has(reason) ? {} : { advice: error.hint })
  })
}
