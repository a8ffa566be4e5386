/**
 * What can go wrong between us and an object store, whichever kind it is. The reason alone says three things that the
 * callers live by: what to tell the person, whether trying again can help, and whether the operation may have
 * happened all the same.
 *
 * Invariant: `NotFound` means that the store itself said that the key has no object. Every trouble on the way there
 * has another reason, so that nothing is ever taken for lost because a line was cut.
 */
import * as Data from "effect/Data"

export type ObjectStoreOperation =
  | "put"
  | "putIfAbsent"
  | "get"
  | "getRange"
  | "head"
  | "list"
  | "deleteMany"
  | "copy"

export type ObjectStoreReason =
  /** 404: the key has no object. */
  | "NotFound"
  /** The bucket itself is missing. */
  | "NoBucket"
  /** 409: another write of the same key is under way. */
  | "Conflict"
  /** 501: the server does not know this kind of request. */
  | "NotImplemented"
  /** 503 SlowDown, 429: too many requests. Nothing happened. */
  | "Throttled"
  /** 500, 502, 503, 504: the server has trouble of its own. */
  | "Unavailable"
  /** The connection broke, or its time was up, before the answer came. */
  | "Disconnected"
  /** No connection came about: nothing was sent. */
  | "Unreachable"
  /** The server's certificate is neither trusted by the system nor the pinned one. Nothing was sent. */
  | "Untrusted"
  /** The answer came, but not whole. */
  | "Truncated"
  /** 401, 403. */
  | "AccessDenied"
  /** 403: the server does not know the access key, or the secret key does not fit it. */
  | "WrongKeys"
  /** The keys are known, but not valid any more. */
  | "ExpiredKeys"
  /** The server's clock and ours differ by more than signatures allow. */
  | "WrongClock"
  /** 301, 307, 400: the bucket is in another region. */
  | "WrongRegion"
  /** The answer is none of an S3 server: a web page of a proxy, for example. */
  | "NotS3"
  /** 416: the range begins behind the end of the object. */
  | "InvalidRange"
  /** The object is larger than the caller takes, or the body larger than the store takes. */
  | "TooLarge"
  | "NoSpace"
  /** The request was not sent: it could have passed a limit that we set ourselves. */
  | "BudgetExceeded"
  /** Any other refusal, 400 for example. */
  | "Rejected"

interface ReasonTraits {
  readonly why: string
  readonly hint: string
  readonly retryable: boolean
  readonly outcomeUnknown: boolean
}

const final = (why: string, hint: string): ReasonTraits => ({
  why,
  hint,
  retryable: false,
  outcomeUnknown: false
})

const passing = (why: string, hint: string): ReasonTraits => ({
  why,
  hint,
  retryable: true,
  outcomeUnknown: false
})

const unsure = (why: string, hint: string): ReasonTraits => ({
  why,
  hint,
  retryable: true,
  outcomeUnknown: true
})

const traits: Record<ObjectStoreReason, ReasonTraits> = {
  NotFound: final("there is no such object", "check the name of the datastore and the bucket"),
  NoBucket: final("there is no such bucket", "create the bucket, or check its name and the endpoint"),
  Conflict: passing("another request writes the same object", "try again"),
  NotImplemented: final(
    "the server cannot do this",
    "run: granary s3 check; a newer server, or a provider quirk in its configuration, may help"
  ),
  Throttled: passing("the server asks for fewer requests", "try again later, or lower the request rate"),
  Unavailable: unsure("the server has trouble", "try again later; look into the server's log"),
  Disconnected: unsure("the connection broke before the answer", "check the network and the endpoint"),
  Unreachable: passing(
    "there is no connection to the server",
    "check the endpoint, the port and the network"
  ),
  Untrusted: final(
    "the server's certificate is not trusted",
    "compare its fingerprint with the server's own, and pin it in the endpoint's settings"
  ),
  Truncated: passing("the answer was cut short", "check the network, and proxies on the way"),
  AccessDenied: final("access denied", "check the access key, its rights on the bucket, and the clock"),
  WrongKeys: final(
    "the server does not accept the keys",
    "check the access key and the secret key, and that they belong to this endpoint"
  ),
  ExpiredKeys: final("the keys have expired", "get new keys and set them in the endpoint's settings"),
  WrongClock: final("the clocks of the server and of this machine differ", "set the clock of this machine"),
  WrongRegion: final(
    "the bucket is in another region",
    "set the bucket's region, and an endpoint of that region"
  ),
  NotS3: {
    why: "the answer is not that of an S3 server",
    hint: "check the endpoint and the port, and proxies on the way",
    retryable: false,
    outcomeUnknown: true
  },
  InvalidRange: final("the range lies behind the end of the object", "the object is probably damaged"),
  TooLarge: final("it is larger than its kind may be", "it is probably damaged or foreign"),
  NoSpace: final("the store is full", "free some space or raise the quota, and try again"),
  BudgetExceeded: final("it would pass the budget", "raise the budget, or do less at once"),
  Rejected: final("the server refused the request", "run: granary s3 check")
}

export interface ObjectStoreErrorFields {
  readonly operation: ObjectStoreOperation
  /** The key, or the prefix of a listing. */
  readonly key: string
  readonly reason: ObjectStoreReason
  /** What the store said, in its own words. */
  readonly detail?: string
  readonly httpStatus?: number
  /** By what the server's own log names the request. */
  readonly requestId?: string
  /** How long the server wants to be left alone. */
  readonly retryAfterSeconds?: number
  /** How often it was tried, when that was more than once. */
  readonly attempts?: number
  /** An earlier attempt may have been carried out, whatever the last one came to. */
  readonly mayHaveHappened?: boolean
}

export class ObjectStoreError extends Data.TaggedError("ObjectStoreError")<ObjectStoreErrorFields> {
  override get message(): string {
    const subject = this.key === "" ? "the bucket" : this.key
    const detail = this.detail === undefined ? "" : `: ${this.detail}`
    const numbers = [
      ...(this.httpStatus === undefined ? [] : [`status ${this.httpStatus}`]),
      ...(this.requestId === undefined ? [] : [`request ${this.requestId}`]),
      ...(this.attempts === undefined ? [] : [`${this.attempts} attempts`])
    ]
    const place = numbers.length === 0 ? "" : ` (${numbers.join(", ")})`
    return `cannot ${verbs[this.operation]} ${subject}: ${traits[this.reason].why}${detail}${place}`
  }

  get hint(): string {
    return traits[this.reason].hint
  }

  /** The same request may well succeed a little later. */
  get retryable(): boolean {
    return traits[this.reason].retryable
  }

  /** The request may have been carried out, now or a little later, though it failed for us. */
  get outcomeUnknown(): boolean {
    return traits[this.reason].outcomeUnknown || this.mayHaveHappened === true
  }
}

const verbs: Record<ObjectStoreOperation, string> = {
  put: "write",
  putIfAbsent: "write",
  get: "read",
  getRange: "read",
  head: "look at",
  list: "list",
  deleteMany: "delete",
  copy: "copy"
}

export const isNotFound = (error: ObjectStoreError): boolean => error.reason === "NotFound"
