/**
 * Request: what the kernel asks, decoded from the bytes that a read of /dev/fuse gives (protocol 7.31 and later; all
 * of it little endian, for 64-bit Linux).
 *
 * Invariant: decoding is total. A request that is short, or lies about its lengths, becomes `malformed`, never an
 * error that is thrown. Names are copies: the buffer is read into again at once.
 */
import type { Inode } from "../../vfs/Vfs.ts"
import { changing, Opcode } from "./Opcode.ts"

export const headerBytes = 40

/** Memory that requests are read into, one at a time. */
export interface RequestBuffer {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly view: DataView
}

/**
 * The kernel wants room for the largest write there could be (4 KiB are agreed on); names and xattrs take up to 64
 * KiB.
 */
const bufferBytes = 128 * 1024

export const makeBuffer = (): RequestBuffer => {
  const bytes = new Uint8Array(bufferBytes)
  return { bytes, view: new DataView(bytes.buffer) }
}

/** What every request begins with. */
export interface Head {
  readonly opcode: number
  /** The request's number, which its reply carries. */
  readonly unique: bigint
  readonly inode: Inode
  /** Who asks: a thread, as this process's namespace numbers it; 0 for one that it does not see, or the kernel. */
  readonly threadId: number
}

export interface InitRequest {
  readonly kind: "init"
  readonly major: number
  readonly minor: number
  readonly readAheadMaxBytes: number
  readonly flags: number
}

export interface ListRequest {
  readonly kind: "list"
  readonly handle: number
  /** What came with the last entry that was taken; 0 begins. */
  readonly cookie: number
  readonly sizeBytes: number
  readonly withAttributes: boolean
}

export type Body =
  | InitRequest
  | ListRequest
  | { readonly kind: "lookup"; readonly name: Uint8Array }
  | { readonly kind: "open" | "openDirectory"; readonly flags: number }
  | { readonly kind: "read"; readonly offset: number; readonly sizeBytes: number }
  | { readonly kind: "releaseDirectory"; readonly handle: number }
  | { readonly kind: "xattr"; readonly name: Uint8Array; readonly sizeBytes: number }
  | { readonly kind: "xattrNames"; readonly sizeBytes: number }
  | { readonly kind: "seek"; readonly offset: number; readonly whence: number }
  | { readonly kind: "interrupt"; readonly target: bigint }
  /** Nobody waits for an answer. */
  | { readonly kind: "forget" }
  | { readonly kind: "attributes" | "readLink" | "statistics" }
  /** There is nothing to do. */
  | { readonly kind: "release" | "destroy" }
  /** It would change something. */
  | { readonly kind: "change" }
  | { readonly kind: "unknown" }
  | { readonly kind: "malformed" }

export type Request = Body & { readonly head: Head }

const malformed: Body = { kind: "malformed" }

const bare = {
  attributes: { kind: "attributes" },
  readLink: { kind: "readLink" },
  statistics: { kind: "statistics" },
  release: { kind: "release" },
  destroy: { kind: "destroy" },
  forget: { kind: "forget" },
  change: { kind: "change" },
  unknown: { kind: "unknown" }
} as const

const largest = BigInt(Number.MAX_SAFE_INTEGER)

/** Undefined for what no file reaches. */
const position = (view: DataView, offset: number): number | undefined => {
  const value = view.getBigUint64(offset, true)
  return value > largest ? undefined : Number(value)
}

/** The name that goes from `start` to the end, which is its NUL. */
const nameFrom = ({ bytes }: RequestBuffer, start: number, end: number): Uint8Array | undefined => {
  if (end - start < 2 || bytes[end - 1] !== 0) return undefined
  const name = bytes.slice(start, end - 1)
  return name.includes(0) ? undefined : name
}

const lookup = (buffer: RequestBuffer, end: number): Body => {
  const name = nameFrom(buffer, headerBytes, end)
  return name === undefined ? malformed : { kind: "lookup", name }
}

const read = ({ view }: RequestBuffer): Body => {
  const offset = position(view, headerBytes + 8)
  return offset === undefined
    ? malformed
    : { kind: "read", offset, sizeBytes: view.getUint32(headerBytes + 16, true) }
}

const list = ({ view }: RequestBuffer, withAttributes: boolean): Body => {
  const handle = position(view, headerBytes)
  const cookie = position(view, headerBytes + 8)
  return handle === undefined || cookie === undefined
    ? malformed
    : { kind: "list", handle, cookie, sizeBytes: view.getUint32(headerBytes + 16, true), withAttributes }
}

const releaseDirectory = ({ view }: RequestBuffer): Body => {
  const handle = position(view, headerBytes)
  return handle === undefined ? malformed : { kind: "releaseDirectory", handle }
}

const xattr = (buffer: RequestBuffer, end: number): Body => {
  const name = nameFrom(buffer, headerBytes + 8, end)
  return name === undefined
    ? malformed
    : { kind: "xattr", name, sizeBytes: buffer.view.getUint32(headerBytes, true) }
}

const seek = ({ view }: RequestBuffer): Body => {
  const offset = position(view, headerBytes + 8)
  return offset === undefined
    ? malformed
    : { kind: "seek", offset, whence: view.getUint32(headerBytes + 16, true) }
}

const init = ({ view }: RequestBuffer): Body => ({
  kind: "init",
  major: view.getUint32(headerBytes, true),
  minor: view.getUint32(headerBytes + 4, true),
  readAheadMaxBytes: view.getUint32(headerBytes + 8, true),
  flags: view.getUint32(headerBytes + 12, true)
})

const open = ({ view }: RequestBuffer, kind: "open" | "openDirectory"): Body => ({
  kind,
  flags: view.getUint32(headerBytes, true)
})

/** How long what follows the header is at least. */
const bodyMinBytes: Readonly<Record<number, number>> = {
  [Opcode.lookup]: 2,
  [Opcode.open]: 8,
  [Opcode.openDirectory]: 8,
  [Opcode.read]: 40,
  [Opcode.readDirectory]: 40,
  [Opcode.readDirectoryPlus]: 40,
  [Opcode.releaseDirectory]: 24,
  [Opcode.xattr]: 10,
  [Opcode.xattrNames]: 8,
  [Opcode.seek]: 24,
  [Opcode.init]: 16,
  [Opcode.interrupt]: 8
}

const decodeBody = (buffer: RequestBuffer, opcode: number, end: number): Body => {
  if (end - headerBytes < (bodyMinBytes[opcode] ?? 0)) return malformed
  switch (opcode) {
    case Opcode.lookup:
      return lookup(buffer, end)
    case Opcode.attributes:
      return bare.attributes
    case Opcode.readDirectoryPlus:
      return list(buffer, true)
    case Opcode.readDirectory:
      return list(buffer, false)
    case Opcode.read:
      return read(buffer)
    case Opcode.xattr:
      return xattr(buffer, end)
    case Opcode.xattrNames:
      return { kind: "xattrNames", sizeBytes: buffer.view.getUint32(headerBytes, true) }
    case Opcode.readLink:
      return bare.readLink
    case Opcode.open:
      return open(buffer, "open")
    case Opcode.openDirectory:
      return open(buffer, "openDirectory")
    case Opcode.releaseDirectory:
      return releaseDirectory(buffer)
    case Opcode.seek:
      return seek(buffer)
    case Opcode.interrupt:
      return { kind: "interrupt", target: buffer.view.getBigUint64(headerBytes, true) }
    case Opcode.init:
      return init(buffer)
    case Opcode.forget:
    case Opcode.batchForget:
      return bare.forget
    case Opcode.statistics:
      return bare.statistics
    case Opcode.release:
      return bare.release
    case Opcode.destroy:
      return bare.destroy
    default:
      return changing.has(opcode) ? bare.change : bare.unknown
  }
}

/**
 * Decodes the first `lengthBytes` bytes; undefined when not even the header is there, so that nothing can be answered.
 */
export const decode = (buffer: RequestBuffer, lengthBytes: number): Request | undefined => {
  if (lengthBytes < headerBytes || lengthBytes > buffer.bytes.length) return undefined
  const { view } = buffer
  const opcode = view.getUint32(4, true)
  const head: Head = {
    opcode,
    unique: view.getBigUint64(8, true),
    inode: view.getBigUint64(16, true),
    threadId: view.getUint32(32, true)
  }
  const isWhole = view.getUint32(0, true) === lengthBytes
  return { ...(isWhole ? decodeBody(buffer, opcode, lengthBytes) : malformed), head }
}
