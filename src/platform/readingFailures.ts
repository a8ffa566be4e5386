/**
 * readingFailures: how what fails somewhere else (in a bucket, on a server) is told to those who see it as a file
 * system that can only be read.
 *
 * Invariant: `NotFound` is only what the other side said of the thing itself; what has no reason of its own here is
 * `Io`, and the message always says what the other side said.
 */
import { FilesError, type FilesReason } from "./Files.ts"

export interface Failure<Reason extends string> {
  readonly reason: Reason
  readonly message: string
  readonly hint: string
}

export const make = <Reason extends string>(
  reasons: Partial<Record<Reason, FilesReason>>,
  readOnlyAdvice: { readonly message: string; readonly hint: string }
) => ({
  readOnlyAdvice,
  asFilesError: (operation: string, path: string, { hint, message, reason }: Failure<Reason>): FilesError =>
    new FilesError({ operation, path, reason: reasons[reason] ?? "Io", detail: { message, hint } }),
  readOnly: (operation: string, path: string): FilesError =>
    new FilesError({ operation, path, reason: "ReadOnlyFileSystem", detail: readOnlyAdvice }),
  notFound: (operation: string, path: string): FilesError =>
    new FilesError({ operation, path, reason: "NotFound" })
})
