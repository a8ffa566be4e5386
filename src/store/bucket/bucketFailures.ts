/**
 * What fails in a bucket, as those are told who see it as a read-only file system.
 *
 * Invariant: `NotFound` is only what the server said of the object. A missing bucket, wrong keys and a cut line have
 * other reasons, and the message always says what the server said.
 */
import type { ObjectStoreReason } from "../../objectstore/ObjectStoreError.ts"
import * as readingFailures from "../../platform/readingFailures.ts"

export const { asFilesError, notFound, readOnly, readOnlyAdvice } = readingFailures.make<ObjectStoreReason>(
  {
    NotFound: "NotFound",
    TooLarge: "TooLarge",
    AccessDenied: "PermissionDenied",
    WrongKeys: "PermissionDenied",
    ExpiredKeys: "PermissionDenied"
  },
  {
    message: "the datastore was opened without a cache folder, for reading only",
    hint: "open it with a cache folder"
  }
)
