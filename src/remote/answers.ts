/**
 * answers: what a server has answered, over HTTP/1.1 or a stream of HTTP/2: the content of a good answer, and what a
 * bad one means. Nothing that a server writes is trusted: texts are shortened to one harmless line.
 */
import * as Effect from "effect/Effect"
import { RemoteError, type RemoteReason } from "./RemoteError.ts"

export interface Answer {
  readonly status: number
  readonly contentType: string
  /** Values of `set-cookie`. */
  readonly cookies: ReadonlyArray<string>
  readonly body: Uint8Array
}

const lineMaxLength = 300

/** A text of the server as part of a message. */
export const oneLine = (text: string): string => {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029\s]+/gu, " ").trim()
  return line.length > lineMaxLength ? `${line.slice(0, lineMaxLength)}...` : line
}

const textMaxBytes = 4096

const textOf = ({ body }: Answer): string => new TextDecoder().decode(body.subarray(0, textMaxBytes)).trim()

/** A page of a proxy or of another server. */
const isPage = (answer: Answer): boolean =>
  /\bhtml\b/.test(answer.contentType) || textOf(answer).startsWith("<")

const missing = /\bENOENT\b|no such file or directory|^no such |does not exist|namespace not found/i

const busy =
  /unable to (?:acquire|lock)|could not (?:acquire|get) .*lock|is locked by|already locked|\bEWOULDBLOCK\b/i

const unavailable: ReadonlyArray<number> = [429, 502, 503, 504]

const badRequest = 400

const reasonOf = (status: number, text: string): RemoteReason => {
  if (status === 401) return "Login"
  if (status === 404) return "Missing"
  if (unavailable.includes(status)) return "Busy"
  if (status < badRequest) return "BadAnswer"
  if (status !== badRequest) return "Refused"
  return busy.test(text) ? "Busy" : missing.test(text) ? "Missing" : "Refused"
}

export const badAnswer = (server: string, detail: string, status?: number): RemoteError =>
  new RemoteError({ reason: "BadAnswer", server, detail, ...(status === undefined ? {} : { status }) })

/** What an answer other than 2xx means. */
export const refusalOf = (server: string, answer: Answer): RemoteError => {
  const { status } = answer
  const isOther = isPage(answer) && !unavailable.includes(status)
  if (isOther) return badAnswer(server, `it answers ${status} with a web page`, status)
  const text = isPage(answer) ? "" : oneLine(textOf(answer))
  const detail = text === "" ? `it answers ${status} without a reason` : text
  return new RemoteError({ reason: reasonOf(status, text), server, detail, status })
}

const statusGood = 200
const statusRedirect = 300

export const isGood = ({ status }: Answer): boolean => status >= statusGood && status < statusRedirect

/** What is under `data` of a good answer, which is JSON; null for an empty one. Throws `RemoteError`. */
export const dataOf = (server: string, answer: Answer): unknown => {
  if (answer.body.length === 0) return null
  if (isPage(answer)) throw badAnswer(server, "it answers with a web page", answer.status)
  const value = jsonOf(server, answer)
  if (typeof value === "object" && value !== null && "data" in value) return value.data
  throw badAnswer(server, "its answer has no data", answer.status)
}

const jsonOf = (server: string, { body, status }: Answer): unknown => {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body))
  } catch {
    throw badAnswer(server, "its answer is no JSON", status)
  }
}

/** Runs what throws `RemoteError`. */
export const orRemoteError = <A>(run: () => A): Effect.Effect<A, RemoteError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      return error instanceof RemoteError ? Effect.fail(error) : Effect.die(error)
    }
  })
