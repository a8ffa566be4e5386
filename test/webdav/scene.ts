/** What tests of the WebDAV server share: a server for each test, and clients that send exactly what they are told. */
import { it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as http from "node:http"
import * as net from "node:net"
import { buffer, text } from "node:stream/consumers"
import { Vfs } from "../../src/vfs/Vfs.ts"
import * as WebDav from "../../src/webdav/WebDav.ts"
import * as smallTree from "./smallTree.ts"

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Buffer
  readonly text: string
}

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

export interface Scene {
  readonly serving: WebDav.Serving
  /** Sends the path as it is; answers when all of the body is there, and fails when it is cut off. */
  readonly ask: (path: string, asked?: Asked) => Promise<Answer>
  /** Sends bytes over a connection of its own and answers all that comes back until the server hangs up. */
  readonly send: (bytes: string) => Promise<string>
  /** What the server logged. */
  readonly log: ReadonlyArray<string>
}

const plainHeaders = (headers: http.IncomingHttpHeaders): Record<string, string | undefined> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join() : value])
  )

const askAt =
  (port: number) =>
  async (path: string, { body, headers = {}, method = "GET" }: Asked = {}): Promise<Answer> => {
    const incoming = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = http.request({ host: "127.0.0.1", port, path, method, headers, agent: false })
      request.on("response", resolve)
      request.on("error", reject)
      request.end(body)
    })
    const received = await buffer(incoming)
    return {
      status: incoming.statusCode ?? 0,
      headers: plainHeaders(incoming.headers),
      body: received,
      text: received.toString()
    }
  }

const sendTo = (port: number) => async (bytes: string) => {
  const socket = net.connect(port, "127.0.0.1")
  socket.on("error", () => socket.destroy())
  socket.write(bytes, "latin1")
  return text(socket).catch(() => "")
}

/** Serves the tree until the scope ends. */
export const open = (
  root: smallTree.Node,
  options: WebDav.ServeOptions = {},
  change: (vfs: Vfs["Service"]) => Vfs["Service"] = (vfs) => vfs
) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const serving = yield* WebDav.serve({ port: 0, ...options }).pipe(
      Effect.provideService(Vfs, change(smallTree.make(root))),
      Effect.provide(Logger.layer([Logger.make(({ message }) => void log.push(String(message)))]))
    )
    const { port } = serving
    return { serving, log, ask: askAt(port), send: sendTo(port) } satisfies Scene
  })

/** A test with a server of its own. */
export const withServer = (
  title: string,
  root: smallTree.Node,
  test: (scene: Scene) => Promise<void>,
  options: WebDav.ServeOptions = {}
): void =>
  it.live(title, () => Effect.flatMap(open(root, options), (scene) => Effect.promise(() => test(scene))))
