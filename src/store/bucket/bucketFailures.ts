/**
 * What fails in a bucket, as those are told who see it as a read-only file system.
 *
 * Invariant: `NotFound` is only what the server said of the object. A missing bucket, wrong keys and a cut line have
 * other reasons, and the message always says what the server said.
 */
import type { ObjectStoreError, ObjectStoreReason } from "../../objectstore/ObjectStoreError.ts"
import { FilesError, type FilesReason } from "../../platform/Files.ts"

const reasons: Partial<Record<ObjectStoreReason, FilesReason>> = {
  NotFound: "NotFound",
  TooLarge: "TooLarge",
  AccessDenied: "PermissionDenied",
  WrongKeys: "PermissionDenied",
  ExpiredKeys: "PermissionDenied"
}

export const asFilesError = (operation: string, path: string, error: ObjectStoreError): FilesError =>
  new FilesError({
    operation,
    path,
    reason: reasons[error.reason] ?? "Io",
    detail: { message: error.message, hint: error.hint }
  })

export const readOnlyAdvice = {
  message: "the datastore was opened without a cache folder, for reading only",
  hint: "open it with a cache folder"
}

export const readOnly = (operation: string, path: string): FilesError =>
  new FilesError({
    operation,
    path,
    reason: "ReadOnlyFileSystem",
    detail: readOnlyAdvice
  })

export const notFound = (operation: string, path: string): FilesError =>
  new FilesError({ operation, path, reason: "NotFound" })
