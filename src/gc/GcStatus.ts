/**
 * GcStatus: the file `.gc-status`, where a store keeps what its last garbage collection found, as Proxmox Backup Server
 * writes and shows it. A reader that cannot make sense of it takes it for absent.
 */
import * as Effect from "effect/Effect"
import { Files, type FilesError } from "../platform/Files.ts"
import type { StoreLayout } from "../store/StoreLayout.ts"

export interface GcStatus {
  /** The task that wrote it. */
  readonly upid: string | undefined
  readonly indexFileCount: number
  /** Sizes of all archives together: what the store would hold without deduplication. */
  readonly indexDataBytes: number
  /** Chunks in use. */
  readonly diskBytes: number
  readonly diskChunks: number
  readonly removedBytes: number
  readonly removedChunks: number
  /** Not in use, but too young to be removed. */
  readonly pendingBytes: number
  readonly pendingChunks: number
  readonly removedBad: number
  readonly stillBad: number
  readonly cacheStats: { readonly hits: number; readonly misses: number } | undefined
}

export const empty: GcStatus = {
  upid: undefined,
  indexFileCount: 0,
  indexDataBytes: 0,
  diskBytes: 0,
  diskChunks: 0,
  removedBytes: 0,
  removedChunks: 0,
  pendingBytes: 0,
  pendingChunks: 0,
  removedBad: 0,
  stillBad: 0,
  cacheStats: undefined
}

/** How many times as much the archives hold as the chunks take. */
export const deduplicationFactor = ({ diskBytes, indexDataBytes }: GcStatus): number =>
  diskBytes === 0 ? 1 : indexDataBytes / diskBytes

/** With the names and in the order of Proxmox Backup Server. */
export const toJson = (status: GcStatus) => ({
  upid: status.upid ?? null,
  "index-file-count": status.indexFileCount,
  "index-data-bytes": status.indexDataBytes,
  "disk-bytes": status.diskBytes,
  "disk-chunks": status.diskChunks,
  "removed-bytes": status.removedBytes,
  "removed-chunks": status.removedChunks,
  "pending-bytes": status.pendingBytes,
  "pending-chunks": status.pendingChunks,
  "removed-bad": status.removedBad,
  "still-bad": status.stillBad,
  ...(status.cacheStats === undefined ? {} : { "cache-stats": status.cacheStats })
})

type Fields = Readonly<Record<string, unknown>>

/** Undefined for anything that is not a status. */
export const decode = (text: string): GcStatus | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? fromObject(value as Fields)
      : undefined
  } catch {
    return undefined
  }
}

const isCount = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value >= 0

const fromObject = (value: Fields): GcStatus | undefined => {
  let isSound = true
  const counter = (name: string): number => {
    const found = value[name]
    if (isCount(found)) return found
    // Versions that do not know a counter leave it out.
    if (found !== undefined) isSound = false
    return 0
  }
  const upid = value["upid"]
  const cache = value["cache-stats"]
  const status: GcStatus = {
    upid: typeof upid === "string" ? upid : undefined,
    indexFileCount: counter("index-file-count"),
    indexDataBytes: counter("index-data-bytes"),
    diskBytes: counter("disk-bytes"),
    diskChunks: counter("disk-chunks"),
    removedBytes: counter("removed-bytes"),
    removedChunks: counter("removed-chunks"),
    pendingBytes: counter("pending-bytes"),
    pendingChunks: counter("pending-chunks"),
    removedBad: counter("removed-bad"),
    stillBad: counter("still-bad"),
    cacheStats: cacheOf(cache)
  }
  return isSound ? status : undefined
}

const cacheOf = (value: unknown): GcStatus["cacheStats"] => {
  if (typeof value !== "object" || value === null) return undefined
  const { hits, misses } = value as Fields
  return isCount(hits) && isCount(misses) ? { hits, misses } : undefined
}

const statusMaxBytes = 64 * 1024

/** What the last collection left; `empty` when there was none, or nobody can read it. */
export const read = (layout: StoreLayout): Effect.Effect<GcStatus, never, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    return yield* files.readFile(layout.gcStatus, statusMaxBytes).pipe(
      Effect.map((bytes) => decode(Buffer.from(bytes).toString()) ?? empty),
      Effect.catch(() => Effect.succeed(empty))
    )
  })

export const write = (layout: StoreLayout, status: GcStatus): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    yield* files.replaceFile(layout.gcStatus, [Buffer.from(JSON.stringify(toJson(status)))])
  })
