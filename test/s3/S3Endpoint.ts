/**
 * S3Endpoint: an S3 server for tests, over real HTTP on loopback, with one bucket in memory. Its authority is the
 * public description of S3: signatures are verified, bodies are checked against the sums they came with, and what it
 * does not know it refuses with 501 instead of passing over it.
 *
 * It lives in real time, also below a test's clock, for clients sign with the time of the machine. Bodies that a
 * client streams (`aws-chunked`) are refused, as some real servers do. Connections stay open for as long as the client
 * wants: one that is closed while a request is on its way, because the machine was busy, would make that request go
 * twice, and tests count requests.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import * as http from "node:http"
import * as https from "node:https"
import type { AddressInfo } from "node:net"
import { buffer } from "node:stream/consumers"
import { crc32 } from "node:zlib"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import { S3Failure } from "./S3Failure.ts"
import * as operations from "./s3Operations.ts"
import { failureDocument } from "./s3Xml.ts"
import { type Credentials, parseTarget, sha256, verify } from "./signatureV4.ts"

export interface Quirks extends MemoryObjectStore.MemoryObjectStoreOptions {
  /** Batches of deletions without this header are refused, as older servers do. Default `optional`. */
  readonly contentMd5?: "optional" | "required"
  /** Rights of the key, by operation (`PutObject`, ...) and object; what is not allowed is 403. Default everything. */
  readonly isAllowed?: (operation: string, key: string) => boolean
}

export interface Options extends Partial<Credentials> {
  readonly bucket?: string
  readonly quirks?: Quirks
  /** Default a new one. Two endpoints may share one. */
  readonly memory?: MemoryBucket
  /** With a key and a certificate (PEM) it speaks https. */
  readonly tls?: { readonly key: string; readonly cert: string }
}

/** One line of the server's log. */
export interface Served {
  readonly operation: string
  readonly key: string
  /** 0 when it hung up. */
  readonly status: number
}

export interface S3Endpoint extends Credentials {
  readonly url: string
  readonly port: number
  readonly bucket: string
  readonly memory: MemoryBucket
  /** What was asked so far, in order; it grows. */
  readonly served: ReadonlyArray<Served>
}

type Operation = (server: operations.Server, call: operations.Call) => operations.Answer

/** Query parameters that change nothing here. */
const harmless = ["x-id", "list-type", "delete", "location"]
const listing = ["prefix", "max-keys", "start-after", "continuation-token", "encoding-type", "fetch-owner"]

const objectOperation = ({ method, headers }: operations.Call): readonly [string, Operation] => {
  if (method === "PUT" && headers["x-amz-copy-source"] !== undefined)
    return ["CopyObject", operations.copyObject]
  if (method === "PUT") return ["PutObject", operations.putObject]
  if (method === "GET") return ["GetObject", operations.getObject]
  if (method === "HEAD") return ["HeadObject", operations.headObject]
  if (method === "DELETE") return ["DeleteObject", operations.deleteObject]
  throw new S3Failure("MethodNotAllowed", "The specified method is not allowed against this resource.")
}

const bucketOperation = ({ method, query }: operations.Call): readonly [string, Operation] => {
  if (method === "HEAD") return ["HeadBucket", () => ({ status: 200 })]
  if (method === "POST" && query.has("delete")) return ["DeleteObjects", operations.deleteObjects]
  if (method === "GET" && query.has("location")) return ["GetBucketLocation", operations.getBucketLocation]
  if (method === "GET" && query.get("list-type") === "2") return ["ListObjectsV2", operations.listObjects]
  throw new S3Failure("NotImplemented", "This kind of request is not implemented.")
}

const checkQuery = (operation: string, { query }: operations.Call): void => {
  const known = operation === "ListObjectsV2" ? [...harmless, ...listing] : harmless
  const unknown = [...query.keys()].find((name) => !known.includes(name))
  if (unknown !== undefined) throw new S3Failure("NotImplemented", `${unknown} is not implemented.`)
}

/** What must be known before the body is read. */
const checkFraming = ({ method, headers }: operations.Call): void => {
  const isStreamed =
    headers["x-amz-content-sha256"]?.startsWith("STREAMING-") === true ||
    headers["content-encoding"]?.includes("aws-chunked") === true
  const isMeasured = headers["content-length"] !== undefined
  if (isStreamed || (!isMeasured && (method === "PUT" || method === "POST"))) {
    throw new S3Failure("MissingContentLength", "You must provide the Content-Length HTTP header.")
  }
}

const crc32Base64 = (body: Uint8Array): string => {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  return sum.toString("base64")
}

const checkBody = ({ headers, body }: operations.Call): void => {
  const hash = headers["x-amz-content-sha256"]
  if (hash !== "UNSIGNED-PAYLOAD" && hash !== sha256(body)) {
    const message = "The provided 'x-amz-content-sha256' header does not match what was computed."
    throw new S3Failure("XAmzContentSHA256Mismatch", message)
  }
  const md5 = headers["content-md5"]
  if (md5 !== undefined && Buffer.from(md5, "base64").length !== 16) {
    throw new S3Failure("InvalidDigest", "The Content-MD5 you specified was invalid.")
  }
  const sums = [
    [md5, () => createHash("md5").update(body).digest("base64")],
    [headers["x-amz-checksum-sha256"], () => createHash("sha256").update(body).digest("base64")],
    [headers["x-amz-checksum-crc32"], () => crc32Base64(body)]
  ] as const
  if (sums.every(([sent, compute]) => sent === undefined || sent === compute())) return
  throw new S3Failure("BadDigest", "A sum you specified did not match what we received.")
}

class Endpoint {
  readonly served: Array<Served> = []
  readonly #server: operations.Server
  readonly #credentials: Credentials
  readonly #quirks: Quirks

  constructor(server: operations.Server, credentials: Credentials, quirks: Quirks) {
    this.#server = server
    this.#credentials = credentials
    this.#quirks = quirks
  }

  get nowMillis(): number {
    return Date.now() + (this.#quirks.clockSkewSeconds ?? 0) * 1000
  }

  async listen(incoming: http.IncomingMessage, outgoing: http.ServerResponse): Promise<void> {
    const requestId = `tx${String(this.served.length).padStart(12, "0")}`
    outgoing.setHeader("x-amz-request-id", requestId)
    outgoing.setHeader("date", new Date(this.nowMillis).toUTCString())
    const log = { operation: "Unknown", key: "" }
    try {
      const answer = await this.#answer(incoming, log)
      this.served.push({ ...log, status: answer.status })
      send(outgoing, answer)
    } catch (error) {
      if (error instanceof operations.HangUp || outgoing.destroyed) {
        this.served.push({ ...log, status: 0 })
        return void incoming.socket.destroy()
      }
      const failure =
        error instanceof S3Failure ? error : new S3Failure("InternalError", `a fault of the double: ${error}`)
      this.served.push({ ...log, status: failure.status })
      send(outgoing, {
        status: failure.status,
        headers: { "content-type": "application/xml", ...failure.headers },
        body: failureDocument(failure, incoming.url ?? "", requestId)
      })
    }
  }

  async #answer(
    incoming: http.IncomingMessage,
    log: { operation: string; key: string }
  ): Promise<operations.Answer> {
    const headers = Object.fromEntries(
      Object.entries(incoming.headersDistinct).map(([name, values]) => [name, values?.join(",") ?? ""])
    )
    const { method = "", url: target = "" } = incoming
    const { path, query } = parseTarget(target)
    const place = this.#placeOf(path, headers["host"] ?? "")
    const start = { method, key: place.key, query: new Map(query), headers, body: Buffer.alloc(0) }
    const [operation, perform] = chooseOperation(place, start)
    Object.assign(log, { operation, key: place.key })
    verify({ method, target, headers }, this.#credentials, this.nowMillis)
    checkFraming(start)
    const call = { ...start, body: await buffer(incoming) }
    checkBody(call)
    checkQuery(operation, call)
    this.#check(operation, place, call)
    return perform(this.#server, call)
  }

  /** Path style, and virtual hosts below any name. */
  #placeOf(path: string, host: string): { readonly bucket: string; readonly key: string } {
    const isVirtual = host.startsWith(`${this.#server.bucket}.`)
    const [, bucket = "", key = ""] = /^\/?([^/]*)\/?(.*)$/s.exec(path) ?? []
    return isVirtual ? { bucket: this.#server.bucket, key: path.slice(1) } : { bucket, key }
  }

  #check(operation: string, place: { readonly bucket: string }, { key, headers }: operations.Call): void {
    if (Buffer.byteLength(key) > 1024) throw new S3Failure("KeyTooLongError", "Your key is too long")
    if (place.bucket !== "" && place.bucket !== this.#server.bucket) {
      throw new S3Failure("NoSuchBucket", "The specified bucket does not exist", {
        fields: { BucketName: place.bucket }
      })
    }
    if (this.#quirks.isAllowed?.(operation, key) === false)
      throw new S3Failure("AccessDenied", "Access Denied")
    if (operation !== "DeleteObjects") return
    if (this.#quirks.batchDelete === "unsupported") {
      throw new S3Failure("NotImplemented", "Batches of deletions are not implemented.")
    }
    if (this.#quirks.contentMd5 === "required" && headers["content-md5"] === undefined) {
      throw new S3Failure("InvalidRequest", "Missing required header for this request: Content-MD5")
    }
  }
}

const chooseOperation = (
  { bucket, key }: { readonly bucket: string; readonly key: string },
  call: operations.Call
): readonly [string, Operation] => {
  if (key !== "") return objectOperation(call)
  if (bucket !== "") return bucketOperation(call)
  if (call.method === "GET") return ["ListBuckets", operations.listBuckets]
  throw new S3Failure("MethodNotAllowed", "The specified method is not allowed against this resource.")
}

const send = (
  outgoing: http.ServerResponse,
  { status, headers, body = "", isCut = false }: operations.Answer
) => {
  const bytes = typeof body === "string" ? Buffer.from(body) : body
  const length = status === 204 ? {} : { "content-length": bytes.length }
  outgoing.writeHead(status, { ...length, ...headers })
  if (!isCut) return void outgoing.end(bytes)
  // Half of the body is on its way before the connection breaks.
  outgoing.write(bytes.subarray(0, bytes.length >> 1), () => outgoing.destroy())
}

const open = async (options: Options) => {
  const credentials = {
    accessKey: options.accessKey ?? "test-access",
    secretKey: options.secretKey ?? "test-secret-of-the-endpoint",
    region: options.region ?? "us-east-1"
  }
  const { bucket = "test-bucket", memory = new MemoryBucket(), quirks = {}, tls } = options
  const store = MemoryObjectStore.make(memory, quirks)
  const endpoint = new Endpoint({ bucket, region: credentials.region, memory, store }, credentials, quirks)
  const listener: http.RequestListener = (incoming, outgoing) => void endpoint.listen(incoming, outgoing)
  const server = tls === undefined ? http.createServer(listener) : https.createServer(tls, listener)
  Object.assign(server, { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0 })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const url = `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`
  return { server, made: { ...credentials, url, port, bucket, memory, served: endpoint.served } }
}

const close = (server: http.Server | https.Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })

/** Listens until the scope ends. */
export const start = (options: Options = {}): Effect.Effect<S3Endpoint, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => open(options)),
      ({ server }) => Effect.promise(() => close(server))
    ),
    ({ made }) => made
  )
