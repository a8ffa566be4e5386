/**
 * CopyThrough: copies chunk files for a worker thread, and proves them on their way: each is read into aligned memory,
 * judged where it lies, and written from there, so that nothing is moved in between and no memory is made anew. While
 * threads of the system's pool read and write, the thread judges another one.
 *
 * What is read comes through the page cache, where a copy's source often is; what is written goes past it (`BulkFile`).
 *
 * Invariant: only what is good is written, and exactly what was judged.
 */
import * as fs from "node:fs"
import { promisify } from "node:util"
import { isEncrypted } from "../format/DataBlob.ts"
import { AlignedRooms, type Room } from "./AlignedRooms.ts"
import * as BulkFile from "./BulkFile.ts"
import { checkBlob, largestBlobBytes, type Verdict } from "./chunkContent.ts"
import type { CopyRequest } from "./ChunkCodec.ts"
import { FilesError, fromErrno } from "./Files.ts"

/** One is judged while others are read and written. */
const roomsMax = 4

const noHeader = new Uint8Array(0)

const read = promisify(fs.read)

/** Without O_NONBLOCK a fifo that lies where a chunk should be would keep the thread for ever. */
const readFlags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK

const fill = async (fd: number, target: Uint8Array): Promise<Uint8Array> => {
  let filled = 0
  while (filled < target.length) {
    const { bytesRead } = await read(fd, target, filled, target.length - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return target.subarray(0, filled)
}

/** The whole file, in the room's memory. */
const readWhole = async (path: string, room: Room): Promise<Uint8Array> => {
  const fd = fs.openSync(path, readFlags)
  try {
    const { size } = fs.fstatSync(fd)
    if (size > largestBlobBytes) throw new FilesError({ operation: "read", path, reason: "TooLarge" })
    return await fill(fd, room.of(size).subarray(0, size))
  } finally {
    fs.closeSync(fd)
  }
}

/** What cannot be read is nothing that was judged. */
const unread = (path: string, error: unknown): Verdict => {
  const failure = error instanceof FilesError ? error : fromErrno("read", path, error)
  if (failure.reason === "NotFound") return { state: "missing" }
  return { state: failure.reason === "TooLarge" ? "corrupt" : "unreadable", detail: failure.message }
}

const judge = (blob: Uint8Array, { digest, encrypted, sizeBytes }: CopyRequest): Verdict => {
  const verdict = checkBlob(blob, { digest, sizeBytes, crypt: undefined })
  if (verdict.state !== "good" || isEncrypted(verdict.kind) === encrypted) return verdict
  return { state: "corrupt", detail: encrypted ? "it is not encrypted" : "it is encrypted" }
}

const copy = async (request: CopyRequest, room: Room): Promise<Verdict> => {
  const { from, sync, temporaryPath: path } = request
  let blob: Uint8Array
  try {
    blob = await readWhole(from, room)
  } catch (error) {
    return unread(from, error)
  }
  const verdict = judge(blob, request)
  if (verdict.state !== "good") return verdict
  await BulkFile.write({ path, header: noHeader, body: blob, sync, hasMargins: true, room: room.of })
  return verdict
}

export class CopyThrough {
  readonly #rooms = new AlignedRooms(roomsMax)

  /** Rejects with an errno error of `node:fs` when the copy cannot be written. */
  copy(request: CopyRequest): Promise<Verdict> {
    return this.#rooms.within((room) => copy(request, room))
  }
}
