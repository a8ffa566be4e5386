/**
 * Turns: requests of one connection are worked on one after the other. A client may send many at once (pipelining), and
 * each would hold a piece of a file in memory until those before it are answered.
 *
 * Invariant: one request of a connection is worked on, and no more than 32 wait; who sends more is hung up on.
 */
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"

const waitingMax = 32

interface Line {
  readonly semaphore: Semaphore.Semaphore
  waiting: number
}

export interface Turns {
  /** Waits for the request's turn, which lasts until the scope ends. False when the connection was closed instead. */
  readonly take: (request: HttpServerRequest) => Effect.Effect<boolean, never, Scope.Scope>
}

export const make = (): Turns => {
  const lines = new WeakMap<object, Line>()
  const lineOf = (connection: object): Line => {
    const line = lines.get(connection) ?? { semaphore: Semaphore.makeUnsafe(1), waiting: 0 }
    lines.set(connection, line)
    return line
  }
  return {
    take: (request) =>
      Effect.suspend(() => {
        const { socket } = NodeHttpServerRequest.toIncomingMessage(request)
        const line = lineOf(socket)
        if (line.waiting >= waitingMax) {
          socket.destroy()
          return Effect.succeed(false)
        }
        line.waiting++
        const isOver = Effect.sync(() => void line.waiting--)
        return line.semaphore.takeScoped(1).pipe(Effect.ensuring(isOver), Effect.as(true))
      })
  }
}
