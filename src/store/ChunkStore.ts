/**
 * ChunkStore: the chunks of one local datastore, named by digest.
 *
 * Invariants: a chunk file appears whole or not at all (written beside, then renamed); every change of one
 * chunk happens under its digest guard; compression, encryption and writing happen outside of it. A present
 * chunk is reused, never rewritten, unless what is there is empty or larger than what comes (rules of Proxmox
 * Backup Server, spec 2.1), or is in doubt after a power loss and proves to be corrupt.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import type { Digest } from "../model/Digest.ts"
import { ChunkCodec, ChunkError, type Staged } from "../platform/ChunkCodec.ts"
import { kindOf, largestBlobBytes, type Verdict } from "../platform/chunkContent.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import { Files, type FilesError, type FileStat, isNotFound } from "../platform/Files.ts"
import * as badNames from "./badNames.ts"
import * as DigestGuards from "./DigestGuards.ts"
import * as Doubts from "./Doubts.ts"
import type { StorageError } from "./StorageError.ts"
import { storeError, type StoreError } from "./StoreError.ts"
import { chunkPath, inChunkFolder, type StoreLayout } from "./StoreLayout.ts"

/** When written data is flushed: never, once when a backup finishes, or file by file (PBS's `sync-level`). */
export type SyncLevel = "none" | "filesystem" | "file"

export interface NewChunk {
  readonly digest: Digest
  readonly data: Uint8Array
  readonly compress: boolean
  readonly crypt: CryptConfig | undefined
  /** The memory around `data` is free to be used meanwhile; see `SlotPool`. */
  readonly hasMargins?: boolean
  /** Run by a store that needs `data` no more long before the chunk is stored: its memory may be used again. */
  readonly letGo?: Effect.Effect<void>
}

export interface Inserted {
  /** The chunk was there already. */
  readonly duplicate: boolean
  /** Size of the stored file; of a duplicate: of the file that was there. */
  readonly encodedSizeBytes: number
}

export interface Discarded {
  readonly state: "removed" | "kept" | "gone"
  readonly sizeBytes: number
}

export interface WantedChunk {
  readonly digest: Digest
  readonly sizeBytes: number | undefined
  readonly crypt: CryptConfig | undefined
}

/** An encoded blob that came from elsewhere. */
export interface UnprovenChunk {
  readonly digest: Digest
  /** Decoded length, where it is known. */
  readonly sizeBytes: number | undefined
  readonly blob: Uint8Array
}

/** A chunk's file, as the codec of its store sees it: only who has the same one can read it there. */
export interface ChunkFile {
  readonly codec: ChunkCodec["Service"]
  readonly path: string
}

/** A chunk that lies in another store's folder. */
export interface ForeignChunk extends Omit<UnprovenChunk, "blob"> {
  readonly file: ChunkFile
  /** Whether it has to be. */
  readonly encrypted: boolean
}

export class ChunkStore extends Context.Service<
  ChunkStore,
  {
    /** The digest under which content is stored; `data` stays unchanged until this ends. */
    readonly digest: (data: Uint8Array, crypt: CryptConfig | undefined) => Effect.Effect<Uint8Array>
    /** Stores a chunk, or finds it there. The caller keeps `data` unchanged until this ends or lets go. */
    readonly insert: (chunk: NewChunk) => Effect.Effect<Inserted, StorageError | StoreError>
    /** Stores an encoded blob that came from elsewhere. The caller has proven it. */
    readonly insertEncoded: (
      digest: Digest,
      blob: Uint8Array
    ) => Effect.Effect<Inserted, StorageError | StoreError>
    /**
     * The same for a blob that nobody has proven yet: that is done where it is written, and what is not right is never
     * seen in the store. Without a key: of an encrypted one the checksum alone. The blob's memory is given away. A
     * store that keeps blobs elsewhere than in files has no such way.
     */
    readonly insertProving?: (
      chunk: UnprovenChunk
    ) => Effect.Effect<Inserted, ChunkError | StorageError | StoreError>
    /** Where the chunk lies, if it is there; only of a store whose codec copies files. */
    readonly fileOf?: (digest: Digest) => ChunkFile
    /**
     * As `insertProving`, for a chunk in the folder of another store. Undefined when it is not good, or cannot be read
     * here: who reads it the ordinary way learns why.
     */
    readonly insertFile?: (
      chunk: ForeignChunk
    ) => Effect.Effect<Inserted | undefined, StorageError | StoreError>
    /** Marks the chunk as used now. False when the store lacks it. */
    readonly touch: (digest: Digest) => Effect.Effect<boolean, StorageError>
    /** Reads, decodes and proves a chunk; into `target` when one is given. */
    readonly read: (
      chunk: WantedChunk,
      target?: Uint8Array
    ) => Effect.Effect<Uint8Array, ChunkError | StorageError>
    /** The stored blob as it is. */
    readonly readEncoded: (digest: Digest) => Effect.Effect<Uint8Array, StorageError>
    /** Reads a chunk and judges it. */
    readonly check: (chunk: WantedChunk) => Effect.Effect<Verdict>
    /** What the file system says of the chunk's file. */
    readonly stat: (digest: Digest) => Effect.Effect<FileStat, FilesError>
    /**
     * Renames a corrupt chunk to `<digest>.<n>.bad`, so that a good copy can take its place, and answers the new name;
     * undefined when the chunk is not corrupt (any more), or only its length is not the wanted one.
     */
    readonly condemn: (chunk: WantedChunk) => Effect.Effect<string | undefined, StorageError>
    /**
     * Removes a file of the digest's folder (the chunk, a condemned one, an abandoned temporary) if `isExpired` says so
     * of what is there under the guard: whoever used the chunk in the meantime has renewed its time.
     */
    readonly discard: (
      digest: Digest,
      fileName: string,
      isExpired: (stat: FileStat) => boolean
    ) => Effect.Effect<Discarded, StorageError>
    readonly parallelism: number
  }
>()("granary/store/ChunkStore") {}

const discarded = (state: Discarded["state"], sizeBytes: number): Discarded => ({ state, sizeBytes })

/** `discard` of a store's files; what a bucket holds besides stays. */
export const makeDiscard =
  (
    files: Files["Service"],
    guards: DigestGuards.DigestGuards["Service"],
    layout: StoreLayout
  ): ChunkStore["Service"]["discard"] =>
  (digest, fileName, isExpired) =>
    guards.guard(digest)(
      Effect.gen(function* () {
        const file = `${path.dirname(chunkPath(layout, digest))}/${fileName}`
        const stat = yield* files.stat(file)
        if (stat.kind !== "file" || !isExpired(stat)) return discarded("kept", stat.sizeBytes)
        yield* files.unlink(file)
        return discarded("removed", stat.sizeBytes)
      }).pipe(Effect.catchIf(isNotFound, () => Effect.succeed(discarded("gone", 0))))
    )

export interface ChunkStoreOptions {
  readonly syncLevel: SyncLevel
  /** What a power loss may have torn; proven before it is used again. */
  readonly doubts?: ReadonlyArray<Doubts.Doubt>
  /** Those of the open store. Default: its own. */
  readonly guards?: DigestGuards.DigestGuards["Service"]
}

export const make = (
  layout: StoreLayout,
  { syncLevel, doubts = [], ...options }: ChunkStoreOptions
): Effect.Effect<ChunkStore["Service"], never, Files | ChunkCodec | FileLocks | Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* Files
    const codec = yield* ChunkCodec
    const makeGuards = yield* DigestGuards.Maker
    const guards = options.guards ?? (yield* makeGuards(layout))
    const syncsFiles = syncLevel === "file"
    const locate = (digest: Digest) => chunkPath(layout, digest)

    const present = (digest: Digest): Effect.Effect<FileStat | undefined, FilesError | StoreError> =>
      Effect.gen(function* () {
        const stat = yield* files
          .stat(locate(digest))
          .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
        if (stat !== undefined && stat.kind !== "file") {
          return yield* storeError("Damaged", locate(digest), "a chunk must be a regular file")
        }
        return stat
      })

    /** Undefined when a foreign program has removed the chunk since it was described. */
    const reuse = (digest: Digest, stat: FileStat): Effect.Effect<Inserted | undefined, FilesError> =>
      Effect.map(files.touch(locate(digest)), (touched) =>
        touched ? { duplicate: true, encodedSizeBytes: stat.sizeBytes } : undefined
      )

    /** Whether a file that is there may be used again: it has content, and what is in doubt is proven. */
    const isUsable = (
      digest: Digest,
      stat: FileStat | undefined,
      crypt: CryptConfig | undefined
    ): Effect.Effect<boolean> => {
      if (stat === undefined || stat.sizeBytes === 0) return Effect.succeed(false)
      if (!Doubts.covers(doubts, stat.mtimeSeconds)) return Effect.succeed(true)
      const wanted = { digest, sizeBytes: undefined, crypt, path: locate(digest) }
      return Effect.map(codec.check(wanted), ({ state }) => state !== "corrupt")
    }

    const findPresent = (digest: Digest, crypt: CryptConfig | undefined) =>
      guards.guard(digest)(
        Effect.gen(function* () {
          const stat = yield* present(digest)
          if (stat === undefined || !(yield* isUsable(digest, stat, crypt))) return undefined
          return yield* reuse(digest, stat)
        })
      )

    /** Moves a staged file into place, or drops it when the chunk that is there wins. */
    const place = (digest: Digest, temporary: string, staged: Staged, crypt: CryptConfig | undefined) =>
      Effect.gen(function* () {
        const stat = yield* present(digest)
        const keeps =
          stat !== undefined &&
          (yield* isUsable(digest, stat, crypt)) &&
          (yield* winsOver(digest, stat, staged))
        const kept = keeps ? yield* reuse(digest, stat) : undefined
        if (kept !== undefined) {
          yield* files.unlink(temporary)
          return kept
        }
        yield* files.rename(temporary, locate(digest))
        if (syncsFiles) yield* files.syncDirectory(path.dirname(locate(digest)))
        return { duplicate: false, encodedSizeBytes: staged.encodedSizeBytes }
      })

    /** Rules 2, 4 and 5 of the spec: whether the present file stays. */
    const winsOver = (
      digest: Digest,
      stat: FileStat,
      staged: Staged
    ): Effect.Effect<boolean, FilesError | StoreError> =>
      Effect.gen(function* () {
        if (stat.sizeBytes === staged.encodedSizeBytes) return true
        if (!DataBlob.isEncrypted(staged.kind)) return stat.sizeBytes < staged.encodedSizeBytes
        const kind = yield* presentKind(digest)
        const foreign =
          kind === undefined ||
          !DataBlob.isEncrypted(kind) ||
          (kind === "encrypted" && staged.kind === "encrypted")
        if (!foreign) return true
        return yield* storeError("Refused", locate(digest), "another chunk with this digest is stored there")
      })

    const presentKind = (digest: Digest) =>
      Effect.scoped(
        Effect.gen(function* () {
          const handle = yield* files.openRead(locate(digest))
          const header = new Uint8Array(8)
          yield* handle.readAt(0, header)
          return kindOf(header)
        })
      )

    const settle = <E>(
      digest: Digest,
      temporary: string,
      stage: Effect.Effect<Staged, E | FilesError>,
      crypt?: CryptConfig
    ) =>
      inChunkFolder(files, layout, digest, stage).pipe(
        Effect.flatMap((staged) =>
          guards
            .guard(digest)(place(digest, temporary, staged, crypt))
            .pipe(Effect.onError(() => Effect.ignore(files.unlink(temporary))))
        ),
        Effect.uninterruptible
      )

    const insert = ({ digest, data, compress, crypt, hasMargins = false }: NewChunk) =>
      Effect.gen(function* () {
        const found = yield* findPresent(digest, crypt)
        if (found !== undefined) return found
        const temporaryPath = yield* files.temporaryName(locate(digest))
        const request = { data, temporaryPath, compress, crypt, sync: syncsFiles, hasMargins }
        return yield* settle(digest, temporaryPath, codec.stage(request), crypt)
      })

    const insertEncoded = (digest: Digest, blob: Uint8Array) =>
      Effect.gen(function* () {
        const kind = kindOf(blob)
        if (kind === undefined)
          return yield* storeError("Refused", locate(digest), "what came is not a data blob")
        const temporaryPath = yield* files.temporaryName(locate(digest))
        const stage = files.createFile(temporaryPath, blob, { sync: syncsFiles })
        return yield* settle(digest, temporaryPath, Effect.as(stage, { encodedSizeBytes: blob.length, kind }))
      })

    const insertProving = ({ blob, digest, sizeBytes }: UnprovenChunk) =>
      Effect.gen(function* () {
        const corrupt = (detail: string) => Effect.fail(new ChunkError({ digest, reason: "Corrupt", detail }))
        const kind = kindOf(blob)
        if (kind === undefined) return yield* corrupt("what came is not a data blob")
        const encodedSizeBytes = blob.length
        const temporaryPath = yield* files.temporaryName(locate(digest))
        const stage = codec
          .receive({ blob, digest, sizeBytes, temporaryPath, sync: syncsFiles })
          .pipe(
            Effect.flatMap((verdict) =>
              verdict.state === "good"
                ? Effect.succeed({ encodedSizeBytes, kind })
                : corrupt("detail" in verdict ? verdict.detail : "it is missing")
            )
          )
        return yield* settle(digest, temporaryPath, stage)
      })

    const copying = (copy: NonNullable<ChunkCodec["Service"]["copy"]>) => ({
      fileOf: (digest: Digest) => ({ codec, path: locate(digest) }),
      insertFile: ({ digest, encrypted, file, sizeBytes }: ForeignChunk) =>
        Effect.gen(function* () {
          if (file.codec !== codec) return undefined
          const temporaryPath = yield* files.temporaryName(locate(digest))
          const request = { from: file.path, digest, encrypted, sizeBytes, temporaryPath, sync: syncsFiles }
          const stage = Effect.flatMap(copy(request), (verdict) =>
            verdict.state === "good"
              ? Effect.succeed(verdict)
              : Effect.fail(new ChunkError({ digest, reason: "Corrupt", detail: verdict.state }))
          )
          return yield* settle(digest, temporaryPath, stage)
        }).pipe(Effect.catchTag("ChunkError", () => Effect.succeed(undefined)))
    })

    /**
     * Judged again under the guard: meanwhile a good copy may have taken the place of the bad one. And judged by its
     * digest alone: a chunk that merely disagrees with the length some index gives is good for everybody else.
     */
    const condemn = (chunk: WantedChunk) =>
      guards.guard(chunk.digest)(
        Effect.gen(function* () {
          const request = { ...chunk, sizeBytes: undefined, path: locate(chunk.digest) }
          const verdict = yield* codec.check(request)
          if (verdict.state !== "corrupt") return undefined
          const number = yield* badNames.freeNumber(files, layout, chunk.digest)
          const name = badNames.badName(chunk.digest, number)
          yield* files.rename(locate(chunk.digest), `${path.dirname(locate(chunk.digest))}/${name}`)
          return name
        })
      )

    return ChunkStore.of({
      digest: codec.digest,
      insert,
      insertEncoded,
      insertProving,
      ...(codec.copy === undefined ? {} : copying(codec.copy)),
      touch: (digest) => guards.guard(digest)(files.touch(locate(digest))),
      read: (chunk, target) =>
        codec.load({ ...chunk, path: locate(chunk.digest), ...(target === undefined ? {} : { target }) }),
      readEncoded: (digest) => files.readFile(locate(digest), largestBlobBytes),
      check: (chunk) => codec.check({ ...chunk, path: locate(chunk.digest) }),
      stat: (digest) => files.stat(locate(digest)),
      condemn,
      discard: makeDiscard(files, guards, layout),
      parallelism: codec.parallelism
    })
  })
