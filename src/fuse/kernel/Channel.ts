/**
 * Channel: sends replies to the kernel, each in one write, which is how the kernel wants them.
 *
 * Invariant: whatever goes wrong with a reply, somebody who waits for it is answered, if only with EIO; and nothing is
 * thrown. A reply that nobody waits for any more is dropped.
 */
import * as fs from "node:fs"
import { Errno } from "../protocol/Errno.ts"
import * as Reply from "../protocol/Reply.ts"

/** A directory's entries for one call of the kernel, which asks for up to 128 KiB as a rule. */
const bufferBytes = Reply.headerBytes + 128 * 1024

/** Up to this length a copy costs less than a write of two pieces. */
const copiedMaxBytes = 32 * 1024

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error)

/** The request was taken back meanwhile, or the mount has gone. */
const isPassing = (error: unknown): boolean =>
  ["ENOENT", "ENODEV", "ECONNABORTED", "EPERM"].includes(codeOf(error))

export interface Channel {
  /** Where replies are encoded; `send` it before anything else is encoded. */
  readonly reply: Reply.ReplyBuffer
  readonly send: (unique: bigint, lengthBytes: number) => void
  readonly sendError: (unique: bigint, errno: number) => void
  /** Sends bytes as they lie there. */
  readonly sendBytes: (unique: bigint, bytes: Uint8Array) => void
  /** Nothing is sent from now on: the descriptor's number may soon be another file's. */
  readonly close: () => void
}

/** `onRefused` hears of replies that the kernel has not taken. */
export const make = (fd: number, onRefused: (unique: bigint, code: string) => void): Channel => {
  const reply = Reply.makeBuffer(bufferBytes)
  const state = { isOpen: true }
  const attempt = (unique: bigint, write: () => void): boolean => {
    if (!state.isOpen) return true
    try {
      write()
      return true
    } catch (error) {
      if (isPassing(error)) return true
      onRefused(unique, codeOf(error))
      return false
    }
  }
  const sendError = (unique: bigint, errno: number): void => {
    const lengthBytes = Reply.error(reply, unique, errno)
    attempt(unique, () => fs.writeSync(fd, reply.bytes, 0, lengthBytes))
  }
  const send = (unique: bigint, lengthBytes: number): void => {
    if (attempt(unique, () => fs.writeSync(fd, reply.bytes, 0, lengthBytes))) return
    sendError(unique, Errno.EIO)
  }
  const sendBytes = (unique: bigint, bytes: Uint8Array): void => {
    const lengthBytes = Reply.finish(reply, unique, Reply.headerBytes + bytes.length)
    if (bytes.length <= copiedMaxBytes) {
      reply.bytes.set(bytes, Reply.headerBytes)
      return send(unique, lengthBytes)
    }
    const pieces = [reply.bytes.subarray(0, Reply.headerBytes), bytes]
    if (attempt(unique, () => fs.writevSync(fd, pieces))) return
    sendError(unique, Errno.EIO)
  }
  const close = (): void => {
    state.isOpen = false
  }
  return { reply, send, sendError, sendBytes, close }
}
