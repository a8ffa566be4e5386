/**
 * AWS Signature Version 4 in headers, both ways: what a client writes into `Authorization`, and whether what came in
 * is what the holder of the key would have written. Written from the published description of the algorithm.
 *
 * Invariant: `verify` returns only when the signature covers the method, the path, the query, the host and every
 * `x-amz-` header as they came over the wire, and was made within a quarter of an hour of the server's clock.
 */
import { createHash, createHmac } from "node:crypto"
import { S3Failure } from "./S3Failure.ts"

export interface Credentials {
  readonly accessKey: string
  readonly secretKey: string
  readonly region: string
}

export interface WireRequest {
  readonly method: string
  /** Path and query as they were sent. */
  readonly target: string
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

export const emptyHash = createHash("sha256").digest("hex")

export const skewMaxMillis = 15 * 60 * 1000

export const sha256 = (content: Uint8Array | string): string =>
  createHash("sha256").update(content).digest("hex")

const hmac = (key: Uint8Array | string, text: string): Buffer =>
  createHmac("sha256", key).update(text).digest()

/** Everything but letters, digits and `-._~` as percent and two digits. */
export const encode = (text: string): string =>
  encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`
  )

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new S3Failure("InvalidURI", "Couldn't parse the specified URI.")
  }
}

/** Path and query of a target, decoded. */
export const parseTarget = (
  target: string
): { readonly path: string; readonly query: ReadonlyArray<readonly [string, string]> } => {
  const mark = target.indexOf("?")
  const query = mark === -1 ? "" : target.slice(mark + 1)
  const pairs = query.split("&").filter((pair) => pair !== "")
  return {
    path: decode(mark === -1 ? target : target.slice(0, mark)),
    query: pairs.map((pair) => {
      const [name = "", ...value] = pair.replaceAll("+", " ").split("=")
      return [decode(name), decode(value.join("="))] as const
    })
  }
}

const canonicalRequest = (
  { method, target, headers }: WireRequest,
  signedHeaders: ReadonlyArray<string>
): string => {
  const { path, query } = parseTarget(target)
  return [
    method,
    path.split("/").map(encode).join("/"),
    query
      .map(([name, value]) => `${encode(name)}=${encode(value)}`)
      .sort()
      .join("&"),
    ...signedHeaders.map((name) => `${name}:${(headers[name] ?? "").trim().replaceAll(/ +/g, " ")}`),
    "",
    signedHeaders.join(";"),
    headers["x-amz-content-sha256"] ?? ""
  ].join("\n")
}

const signatureOf = (
  request: WireRequest,
  signedHeaders: ReadonlyArray<string>,
  timestamp: string,
  { secretKey, region }: Credentials
): string => {
  const date = timestamp.slice(0, 8)
  const scope = `${date}/${region}/s3/aws4_request`
  const text = ["AWS4-HMAC-SHA256", timestamp, scope, sha256(canonicalRequest(request, signedHeaders))]
  const steps = [date, region, "s3", "aws4_request", text.join("\n")]
  return steps.reduce<Buffer | string>(hmac, `AWS4${secretKey}`).toString("hex")
}

/** `2026-11-21T10:00:00.000Z` as `20261121T100000Z`. */
const toTimestamp = (millis: number): string => new Date(millis).toISOString().replaceAll(/[-:]|\.\d+/g, "")

/** The time of a timestamp; NaN when it is none. */
const fromTimestamp = (timestamp: string): number =>
  /^\d{8}T\d{6}Z$/.test(timestamp)
    ? Date.parse(timestamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"))
    : Number.NaN

/** The headers of a request with those added that sign it. `host` must be among them. */
export const sign = (
  request: WireRequest,
  body: Uint8Array | string,
  credentials: Credentials,
  nowMillis: number
): Readonly<Record<string, string>> => {
  const timestamp = toTimestamp(nowMillis)
  const headers: Record<string, string> = {
    "x-amz-content-sha256": sha256(body),
    "x-amz-date": timestamp,
    ...request.headers
  }
  const signedHeaders = Object.keys(headers).sort()
  const signature = signatureOf({ ...request, headers }, signedHeaders, timestamp, credentials)
  const scope = `${timestamp.slice(0, 8)}/${credentials.region}/s3/aws4_request`
  return {
    ...headers,
    authorization:
      `AWS4-HMAC-SHA256 Credential=${credentials.accessKey}/${scope},` +
      `SignedHeaders=${signedHeaders.join(";")},Signature=${signature}`
  }
}

const authorizationForm =
  /^AWS4-HMAC-SHA256 +Credential=(?<accessKey>[^/, ]+)\/(?<date>\d{8})\/(?<region>[^/, ]+)\/s3\/aws4_request, *SignedHeaders=(?<names>[^, ]+), *Signature=(?<signature>[0-9a-f]{64})$/

const parseAuthorization = (header: string | undefined) => {
  if (header === undefined) throw new S3Failure("AccessDenied", "Access Denied")
  const parts = authorizationForm.exec(header)?.groups
  if (parts === undefined) {
    throw new S3Failure("AuthorizationHeaderMalformed", "The authorization header is malformed.")
  }
  const { accessKey = "", date = "", region = "", names = "", signature = "" } = parts
  return { accessKey, date, region, signedHeaders: names.split(";"), signature }
}

const checkTime = (timestamp: string, nowMillis: number): void => {
  const millis = fromTimestamp(timestamp)
  if (Number.isNaN(millis)) {
    throw new S3Failure("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
  }
  if (Math.abs(millis - nowMillis) <= skewMaxMillis) return
  const message = "The difference between the request time and the current time is too large."
  throw new S3Failure("RequestTimeTooSkewed", message, {
    fields: {
      RequestTime: timestamp,
      ServerTime: new Date(nowMillis).toISOString(),
      MaxAllowedSkewMilliseconds: String(skewMaxMillis)
    }
  })
}

/** Throws an `S3Failure` unless the request was signed with the credentials. The body is not looked at here. */
export const verify = (request: WireRequest, credentials: Credentials, nowMillis: number): void => {
  const { headers } = request
  const { accessKey, date, region, signedHeaders, signature } = parseAuthorization(headers["authorization"])
  if (headers["x-amz-content-sha256"] === undefined) {
    throw new S3Failure("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
  }
  if (accessKey !== credentials.accessKey) {
    const message = "The AWS Access Key Id you provided does not exist in our records."
    throw new S3Failure("InvalidAccessKeyId", message, { fields: { AWSAccessKeyId: accessKey } })
  }
  const timestamp = headers["x-amz-date"] ?? ""
  checkTime(timestamp, nowMillis)
  if (region !== credentials.region || date !== timestamp.slice(0, 8)) {
    const message =
      `The authorization header is malformed; the region '${region}' is wrong; ` +
      `expecting '${credentials.region}'`
    throw new S3Failure("AuthorizationHeaderMalformed", message, { fields: { Region: credentials.region } })
  }
  const needed = ["host", ...Object.keys(headers).filter((name) => name.startsWith("x-amz-"))]
  if (!needed.every((name) => signedHeaders.includes(name))) {
    const message = "There were headers present in the request which were not signed"
    throw new S3Failure("AccessDenied", message)
  }
  if (signatureOf(request, signedHeaders, timestamp, credentials) === signature) return
  const message =
    "The request signature we calculated does not match the signature you provided. " +
    "Check your key and signing method."
  throw new S3Failure("SignatureDoesNotMatch", message, { fields: { AWSAccessKeyId: accessKey } })
}
