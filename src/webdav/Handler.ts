/**
 * Handler: one request, one answer. Methods, paths and conditions are settled here; what the answers look like is left
 * to the files beside it.
 *
 * Invariant: whatever a client sends, only a fault of the store or of this program makes an answer of 500 and above,
 * and it is logged. No request changes anything.
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import { MaxBodySize } from "effect/http/HttpIncomingMessage"
import { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import type { VfsError } from "../vfs/VfsError.ts"
import * as Answers from "./Answers.ts"
import * as FileAnswer from "./FileAnswer.ts"
import * as IndexPage from "./IndexPage.ts"
import * as Listen from "./Listen.ts"
import * as Multistatus from "./Multistatus.ts"
import * as PropfindRequest from "./PropfindRequest.ts"
import * as RequestPath from "./RequestPath.ts"
import * as Resource from "./Resource.ts"
import * as Turns from "./Turns.ts"

export interface HandlerOptions {
  /** Part of every entity tag, of this tree alone. */
  readonly treeTag: string
  /** Requests that name another machine are refused: they come from a stranger's page, made to look as from here. */
  readonly isLocalOnly: boolean
}

const propfindMaxBytes = 16 * 1024

const textStream = (pieces: Iterable<string>): Stream.Stream<Uint8Array> =>
  Stream.fromIterable(pieces, { chunkSize: 1 }).pipe(Stream.map((piece) => Buffer.from(piece)))

const readBody = (request: HttpServerRequest) =>
  request.arrayBuffer.pipe(
    Effect.provideService(MaxBodySize, ByteSize.bytes(propfindMaxBytes)),
    Effect.map((body) => new Uint8Array(body)),
    Effect.mapError(({ reason }) =>
      reason._tag === "RequestParseError" && reason.reason === "BodyTooLarge"
        ? Answers.tooLarge
        : Answers.badPropfind
    )
  )

const depthOf = (header: string | undefined): Effect.Effect<0 | 1, Answers.Response> => {
  const depth = (header ?? "infinity").trim().toLowerCase()
  if (depth === "0") return Effect.succeed(0)
  // What Windows writes when it does not want the directory itself; it may have it.
  if (depth === "1" || depth === "1,noroot") return Effect.succeed(1)
  return Effect.fail(depth.startsWith("infinity") ? Answers.infiniteDepth : Answers.badDepth)
}

/** What a path leads to. A path with a slash at its end wants a directory. */
const resourceAt = ({ isDirectory, names }: RequestPath.RequestPath) =>
  Effect.flatMap(Resource.find(names), (resource) =>
    isDirectory && resource.attributes.kind !== "directory"
      ? Effect.fail(Answers.notFound)
      : Effect.succeed(resource)
  )

const describeMembers = (directory: Resource.Resource) =>
  Effect.map(Resource.members(directory), (members) =>
    members.map(({ attributes, name }): Multistatus.Described => ({
      names: [...directory.names, name],
      attributes
    }))
  )

const propfind = (request: HttpServerRequest, path: RequestPath.RequestPath, { treeTag }: HandlerOptions) =>
  Effect.gen(function* () {
    const depth = yield* depthOf(request.headers["depth"])
    const wanted = yield* PropfindRequest.parse(yield* readBody(request))
    if (wanted === undefined) return Answers.badPropfind
    const resource = yield* resourceAt(path)
    const isListed = depth === 1 && resource.attributes.kind === "directory"
    const described = [resource, ...(isListed ? yield* describeMembers(resource) : [])]
    return HttpServerResponse.stream(textStream(Multistatus.render(wanted, described, treeTag)), {
      status: 207,
      contentType: "application/xml; charset=utf-8",
      headers: Answers.commonHeaders
    })
  })

const directoryAnswer = (request: HttpServerRequest, directory: Resource.Resource) =>
  Effect.gen(function* () {
    const members = yield* Resource.members(directory)
    const page = request.method === "HEAD" ? [] : IndexPage.render(directory.names, members)
    return HttpServerResponse.stream(textStream(page), {
      contentType: "text/html; charset=utf-8",
      headers: {
        ...Answers.commonHeaders,
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"
      }
    })
  })

const get = (request: HttpServerRequest, path: RequestPath.RequestPath, { treeTag }: HandlerOptions) =>
  Effect.gen(function* () {
    const resource = yield* resourceAt(path)
    if (resource.attributes.kind !== "directory") return yield* FileAnswer.make(request, resource, treeTag)
    // The page's links count from the slash on.
    if (!path.isDirectory) return Answers.movedTo(RequestPath.format(path.names, true))
    return yield* directoryAnswer(request, resource)
  })

const answerTo = (request: HttpServerRequest, options: HandlerOptions) => {
  const method: string = request.method
  const { url: target = "" } = NodeHttpServerRequest.toIncomingMessage(request)
  const { host } = request.headers
  if (options.isLocalOnly && host !== undefined && !Listen.isLoopback(Listen.hostOf(host))) {
    return Effect.succeed(Answers.badHost)
  }
  if (method === "OPTIONS" && target === "*") return Effect.succeed(Answers.options)
  const path = RequestPath.parse(target)
  if (path === undefined) return Effect.succeed(Answers.badPath)
  switch (method) {
    case "OPTIONS":
      return Effect.succeed(Answers.options)
    case "GET":
    case "HEAD":
      return get(request, path, options)
    case "PROPFIND":
      return propfind(request, path, options)
    default:
      return Effect.succeed(Answers.methodNotAllowed)
  }
}

const isResponse = (error: VfsError | Answers.Response): error is Answers.Response =>
  HttpServerResponse.isHttpServerResponse(error)

const toAnswer = (error: VfsError | Answers.Response): Effect.Effect<Answers.Response> => {
  if (isResponse(error)) return Effect.succeed(error)
  const answer = Answers.failed(error)
  return answer.status < 500 ? Effect.succeed(answer) : Effect.as(Effect.logWarning(error.message), answer)
}

/** Answers every request that it is given, as the server's one effect. A client that leaves interrupts it. */
export const make = (options: HandlerOptions) => {
  const turns = Turns.make()
  const answer = Effect.gen(function* () {
    const request = yield* HttpServerRequest
    if (!(yield* turns.take(request))) return Answers.methodNotAllowed
    return yield* answerTo(request, options).pipe(
      Effect.catch(toAnswer),
      Effect.tapDefect((defect) => Effect.logError("a fault of the file server", defect))
    )
  })
  // The library shields what handles a request from interruption; here it is the reads that matter.
  return Effect.interruptible(answer)
}
