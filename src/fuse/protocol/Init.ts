/**
 * Init: the first request, in which kernel and file system agree on what they can do.
 *
 * Invariant: nothing is asked for that the kernel has not offered. `maxPages` bounds how much one read asks for.
 */
import { finish, headerBytes, type ReplyBuffer } from "./Reply.ts"
import type { InitRequest } from "./Request.ts"

export const major = 7
/** Linux 5.4: reads of up to 1 MiB, cached links and directories. */
export const minorMin = 31
/** The latest whose structures are known here. */
const minorMax = 45

/**
 * Capabilities, as the kernel numbers them. ASYNC_READ is not among them: what the kernel reads without anybody
 * waiting for it, it never takes back, so that the fetches of a reader that was killed would go on. The tree reads
 * ahead itself.
 */
export const Capability = {
  exportSupport: 1 << 4,
  /** What is cached of a file is dropped when its size or time changes. */
  autoInvalidateData: 1 << 12,
  readDirectoryPlus: 1 << 13,
  asyncDirectIo: 1 << 15,
  /** ENOSYS to the first OPEN means that files are not opened at all. */
  noOpen: 1 << 17,
  parallelDirectoryOperations: 1 << 18,
  /** The kernel applies access lists, and remembers them. */
  posixAcl: 1 << 20,
  maxPages: 1 << 22,
  cacheSymlinks: 1 << 23
} as const

const wanted = Object.values(Capability).reduce((flags, flag) => flags | flag, 0)

/** 1 MiB. */
export const maxPages = 256
export const pageBytes = 4096

/** How many reads the kernel may have under way that nobody waits for by himself, which is what reading ahead is. */
const backgroundMax = 64
const congestion = 48

/** The largest write; the smallest that there is, for nothing is written. */
const writeMaxBytes = 4096

export type Agreement =
  | { readonly kind: "agreed"; readonly minor: number; readonly flags: number }
  /** The kernel speaks a later version and will ask again in ours. */
  | { readonly kind: "ask again" }
  | { readonly kind: "too old"; readonly version: string }

export const agree = (request: InitRequest): Agreement => {
  if (request.major > major) return { kind: "ask again" }
  if (request.major < major || request.minor < minorMin) {
    return { kind: "too old", version: `${request.major}.${request.minor}` }
  }
  return { kind: "agreed", minor: Math.min(request.minor, minorMax), flags: request.flags & wanted }
}

const bodyBytes = 64

/** `fuse_init_out`. */
export const encode = (
  reply: ReplyBuffer,
  unique: bigint,
  { flags, minor }: { readonly flags: number; readonly minor: number },
  readAheadMaxBytes: number
): number => {
  const { bytes, view } = reply
  const start = headerBytes
  bytes.fill(0, start, start + bodyBytes)
  view.setUint32(start, major, true)
  view.setUint32(start + 4, minor, true)
  view.setUint32(start + 8, readAheadMaxBytes, true)
  view.setUint32(start + 12, flags >>> 0, true)
  view.setUint16(start + 16, backgroundMax, true)
  view.setUint16(start + 18, congestion, true)
  view.setUint32(start + 20, writeMaxBytes, true)
  view.setUint32(start + 24, 1, true)
  view.setUint16(start + 28, maxPages, true)
  return finish(reply, unique, start + bodyBytes)
}
