/**
 * readingFailures: what fails on a server, as those are told who see its datastore as a file system that can only be
 * read.
 *
 * Invariant: `NotFound` is only what the server said; a cut line and a refused login have other reasons.
 */
import { FilesError, type FilesReason } from "../platform/Files.ts"
import type { RemoteError, RemoteReason } from "./RemoteError.ts"

const reasons: Partial<Record<RemoteReason, FilesReason>> = {
  Missing: "NotFound",
  TooLarge: "TooLarge",
  Refused: "PermissionDenied",
  Login: "PermissionDenied",
  Certificate: "PermissionDenied",
  Busy: "Busy"
}

export const asFilesError = (operation: string, path: string, error: RemoteError): FilesError =>
  new FilesError({
    operation,
    path,
    reason: reasons[error.reason] ?? "Io",
    detail: { message: error.message, hint: error.hint }
  })

export const readOnlyAdvice = {
  message: "the datastore is on a server, and open for reading only",
  hint: "use the commands that the server carries out itself, or work on the server"
}

export const readOnly = (operation: string, path: string): FilesError =>
  new FilesError({ operation, path, reason: "ReadOnlyFileSystem", detail: readOnlyAdvice })

export const notFound = (operation: string, path: string): FilesError =>
  new FilesError({ operation, path, reason: "NotFound" })
