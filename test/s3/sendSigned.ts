/** One request signed by hand, for what no SDK would send. */
import { once } from "node:events"
import * as http from "node:http"
import { text } from "node:stream/consumers"
import { type Credentials, sign } from "./signatureV4.ts"

export interface HandMade {
  readonly method: string
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  /** What is signed, and sent unless something else is. */
  readonly body?: string
  readonly sentBody?: string
}

export interface Said {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

export const sendSigned = async (
  { url, ...credentials }: Credentials & { readonly url: string },
  { method, target, headers = {}, body = "", sentBody = body }: HandMade
): Promise<Said> => {
  const { host } = new URL(url)
  const signed = sign({ method, target, headers: { host, ...headers } }, body, credentials, Date.now())
  const length =
    method === "GET" || method === "HEAD" ? {} : { "content-length": Buffer.byteLength(sentBody) }
  const request = http.request(url + target, { method, headers: { ...signed, ...length }, agent: false })
  request.end(sentBody)
  const [incoming] = (await once(request, "response")) as [http.IncomingMessage]
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, text: await text(incoming) }
}
