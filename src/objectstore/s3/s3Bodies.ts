/**
 * s3Bodies: the bytes of answers. A body is taken as a whole or not at all, and no more memory than the caller allows
 * is ever asked for, whatever the server says.
 *
 * A body comes in pieces, each in memory of its own. That is given back piece by piece: left to the garbage collector
 * it would make that go through all of the heap every few bodies, which costs more than receiving them.
 */
import { Readable } from "node:stream"
import { finished } from "node:stream/promises"
import { releaseOwnMemory } from "../../format/releaseMemory.ts"
import { ObjectStoreError } from "../ObjectStoreError.ts"
import { type Subject } from "./s3Errors.ts"

const cut = (subject: Subject, detail: string): ObjectStoreError =>
  new ObjectStoreError({ ...subject, reason: "Truncated", detail })

const tooLarge = (subject: Subject, sizeText: string, maxSizeBytes: number): ObjectStoreError =>
  new ObjectStoreError({
    ...subject,
    reason: "TooLarge",
    detail: `${sizeText} bytes, at most ${maxSizeBytes} are wanted`
  })

/** As soon as whoever handed it over is through with it. What shares its memory with others stays. */
const letGo = (piece: Uint8Array): void => {
  if (piece.length === piece.buffer.byteLength) queueMicrotask(() => releaseOwnMemory(piece))
}

/** Takes the pieces as they come: a stream that is iterated over gathers and copies them first. */
const takePieces = (body: Readable, take: (piece: Uint8Array) => void): Promise<void> => {
  body.on("data", (piece: Uint8Array) => {
    try {
      take(piece)
    } catch (error) {
      body.destroy(error as Error)
    }
  })
  return finished(body, { writable: false })
}

const readKnown = async (subject: Subject, body: Readable, sizeBytes: number): Promise<Uint8Array> => {
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(sizeBytes).buffer)
  let count = 0
  await takePieces(body, (piece) => {
    if (count + piece.length > sizeBytes) throw cut(subject, `more than the ${sizeBytes} bytes announced`)
    bytes.set(piece, count)
    count += piece.length
    letGo(piece)
  })
  if (count < sizeBytes) throw cut(subject, `${count} of ${sizeBytes} bytes`)
  return bytes
}

/** A proxy left out the length. */
const readUnknown = async (subject: Subject, body: Readable, maxSizeBytes: number): Promise<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  let count = 0
  await takePieces(body, (piece) => {
    count += piece.length
    if (count > maxSizeBytes) throw tooLarge(subject, `more than ${maxSizeBytes}`, maxSizeBytes)
    pieces.push(piece)
  })
  const bytes = new Uint8Array(Buffer.concat(pieces, count))
  pieces.forEach(letGo)
  return bytes
}

/** Without a length only the framing of the answer says where it ends. */
export const readBody = async (
  subject: Subject,
  body: unknown,
  announcedBytes: number | undefined,
  maxSizeBytes: number
): Promise<Uint8Array> => {
  if (!(body instanceof Readable)) return new Uint8Array(0)
  try {
    if (announcedBytes === undefined) return await readUnknown(subject, body, maxSizeBytes)
    if (announcedBytes > maxSizeBytes) throw tooLarge(subject, String(announcedBytes), maxSizeBytes)
    return await readKnown(subject, body, announcedBytes)
  } finally {
    // What nobody reads any more ends the connection instead of filling it.
    if (!body.readableEnded) body.destroy()
  }
}

/** Reads nothing of it. */
export const discardBody = (body: unknown): void => {
  if (body instanceof Readable) body.on("error", () => undefined).destroy()
}

export interface ContentRange {
  readonly offset: number
  readonly lengthBytes: number
  readonly totalBytes: number
}

/** `bytes 2-4/10`; undefined for anything else. */
export const contentRange = (text: string | undefined): ContentRange | undefined => {
  const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(text ?? "") ?? []
  if (first === undefined) return undefined
  const offset = Number(first)
  return { offset, lengthBytes: Number(last) - offset + 1, totalBytes: Number(total) }
}
