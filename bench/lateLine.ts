/**
 * A long line before a server (`lineProxy`, a process of its own), and what the line is by itself: how long a byte goes
 * there and back, and how fast a plain socket gets something over it.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import * as path from "node:path"
import { setTimeout as wait } from "node:timers/promises"

export interface Line {
  readonly roundTripMillis: number
  /** Each direction; without one the line carries whatever comes. */
  readonly megabits?: number
}

/** The port at which the server's port is reached over the line; it lasts as long as the scope. */
export const lateLine = (port: number, { megabits, roundTripMillis }: Line) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const script = path.join(import.meta.dirname, "lineProxy.ts")
        const numbers = [port, roundTripMillis, ...(megabits === undefined ? [] : [megabits])]
        const argv = [script, ...numbers.map(String)]
        const proxy = spawn(process.execPath, argv, { stdio: ["pipe", "pipe", "inherit"] })
        const [printed] = (await once(proxy.stdout, "data")) as [Buffer]
        return { proxy, port: Number(printed.toString()) }
      }),
      ({ proxy }) => Effect.sync(() => proxy.stdin.end())
    ),
    (started) => started.port
  )

/** A server that sends so many bytes for each that it is sent. */
const plainServer = (answerBytes: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer({ noDelay: true }, (socket: Socket) => {
        socket.on("error", () => undefined)
        socket.on("data", ({ length }) => socket.write(Buffer.alloc(length * answerBytes)))
      })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      return { server, port: (server.address() as AddressInfo).port }
    }),
    ({ server }) => Effect.sync(() => server.close())
  )

/** From one byte that is sent to so many that have come back. */
const answered = async (socket: Socket, answerBytes: number): Promise<number> => {
  const startMillis = performance.now()
  let receivedBytes = 0
  const isThere = new Promise<void>((resolve) => {
    socket.on("data", ({ length }: Buffer) => {
      receivedBytes += length
      if (receivedBytes >= answerBytes) resolve()
    })
  })
  socket.write(Buffer.alloc(1))
  await isThere
  return (performance.now() - startMillis) / 1000
}

/** Seconds from a byte that goes out to the last of so many that come back, over a connection that stands. */
export const plainSeconds = (line: Line, answerBytes: number): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { port } = yield* plainServer(answerBytes)
    const far = yield* lateLine(port, line)
    return yield* Effect.promise(async () => {
      const socket = connect({ port: far, host: "127.0.0.1", noDelay: true })
      await once(socket, "connect")
      // The line lets nothing through before a round trip is over.
      await wait(2 * line.roundTripMillis)
      const seconds = await answered(socket, answerBytes)
      socket.destroy()
      return seconds
    })
  })
