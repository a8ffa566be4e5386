/**
 * What a chunk worker thread does with chunks that were read from files (`ReadAhead`), and with blobs in memory, which
 * the thread may overwrite unless others share them. Plain synchronous functions; what they throw is an errno error of
 * `node:fs`. Files are written by `WriteBehind`.
 */
import type { CryptConfig } from "../format/CryptConfig.ts"
import type * as DataBlob from "../format/DataBlob.ts"
import {
  checkBlob,
  decodeChunk,
  encodeChunk,
  type ExpectedChunk,
  type Unusable,
  type Verdict
} from "./chunkContent.ts"
import { fromErrno, FilesError } from "./Files.ts"
import { releaseMemory } from "../format/releaseMemory.ts"
import type { Content } from "./ReadAhead.ts"
import { copyInto } from "./sharedCopy.ts"

/** The file's content: a view that belongs to the job as long as it lasts, and may be overwritten. */
const wholeOf = (path: string, content: Content): Uint8Array => {
  const bytes = content()
  if (bytes !== undefined) return bytes
  throw new FilesError({ operation: "read", path, reason: "TooLarge" })
}

export type Loaded =
  | { readonly length: number }
  | { readonly unusable: Unusable }
  | { readonly data: Uint8Array<ArrayBuffer> }

/** Proves a chunk that was read, and copies its bytes into the target if there is one. */
export const loadChunk = (
  request: ExpectedChunk & { readonly path: string; readonly target?: Uint8Array },
  content: Content
): Loaded => {
  const blob = wholeOf(request.path, content)
  const outcome = decodeChunk(blob, request, isOwn(blob))
  if (!(outcome instanceof Uint8Array)) return { unusable: outcome }
  if (request.target === undefined) return { data: new Uint8Array(outcome) }
  const loaded = intoTarget(outcome, request.target)
  releaseMemory(outcome, blob)
  return loaded
}

export interface EncodedBlob {
  /** Undefined when it lies in the room. */
  readonly blob: Uint8Array<ArrayBuffer> | undefined
  readonly lengthBytes: number
  readonly kind: DataBlob.BlobKind
}

export const encodeBlob = (request: {
  readonly data: Uint8Array
  readonly compress: boolean
  readonly crypt: CryptConfig | undefined
  readonly room?: Uint8Array
}): EncodedBlob => {
  const { blob, kind } = encodeChunk(request)
  const own = request.room === undefined ? (blob as Uint8Array<ArrayBuffer>) : undefined
  return { blob: own, lengthBytes: blob.length, kind }
}

interface InMemory extends ExpectedChunk {
  readonly blob: Uint8Array
}

const isOwn = ({ buffer }: Uint8Array): boolean => buffer instanceof ArrayBuffer

const intoTarget = (data: Uint8Array, target: Uint8Array): Loaded => {
  const { length } = data
  if (length > target.length) {
    const detail = `it holds ${length} bytes, more than the ${target.length} expected`
    return { unusable: { reason: "Corrupt", detail } }
  }
  copyInto(target, data)
  return { length }
}

/** So little more than the data may lie in memory that is handed over: a blob's header, a byte behind a frame's end. */
const besidesMaxBytes = 64

/** Memory that holds nothing else goes over as it is; small data may lie in memory that others have parts of. */
const handOver = (data: Uint8Array): Loaded => {
  const isAlone = isOwn(data) && data.buffer.byteLength <= data.length + besidesMaxBytes
  return { data: isAlone ? (data as Uint8Array<ArrayBuffer>) : new Uint8Array(data) }
}

const none = new Uint8Array(0)

/** Proves a chunk, and copies its bytes into the target if there is one. A blob that nobody shares is used up. */
export const decodeBlob = (request: InMemory & { readonly target?: Uint8Array }): Loaded => {
  const { blob, target } = request
  const outcome = decodeChunk(blob, request, isOwn(blob))
  if (!(outcome instanceof Uint8Array)) return { unusable: outcome }
  if (target === undefined) return handOver(outcome)
  const decoded = intoTarget(outcome, target)
  releaseMemory(outcome, none)
  releaseMemory(blob, none)
  return decoded
}

export const judgeBlob = (request: InMemory): Verdict => checkBlob(request.blob, request, isOwn(request.blob))

/** Judges a chunk that was read. */
export const checkChunk = (request: ExpectedChunk & { readonly path: string }, content: Content): Verdict => {
  try {
    return checkBlob(wholeOf(request.path, content), request, true)
  } catch (error) {
    const failure = error instanceof FilesError ? error : fromErrno("read", request.path, error)
    if (failure.reason === "NotFound") return { state: "missing" }
    return { state: failure.reason === "TooLarge" ? "corrupt" : "unreadable", detail: failure.message }
  }
}
