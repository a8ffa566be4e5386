/**
 * Answer: what a call comes to, apart from how it is sent: a JSON value in Proxmox Backup Server's envelope, or bytes.
 */
import type * as Stream from "effect/Stream"
import type { ApiError } from "./ApiError.ts"

export type Answer =
  | { readonly kind: "data"; readonly data: unknown; readonly beside?: Readonly<Record<string, unknown>> }
  | {
      readonly kind: "bytes"
      readonly bytes: Uint8Array
      /** Run when all was sent and nobody reads from the memory any more; not when the connection broke before. */
      readonly giveBack?: () => void
    }
  /** Pieces of memory that nobody changes; a failure cuts the answer off, so that nobody takes it for whole. */
  | { readonly kind: "stream"; readonly pieces: Stream.Stream<Uint8Array, ApiError> }

export const data = (value: unknown): Answer => ({ kind: "data", data: value })

export const nothing: Answer = data(null)

export const bytes = (content: Uint8Array): Answer => ({ kind: "bytes", bytes: content })

/** Bytes in memory that is used again. */
export const lentBytes = (content: Uint8Array, giveBack: () => void): Answer => ({
  kind: "bytes",
  bytes: content,
  giveBack
})

export const jsonType = "application/json;charset=UTF-8"

export const bytesType = "application/octet-stream"

export const envelope = (value: unknown, beside: Readonly<Record<string, unknown>> = {}): string =>
  JSON.stringify({ data: value ?? null, ...beside })
