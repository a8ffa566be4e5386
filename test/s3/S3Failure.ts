/**
 * S3Failure: a refusal in S3's own words: an error code, the HTTP status that belongs to it, and a message. What the
 * endpoint double throws anywhere becomes the XML that servers send.
 */

const statuses = {
  AccessDenied: 403,
  AuthorizationHeaderMalformed: 400,
  BadDigest: 400,
  ConditionalRequestConflict: 409,
  EntityTooLarge: 400,
  InternalError: 500,
  InvalidAccessKeyId: 403,
  InvalidArgument: 400,
  InvalidDigest: 400,
  InvalidRange: 416,
  InvalidRequest: 400,
  InvalidURI: 400,
  KeyTooLongError: 400,
  MalformedXML: 400,
  MethodNotAllowed: 405,
  MissingContentLength: 411,
  NoSuchBucket: 404,
  NoSuchKey: 404,
  NotImplemented: 501,
  PreconditionFailed: 412,
  RequestTimeTooSkewed: 403,
  SignatureDoesNotMatch: 403,
  SlowDown: 503,
  XAmzContentSHA256Mismatch: 400
} as const

export type S3Code = keyof typeof statuses

export class S3Failure extends Error {
  readonly code: S3Code
  /** Further elements of the XML, such as the region that would have been right. */
  readonly fields: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>

  constructor(
    code: S3Code,
    message: string,
    more: {
      readonly fields?: Readonly<Record<string, string>>
      readonly headers?: Readonly<Record<string, string>>
    } = {}
  ) {
    super(message)
    this.code = code
    this.fields = more.fields ?? {}
    this.headers = more.headers ?? {}
  }

  get status(): number {
    return statuses[this.code]
  }
}
