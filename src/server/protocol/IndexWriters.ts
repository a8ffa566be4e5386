/**
 * IndexWriters: the indexes that a session is writing, each under its number (`wid`). They grow in memory and are
 * finished when the client closes them with the right count, size and checksum; what does not fit is told in Proxmox
 * Backup Server's words.
 *
 * Invariants: an archive has one writer in a session; a writer that was closed, well or not, takes nothing more; memory
 * grows by what was appended, and all writers of a session together stay below a bound.
 */
import type * as Digest from "../../model/Digest.ts"
import type { ArchiveName } from "../../model/ArchiveName.ts"
import type { EncodedIndex, IndexIdentity } from "../../format/ChunkIndex.ts"
import { DynamicIndexBuilder } from "../../format/DynamicIndex.ts"
import * as FixedIndex from "../../format/FixedIndex.ts"
import { FormatError } from "../../format/FormatError.ts"
import { type ApiError, badRequest } from "../ApiError.ts"
import { DigestPages } from "./DigestPages.ts"

/** A `wid` is one byte and one more. */
const writersMax = 256

/** Of all writers of a session: indexes of some 60 TiB of image, or as much in files. */
const memoryMaxBytes = 512 * 1024 * 1024

const entryMemoryBytes = 40

export const chunkSizeBytes = FixedIndex.defaultChunkSizeBytes

export interface Closing {
  readonly chunkCount: number
  readonly sizeBytes: number
  readonly csum: Digest.Digest
}

/** One chunk at its place. */
export interface Appended {
  readonly offset: number
  readonly sizeBytes: number
  readonly digestBytes: Uint8Array
}

export interface IndexWriter {
  readonly kind: "dynamic" | "fixed"
  readonly archive: ArchiveName
  readonly memoryBytes: number
  isClosed: boolean
  /** Answers what is wrong, or undefined. */
  readonly append: (chunk: Appended) => string | undefined
  /** Answers what is wrong, or the index. */
  readonly finish: (closing: Closing, identity: IndexIdentity) => EncodedIndex | string
  /** Called for each upload that names this writer; answers what is wrong. */
  readonly noteUpload: (sizeBytes: number) => string | undefined
}

const encodedOr = (encode: () => EncodedIndex): EncodedIndex | string => {
  try {
    return encode()
  } catch (error) {
    if (error instanceof FormatError) return error.message
    throw error
  }
}

/** The checksum is the last proof that both sides mean the same. */
const checked = (encoded: EncodedIndex | string, csum: Digest.Digest): EncodedIndex | string =>
  typeof encoded === "string" || encoded.checksum === csum ? encoded : "got unexpected checksum"

const dynamicWriter = (archive: ArchiveName): IndexWriter => {
  const builder = new DynamicIndexBuilder()
  return {
    kind: "dynamic",
    archive,
    isClosed: false,
    get memoryBytes() {
      return builder.count * entryMemoryBytes
    },
    append: ({ digestBytes, offset, sizeBytes }) => {
      if (offset !== builder.sizeBytes) return `got strange chunk offset (${builder.sizeBytes} != ${offset})`
      if (!Number.isSafeInteger(offset + sizeBytes)) return "the archive is too large"
      builder.add(offset + sizeBytes, digestBytes)
      return undefined
    },
    finish: ({ chunkCount, csum, sizeBytes }, identity) => {
      if (builder.count !== chunkCount) return `unexpected chunk count (${builder.count} != ${chunkCount})`
      if (builder.sizeBytes !== sizeBytes)
        return `unexpected file size (${builder.sizeBytes} != ${sizeBytes})`
      return checked(
        encodedOr(() => builder.finish(identity)),
        csum
      )
    },
    noteUpload: () => undefined
  }
}

/** The index that a fixed one begins as: only what has changed since is appended. */
export interface Reused {
  readonly index: FixedIndex.FixedIndex
}

const fixedWriter = (
  archive: ArchiveName,
  declaredBytes: number | undefined,
  reused: Reused | undefined
): IndexWriter => {
  const pages = new DigestPages()
  let appended = 0
  let smallChunks = 0
  let grownBytes = 0
  let finalBytes = declaredBytes
  for (let chunk = 0; chunk < (reused?.index.count ?? 0); chunk++) {
    const bytes = reused?.index.digestBytes(chunk)
    if (bytes !== undefined) pages.set(chunk, bytes)
  }

  const append = ({ digestBytes, offset, sizeBytes }: Appended): string | undefined => {
    const end = offset + sizeBytes
    if (!Number.isSafeInteger(end)) return "the archive is too large"
    if (finalBytes !== undefined && end > finalBytes)
      return `chunk data exceeds size (${end} >= ${finalBytes})`
    const isLast = finalBytes === undefined ? end > grownBytes : end === finalBytes
    if (sizeBytes > chunkSizeBytes || (sizeBytes !== chunkSizeBytes && !isLast)) {
      return `chunk with unexpected length (${sizeBytes} != ${chunkSizeBytes}`
    }
    if (offset % chunkSizeBytes !== 0) return `got unaligned chunk (pos = ${offset})`
    if (finalBytes === undefined && sizeBytes !== chunkSizeBytes) finalBytes = end
    pages.set(offset / chunkSizeBytes, digestBytes)
    grownBytes = Math.max(grownBytes, end)
    appended += 1
    return undefined
  }

  const encode = (identity: IndexIdentity): EncodedIndex | string => {
    const sizeBytes = finalBytes ?? grownBytes
    const count = Math.ceil(sizeBytes / chunkSizeBytes)
    // Before anything is allocated: what was appended bounds the index, not what was announced.
    if (reused === undefined && count !== appended) return `unexpected chunk count (${appended} != ${count})`
    return encodedOr(() => {
      const builder = new FixedIndex.FixedIndexBuilder({ sizeBytes })
      for (let chunk = 0; chunk < count; chunk++) {
        const digest = pages.get(chunk)
        if (digest !== undefined) builder.set(chunk, digest)
      }
      return builder.finish(identity)
    })
  }

  return {
    kind: "fixed",
    archive,
    isClosed: false,
    get memoryBytes() {
      return pages.memoryBytes
    },
    append,
    finish: ({ chunkCount, csum, sizeBytes }, identity) => {
      if (appended !== chunkCount) return `received wrong number of chunk (${appended} != ${chunkCount})`
      const actualBytes = finalBytes ?? grownBytes
      if (reused === undefined && sizeBytes !== actualBytes) {
        return `unexpected file size (${actualBytes} != ${sizeBytes})`
      }
      return checked(encode(identity), csum)
    },
    noteUpload: (sizeBytes) => {
      if (sizeBytes > chunkSizeBytes) return `got large chunk (${sizeBytes} > ${chunkSizeBytes})`
      if (sizeBytes < chunkSizeBytes) smallChunks += 1
      return smallChunks > 1 ? "detected multiple end chunks (chunk size too small)" : undefined
    }
  }
}

export class IndexWriters {
  readonly #writers = new Map<number, IndexWriter>()

  /** Whether one of them is still open. */
  get hasOpen(): boolean {
    return [...this.#writers.values()].some(({ isClosed }) => !isClosed)
  }

  /** The new writer's number; throws for what is not possible. */
  create(archive: ArchiveName, sizeBytes?: number, reused?: Reused): number {
    const isTaken = [...this.#writers.values()].some((writer) => writer.archive.file === archive.file)
    if (isTaken) throw badRequest(`archive '${archive.file}' is already written in this backup`)
    if (this.#writers.size >= writersMax) throw badRequest("too many open archives in one backup")
    const wid = this.#writers.size + 1
    const writer =
      archive.kind === "dynamic" ? dynamicWriter(archive) : fixedWriter(archive, sizeBytes, reused)
    this.#writers.set(wid, writer)
    return wid
  }

  /** The open or closed writer of that kind. */
  get(kind: IndexWriter["kind"], wid: number): IndexWriter | ApiError {
    const writer = this.#writers.get(wid)
    return writer?.kind === kind ? writer : badRequest(`${kind} writer '${wid}' not registered`)
  }

  get isFull(): boolean {
    let bytes = 0
    for (const writer of this.#writers.values()) if (!writer.isClosed) bytes += writer.memoryBytes
    return bytes > memoryMaxBytes
  }
}
