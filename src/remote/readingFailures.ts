/**
 * readingFailures: what fails on a server, as those are told who see its datastore as a file system that can only be
 * read.
 *
 * Invariant: `NotFound` is only what the server said; a cut line and a refused login have other reasons.
 */
import * as readingFailures from "../platform/readingFailures.ts"
import type { RemoteReason } from "./RemoteError.ts"

export const { asFilesError, notFound, readOnly, readOnlyAdvice } = readingFailures.make<RemoteReason>(
  {
    Missing: "NotFound",
    TooLarge: "TooLarge",
    Refused: "PermissionDenied",
    Login: "PermissionDenied",
    Certificate: "PermissionDenied",
    Busy: "Busy"
  },
  {
    message: "the datastore is on a server, and open for reading only",
    hint: "use the commands that the server carries out itself, or work on the server"
  }
)
