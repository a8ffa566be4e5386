/**
 * The jobs of a chunk worker thread on files as plain synchronous functions over `node:fs`: synchronous calls are twice
 * as fast as promises, and a worker has nobody to keep waiting. What they throw is an errno error of `node:fs`. The
 * same jobs on blobs in memory, which the thread may overwrite unless others share them.
 */
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import type { Staged } from "./ChunkCodec.ts"
import * as BulkFile from "./BulkFile.ts"
import {
  checkBlob,
  decodeChunk,
  type ExpectedChunk,
  largestBlobBytes,
  type Unusable,
  type Verdict
} from "./chunkContent.ts"
import { fromErrno, FilesError } from "./Files.ts"
import { releaseMemory } from "../format/releaseMemory.ts"

export const stageChunk = (request: {
  readonly data: Uint8Array
  readonly temporaryPath: string
  readonly compress: boolean
  readonly crypt: CryptConfig | undefined
  readonly sync: boolean
  readonly hasMargins?: boolean
}): Staged => {
  const { data, temporaryPath, compress, crypt, sync } = request
  // Ciphertext is made where it is written from.
  const room = crypt === undefined ? undefined : BulkFile.room(DataBlob.headerSize("encrypted"), data.length)
  const sealing = crypt === undefined || room === undefined ? {} : { crypt, room }
  const { header, body, kind } = DataBlob.encodeParts(data, { compress, ...sealing })
  // A plain body is the data itself, with the margins around it.
  const hasMargins = body === data ? request.hasMargins === true : body.buffer === room?.buffer
  BulkFile.write(temporaryPath, header, body, { sync, hasMargins })
  const encodedSizeBytes = header.length + body.length
  if (room === undefined) releaseMemory(body, data)
  return { encodedSizeBytes, kind }
}

/** The file's content: a view that the next job of this thread overwrites. */
const readWhole = (path: string): Uint8Array => {
  const content = BulkFile.read(path, largestBlobBytes)
  if (content !== undefined) return content
  throw new FilesError({ operation: "read", path, reason: "TooLarge" })
}

export type Loaded =
  | { readonly length: number }
  | { readonly unusable: Unusable }
  | { readonly data: Uint8Array<ArrayBuffer> }

/** Loads and proves a chunk, into the target if there is one. */
export const loadChunk = (
  request: ExpectedChunk & { readonly path: string; readonly target?: Uint8Array }
): Loaded => {
  return decodeBlob({ ...request, blob: readWhole(request.path) })
}

interface InMemory extends ExpectedChunk {
  readonly blob: Uint8Array
}

const isOwn = (blob: Uint8Array): boolean => blob.buffer instanceof ArrayBuffer

/** Proves a chunk, and copies its bytes into the target if there is one. */
export const decodeBlob = (request: InMemory & { readonly target?: Uint8Array }): Loaded => {
  const { blob, target } = request
  const outcome = decodeChunk(blob, request, isOwn(blob))
  if (!(outcome instanceof Uint8Array)) return { unusable: outcome }
  if (target === undefined) return { data: new Uint8Array(outcome) }
  const { length } = outcome
  if (length > target.length) {
    const detail = `it holds ${length} bytes, more than the ${target.length} expected`
    return { unusable: { reason: "Corrupt", detail } }
  }
  target.set(outcome)
  releaseMemory(outcome, blob)
  return { length }
}

export const judgeBlob = (request: InMemory): Verdict => checkBlob(request.blob, request, isOwn(request.blob))

export const checkChunk = (request: ExpectedChunk & { readonly path: string }): Verdict => {
  try {
    return checkBlob(readWhole(request.path), request, true)
  } catch (error) {
    const failure = error instanceof FilesError ? error : fromErrno("read", request.path, error)
    if (failure.reason === "NotFound") return { state: "missing" }
    return { state: failure.reason === "TooLarge" ? "corrupt" : "unreadable", detail: failure.message }
  }
}
