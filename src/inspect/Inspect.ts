/**
 * Inspect: takes a single file of a datastore or backup apart, whatever it is: data blob (chunks and manifests are
 * such), index, catalog, pxar archive, key file. No datastore is needed, and the kind is found by content.
 *
 * A damaged file is described as far as that goes; `problem` says what is wrong. Only a file of no known kind fails.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import * as Catalog from "../format/Catalog.ts"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import * as DynamicIndex from "../format/DynamicIndex.ts"
import * as FixedIndex from "../format/FixedIndex.ts"
import { FormatError } from "../format/FormatError.ts"
import * as KeyFile from "../format/KeyFile.ts"
import * as Manifest from "../format/Manifest.ts"
import { Files, type FilesError, type ReadHandle } from "../platform/Files.ts"
import * as FileKind from "./FileKind.ts"
import { type ArchiveContent, readArchive } from "./readArchive.ts"

export interface BlobInspection {
  readonly kind: "blob"
  readonly fileSizeBytes: number
  readonly encoding: DataBlob.BlobKind
  readonly isCrcGood: boolean
  /** Undefined when the data could not be had: encrypted and no key, or damaged. */
  readonly dataSizeBytes: number | undefined
  /** Under which a chunk of this data is stored. */
  readonly digest: string | undefined
  /** When the data is one. */
  readonly manifest: Manifest.Manifest | undefined
  readonly problem: string | undefined
}

export interface IndexInspection {
  readonly kind: "fixed-index" | "dynamic-index"
  readonly fileSizeBytes: number
  readonly index: ChunkIndex
  /** Of a fixed index. */
  readonly chunkSizeBytes: number | undefined
  readonly isChecksumGood: boolean
}

export interface CatalogInspection {
  readonly kind: "catalog"
  readonly fileSizeBytes: number
  readonly archives: ReadonlyArray<{ readonly name: Uint8Array; readonly entryCount: number }>
  readonly problem: string | undefined
}

export interface ArchiveInspection extends ArchiveContent {
  readonly kind: "pxar"
  readonly fileSizeBytes: number
}

export interface PayloadInspection {
  readonly kind: "pxar-payload"
  readonly fileSizeBytes: number
}

export interface KeyInspection {
  readonly kind: "key-file"
  readonly fileSizeBytes: number
  readonly keyFile: KeyFile.KeyFile
}

export type Inspection =
  | BlobInspection
  | IndexInspection
  | CatalogInspection
  | ArchiveInspection
  | PayloadInspection
  | KeyInspection

export class InspectError extends Data.TaggedError("InspectError")<{
  readonly path: string
  readonly detail: string
}> {
  override get message(): string {
    return `${this.path}: ${this.detail}`
  }

  get hint(): string {
    return "files that can be inspected: chunks, blobs, indexes, catalogs, pxar archives, key files"
  }
}

export interface InspectOptions {
  /** Opens encrypted blobs. */
  readonly crypt?: CryptConfig
}

/** The result of a decoder, or what it disliked. */
const attempted = <A>(decode: () => A): { readonly value: A } | { readonly problem: string } => {
  try {
    return { value: decode() }
  } catch (error) {
    if (error instanceof FormatError) return { problem: error.message }
    throw error
  }
}

const valueOf = <A>(decode: () => A): A | undefined => {
  const result = attempted(decode)
  return "value" in result ? result.value : undefined
}

const digestOf = (data: Uint8Array, isEncrypted: boolean, crypt: CryptConfig | undefined): string =>
  isEncrypted && crypt !== undefined ? crypt.chunkDigest(data) : hash("sha256", data, "hex")

export const inspectBlob = (bytes: Uint8Array, crypt: CryptConfig | undefined): BlobInspection => {
  const encoding = DataBlob.peekKind(bytes)
  const isEncrypted = DataBlob.isEncrypted(encoding)
  const crc = attempted(() => DataBlob.verifyCrc(bytes))
  const described = {
    kind: "blob",
    fileSizeBytes: bytes.length,
    encoding,
    isCrcGood: "value" in crc
  } as const
  const unknown = { dataSizeBytes: undefined, digest: undefined, manifest: undefined }
  if (isEncrypted && crypt === undefined) {
    return { ...described, ...unknown, problem: "problem" in crc ? crc.problem : undefined }
  }
  const decoded = attempted(() => DataBlob.decode(bytes, crypt === undefined ? {} : { crypt }))
  if ("problem" in decoded) return { ...described, ...unknown, problem: decoded.problem }
  return {
    ...described,
    dataSizeBytes: decoded.value.length,
    digest: digestOf(decoded.value, isEncrypted, crypt),
    manifest: isEncrypted ? undefined : valueOf(() => Manifest.decode(bytes)),
    problem: undefined
  }
}

const describeIndex = (
  index: ChunkIndex,
  fileSizeBytes: number,
  chunkSizeBytes?: number
): IndexInspection => ({
  kind: index.kind === "fixed" ? "fixed-index" : "dynamic-index",
  fileSizeBytes,
  index,
  chunkSizeBytes,
  isChecksumGood: index.computeChecksum() === index.checksum
})

/** Entries below a directory of the catalog, itself not counted. */
const countEntries = (catalog: Uint8Array, top: Catalog.CatalogDirectory): number => {
  const pending = [top]
  let count = 0
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    for (const entry of Catalog.readDirectory(catalog, next)) {
      count++
      if (entry.kind === "directory") pending.push(entry.directory)
    }
  }
  return count
}

export const inspectCatalog = (bytes: Uint8Array): CatalogInspection => {
  const archives: Array<CatalogInspection["archives"][number]> = []
  const walked = attempted(() => {
    for (const entry of Catalog.readDirectory(bytes, Catalog.readRoot(bytes))) {
      const entryCount = entry.kind === "directory" ? countEntries(bytes, entry.directory) : 0
      archives.push({ name: entry.name, entryCount })
    }
  })
  const problem = "problem" in walked ? walked.problem : undefined
  return { kind: "catalog", fileSizeBytes: bytes.length, archives, problem }
}

/** More than the largest index of a datastore; catalogs are smaller. */
const wholeFileMaxBytes = 2 ** 31 - 1

/** Those that are decoded from their bytes as a whole. */
const decodeWhole = (
  kind: Exclude<FileKind.FileKind, "pxar" | "pxar-payload">,
  bytes: Uint8Array,
  crypt: CryptConfig | undefined
): Inspection => {
  switch (kind) {
    case "blob":
      return inspectBlob(bytes, crypt)
    case "fixed-index": {
      const index = FixedIndex.decode(bytes)
      return describeIndex(index, bytes.length, index.chunkSizeBytes)
    }
    case "dynamic-index":
      return describeIndex(DynamicIndex.decode(bytes), bytes.length)
    case "catalog":
      return inspectCatalog(bytes)
    case "key-file":
      return { kind, fileSizeBytes: bytes.length, keyFile: KeyFile.decode(bytes) }
  }
}

const readHead = (handle: ReadHandle): Effect.Effect<Uint8Array, FilesError> => {
  const head = new Uint8Array(FileKind.headBytes)
  return Effect.map(handle.readAt(0, head), (count) => head.subarray(0, count))
}

/** Finds out what a file is, and what is in it. */
export const inspect = (
  path: string,
  options: InspectOptions = {}
): Effect.Effect<Inspection, FilesError | InspectError, Files> =>
  Effect.scoped(
    Effect.gen(function* () {
      const files = yield* Files
      const handle = yield* files.openRead(path)
      const fileSizeBytes = handle.sizeBytes
      const kind = FileKind.recognise(yield* readHead(handle))
      if (kind === undefined)
        return yield* new InspectError({ path, detail: "this is no kind of file known here" })
      if (kind === "pxar-payload") return { kind, fileSizeBytes }
      if (kind === "pxar") return { kind, fileSizeBytes, ...(yield* readArchive(handle)) }
      const maxBytes = kind === "blob" ? DataBlob.largestBlobBytes : wholeFileMaxBytes
      const bytes = yield* files.readFile(path, maxBytes)
      const decoded = attempted(() => decodeWhole(kind, bytes, options.crypt))
      return "value" in decoded ? decoded.value : yield* new InspectError({ path, detail: decoded.problem })
    })
  )
