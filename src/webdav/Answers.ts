/**
 * Answers: every answer that is no file and no listing: refusals, redirections, what this server can do.
 *
 * What goes wrong is told in one line of text. The server's own faults are logged by who has them.
 */
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type { VfsError, VfsReason } from "../vfs/VfsError.ts"

export type Response = HttpServerResponse.HttpServerResponse

export const allowedMethods = "OPTIONS, GET, HEAD, PROPFIND"

/** What every answer says: nothing is to be taken from here by pages of other servers, or kept without asking again. */
export const commonHeaders = {
  "cache-control": "private, no-cache",
  "cross-origin-resource-policy": "same-origin",
  "x-content-type-options": "nosniff"
}

export const refusal = (
  status: number,
  message: string,
  headers: Readonly<Record<string, string>> = {}
): Response => HttpServerResponse.text(`${message}\n`, { status, headers: { ...commonHeaders, ...headers } })

/** `MS-Author-Via` is what Windows looks for. */
export const options: Response = HttpServerResponse.empty({
  status: 200,
  headers: {
    ...commonHeaders,
    allow: allowedMethods,
    "content-length": "0",
    dav: "1",
    "ms-author-via": "DAV"
  }
})

export const methodNotAllowed: Response = refusal(405, "This tree is read-only.", { allow: allowedMethods })

export const badPath: Response = refusal(400, "This is not a path of names.")

export const badHost: Response = refusal(
  421,
  "This server answers to the names of its own machine only, such as localhost."
)

export const movedTo = (location: string): Response =>
  HttpServerResponse.empty({ status: 301, headers: { ...commonHeaders, location } })

export const tooLarge: Response = refusal(413, "The body of the request is too large.")

export const badPropfind: Response = refusal(400, "The body of the request is not a propfind document.")

export const badDepth: Response = refusal(400, "Depth must be 0 or 1.")

export const infiniteDepth: Response = HttpServerResponse.text(
  `<?xml version="1.0" encoding="utf-8"?>\n<D:error xmlns:D="DAV:"><D:propfind-finite-depth/></D:error>\n`,
  { status: 403, contentType: "application/xml; charset=utf-8", headers: commonHeaders }
)

const statuses: Record<VfsReason, number> = {
  NotFound: 404,
  Gone: 404,
  NotADirectory: 404,
  IsADirectory: 404,
  WrongKind: 404,
  NoAttribute: 404,
  KeyNeeded: 403,
  Damaged: 500,
  Unreachable: 503
}

const secondsToWait = "10"

export const notFound: Response = refusal(404, "There is nothing of this name.")

export const failed = (error: VfsError): Response => {
  const status = statuses[error.reason]
  if (status === 404) return notFound
  return refusal(status, error.message, status === 503 ? { "retry-after": secondsToWait } : {})
}
