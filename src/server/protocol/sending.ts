/**
 * sending: an answer on its way out, over HTTP/1.1 or a stream of HTTP/2. One piece is handed over at a time, and the
 * next when the connection has taken it: a client that reads slowly holds one piece.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Writable } from "node:stream"
import { type Answer, bytesType, envelope, jsonType } from "../Answer.ts"
import type { ApiError } from "../ApiError.ts"

/** Where an answer goes. */
export interface Outlet {
  readonly head: (status: number, headers: Readonly<Record<string, string>>) => void
  readonly writable: Writable
}

/** Runs one write; a connection that is gone ends it without an answer. */
const handed = (writable: Writable, write: (done: () => void) => void): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (writable.destroyed) return resume(Effect.void)
    const done = (): void => {
      writable.off("close", done)
      resume(Effect.void)
    }
    writable.on("close", done)
    write(done)
    return Effect.sync(() => void writable.off("close", done))
  })

const writePiece = (writable: Writable, piece: Uint8Array): Effect.Effect<void> =>
  handed(writable, (done) => writable.write(piece, done))

const end = (writable: Writable, last?: Uint8Array): Effect.Effect<void> =>
  handed(writable, (done) => (last === undefined ? writable.end(done) : writable.end(last, done)))

const sendBytes = (
  { head, writable }: Outlet,
  status: number,
  contentType: string,
  content: Uint8Array,
  headers: Readonly<Record<string, string>> = {}
): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (writable.destroyed) return Effect.void
    head(status, { "content-type": contentType, "content-length": String(content.length), ...headers })
    return end(writable, content)
  })

const sendPieces = (
  { head, writable }: Outlet,
  pieces: Stream.Stream<Uint8Array, ApiError>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (writable.destroyed) return Effect.void
    head(200, { "content-type": bytesType })
    return Stream.runForEach(pieces, (piece) => writePiece(writable, piece)).pipe(
      Effect.matchEffect({
        onFailure: (error) =>
          Effect.andThen(
            Effect.logWarning(error.message),
            Effect.sync(() => void writable.destroy())
          ),
        onSuccess: () => end(writable)
      })
    )
  })

/** What a broken connection still has of an answer may be read by the system: nobody else gets that memory. */
const whenSent = ({ writable }: Outlet, giveBack: () => void): Effect.Effect<void> =>
  Effect.sync(() => {
    if (writable.writableFinished) giveBack()
  })

/** Sends what a call came to. */
export const send = (
  outlet: Outlet,
  answer: Answer,
  headers: Readonly<Record<string, string>> = {}
): Effect.Effect<void> => {
  switch (answer.kind) {
    case "data":
      return sendBytes(outlet, 200, jsonType, Buffer.from(envelope(answer.data, answer.beside)), headers)
    case "bytes": {
      const sent = sendBytes(outlet, 200, bytesType, answer.bytes, headers)
      const { giveBack } = answer
      return giveBack === undefined ? sent : Effect.andThen(sent, whenSent(outlet, giveBack))
    }
    case "stream":
      return sendPieces(outlet, answer.pieces)
  }
}

/** Removes what a browser keeps of a ticket that is none. */
const forgetTicket =
  "__Host-PBSAuthCookie=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; SameSite=Lax; HttpOnly; Path=/;"

export const sendError = (outlet: Outlet, { message, status }: ApiError): Effect.Effect<void> =>
  sendBytes(
    outlet,
    status,
    jsonType,
    Buffer.from(message),
    status === 401 ? { "set-cookie": forgetTicket } : {}
  )
