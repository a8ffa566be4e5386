/**
 * Http2Session: one session of HTTP/2 on a connection that was upgraded from HTTP/1.1: every stream is a call of the
 * session's table.
 *
 * Bounds: 160 streams at once with a window of half a MiB each, and the admission's memory; headers of 16 KiB. A
 * connection on which nothing moves for half an hour is closed. A client that resets a stream interrupts what only it
 * waited for.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Scope from "effect/Scope"
import * as http2 from "node:http2"
import type { Duplex } from "node:stream"
import { endIdle } from "../../platform/idleConnections.ts"
import { ApiError } from "../ApiError.ts"
import type { Call, RouteTable } from "../Call.ts"
import type { Admission } from "./Admission.ts"
import * as calls from "./calls.ts"
import type { Outlet } from "./sending.ts"

/** Each may have so much in memory that nobody has asked for yet. */
const streamWindowBytes = 512 * 1024
/** Node also counts streams that have just ended: no client is to come near it that keeps 80 under way. */
const streamsMax = 160
const connectionWindowBytes = 32 * 1024 * 1024
const frameMaxBytes = 4 * 1024 * 1024 - 1
const headersMaxBytes = 16 * 1024
/** What Node counts of a session, in MiB: mostly answers that are on their way. */
const sessionMemoryMax = 512
const idleMillis = 30 * 60_000

const settings: http2.Settings = {
  initialWindowSize: streamWindowBytes,
  maxFrameSize: frameMaxBytes,
  maxConcurrentStreams: streamsMax,
  maxHeaderListSize: headersMaxBytes,
  enablePush: false
}

const outletOf = (stream: http2.ServerHttp2Stream): Outlet => ({
  head: (status, headers) => {
    if (!stream.destroyed && !stream.headersSent) stream.respond({ ":status": status, ...headers })
  },
  writable: stream
})

const textOf = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "string" ? value : undefined

const serveStream = <R>(
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
  routes: RouteTable<R>,
  admission: Admission
): Effect.Effect<void, never, R> => {
  const outlet = outletOf(stream)
  const target = calls.parseTarget(headers[":path"] ?? "/")
  const method = headers[":method"] ?? "GET"
  const answered =
    target instanceof ApiError
      ? calls.failed(outlet, target, 0)
      : calls.answer(
          routes.get(`${method} ${target.path}`),
          {
            ...target,
            method,
            contentType: textOf(headers["content-type"]),
            body: stream,
            admission
          } satisfies Call,
          outlet
        )
  // What the client sends on after it has its answer is of no use to anybody.
  const close = Effect.sync(() => {
    if (!stream.closed && !stream.readableEnded) stream.close(http2.constants.NGHTTP2_NO_ERROR)
  })
  return Effect.andThen(answered, close)
}

/** Serves the table on the connection until either side ends it. */
export const serve = <R>(
  socket: Duplex,
  routes: RouteTable<R>,
  admission: Admission
): Effect.Effect<void, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const closed = yield* Deferred.make<void>()
    const fibers = yield* FiberSet.make<void>()
    const run = yield* FiberSet.runtime(fibers)<R>()
    const session = yield* Effect.acquireRelease(
      Effect.sync(() =>
        http2.performServerHandshake(socket, {
          settings,
          maxSessionMemory: sessionMemoryMax,
          maxSessionInvalidFrames: 100,
          maxHeaderListPairs: 64
        })
      ),
      (opened) => Effect.sync(() => opened.destroy())
    )
    const end = (): void => {
      Deferred.doneUnsafe(closed, Effect.void)
    }
    session.on("error", end)
    session.on("close", end)
    socket.on("close", end)
    endIdle(session, idleMillis)
    session.on("stream", (stream, headers) => {
      stream.on("error", () => undefined)
      const fiber = run(serveStream(stream, headers, routes, admission))
      stream.on("close", () => fiber.interruptUnsafe())
    })
    session.setLocalWindowSize(connectionWindowBytes)
    yield* Deferred.await(closed)
  })
