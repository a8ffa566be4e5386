/**
 * What a manifest says in its unprotected part: notes, the state of the last verification, the statistics of
 * the upload. (The fingerprint of the key is there as well; it belongs to the signature, see `Manifest`.)
 *
 * Nothing here is signed, and other programs write it too. So a reader here answers undefined for what it
 * does not understand instead of failing: a snapshot stays readable whatever somebody noted on it.
 */
import { isObject, type JsonObject } from "./CanonicalJson.ts"
import { type Manifest, withUnprotected } from "./Manifest.ts"

export interface VerifyState {
  readonly state: "ok" | "failed"
  /** The task that verified; its start time is the time of the verification. */
  readonly upid: string
}

export interface ChunkUploadStats {
  readonly count: number
  readonly sizeBytes: number
  readonly compressedSizeBytes: number
  readonly duplicates: number
}

/** Free text of the user; the first line serves as comment in listings. */
export const notes = (manifest: Manifest): string | undefined => {
  const value = manifest.unprotected["notes"]
  return typeof value === "string" ? value : undefined
}

/** Undefined removes the notes. */
export const withNotes = (manifest: Manifest, value: string | undefined): Manifest =>
  withUnprotected(manifest, "notes", value)

export const verifyState = (manifest: Manifest): VerifyState | undefined => {
  const value = manifest.unprotected["verify_state"]
  if (!isObject(value)) return undefined
  const { state, upid } = value
  if ((state !== "ok" && state !== "failed") || typeof upid !== "string") return undefined
  return { state, upid }
}

export const withVerifyState = (manifest: Manifest, value: VerifyState): Manifest =>
  withUnprotected(manifest, "verify_state", { state: value.state, upid: value.upid })

const counter = (object: JsonObject, key: string): number | undefined => {
  const value = object[key]
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

export const chunkUploadStats = (manifest: Manifest): ChunkUploadStats | undefined => {
  const value = manifest.unprotected["chunk_upload_stats"]
  if (!isObject(value)) return undefined
  const count = counter(value, "count")
  const sizeBytes = counter(value, "size")
  const compressedSizeBytes = counter(value, "compressed_size")
  const duplicates = counter(value, "duplicates")
  const isComplete =
    count !== undefined &&
    sizeBytes !== undefined &&
    compressedSizeBytes !== undefined &&
    duplicates !== undefined
  return isComplete ? { count, sizeBytes, compressedSizeBytes, duplicates } : undefined
}

export const withChunkUploadStats = (manifest: Manifest, stats: ChunkUploadStats): Manifest =>
  withUnprotected(manifest, "chunk_upload_stats", {
    compressed_size: stats.compressedSizeBytes,
    count: stats.count,
    duplicates: stats.duplicates,
    size: stats.sizeBytes
  })
