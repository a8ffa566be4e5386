/**
 * BulkFile: writes and reads whole chunk files past the page cache (O_DIRECT) where the file system can do that.
 *
 * A backup writes what nobody reads soon: kept in the page cache it would push out what the machine's programs
 * need, and copying it there costs more than everything else that is done with a chunk. Direct transfers want
 * aligned memory, offsets and lengths. So content goes through one aligned buffer per thread, and its last, incomplete
 * block the ordinary way: filling it up and cutting the file afterwards would have the kernel read it back. Small
 * files, and file systems that refuse, take the ordinary way altogether.
 *
 * Plain synchronous functions for worker threads; what they throw is an errno error of `node:fs`.
 */
import * as fs from "node:fs"
import { webAssembly } from "../chunking/WebAssemblyApi.ts"

/** A multiple of every block size that direct transfers ask for. */
export const alignmentBytes = 4096

/** Below this the page cache is quicker. */
const directFromBytes = 256 * 1024

const pageBytes = 65_536

const directFlag: number = process.platform === "linux" ? fs.constants.O_DIRECT : 0

let buffer: Uint8Array = new Uint8Array(0)

/** Memory for direct transfers: WebAssembly's begins at a page. Without it ordinary memory serves ordinary ones. */
export const alignedMemory = (sizeBytes: number): Uint8Array => {
  const pages = Math.ceil(sizeBytes / pageBytes)
  return webAssembly === undefined
    ? new Uint8Array(pages * pageBytes)
    : new Uint8Array(new webAssembly.Memory({ initial: pages, maximum: pages, shared: false }).buffer)
}

/** The thread's buffer, at least so large; what it held is lost. */
const alignedBuffer = (sizeBytes: number): Uint8Array => {
  if (buffer.length < sizeBytes) buffer = alignedMemory(Math.max(sizeBytes, 4.5 * 1024 * 1024))
  return buffer
}

/** The part of the thread's buffer from where a body behind such a header is written without being copied. */
export const room = (headerBytes: number, bodyBytes: number): Uint8Array =>
  alignedBuffer(headerBytes + bodyBytes).subarray(headerBytes, headerBytes + bodyBytes)

/** Opens the file behind `fd` once more, for direct writing; undefined where that cannot be. */
export const reopenDirect = (fd: number): number | undefined => {
  if (directFlag === 0 || webAssembly === undefined) return undefined
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, fs.constants.O_WRONLY | directFlag)
  } catch {
    return undefined
  }
}

const rounded = (sizeBytes: number): number => Math.ceil(sizeBytes / alignmentBytes) * alignmentBytes

/** Runs `direct`; where the file system refuses such transfers, `ordinary`. */
const preferringDirect = <A>(sizeBytes: number, direct: () => A, ordinary: () => A): A => {
  if (directFlag === 0 || webAssembly === undefined || sizeBytes < directFromBytes) return ordinary()
  try {
    return direct()
  } catch (error) {
    const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
    if (code !== "EINVAL" && code !== "ENOTSUP" && code !== "EOPNOTSUPP") throw error
    return ordinary()
  }
}

const writeFully = (fd: number, bytes: Uint8Array, position = 0): void => {
  for (let written = 0; written < bytes.length;) {
    const count = fs.writeSync(fd, bytes, written, bytes.length - written, position + written)
    if (count === 0) throw Object.assign(new Error("short write"), { code: "EIO" })
    written += count
  }
}

/** Writes what follows the last whole block. */
const writeTail = (path: string, tail: Uint8Array, position: number): void => {
  const fd = fs.openSync(path, fs.constants.O_WRONLY)
  try {
    writeFully(fd, tail, position)
  } finally {
    fs.closeSync(fd)
  }
}

/** Opens a new file, fills it, and removes it again if that fails. */
const writeNew = (path: string, flags: number, sync: boolean, fill: (fd: number) => void): void => {
  const { O_WRONLY, O_CREAT, O_EXCL } = fs.constants
  const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | flags, 0o644)
  try {
    fs.fchmodSync(fd, 0o644)
    fill(fd)
    if (sync) fs.fsyncSync(fd)
  } catch (error) {
    quietly(() => fs.closeSync(fd))
    quietly(() => fs.unlinkSync(path))
    throw error
  }
  closeOrRemove(fd, path)
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

/** The memory from the header's place before `body` to its end; undefined when that is not aligned. */
const frameInPlace = (headerBytes: number, body: Uint8Array): Uint8Array | undefined => {
  const start = body.byteOffset - headerBytes
  if (start < 0 || start % alignmentBytes !== 0) return undefined
  return new Uint8Array(body.buffer, start, headerBytes + body.length)
}

/** Header and body in one aligned piece. */
const frame = (header: Uint8Array, body: Uint8Array, hasMargins: boolean): Uint8Array => {
  const sizeBytes = header.length + body.length
  const inPlace = hasMargins ? frameInPlace(header.length, body) : undefined
  const content = inPlace ?? alignedBuffer(sizeBytes).subarray(0, sizeBytes)
  content.set(header)
  if (inPlace === undefined) content.set(body, header.length)
  return content
}

/**
 * Writes `header` and `body` to a new file (0644); with `sync` it is on the disk afterwards. With `hasMargins`
 * the memory before the body is free to be used, and nothing is copied if it is aligned.
 */
export const write = (
  path: string,
  header: Uint8Array,
  body: Uint8Array,
  options: { readonly sync: boolean; readonly hasMargins?: boolean }
): void => {
  const { sync, hasMargins = false } = options
  const sizeBytes = header.length + body.length
  const direct = (): void => {
    const content = frame(header, body, hasMargins)
    const wholeBytes = sizeBytes - (sizeBytes % alignmentBytes)
    writeNew(path, directFlag, sync, (fd) => {
      writeFully(fd, content.subarray(0, wholeBytes))
      if (wholeBytes < sizeBytes) writeTail(path, content.subarray(wholeBytes), wholeBytes)
    })
  }
  const ordinary = (): void =>
    writeNew(path, 0, sync, (fd) => {
      const written = fs.writevSync(fd, [header, body])
      if (written < sizeBytes) writeFully(fd, Buffer.concat([header, body]))
    })
  preferringDirect(sizeBytes, direct, ordinary)
}

/** Without O_NONBLOCK a fifo that lies where a chunk should be would keep the thread for ever. */
const openForReading = (path: string, flags: number): number =>
  fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | flags)

/** Reads up to `wanted` bytes, rounded up as direct transfers want it; answers how many there were. */
const readFully = (fd: number, target: Uint8Array, wanted: number): number => {
  let filled = 0
  while (filled < wanted) {
    const count = fs.readSync(fd, target, filled, target.length - filled, filled)
    filled += count
    // A length off the grid is the end of the file: the next direct read would be refused.
    if (count === 0 || filled % alignmentBytes !== 0) break
  }
  return Math.min(filled, wanted)
}

const readRest = (fd: number, target: Uint8Array, from: number): number => {
  let filled = from
  while (filled < target.length) {
    const count = fs.readSync(fd, target, filled, target.length - filled, filled)
    if (count === 0) break
    filled += count
  }
  return filled
}

/**
 * Reads a whole file into the thread's buffer: a view that the next call of this module overwrites. A file larger than
 * `maxSizeBytes` gives undefined, and nothing is allocated.
 */
export const read = (path: string, maxSizeBytes: number): Uint8Array | undefined => {
  const fd = openForReading(path, 0)
  let sizeBytes: number
  try {
    sizeBytes = fs.fstatSync(fd).size
    if (sizeBytes > maxSizeBytes) return undefined
    const target = alignedBuffer(rounded(sizeBytes))
    const ordinary = (): Uint8Array => target.subarray(0, readRest(fd, target.subarray(0, sizeBytes), 0))
    return preferringDirect(sizeBytes, () => readDirect(path, target, sizeBytes), ordinary)
  } finally {
    fs.closeSync(fd)
  }
}

const readDirect = (path: string, target: Uint8Array, sizeBytes: number): Uint8Array => {
  const fd = openForReading(path, directFlag)
  try {
    return target.subarray(0, readFully(fd, target.subarray(0, rounded(sizeBytes)), sizeBytes))
  } finally {
    fs.closeSync(fd)
  }
}
