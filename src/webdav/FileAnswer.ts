/** FileAnswer: a file, or the parts of it that were asked for, or only that it has not changed. */
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { Vfs } from "../vfs/Vfs.ts"
import * as Answers from "./Answers.ts"
import * as ByteRanges from "./ByteRanges.ts"
import * as ContentType from "./ContentType.ts"
import * as FileBody from "./FileBody.ts"
import type { Resource } from "./Resource.ts"
import * as Validators from "./Validators.ts"

/**
 * A document of a backup that could carry out code would do so as a page of this server, and could read all others: so
 * a browser shows it without.
 */
const safetyOf = (contentType: string): Readonly<Record<string, string>> =>
  ContentType.isActive(contentType) ? { "content-security-policy": "sandbox" } : {}

/** Out of the tag, which nobody outside knows before: so no file can hold it on purpose. */
const boundaryOf = ({ etag }: Validators.Validators): string =>
  createHash("sha256").update(etag).digest("hex").slice(0, 32)

const rangesOf = (request: HttpServerRequest, validators: Validators.Validators, sizeBytes: number) =>
  request.method === "GET" && Validators.allowsRange(request.headers, validators)
    ? ByteRanges.parse(request.headers["range"], sizeBytes)
    : "whole"

interface Part {
  readonly status: 200 | 206
  readonly body: FileBody.FileBody
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string
}

const partOf = (
  ranges: "whole" | ReadonlyArray<ByteRanges.ByteRange>,
  sizeBytes: number,
  contentType: string,
  boundary: string
): Part => {
  if (ranges === "whole") {
    const body = FileBody.ofRange({ start: 0, end: sizeBytes })
    return { status: 200, body, headers: {}, contentType }
  }
  const [range] = ranges
  if (ranges.length === 1 && range !== undefined) {
    const headers = { "content-range": ByteRanges.format(range, sizeBytes) }
    return { status: 206, body: FileBody.ofRange(range), headers, contentType }
  }
  const body = FileBody.ofRanges(ranges, { boundary, contentType, sizeBytes })
  return { status: 206, body, headers: {}, contentType: `multipart/byteranges; boundary=${boundary}` }
}

const logFailure = <A, E extends { readonly message: string }, R>(body: Stream.Stream<A, E, R>) =>
  body.pipe(
    Stream.tapError((error) => Effect.logWarning(error.message)),
    Stream.tapDefect((defect) => Effect.logError("a fault of the file server", defect))
  )

export const make = (request: HttpServerRequest, { attributes, names }: Resource, treeTag: string) =>
  Effect.gen(function* () {
    const { sizeBytes } = attributes
    const validators = Validators.of(attributes, treeTag)
    const headers = {
      ...Answers.commonHeaders,
      "accept-ranges": "bytes",
      etag: validators.etag,
      ...(validators.lastModified === undefined ? {} : { "last-modified": validators.lastModified })
    }
    const verdict = Validators.evaluate(request.headers, validators)
    if (verdict === "not-modified") return HttpServerResponse.empty({ status: 304, headers })
    if (verdict === "failed") return Answers.refusal(412, "The file is another one.")
    const ranges = rangesOf(request, validators, sizeBytes)
    if (ranges === "unsatisfiable") {
      return Answers.refusal(416, "The file has no such bytes.", { "content-range": `bytes */${sizeBytes}` })
    }
    const type = ContentType.contentType(names.at(-1) ?? new Uint8Array())
    const part = partOf(ranges, sizeBytes, type, boundaryOf(validators))
    const body = request.method === "HEAD" ? Stream.empty : yield* FileBody.open(attributes, part.body)
    const vfs = yield* Vfs
    return HttpServerResponse.stream(logFailure(Stream.provideService(body, Vfs, vfs)), {
      status: part.status,
      headers: { ...headers, ...part.headers, ...safetyOf(type) },
      contentType: part.contentType,
      contentLength: part.body.sizeBytes
    })
  })
