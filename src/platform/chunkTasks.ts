/**
 * The three jobs of a chunk worker thread as plain synchronous functions over `node:fs`: synchronous calls are twice as
 * fast as promises, and a worker has nobody to keep waiting. What they throw is an errno error of `node:fs`.
 */
import * as fs from "node:fs"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import type { Staged } from "./ChunkCodec.ts"
import {
  checkBlob,
  contentFault,
  decodeChunk,
  type ExpectedChunk,
  kindOf,
  largestBlobBytes,
  type Unusable,
  type Verdict
} from "./chunkContent.ts"
import { fromErrno, FilesError } from "./Files.ts"
import { releaseMemory } from "./releaseMemory.ts"
import { crc32 } from "node:zlib"

export const stageChunk = (request: {
  readonly data: Uint8Array
  readonly temporaryPath: string
  readonly compress: boolean
  readonly crypt: CryptConfig | undefined
  readonly sync: boolean
}): Staged => {
  const { data, temporaryPath, compress, crypt, sync } = request
  const { header, body, kind } = DataBlob.encodeParts(data, { compress, ...(crypt ? { crypt } : {}) })
  const fd = fs.openSync(temporaryPath, "wx", 0o644)
  try {
    fs.fchmodSync(fd, 0o644)
    writeFully(fd, header, body)
    if (sync) fs.fsyncSync(fd)
  } catch (error) {
    quietly(() => fs.closeSync(fd))
    quietly(() => fs.unlinkSync(temporaryPath))
    throw error
  }
  closeOrRemove(fd, temporaryPath)
  const encodedSizeBytes = header.length + body.length
  releaseMemory(body, data)
  return { encodedSizeBytes, kind }
}

/** Network file systems report a full disk only when a file is closed. */
const closeOrRemove = (fd: number, path: string): void => {
  try {
    fs.closeSync(fd)
  } catch (error) {
    quietly(() => fs.unlinkSync(path))
    throw error
  }
}

/** Clearing up after a failure: the failure is what counts, not what happens here. */
const quietly = (run: () => void): void => {
  try {
    run()
  } catch {
    return
  }
}

const writeFully = (fd: number, header: Uint8Array, body: Uint8Array): void => {
  let written = fs.writevSync(fd, [header, body])
  while (written < header.length + body.length) {
    const rest =
      written < header.length ? [header.subarray(written), body] : [body.subarray(written - header.length)]
    const count = fs.writevSync(fd, rest)
    if (count === 0) throw Object.assign(new Error("short write"), { code: "EIO" })
    written += count
  }
}

/** File contents are read into one buffer per thread that only grows: fresh pages are slow to touch. */
let scratch: Uint8Array = new Uint8Array(0)

/** Without O_NONBLOCK a fifo that lies where a chunk should be would keep the thread for ever. */
const openForReading = (path: string): number =>
  fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)

const readWhole = (path: string): Uint8Array => {
  const fd = openForReading(path)
  try {
    const { size } = fs.fstatSync(fd)
    if (size > largestBlobBytes) throw new FilesError({ operation: "read", path, reason: "TooLarge" })
    if (scratch.length < size) scratch = new Uint8Array(Math.max(size, 4 << 20))
    return scratch.subarray(0, readInto(fd, scratch.subarray(0, size), 0))
  } finally {
    fs.closeSync(fd)
  }
}

const readInto = (fd: number, target: Uint8Array, position: number): number => {
  let filled = 0
  while (filled < target.length) {
    const count = fs.readSync(fd, target, filled, target.length - filled, position + filled)
    if (count === 0) break
    filled += count
  }
  return filled
}

export type Loaded =
  | { readonly length: number }
  | { readonly unusable: Unusable }
  | { readonly data: Uint8Array<ArrayBuffer> }

/**
 * Loads and proves a chunk. A plain chunk goes from the file straight into the target; every other kind is decoded
 * first and then copied there.
 */
export const loadChunk = (
  request: ExpectedChunk & { readonly path: string; readonly target?: Uint8Array }
): Loaded => {
  const { target } = request
  if (target !== undefined) {
    const direct = loadPlain(request.path, target, request)
    if (direct !== undefined) return direct
  }
  const outcome = decodeChunk(readWhole(request.path), request)
  if (!(outcome instanceof Uint8Array)) return { unusable: outcome }
  if (target === undefined) return { data: new Uint8Array(outcome) }
  if (outcome.length > target.length) {
    return {
      unusable: {
        reason: "Corrupt",
        detail: `it holds ${outcome.length} bytes, more than the ${target.length} expected`
      }
    }
  }
  target.set(outcome)
  const { length } = outcome
  releaseMemory(outcome, scratch)
  return { length }
}

const header = new Uint8Array(12)

/** Undefined when the file is not a plain blob that fits the target. */
const loadPlain = (path: string, target: Uint8Array, expected: ExpectedChunk): Loaded | undefined => {
  const fd = openForReading(path)
  try {
    const { size } = fs.fstatSync(fd)
    const length = size - header.length
    if (length < 0 || length > target.length || readInto(fd, header, 0) < header.length) return undefined
    if (kindOf(header) !== "plain") return undefined
    const data = target.subarray(0, length)
    if (readInto(fd, data, header.length) < length) return undefined
    const stored = new DataView(header.buffer).getUint32(8, true)
    if (crc32(data) !== stored) return { unusable: { reason: "Corrupt", detail: "its checksum is wrong" } }
    const fault = contentFault(data, expected, false)
    return fault === undefined ? { length } : { unusable: { reason: "Corrupt", detail: fault } }
  } finally {
    fs.closeSync(fd)
  }
}

export const checkChunk = (request: ExpectedChunk & { readonly path: string }): Verdict => {
  try {
    return checkBlob(readWhole(request.path), request)
  } catch (error) {
    const failure = error instanceof FilesError ? error : fromErrno("read", request.path, error)
    if (failure.reason === "NotFound") return { state: "missing" }
    return { state: failure.reason === "TooLarge" ? "corrupt" : "unreadable", detail: failure.message }
  }
}
