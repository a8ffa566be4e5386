/** Archives and folders for the tests of the extractor. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { Encoder } from "../../../src/format/pxar/Encoder.ts"
import type { RangeReader } from "../../../src/format/pxar/Accessor.ts"
import { type FileMetadata, makeFileMetadata, MODE_TYPE } from "../../../src/model/FileMetadata.ts"
import type { PathPattern } from "../../../src/model/PathPattern.ts"
import type { PayloadReader, PieceStream } from "../../../src/restore/PieceStream.ts"
import {
  extract,
  type ExtractError,
  type ExtractOptions,
  type ExtractSummary,
  type ExtractWarning
} from "../../../src/restore/Extractor.ts"

export const isRoot = process.getuid?.() === 0

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

/** A new empty folder, removed by `dispose` whatever its depth and its flags. */
export const makeFolder = (): { readonly path: string; readonly dispose: () => void } => {
  const path = mkdtempSync(join(tmpdir(), "granary-extract-"))
  const dispose = (): void => {
    try {
      execFileSync("chattr", ["-R", "-f", "-ia", path], { stdio: "ignore" })
    } catch {
      // Nothing had such flags, or the file system has none.
    }
    execFileSync("rm", ["-rf", path])
    if (existsSync(path)) throw new Error(`${path} was left behind`)
  }
  return { path, dispose }
}

export const withFolder = async (use: (path: string) => Promise<void> | void): Promise<void> => {
  const { dispose, path } = makeFolder()
  try {
    await use(path)
  } finally {
    dispose()
  }
}

type Extra = Partial<FileMetadata>

const defaults = (): Extra => ({
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtimeSeconds: 1_700_000_000,
  mtimeNanos: 123_456_789
})

export const directoryMetadata = (extra: Extra = {}): FileMetadata =>
  makeFileMetadata({ ...defaults(), mode: MODE_TYPE.directory | 0o755, ...extra })
export const fileMetadata = (extra: Extra = {}): FileMetadata =>
  makeFileMetadata({ ...defaults(), mode: MODE_TYPE.file | 0o644, ...extra })
export const linkMetadata = (extra: Extra = {}): FileMetadata =>
  makeFileMetadata({ ...defaults(), mode: MODE_TYPE.symlink | 0o777, ...extra })

export interface ArchiveBytes {
  readonly archive: Uint8Array
  readonly payload: Uint8Array | undefined
}

/** Builds an archive by name instead of by byte. */
export class ArchiveBuilder {
  readonly encoder: Encoder
  readonly #version: 1 | 2

  constructor(version: 1 | 2 = 1, root: FileMetadata = directoryMetadata()) {
    this.#version = version
    this.encoder = Encoder.startArchive(root, { version })
  }

  directory(name: string, fill: (builder: this) => void, extra: Extra = {}): this {
    this.encoder.startDirectory(bytesOf(name), directoryMetadata(extra))
    fill(this)
    this.encoder.finishDirectory()
    return this
  }

  file(name: string | Uint8Array, content: string | Uint8Array, extra: Extra = {}): number {
    const bytes = typeof content === "string" ? bytesOf(content) : content
    const nameBytes = typeof name === "string" ? bytesOf(name) : name
    const fileOffset = this.encoder.startFile(nameBytes, fileMetadata(extra), bytes.length)
    this.encoder.writePayload(bytes)
    return fileOffset
  }

  symlink(name: string, target: string, extra: Extra = {}): this {
    this.encoder.addSymlink(bytesOf(name), linkMetadata(extra), bytesOf(target))
    return this
  }

  hardlink(name: string, targetPath: string, targetFileOffset: number): this {
    this.encoder.addHardlink(bytesOf(name), bytesOf(targetPath), targetFileOffset)
    return this
  }

  finish(): ArchiveBytes {
    this.encoder.finishArchive()
    const archive = this.encoder.takeArchiveBytes()
    return { archive, payload: this.#version === 2 ? this.encoder.takePayloadBytes() : undefined }
  }
}

/** Hands out pieces in one shared buffer that is overwritten each time, as the interface allows. */
export const piecesOf = (bytes: Uint8Array, pieceBytes: number): PieceStream & { skippedBytes: number } => {
  const buffer = new Uint8Array(new SharedArrayBuffer(Math.min(pieceBytes, Math.max(1, bytes.length))))
  let position = 0
  const stream = {
    skippedBytes: 0,
    next: Effect.sync(() => {
      if (position >= bytes.length) return undefined
      const piece = bytes.subarray(position, position + pieceBytes)
      position += piece.length
      buffer.fill(0xee)
      buffer.set(piece)
      return buffer.subarray(0, piece.length)
    }),
    skip: (countBytes: number) =>
      Effect.sync(() => {
        stream.skippedBytes += countBytes
        position += countBytes
      })
  }
  return stream
}

export const payloadOf = (bytes: Uint8Array, pieceBytes: number): PayloadReader => ({
  sizeBytes: bytes.length,
  pieces: (offset, lengthBytes) =>
    Effect.sync(() => piecesOf(bytes.subarray(offset, offset + lengthBytes), pieceBytes))
})

export const rangesOf = (bytes: Uint8Array): RangeReader => ({
  sizeBytes: bytes.length,
  read: (offset, lengthBytes) => Effect.sync(() => bytes.subarray(offset, offset + lengthBytes))
})

export interface Restored {
  readonly summary: ExtractSummary
  readonly warnings: ReadonlyArray<ExtractWarning>
}

export interface RestoreOptions {
  readonly overwrite?: ExtractOptions["overwrite"]
  readonly includes?: ReadonlyArray<PathPattern>
  readonly excludes?: ReadonlyArray<PathPattern>
  readonly pieceBytes?: number
  readonly hasRandomAccess?: boolean
  readonly openLimit?: number
}

const DEFAULT_PIECE_BYTES = 64 * 1024

export const restoring = (
  { archive, payload }: ArchiveBytes,
  target: string,
  options: RestoreOptions = {}
): Effect.Effect<Restored, ExtractError> =>
  Effect.suspend(() => {
    const warnings: Array<ExtractWarning> = []
    const pieceBytes = options.pieceBytes ?? DEFAULT_PIECE_BYTES
    return extract({
      source: piecesOf(archive, pieceBytes),
      payload: payload === undefined ? undefined : payloadOf(payload, pieceBytes),
      archive: options.hasRandomAccess === true ? rangesOf(archive) : undefined,
      target,
      includes: options.includes ?? [],
      excludes: options.excludes ?? [],
      overwrite: options.overwrite ?? "never",
      openLimit: options.openLimit,
      onWarning: (warning) => warnings.push(warning)
    }).pipe(Effect.map((summary) => ({ summary, warnings })))
  })

export const restore = (
  bytes: ArchiveBytes,
  target: string,
  options: RestoreOptions = {}
): Promise<Restored> => Effect.runPromise(restoring(bytes, target, options))

/** The failure of a restore that must not succeed. */
export const restoreFailing = (
  bytes: ArchiveBytes,
  target: string,
  options: RestoreOptions = {}
): Promise<ExtractError> => Effect.runPromise(Effect.flip(restoring(bytes, target, options)))
