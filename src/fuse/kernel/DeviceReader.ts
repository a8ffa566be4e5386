/**
 * DeviceReader: reads requests from the kernel's descriptor, one at a time each, and hands them on at once.
 *
 * Node has no way of its own to wait for a character device without a thread. A pipe's handle has: it waits for any
 * descriptor by epoll, and an idle or stuck mount costs nothing. Where that is refused, threads of the pool wait in
 * read.
 *
 * Invariant: what is handed on is valid until the call returns. The end comes once: the descriptor is closed after it.
 */
import * as fs from "node:fs"
import * as net from "node:net"
import { makeBuffer, type RequestBuffer } from "../protocol/Request.ts"

export type ReaderKind = "epoll" | "pool"

export interface Listener {
  readonly onRequest: (buffer: RequestBuffer, lengthBytes: number) => void
  /** The mount has gone, or reading has failed: then with the error. */
  readonly onEnd: (error: unknown) => void
}

export interface DeviceReader {
  readonly kind: ReaderKind
  /** Ends reading. Threads that wait in a read leave it when the mount has gone. */
  readonly close: () => void
}

interface PipeHandle {
  readonly open: (fd: number) => number
  readonly close: () => void
}

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error)

/** The mount has gone, or was aborted. */
const isEnd = (error: unknown): boolean => ["ENODEV", "ECONNABORTED", "ENOTCONN"].includes(codeOf(error))

/** A pipe's handle, taken from a socket that has one; the socket itself connects to nothing. */
const makeHandle = (): PipeHandle | undefined => {
  const socket = net.connect({ path: "\0granary/no such socket" })
  socket.on("error", () => undefined)
  const handle: unknown = Reflect.get(socket, "_handle")
  const make: unknown = typeof handle === "object" && handle !== null ? handle.constructor : undefined
  socket.destroy()
  if (typeof make !== "function") return undefined
  const made: unknown = Reflect.construct(make, [0])
  return typeof made === "object" && made !== null && "open" in made ? (made as PipeHandle) : undefined
}

const openHandle = (fd: number): PipeHandle | undefined => {
  try {
    const handle = makeHandle()
    if (handle === undefined) return undefined
    if (handle.open(fd) === 0) return handle
    handle.close()
    return undefined
  } catch {
    return undefined
  }
}

const byEpoll = (fd: number, { onEnd, onRequest }: Listener): DeviceReader | undefined => {
  const handle = openHandle(fd)
  if (handle === undefined) return undefined
  const buffer = makeBuffer()
  let isOver = false
  const end = (error: unknown): void => {
    if (isOver) return
    isOver = true
    onEnd(error)
  }
  const options = {
    handle,
    readable: true,
    writable: false,
    onread: {
      buffer: buffer.bytes,
      callback: (lengthBytes: number): boolean => {
        onRequest(buffer, lengthBytes)
        return true
      }
    }
  }
  const socket: net.Socket = Reflect.construct(net.Socket, [options])
  socket.on("error", (error) => end(isEnd(error) ? undefined : error))
  socket.on("end", () => end(undefined))
  socket.on("close", () => end(undefined))
  socket.read(0)
  return { kind: "epoll", close: () => void socket.destroy() }
}

/** How many threads of the pool wait. Two: one reads while what the other one read is worked on. */
const poolReaders = 2

const isPassing = (error: unknown): boolean => ["EINTR", "EAGAIN", "ENOENT"].includes(codeOf(error))

const byPool = (fd: number, { onEnd, onRequest }: Listener): DeviceReader => {
  const state = { reading: poolReaders, failure: undefined as unknown, isClosed: false }
  const leave = (error: unknown): void => {
    state.failure ??= isEnd(error) ? undefined : error
    if (--state.reading > 0) return
    fs.closeSync(fd)
    onEnd(state.failure)
  }
  const read = (buffer: RequestBuffer): void => {
    if (state.isClosed) return leave(undefined)
    fs.read(fd, buffer.bytes, 0, buffer.bytes.length, null, (error, lengthBytes) => {
      if (error !== null && !isPassing(error)) return leave(error)
      if (error === null) onRequest(buffer, lengthBytes)
      read(buffer)
    })
  }
  for (let reader = 0; reader < poolReaders; reader++) read(makeBuffer())
  return {
    kind: "pool",
    close: () => {
      state.isClosed = true
    }
  }
}

/** Reads from now on; the descriptor is the reader's. */
export const start = (fd: number, listener: Listener, kind: ReaderKind = "epoll"): DeviceReader =>
  (kind === "epoll" ? byEpoll(fd, listener) : undefined) ?? byPool(fd, listener)
