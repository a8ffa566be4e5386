/** remoteFailures: what a server says or fails at, as a failure of a store. */
import { storeError, type StoreError, type StoreReason } from "../store/StoreError.ts"
import type { RemoteError, RemoteReason } from "./RemoteError.ts"

const reasons: Partial<Record<RemoteReason, StoreReason>> = {
  Missing: "NoSuchSnapshot",
  Busy: "Busy",
  BadAnswer: "Damaged",
  TooLarge: "Damaged"
}

export const asStoreError = (error: RemoteError): StoreError =>
  storeError(
    reasons[error.reason] ?? "Refused",
    error.server,
    error.advice === undefined ? error.detail : `${error.detail}; ${error.advice}`
  )
