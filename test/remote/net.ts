/** A line to a server that can be cut: what was cut stays cut, what comes later goes through. */
import * as Effect from "effect/Effect"
import * as net from "node:net"

export interface Line {
  readonly port: number
  /** Ends every connection that stands. */
  readonly cut: () => void
  /** How many connections there have been. */
  readonly count: () => number
}

export const line = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets = new Set<net.Socket>()
      let count = 0
      const server = net.createServer((near) => {
        count += 1
        const far = net.connect(port, "127.0.0.1")
        for (const [one, other] of [
          [near, far],
          [far, near]
        ] as const) {
          sockets.add(one)
          one.setNoDelay(true)
          one.on("error", () => undefined)
          one.on("close", () => {
            sockets.delete(one)
            other.destroy()
          })
          one.pipe(other)
        }
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const address = server.address()
      const cut = (): void => {
        for (const socket of sockets) socket.resetAndDestroy()
      }
      const made: Line & { readonly close: () => void } = {
        port: typeof address === "object" && address !== null ? address.port : 0,
        cut,
        count: () => count,
        close: () => {
          cut()
          server.close()
        }
      }
      return made
    }),
    ({ close }) => Effect.sync(close)
  )
