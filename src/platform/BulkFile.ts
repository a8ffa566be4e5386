/**
 * BulkFile: writes and reads whole chunk files past the page cache (O_DIRECT) where the file system can do that.
 *
 * A backup writes what nobody reads soon: kept in the page cache it would push out what the machine's programs
 * need, and copying it there costs more than everything else that is done with a chunk. Direct transfers want
 * aligned memory, offsets and lengths. So content goes through aligned memory, and its last, incomplete block the
 * ordinary way: filling it up and cutting the file afterwards would have the kernel read it back. Small files, and file
 * systems that refuse, take the ordinary way altogether.
 *
 * Plain functions for worker threads. Threads of Node's pool wait for the disk while a large file is read or written;
 * everything short is synchronous. What they throw is an errno error of `node:fs`.
 */
import * as fs from "node:fs"
import { promisify } from "node:util"
import { webAssembly } from "../chunking/WebAssemblyApi.ts"

/** A multiple of every block size that direct transfers ask for. */
export const alignmentBytes = 4096

/** Below this the page cache is quicker. */
const directFromBytes = 256 * 1024

const pageBytes = 65_536

const directFlag: number = process.platform === "linux" ? fs.constants.O_DIRECT : 0

const writeAt = promisify(fs.write)
const flush = promisify(fs.fsync)

/** Memory for direct transfers: WebAssembly's begins at a page. Without it ordinary memory serves ordinary ones. */
export const alignedMemory = (sizeBytes: number): Uint8Array => {
  const pages = Math.ceil(sizeBytes / pageBytes)
  return webAssembly === undefined
    ? new Uint8Array(pages * pageBytes)
    : new Uint8Array(new webAssembly.Memory({ initial: pages, maximum: pages, shared: false }).buffer)
}

/** Opens the file behind `fd` once more, for direct writing; undefined where that cannot be. */
export const reopenDirect = (fd: number): number | undefined => {
  if (directFlag === 0 || webAssembly === undefined) return undefined
  try {
    return fs.openSync(`/proc/self/fd/${fd}`, fs.constants.O_WRONLY | directFlag)
  } catch {
    return undefined
  }
}

/** What a direct transfer of so many bytes takes. */
export const rounded = (sizeBytes: number): number => Math.ceil(sizeBytes / alignmentBytes) * alignmentBytes

const isForDirect = (sizeBytes: number): boolean =>
  directFlag !== 0 && webAssembly !== undefined && sizeBytes >= directFromBytes

/** How file systems refuse direct transfers. */
const isRefusal = (error: unknown): boolean => {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : undefined
  return code === "EINVAL" || code === "ENOTSUP" || code === "EOPNOTSUPP"
}

/** Nothing is on its way to a file for ever. */
const requireProgress = (count: number): void => {
  if (count === 0) throw Object.assign(new Error("short write"), { code: "EIO" })
}

const writeFully = (fd: number, bytes: Uint8Array, position = 0): void => {
  for (let written = 0; written < bytes.length;) {
    const count = fs.writeSync(fd, bytes, written, bytes.length - written, position + written)
    requireProgress(count)
    written += count
  }
}

const writeFullyLater = async (fd: number, bytes: Uint8Array): Promise<void> => {
  for (let written = 0; written < bytes.length;) {
    const { bytesWritten } = await writeAt(fd, bytes, written, bytes.length - written, written)
    requireProgress(bytesWritten)
    written += bytesWritten
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
const writeNew = async (
  path: string,
  { flags, sync }: { readonly flags: number; readonly sync: boolean },
  fill: (fd: number) => void | Promise<void>
): Promise<void> => {
  const { O_WRONLY, O_CREAT, O_EXCL } = fs.constants
  const fd = fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL | flags, 0o644)
  try {
    fs.fchmodSync(fd, 0o644)
    await fill(fd)
    if (sync) await flush(fd)
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

/** A file to write: a header, and a body behind it. */
export interface Writing {
  readonly path: string
  readonly header: Uint8Array
  readonly body: Uint8Array
  /** It is on the disk afterwards. */
  readonly sync: boolean
  /** The memory before the body is free to be used: nothing is copied if it is aligned. */
  readonly hasMargins: boolean
  /** Aligned memory for so many bytes; asked for when they do not lie in such a place. */
  readonly room: (sizeBytes: number) => Uint8Array
}

/** Header and body in one aligned piece. */
const frame = ({ body, hasMargins, header, room }: Writing): Uint8Array => {
  const sizeBytes = header.length + body.length
  const inPlace = hasMargins ? frameInPlace(header.length, body) : undefined
  const content = inPlace ?? room(sizeBytes).subarray(0, sizeBytes)
  content.set(header)
  if (inPlace === undefined) content.set(body, header.length)
  return content
}

const writeDirect = (writing: Writing): Promise<void> => {
  const { path, sync } = writing
  const content = frame(writing)
  const wholeBytes = content.length - (content.length % alignmentBytes)
  return writeNew(path, { flags: directFlag, sync }, async (fd) => {
    await writeFullyLater(fd, content.subarray(0, wholeBytes))
    if (wholeBytes < content.length) writeTail(path, content.subarray(wholeBytes), wholeBytes)
  })
}

const writeOrdinary = ({ body, header, path, sync }: Writing): Promise<void> =>
  writeNew(path, { flags: 0, sync }, (fd) => {
    const written = fs.writevSync(fd, [header, body])
    if (written < header.length + body.length) writeFully(fd, Buffer.concat([header, body]))
  })

/** Writes a new file (0644). Until it has, header and body stay as they are. */
export const write = async (writing: Writing): Promise<void> => {
  if (!isForDirect(writing.header.length + writing.body.length)) return writeOrdinary(writing)
  try {
    await writeDirect(writing)
  } catch (error) {
    if (!isRefusal(error)) throw error
    await writeOrdinary(writing)
  }
}

/** Without O_NONBLOCK a fifo that lies where a chunk should be would keep the thread for ever. */
const openForReading = (path: string, flags: number): number =>
  fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK | flags)

/** A file open for reading, and its size then. */
export interface Opened {
  readonly fd: number
  readonly sizeBytes: number
  readonly isDirect: boolean
}

/** For direct reading if that is worth it and the file system lets us. */
const openSized = (path: string, sizeBytes: number): Opened | undefined => {
  if (!isForDirect(sizeBytes)) return undefined
  try {
    return { fd: openForReading(path, directFlag), sizeBytes, isDirect: true }
  } catch (error) {
    if (!isRefusal(error)) throw error
    return undefined
  }
}

/** Opens a file to read all of it; undefined when it is larger than `maxSizeBytes`. */
export const openWhole = (path: string, maxSizeBytes: number): Opened | undefined => {
  const fd = openForReading(path, 0)
  let opened: Opened | undefined
  try {
    const sizeBytes = fs.fstatSync(fd).size
    if (sizeBytes > maxSizeBytes) return undefined
    opened = openSized(path, sizeBytes) ?? { fd, sizeBytes, isDirect: false }
    return opened
  } finally {
    if (opened?.fd !== fd) fs.closeSync(fd)
  }
}

type Filled = (error: Error | null, filledBytes: number) => void

const fillOn = (file: Opened, target: Uint8Array, from: number, done: Filled): void => {
  const { fd, isDirect, sizeBytes } = file
  const end = isDirect ? rounded(sizeBytes) : sizeBytes
  fs.read(fd, target, from, end - from, from, (error, count) => {
    const filled = from + count
    // A length off the grid is the end of the file: the next direct read would be refused.
    const isEnd = count === 0 || filled >= sizeBytes || (isDirect && filled % alignmentBytes !== 0)
    if (error !== null) done(error, 0)
    else if (isEnd) done(null, Math.min(filled, sizeBytes))
    else fillOn(file, target, filled, done)
  })
}

/**
 * Reads what was opened into aligned memory that has room for its rounded size, and closes it. Threads of Node's pool
 * do it while the caller goes on. What `done` is given answers the content, or throws what went wrong.
 */
export const readOpened = (
  path: string,
  file: Opened,
  target: Uint8Array,
  done: (content: () => Uint8Array) => void
): void => {
  fillOn(file, target, 0, (error, filledBytes) => {
    quietly(() => fs.closeSync(file.fd))
    if (error === null) return done(() => target.subarray(0, filledBytes))
    if (file.isDirect && isRefusal(error)) return readOrdinary(path, file.sizeBytes, target, done)
    done(() => {
      throw error
    })
  })
}

const readOrdinary = (
  path: string,
  sizeBytes: number,
  target: Uint8Array,
  done: (content: () => Uint8Array) => void
): void => {
  let file: Opened
  try {
    file = { fd: openForReading(path, 0), sizeBytes, isDirect: false }
  } catch (error) {
    return done(() => {
      throw error
    })
  }
  readOpened(path, file, target, done)
}
