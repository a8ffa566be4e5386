/**
 * RemoteSession: one session of the backup or the reader protocol: calls over HTTP/2 on a connection that was upgraded.
 *
 * Invariants: when the connection breaks, everything under way fails with `Disconnected`, and so does what is asked
 * later; a call that is interrupted resets its stream; at most 80 calls are under way, and half of the streams that
 * the server takes (Node's also counts those that have just ended); further ones wait; an answer never takes more
 * memory than the call allows. A server that does not answer a ping for a minute while somebody waits
 * for it counts as gone.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as http2 from "node:http2"
import type { Duplex } from "node:stream"
import { type Answer, badAnswer, dataOf, isGood, orRemoteError, refusalOf } from "./answers.ts"
import { disconnected, tooLarge } from "./connectionFailures.ts"
import { bytesType, formType, jsonType, type Parameters, withQuery } from "./parameters.ts"
import * as Received from "./received.ts"
import type { RemoteError } from "./RemoteError.ts"

export type SessionBody = { readonly bytes: Uint8Array } | { readonly json: unknown }

export interface RemoteSession {
  /** What is under `data` of the answer; null when there is none. */
  readonly call: (
    method: "GET" | "POST" | "PUT",
    path: string,
    query: Parameters,
    body?: SessionBody
  ) => Effect.Effect<unknown, RemoteError>
  /** GET of raw bytes. */
  readonly bytes: (
    path: string,
    query: Parameters,
    maxBytes: number
  ) => Effect.Effect<Uint8Array, RemoteError>
  /** Whether the connection still stands, as far as can be known. */
  readonly isOpen: Effect.Effect<boolean>
}

/** Enough for chunks of 64 KiB on a line of 200 Mbit/s with 150 ms there and back. */
const streamsMax = 80
const windowBytes = 2 ** 31 - 2
const connectionWindowBytes = 64 * 1024 * 1024
const frameMaxBytes = 4 * 1024 * 1024
/** What Node counts of a session, in MiB. */
const sessionMemoryMax = 2048
const answerMaxBytes = 1024 * 1024

const pingMillis = 30_000
const pingTimeoutMillis = 60_000
const closingMillis = 2000

const connect = (socket: Duplex): http2.ClientHttp2Session => {
  const session = http2.connect("https://localhost:8007", {
    createConnection: () => socket,
    maxSessionMemory: sessionMemoryMax,
    settings: { enablePush: false, initialWindowSize: windowBytes, maxFrameSize: frameMaxBytes }
  })
  session.on("error", () => undefined)
  session.once("connect", () => session.setLocalWindowSize(connectionWindowBytes))
  return session
}

interface Exchange {
  readonly method: string
  readonly target: string
  readonly contentType: string
  readonly body: Uint8Array | undefined
  readonly maxBytes: number
}

const isWhole = (
  stream: http2.ClientHttp2Stream,
  announced: string | undefined,
  sizeBytes: number
): boolean =>
  stream.rstCode === http2.constants.NGHTTP2_NO_ERROR &&
  stream.readableEnded &&
  (announced === undefined || Number(announced) === sizeBytes)

const announcedIn = ({ "content-length": announced }: http2.IncomingHttpHeaders): number | undefined =>
  announced !== undefined && /^\d{1,15}$/.test(announced) ? Number(announced) : undefined

/** Tells the answer when the stream has ended. */
const receive = (
  stream: http2.ClientHttp2Stream,
  server: string,
  maxBytes: number,
  tell: (outcome: Effect.Effect<Answer, RemoteError>) => void
): void => {
  let received = Received.make(maxBytes)
  let headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader = {}
  stream.on("response", (found) => {
    headers = found
    received = Received.make(maxBytes, announcedIn(found))
  })
  stream.on("data", (piece: Uint8Array) => {
    if (received.add(piece)) return
    tell(Effect.fail(tooLarge(server, maxBytes)))
    stream.close(http2.constants.NGHTTP2_CANCEL)
  })
  // The answer may come before all of the body has gone out: then nobody wants the rest.
  stream.on("end", () => {
    if (!stream.writableFinished) stream.close(http2.constants.NGHTTP2_NO_ERROR)
  })
  stream.on("error", () => undefined)
  stream.on("close", () => {
    const status = headers[":status"]
    if (status === undefined || !isWhole(stream, headers["content-length"], received.sizeBytes())) {
      return tell(Effect.fail(disconnected(server)))
    }
    const contentType = headers["content-type"] ?? ""
    tell(Effect.succeed({ status, contentType, cookies: [], body: received.whole() }))
  })
}

const exchange = (session: http2.ClientHttp2Session, server: string, asked: Exchange) =>
  Effect.callback<Answer, RemoteError>((resume) => {
    if (session.closed || session.destroyed) return resume(Effect.fail(disconnected(server)))
    const headers = {
      ":method": asked.method,
      ":path": asked.target,
      "user-agent": "granary/1.0",
      "content-type": asked.contentType
    }
    const stream = session.request(headers, { endStream: asked.body === undefined })
    receive(stream, server, asked.maxBytes, resume)
    if (asked.body !== undefined) stream.end(asked.body)
    return Effect.sync(() => stream.close(http2.constants.NGHTTP2_CANCEL))
  })

const ping = (session: http2.ClientHttp2Session): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const done = (): void => resume(Effect.void)
    if (session.destroyed || !session.ping(done)) done()
  })

/** Ends the session when the server answers nothing at all any more. */
const watch = (session: http2.ClientHttp2Session): Effect.Effect<never> =>
  Effect.forever(
    Effect.sleep(pingMillis).pipe(
      Effect.andThen(ping(session)),
      Effect.timeoutOrElse({
        duration: pingMillis + pingTimeoutMillis,
        orElse: () => Effect.sync(() => session.destroy())
      })
    )
  )

/** As many streams as the server takes. */
const streamsTaken = (session: http2.ClientHttp2Session): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const tell = ({ maxConcurrentStreams = streamsMax * 2 }: http2.Settings): void =>
      resume(Effect.succeed(maxConcurrentStreams))
    session.once("remoteSettings", tell)
    return Effect.sync(() => void session.off("remoteSettings", tell))
  })

/** Says goodbye; a server that does not go is left. */
const close = (session: http2.ClientHttp2Session, closed: Deferred.Deferred<void>): Effect.Effect<void> =>
  Effect.sync(() => session.close()).pipe(
    Effect.andThen(Deferred.await(closed)),
    Effect.timeoutOrElse({ duration: closingMillis, orElse: () => Effect.void }),
    Effect.andThen(Effect.sync(() => session.destroy()))
  )

const describeBody = (body: SessionBody | undefined): Pick<Exchange, "body" | "contentType"> => {
  if (body === undefined) return { contentType: formType, body: undefined }
  if ("bytes" in body) return { contentType: bytesType, body: body.bytes }
  return { contentType: jsonType, body: Buffer.from(JSON.stringify(body.json)) }
}

/** The session on an upgraded connection, until the scope closes. */
export const over = (socket: Duplex, server: string): Effect.Effect<RemoteSession, never, Scope.Scope> =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void>()
    const session = yield* Effect.acquireRelease(
      Effect.sync(() => connect(socket)),
      (opened) => close(opened, closed)
    )
    session.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
    socket.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
    yield* Effect.forkScoped(watch(session))
    const streams = yield* Semaphore.make(streamsMax)
    const narrow = (taken: number) => streams.resize(Math.max(1, Math.min(streamsMax, Math.floor(taken / 2))))
    yield* Effect.forkScoped(Effect.flatMap(streamsTaken(session), narrow))

    const ask = (asked: Exchange): Effect.Effect<Answer, RemoteError> =>
      Effect.flatMap(streams.withPermit(exchange(session, server, asked)), (answer) =>
        isGood(answer) ? Effect.succeed(answer) : Effect.fail(refusalOf(server, answer))
      )

    return {
      call: (method, path, query, body) =>
        Effect.flatMap(
          ask({ method, target: withQuery(path, query), ...describeBody(body), maxBytes: answerMaxBytes }),
          (answer) => orRemoteError(() => dataOf(server, answer))
        ),
      bytes: (path, query, maxBytes) =>
        ask({
          method: "GET",
          target: withQuery(path, query),
          contentType: formType,
          body: undefined,
          maxBytes
        }).pipe(Effect.map(({ body }) => body)),
      isOpen: Effect.sync(() => !session.closed && !session.destroyed)
    }
  })

export const notUpgraded = (server: string): RemoteError =>
  badAnswer(server, "it answers the wish for a session as if it were none")
