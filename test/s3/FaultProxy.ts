/**
 * FaultProxy: a server on loopback that hands every request on to another one, and spoils what its script says. The
 * script is asked once for each request, in the order in which requests arrive, when the request is there as a whole.
 *
 * Invariant: what is handed on is what the client sent, byte for byte and header for header, Host included: signatures
 * made for the server behind still hold when the client was given that server's name, and those made for the proxy
 * hold on servers that go by the Host header. Without a fault the answer comes back as it was.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { once } from "node:events"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { buffer } from "node:stream/consumers"
import { setTimeout as wait } from "node:timers/promises"

export type Fault =
  /** The request arrives this much later. */
  | { readonly kind: "latency"; readonly milliseconds: number }
  /** The proxy answers itself; the server never hears of it. */
  | {
      readonly kind: "status"
      readonly status: 409 | 429 | 500 | 502 | 503 | 504
      readonly retryAfterSeconds?: number
      /** Default XML as S3 sends it. */
      readonly body?: string
    }
  /** The connection breaks, and the server never hears of the request. */
  | { readonly kind: "reset before" }
  /** The server has done it and answered; then the connection breaks. */
  | { readonly kind: "reset after" }
  /** The connection breaks after so many bytes of the answer's body. */
  | { readonly kind: "truncated"; readonly afterBytes: number }
  /**
   * The server has done it, but nothing more comes after so many bytes of the answer's body, or nothing at all when
   * they are not given; the connection stays open.
   */
  | { readonly kind: "stall"; readonly afterBytes?: number }
  /** Bodies pass at this speed, in both directions. */
  | { readonly kind: "bandwidth"; readonly bytesPerSecond: number }

export interface Passing {
  /** 0 for the first request of the proxy. */
  readonly number: number
  readonly method: string
  /** Path and query. */
  readonly target: string
  readonly headers: http.IncomingHttpHeaders
}

/** Faults of different kinds may be joined: latency with anything, for example. */
export type Script = (request: Passing) => Fault | ReadonlyArray<Fault> | undefined

export interface FaultProxy {
  readonly url: string
  readonly port: number
  /** What has passed, in order; it grows. */
  readonly passed: ReadonlyArray<Passing & { readonly faults: ReadonlyArray<Fault> }>
  /** Faults of another kind from now on. */
  readonly follow: (script: Script) => void
}

type Kind = Fault["kind"]

const find = <K extends Kind>(faults: ReadonlyArray<Fault>, kind: K) =>
  faults.find((fault): fault is Extract<Fault, { readonly kind: K }> => fault.kind === kind)

const codes = {
  409: "ConditionalRequestConflict",
  429: "TooManyRequests",
  500: "InternalError",
  502: "BadGateway",
  503: "SlowDown",
  504: "GatewayTimeout"
} as const

const answerItself = (
  outgoing: http.ServerResponse,
  { status, retryAfterSeconds, body }: Extract<Fault, { readonly kind: "status" }>
): void => {
  const code = codes[status]
  const xml = `<?xml version="1.0"?><Error><Code>${code}</Code><Message>by the proxy</Message></Error>`
  outgoing.writeHead(status, {
    "content-type": body === undefined ? "application/xml" : "text/html",
    ...(retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) })
  })
  outgoing.end(body ?? xml)
}

/** Waits as long as so many bytes take. */
const pace = (lengthBytes: number, faults: ReadonlyArray<Fault>): Promise<void> => {
  const bytesPerSecond = find(faults, "bandwidth")?.bytesPerSecond
  return bytesPerSecond === undefined ? Promise.resolve() : wait((lengthBytes / bytesPerSecond) * 1000)
}

const write = async (outgoing: http.ServerResponse, piece: Uint8Array): Promise<void> => {
  if (piece.length > 0 && !outgoing.write(piece) && !outgoing.destroyed) {
    const settled = new AbortController()
    const { signal } = settled
    await Promise.race([once(outgoing, "drain", { signal }), once(outgoing, "close", { signal })])
    settled.abort()
  }
}

/** At a capped speed a piece takes a twentieth of a second. */
const pieces = function* (chunk: Uint8Array, faults: ReadonlyArray<Fault>): Generator<Uint8Array> {
  const bytesPerSecond = find(faults, "bandwidth")?.bytesPerSecond ?? Infinity
  const length = Math.min(chunk.length, Math.max(1, Math.floor(bytesPerSecond / 20)))
  for (let at = 0; at < chunk.length; at += length) yield chunk.subarray(at, at + length)
}

/** Hands the body on; false when it ended before its time. */
const passBody = async (
  answer: http.IncomingMessage,
  outgoing: http.ServerResponse,
  faults: ReadonlyArray<Fault>
): Promise<boolean> => {
  const limitBytes = (find(faults, "truncated") ?? find(faults, "stall"))?.afterBytes ?? Infinity
  let passedBytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    for (const piece of pieces(chunk, faults)) {
      const part = piece.subarray(0, limitBytes - passedBytes)
      await pace(part.length, faults)
      await write(outgoing, part)
      passedBytes += part.length
      if (outgoing.destroyed || passedBytes >= limitBytes) return false
    }
  }
  return limitBytes === Infinity
}

class Proxy {
  readonly passed: Array<Passing & { readonly faults: ReadonlyArray<Fault> }> = []
  readonly #target: URL
  /** Idle connections are given up before a server would do it: a request on a line just cut is not in the script. */
  readonly #agent = new http.Agent({ keepAlive: true, timeout: 2000 })
  #script: Script

  constructor(target: URL, script: Script) {
    this.#target = target
    this.#script = script
  }

  follow(script: Script): void {
    this.#script = script
  }

  close(): void {
    this.#agent.destroy()
  }

  async pass(incoming: http.IncomingMessage, outgoing: http.ServerResponse): Promise<void> {
    try {
      await this.#pass(incoming, outgoing)
    } catch {
      // The client or the server is gone: the other side learns it as it would without a proxy.
      outgoing.destroy()
    }
  }

  async #pass(incoming: http.IncomingMessage, outgoing: http.ServerResponse): Promise<void> {
    const body = await buffer(incoming)
    const { method = "GET", url: target = "/", headers } = incoming
    const request = { number: this.passed.length, method, target, headers }
    const faults = [this.#script(request) ?? []].flat()
    this.passed.push({ ...request, faults })
    const latency = find(faults, "latency")
    if (latency !== undefined) await wait(latency.milliseconds)
    const status = find(faults, "status")
    if (status !== undefined) return answerItself(outgoing, status)
    if (find(faults, "reset before") !== undefined) return void reset(incoming)
    await pace(body.length, faults)
    const answer = await this.#ask(incoming, body)
    const stall = find(faults, "stall")
    const isSilent = stall !== undefined && stall.afterBytes === undefined
    if (isSilent || find(faults, "reset after") !== undefined) {
      await buffer(answer)
      return isSilent ? undefined : reset(incoming)
    }
    outgoing.writeHead(answer.statusCode ?? 502, answer.statusMessage, answer.rawHeaders)
    outgoing.flushHeaders()
    if (await passBody(answer, outgoing, faults)) return void outgoing.end()
    answer.destroy()
    if (stall === undefined) outgoing.destroy()
  }

  /** The server's answer, as soon as its head is there. */
  async #ask(incoming: http.IncomingMessage, body: Buffer): Promise<http.IncomingMessage> {
    const request = http.request({
      host: this.#target.hostname,
      port: this.#target.port,
      method: incoming.method ?? "GET",
      path: incoming.url ?? "/",
      headers: incoming.rawHeaders,
      agent: this.#agent
    })
    request.end(body)
    const [answer] = (await once(request, "response")) as [http.IncomingMessage]
    return answer
  }
}

/** Not an orderly end of the connection: the other side sees ECONNRESET. */
const reset = ({ socket }: http.IncomingMessage): void => void socket.resetAndDestroy()

const open = async (targetUrl: string, script: Script) => {
  const proxy = new Proxy(new URL(targetUrl), script)
  const server = http.createServer((incoming, outgoing) => void proxy.pass(incoming, outgoing))
  // Connections end when the script says so, and not when the machine was busy for a while.
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  return { proxy, server, port }
}

const close = async ({ proxy, server }: Awaited<ReturnType<typeof open>>): Promise<void> => {
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeAllConnections()
  proxy.close()
  await closed
}

/** Without any fault, for a proxy that is told later what to do. */
export const nothing: Script = () => undefined

/** The same faults for every request. */
export const always =
  (...faults: ReadonlyArray<Fault>): Script =>
  () =>
    faults

/** Faults for the first `count` requests that the question is answered with yes for. */
export const first = (
  count: number,
  faults: Fault | ReadonlyArray<Fault>,
  isMeant: (request: Passing) => boolean = () => true
): Script => {
  let left = count
  return (request) => {
    if (left === 0 || !isMeant(request)) return undefined
    left -= 1
    return faults
  }
}

/** Stands before the server at `targetUrl` (http) until the scope ends. */
export const start = (
  targetUrl: string,
  script: Script = nothing
): Effect.Effect<FaultProxy, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => open(targetUrl, script)),
      (opened) => Effect.promise(() => close(opened))
    ),
    ({ proxy, port }) => ({
      url: `http://127.0.0.1:${port}`,
      port,
      passed: proxy.passed,
      follow: (script) => proxy.follow(script)
    })
  )
