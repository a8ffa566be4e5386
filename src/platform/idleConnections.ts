/** idleConnections: the system's own clocks on connections, which end what nothing moves on. */
import type { Http2Session } from "node:http2"
import * as net from "node:net"
import type { Duplex } from "node:stream"

/** Nothing ends the connection because nothing moves: what runs on it looks after that by itself. */
export const neverEndIdle = (socket: Duplex): void => {
  if (socket instanceof net.Socket) socket.setTimeout(0)
}

/** Ends the session when nothing has moved in it for so long. */
export const endIdle = (session: Http2Session, idleMillis: number): void => {
  session.setTimeout(idleMillis, () => session.destroy())
}
