/**
 * httpLoad: some clients that ask an HTTP server as fast as it answers: each has a connection of its own and asks the
 * next when it has its answer. It does little more than count bytes, so that it leaves the processors to the server.
 */
import { once } from "node:events"
import { connect, type Socket } from "node:net"

const headEnd = Buffer.from("\r\n\r\n")

/** The size of an answer's head and body, when all of it is there. */
const sizeOf = (bytes: Buffer): number | undefined => {
  const end = bytes.indexOf(headEnd)
  if (end === -1) return undefined
  const head = bytes.toString("latin1", 0, end)
  if (!head.startsWith("HTTP/1.1 200 ")) throw new Error(`an unexpected answer: ${bytes.toString()}`)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (length === undefined) throw new Error(`an answer without its length: ${head}`)
  const size = end + headEnd.length + Number(length)
  return bytes.length < size ? undefined : size
}

/** Asks by one connection until there is nothing left to ask. */
const client = (socket: Socket, next: () => string | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    let received: Buffer = Buffer.alloc(0)
    const ask = (): void => {
      const path = next()
      if (path === undefined) {
        socket.off("data", onData)
        socket.off("error", reject)
        resolve()
      } else socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`)
    }
    const onData = (data: Buffer): void => {
      received = received.length === 0 ? data : Buffer.concat([received, data])
      try {
        const size = sizeOf(received)
        if (size === undefined) return
        received = received.subarray(size)
        ask()
      } catch (error) {
        reject(error)
      }
    }
    socket.on("data", onData)
    socket.once("error", reject)
    ask()
  })

export interface Clients {
  /** Asks for these paths, each once, by all clients together; answers how many a second. */
  readonly ask: (paths: ReadonlyArray<string>) => Promise<number>
  readonly close: () => void
}

export const connectClients = async (port: number, count: number): Promise<Clients> => {
  const sockets = Array.from({ length: count }, () => connect({ port, host: "127.0.0.1", noDelay: true }))
  await Promise.all(sockets.map((socket) => once(socket, "connect")))
  return {
    ask: async (paths) => {
      let index = 0
      const begin = performance.now()
      await Promise.all(sockets.map((socket) => client(socket, () => paths[index++])))
      return paths.length / ((performance.now() - begin) / 1000)
    },
    close: () => sockets.forEach((socket) => socket.destroy())
  }
}
