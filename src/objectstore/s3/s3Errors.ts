/**
 * s3Errors: what an answer of an S3 server, or the lack of one, means in the words of `ObjectStoreError`.
 *
 * The HTTP status decides, because all servers agree on it; the code in the XML says more where there is one. What
 * does not come from an S3 server at all is never taken for its verdict: a web page with status 404 says nothing
 * about an object.
 */
import { untrustedCode, connectTimeoutCode } from "../../platform/HttpAgents.ts"
import { ObjectStoreError, type ObjectStoreOperation, type ObjectStoreReason } from "../ObjectStoreError.ts"

/** What is known of an answer before its body is read. */
export interface Answer {
  readonly status: number
  /** With names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** By our clock, as the signature says it: `20260102T030405Z`. */
  readonly sentAt: string | undefined
}

export interface Subject {
  readonly operation: ObjectStoreOperation
  readonly key: string
}

/** The parts of the SDK's and of Node's errors that are used here; all of them may be missing. */
interface Cause {
  readonly name?: unknown
  readonly message?: unknown
  readonly code?: unknown
  readonly syscall?: unknown
  readonly Region?: unknown
  readonly $metadata?: { readonly httpStatusCode?: unknown; readonly requestId?: unknown }
}

const codes: Readonly<Record<string, ObjectStoreReason>> = {
  NoSuchKey: "NotFound",
  NoSuchBucket: "NoBucket",
  OperationAborted: "Conflict",
  ConditionalRequestConflict: "Conflict",
  NotImplemented: "NotImplemented",
  MethodNotAllowed: "NotImplemented",
  SlowDown: "Throttled",
  Throttling: "Throttled",
  ThrottlingException: "Throttled",
  TooManyRequests: "Throttled",
  RequestLimitExceeded: "Throttled",
  InternalError: "Unavailable",
  ServiceUnavailable: "Unavailable",
  RequestTimeout: "Unavailable",
  AccessDenied: "AccessDenied",
  InvalidAccessKeyId: "WrongKeys",
  SignatureDoesNotMatch: "WrongKeys",
  InvalidToken: "WrongKeys",
  ExpiredToken: "ExpiredKeys",
  TokenRefreshRequired: "ExpiredKeys",
  RequestTimeTooSkewed: "WrongClock",
  RequestExpired: "WrongClock",
  PermanentRedirect: "WrongRegion",
  TemporaryRedirect: "WrongRegion",
  AuthorizationHeaderMalformed: "WrongRegion",
  IllegalLocationConstraintException: "WrongRegion",
  InvalidRange: "InvalidRange",
  EntityTooLarge: "TooLarge",
  QuotaExceeded: "NoSpace",
  InsufficientStorage: "NoSpace",
  XMinioStorageFull: "NoSpace"
}

const statuses: Readonly<Record<number, ObjectStoreReason>> = {
  301: "WrongRegion",
  302: "WrongRegion",
  307: "WrongRegion",
  308: "WrongRegion",
  401: "AccessDenied",
  403: "AccessDenied",
  405: "NotImplemented",
  409: "Conflict",
  413: "TooLarge",
  416: "InvalidRange",
  429: "Throttled",
  501: "NotImplemented",
  507: "NoSpace"
}

/** Codes that speak of an object, or of nothing at all when the answer is to a HEAD. */
const codesOf404 = new Set(["NoSuchKey", "NoSuchBucket"])

const textOf = (value: unknown): string => (typeof value === "string" ? value : "")

const causeOf = (error: unknown): Cause => (typeof error === "object" && error !== null ? error : {})

/** Names that the SDK makes up when the answer has no code. */
const madeUp = /^(?:Unknown|UnknownError|Error|NotFound|BadRequest|Forbidden|\d{3})$/

const detailLengthMax = 300

const oneLine = (text: string): string => {
  const line = text.replaceAll(/\s+/g, " ").trim()
  return line.length > detailLengthMax ? `${line.slice(0, detailLengthMax)}...` : line
}

/** A web page, and nothing in the headers that a server of objects would say. */
export const isForeign = ({ headers }: Answer): boolean =>
  (headers["content-type"] ?? "").includes("html") &&
  !Object.keys(headers).some((name) => name.startsWith("x-amz-"))

const isServerTrouble = (status: number): boolean => status >= 500 || status === 429

/** As far apart as signatures allow. */
const skewMaxMillis = 15 * 60 * 1000

const sentMillis = (text: string | undefined): number =>
  Date.parse((text ?? "").replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"))

/** Answers to HEAD have no code: the time in them tells why a signature is refused. */
const isSkewed = ({ headers, sentAt }: Answer): boolean =>
  Math.abs(Date.parse(headers["date"] ?? "") - sentMillis(sentAt)) > skewMaxMillis

const reasonOf404 = ({ operation }: Subject, answer: Answer, code: string): ObjectStoreReason => {
  if (codesOf404.has(code)) return codes[code] ?? "NotS3"
  if (operation === "head" && code === "") return "NotFound"
  return code === "" || isForeign(answer) ? "NotS3" : "Rejected"
}

const reasonOf = (subject: Subject, answer: Answer, code: string): ObjectStoreReason => {
  const { status } = answer
  if (isForeign(answer) && !isServerTrouble(status)) return "NotS3"
  if (status === 404) return reasonOf404(subject, answer, code)
  const known = codes[code]
  if (known !== undefined && known !== "NotFound") return known
  if ((status === 400 || status === 403) && code === "" && isSkewed(answer)) return "WrongClock"
  return statuses[status] ?? (status >= 500 ? "Unavailable" : "Rejected")
}

/** Seconds, or a date, which is compared with the server's own clock. */
const retryAfterOf = ({ headers }: Answer): number | undefined => {
  const text = headers["retry-after"]?.trim() ?? ""
  if (/^\d{1,9}$/.test(text)) return Number(text)
  const seconds = (Date.parse(text) - Date.parse(headers["date"] ?? "")) / 1000
  return Number.isFinite(seconds) ? Math.max(0, Math.ceil(seconds)) : undefined
}

const regionAdvice = (cause: Cause, { headers }: Answer): string => {
  const region = headers["x-amz-bucket-region"] ?? textOf(cause.Region)
  return region === "" ? "" : `it is in ${region}`
}

const refusal = (subject: Subject, answer: Answer, cause: Cause): ObjectStoreError => {
  const code = madeUp.test(textOf(cause.name)) ? "" : textOf(cause.name)
  const reason = reasonOf(subject, answer, code)
  const said = reason === "NotS3" || code === "" ? [] : [code, textOf(cause.message)]
  const detail = oneLine(
    [reason === "WrongRegion" ? regionAdvice(cause, answer) : "", ...said]
      .filter((text) => text !== "" && !madeUp.test(text))
      .join(": ")
  )
  const requestId = answer.headers["x-amz-request-id"] ?? textOf(cause.$metadata?.requestId)
  const retryAfterSeconds = retryAfterOf(answer)
  return new ObjectStoreError({
    ...subject,
    reason,
    httpStatus: answer.status,
    ...(detail === "" ? {} : { detail }),
    ...(requestId === "" ? {} : { requestId }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds })
  })
}

const certificateCodes = /CERT|^ERR_TLS_|^HOSTNAME_MISMATCH$|^INVALID_(?:CA|PURPOSE)$|^PATH_LENGTH_EXCEEDED$/
const unreachableCodes = new Set([
  connectTimeoutCode,
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN"
])
/** Whoever answers speaks neither HTTP nor TLS, or one where the other was expected. */
const gibberish = /^(?:HPE_|ERR_SSL_|EPROTO$)/

const isRead = new Set<ObjectStoreOperation>(["get", "getRange", "head", "list"])

/** Why there is no answer, or only a part of one. */
const breakage = (subject: Subject, answer: Answer | undefined, cause: Cause): ObjectStoreReason => {
  const code = textOf(cause.code)
  if (answer !== undefined) return isRead.has(subject.operation) ? "Truncated" : "Disconnected"
  if (code === untrustedCode || certificateCodes.test(code)) return "Untrusted"
  if (gibberish.test(code)) return "NotS3"
  const isConnecting = cause.syscall === "connect" || /establish a connection/.test(textOf(cause.message))
  return unreachableCodes.has(code) || isConnecting ? "Unreachable" : "Disconnected"
}

const isBroken = (cause: Cause): boolean =>
  cause.name === "TimeoutError" || cause.name === "AbortError" || typeof cause.code === "string"

const broken = (subject: Subject, answer: Answer | undefined, cause: Cause): ObjectStoreError => {
  const detail = oneLine(textOf(cause.message).replace("@smithy/node-http-handler - ", ""))
  return new ObjectStoreError({
    ...subject,
    // An answer that came whole and makes no sense is nobody's we know.
    reason: answer === undefined || isBroken(cause) ? breakage(subject, answer, cause) : "NotS3",
    ...(detail === "" ? {} : { detail }),
    ...(answer === undefined ? {} : { httpStatus: answer.status })
  })
}

/** The failure of a request, from what was thrown and what had been answered until then. */
export const failureOf = (
  subject: Subject,
  thrown: unknown,
  answer: Answer | undefined
): ObjectStoreError => {
  if (thrown instanceof ObjectStoreError) return thrown
  const cause = causeOf(thrown)
  if (answer === undefined) return broken(subject, answer, cause)
  if (answer.status >= 300) return refusal(subject, answer, cause)
  // Copies and batches may begin with 200 and tell in the body that they failed.
  const late = cause.$metadata?.httpStatusCode
  return typeof late === "number" && late >= 300
    ? refusal(subject, { ...answer, status: late }, cause)
    : broken(subject, answer, cause)
}

/** The failure of one key in a batch, from the code that the server gives for it. */
export const deletionFailure = (key: string, code = "", message = ""): ObjectStoreError => {
  const detail = oneLine([code, message].filter((text) => text !== "").join(": "))
  return new ObjectStoreError({
    operation: "deleteMany",
    key,
    reason: codes[code] ?? "Rejected",
    ...(detail === "" ? {} : { detail })
  })
}
