/**
 * A client of both protocols for tests: it sends exactly what it is told, over HTTP/1.1 and over HTTP/2 on an upgraded
 * connection, as Proxmox Backup Server's own client does.
 */
import * as http2 from "node:http2"
import * as https from "node:https"
import type { Duplex } from "node:stream"
import { buffer } from "node:stream/consumers"

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
  readonly text: string
  /** Of a JSON answer: what is under `data`. */
  readonly data: unknown
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | boolean>>
  readonly json?: unknown
  readonly body?: Uint8Array | string
}

const dataIn = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && "data" in value ? value.data : undefined
  } catch {
    return undefined
  }
}

const answerOf = (status: number, headers: Readonly<Record<string, unknown>>, body: Buffer): Answer => {
  const text = body.toString()
  return { status, headers, body, text, data: dataIn(text) }
}

const withQuery = (path: string, query: Asked["query"] = {}): string => {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) parameters.append(name, String(value))
  const text = parameters.toString()
  return text === "" ? path : `${path}?${text}`
}

const contentOf = ({
  body,
  json
}: Asked): { readonly type: string; readonly bytes: Uint8Array | string | undefined } =>
  json !== undefined
    ? { type: "application/json", bytes: JSON.stringify(json) }
    : body !== undefined
      ? { type: "application/octet-stream", bytes: body }
      : { type: "application/x-www-form-urlencoded", bytes: undefined }

/** One request over a connection of its own. */
export const ask = async (port: number, path: string, asked: Asked = {}): Promise<Answer> => {
  const { bytes, type } = contentOf(asked)
  return await new Promise<Answer>((resolve, reject) => {
    const request = https.request({
      host: "127.0.0.1",
      port,
      path: withQuery(path, asked.query),
      method: asked.method ?? "GET",
      headers: { "content-type": type, ...asked.headers },
      rejectUnauthorized: false,
      agent: false
    })
    request.on("error", reject)
    request.on("response", (response) => {
      buffer(response).then(
        (body) => resolve(answerOf(response.statusCode ?? 0, response.headers, body)),
        reject
      )
    })
    request.end(bytes)
  })
}

/** A session of one of the protocols. */
export interface Session {
  readonly http2: http2.ClientHttp2Session
  readonly socket: Duplex
  readonly ask: (method: string, path: string, asked?: Asked) => Promise<Answer>
  /** Ends the session and waits until the connection is closed. */
  readonly close: () => Promise<void>
  /** Cuts the connection. */
  readonly cut: () => Promise<void>
}

const backupProtocol = "proxmox-backup-protocol-v1"
const readerProtocol = "proxmox-backup-reader-protocol-v1"

const askOver =
  (session: http2.ClientHttp2Session) =>
  async (method: string, path: string, asked: Asked = {}): Promise<Answer> => {
    const { bytes, type } = contentOf(asked)
    const stream = session.request(
      { ":method": method, ":path": withQuery(path, asked.query), "content-type": type, ...asked.headers },
      { endStream: bytes === undefined }
    )
    return await new Promise<Answer>((resolve, reject) => {
      let status = 0
      let headers: http2.IncomingHttpHeaders = {}
      const pieces: Array<Buffer> = []
      stream.on("response", (received) => {
        status = Number(received[":status"])
        headers = received
      })
      stream.on("data", (piece: Buffer) => pieces.push(piece))
      stream.on("error", reject)
      stream.on("close", () =>
        status === 0 || stream.rstCode !== 0
          ? reject(new Error(`the stream was reset (${stream.rstCode})`))
          : resolve(answerOf(status, headers, Buffer.concat(pieces)))
      )
      if (bytes !== undefined) stream.end(bytes)
    })
  }

const closed = (socket: Duplex): Promise<void> =>
  new Promise((resolve) => (socket.destroyed ? resolve() : socket.once("close", () => resolve())))

const sessionOver = (socket: Duplex): Session => {
  const session = http2.connect("https://localhost:8007", {
    createConnection: () => socket,
    maxSessionMemory: 1000,
    settings: { enablePush: false, initialWindowSize: 2 ** 31 - 2, maxFrameSize: 4 * 1024 * 1024 }
  })
  session.on("error", () => undefined)
  return {
    http2: session,
    socket,
    ask: askOver(session),
    close: async () => {
      session.close()
      await closed(socket)
    },
    cut: async () => {
      socket.destroy()
      await closed(socket)
    }
  }
}

export interface Opening extends Asked {
  readonly protocol?: string
}

/** Asks for a session; what is no session is an answer. */
export const upgrade = async (port: number, path: string, opening: Opening): Promise<Session | Answer> =>
  await new Promise<Session | Answer>((resolve, reject) => {
    const request = https.request({
      host: "127.0.0.1",
      port,
      path: withQuery(path, opening.query),
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        connection: "upgrade",
        upgrade: opening.protocol ?? (path.includes("reader") ? readerProtocol : backupProtocol),
        ...opening.headers
      },
      rejectUnauthorized: false,
      agent: false
    })
    request.on("error", reject)
    request.on("response", (response) => {
      buffer(response).then(
        (body) => resolve(answerOf(response.statusCode ?? 0, response.headers, body)),
        reject
      )
    })
    request.on("upgrade", (_, socket: Duplex, head: Buffer) => {
      if (head.length > 0) socket.unshift(head)
      resolve(sessionOver(socket))
    })
    request.end()
  })
