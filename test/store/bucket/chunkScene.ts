/**
 * A bucket in memory and hosts on it: each with a cache folder of its own on a memory disk, the real guards, and a cache
 * that notes what it is told. Every request is written down, and can be answered in another way or kept waiting.
 */
import { assert } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as DataBlob from "../../../src/format/DataBlob.ts"
import type { Digest } from "../../../src/model/Digest.ts"
import { around, type ObjectRequest } from "../../../src/objectstore/decorators/ObjectRequest.ts"
import type { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import { ObjectStoreError, type ObjectStoreReason } from "../../../src/objectstore/ObjectStoreError.ts"
import type { FilesPoint } from "../../../src/testing/MemoryFiles.ts"
import * as BucketChunks from "../../../src/store/bucket/BucketChunks.ts"
import type { ChunkCache } from "../../../src/store/bucket/ChunkCache.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import type { ChunkStore } from "../../../src/store/ChunkStore.ts"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { chunkPath, layoutOf } from "../../../src/store/StoreLayout.ts"
import type { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as MemoryObjectStore from "../../../src/testing/MemoryObjectStore.ts"
import * as MemoryPlatform from "../../../src/testing/MemoryPlatform.ts"
import { chunkOf, type SampleChunk, softData } from "../../platform/chunks.ts"

export const layout = layoutOf("/cache")
export const sample = chunkOf(softData(1))

export const pathOf = ({ digest }: SampleChunk): string => chunkPath(layout, digest)
const folderOf = (chunk: SampleChunk): string => pathOf(chunk).slice(0, -65)

export const wanted = ({ crypt, data, digest }: SampleChunk) => ({ digest, crypt, sizeBytes: data.length })

export const blobOf = ({ compress, crypt, data }: SampleChunk): Uint8Array =>
  DataBlob.encode(data, { compress, ...(crypt ? { crypt } : {}) })

export const keyText = ({ digest }: SampleChunk): string => `store/.chunks/${digest.slice(0, 4)}/${digest}`

/** What becomes of a request instead of being carried out; undefined lets it pass. */
export type Answer = (
  request: ObjectRequest,
  run: Effect.Effect<unknown, ObjectStoreError>
) => Effect.Effect<unknown, ObjectStoreError> | undefined

export const failing = (reason: ObjectStoreReason, operations: ReadonlyArray<string>): Answer => {
  return (request) => {
    const { key, operation } = request
    if (!operations.includes(operation)) return undefined
    return Effect.fail(new ObjectStoreError({ operation, key, reason }))
  }
}

/** The request is carried out, and its answer is lost. */
export const losing = (operations: ReadonlyArray<string>): Answer => {
  return ({ key, operation }, run) =>
    operations.includes(operation)
      ? Effect.andThen(run, Effect.fail(new ObjectStoreError({ operation, key, reason: "Disconnected" })))
      : undefined
}

export interface HostOptions extends MemoryObjectStore.MemoryObjectStoreOptions {
  readonly name?: string
  readonly disk?: MemoryDisk
  readonly capacityBytes?: number
  readonly point?: FilesPoint
  readonly cache?: "use" | "bypass"
  readonly keepsContent?: boolean
  readonly condemning?: Effect.Effect<void>
  /** Something of the laboratory's own around the bucket. */
  readonly decorate?: (objects: ObjectStore["Service"]) => Effect.Effect<ObjectStore["Service"]>
}

export interface Host {
  readonly chunks: ChunkStore["Service"]
  readonly guards: DigestGuards.DigestGuards["Service"]
  readonly disk: MemoryDisk
  /** Operations asked for since they were taken last, in order. */
  readonly takeRequests: () => ReadonlyArray<string>
  /** Set to answer requests in another way. */
  readonly server: { answer: Answer }
  readonly cache: { keepsContent: boolean; readonly added: Array<number>; readonly used: Array<Digest> }
  /** ETags of uploads that were noted. */
  readonly recorded: Array<string>
  /** Names in the chunk's folder. */
  readonly names: (chunk: SampleChunk) => ReadonlyArray<string>
  /** Content of the chunk's file; undefined when there is none. */
  readonly content: (chunk: SampleChunk) => Uint8Array | undefined
  /** Removes everything from the chunk's folder. */
  readonly clear: (chunk: SampleChunk) => void
  /** Puts a file into the folder behind everybody's back. */
  readonly lay: (name: string, content: Uint8Array) => void
}

const passing: Answer = () => undefined

const fakeCache = (notes: Host["cache"]): ChunkCache => ({
  maxBytes: 1e9,
  get keepsContent() {
    return notes.keepsContent
  },
  added: (sizeBytes) => Effect.sync(() => void notes.added.push(sizeBytes)),
  used: (digest) => Effect.sync(() => void notes.used.push(digest)),
  trim: Effect.die(new Error("nobody asked for it"))
})

export const newDisk = (chunks: ReadonlyArray<SampleChunk>, capacityBytes?: number): MemoryDisk => {
  const disk = new MemoryDisk(capacityBytes === undefined ? {} : { capacityBytes })
  disk.makeDirectory(layout.base, 0o755, 0)
  disk.makeDirectory(layout.chunks, 0o755, 0)
  for (const folder of new Set(chunks.map(folderOf))) disk.makeDirectory(folder, 0o750, 0)
  disk.syncAll()
  return disk
}

/** An open store of one host. */
export const openHost = (
  bucket: MemoryBucket,
  options: HostOptions = {},
  chunks: ReadonlyArray<SampleChunk> = [sample]
): Effect.Effect<Host, never, Scope.Scope> =>
  Effect.gen(function* () {
    const disk = options.disk ?? newDisk(chunks, options.capacityBytes)
    const requests: Array<string> = []
    const server = { answer: passing }
    const noting = around(MemoryObjectStore.make(bucket, options), (request, run) =>
      Effect.suspend(() => {
        requests.push(request.operation)
        return (server.answer(request, run) as typeof run | undefined) ?? run
      })
    )
    const objects = options.decorate === undefined ? noting : yield* options.decorate(noting)
    const cache: Host["cache"] = { keepsContent: options.keepsContent ?? true, added: [], used: [] }
    const recorded: Array<string> = []
    const platform = MemoryPlatform.layer({
      disk,
      process: options.name ?? "one",
      ...(options.point === undefined ? {} : { point: options.point })
    })
    const context = yield* Layer.build(Layer.fresh(platform))
    const { condemning } = options
    const [store, guards] = yield* Effect.gen(function* () {
      const made = yield* DigestGuards.make(layout)
      const opened = yield* BucketChunks.make(
        layout,
        StoreBucket.make({ objects, name: "store" }),
        fakeCache(cache),
        {
          guards: made,
          syncLevel: "none",
          cache: options.cache ?? "use",
          records: { record: (_, { etag }) => Effect.sync(() => void recorded.push(etag)) },
          ...(condemning === undefined ? {} : { condemning })
        }
      )
      return [opened, made] as const
    }).pipe(Effect.provide(context))
    const names = (chunk: SampleChunk) => disk.list(folderOf(chunk), 0).map(([name]) => name)
    return {
      chunks: store,
      guards,
      disk,
      takeRequests: () => requests.splice(0),
      server,
      cache,
      recorded,
      names,
      content: (chunk) =>
        names(chunk).includes(chunk.digest) ? disk.stat(pathOf(chunk)).content.slice() : undefined,
      clear: (chunk) => {
        for (const name of names(chunk)) disk.unlink(`${folderOf(chunk)}/${name}`, 0)
      },
      lay: (name, content) => {
        const path = `${layout.chunks}/${name.slice(0, 4)}/${name}`
        const isThere = disk.list(path.slice(0, -name.length - 1), 0).some(([other]) => other === name)
        if (!isThere) disk.create(path, 0o644, 0)
        disk.put(path, content)
      }
    }
  })

/** Keeps the answers to these operations back until they are let go. */
export const gate = (operations: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const reached = yield* Deferred.make<void>()
    const opened = yield* Deferred.make<void>()
    let interrupted = 0
    const answer: Answer = ({ operation }, run) =>
      operations.includes(operation)
        ? Effect.tap(run, () =>
            Deferred.succeed(reached, undefined).pipe(
              Effect.andThen(Deferred.await(opened)),
              Effect.onInterrupt(() => Effect.sync(() => void interrupted++))
            )
          )
        : undefined
    return {
      answer,
      reached: Deferred.await(reached),
      open: Deferred.succeed(opened, undefined),
      interrupted: () => interrupted
    }
  })

/** The object's body; undefined when there is none. */
export const objectOf = (bucket: MemoryBucket, chunk: SampleChunk): Uint8Array | undefined =>
  bucket.find(keyText(chunk))?.body

export const assertBytes = (actual: Uint8Array | undefined, expected: Uint8Array | undefined): void =>
  assert.deepStrictEqual(
    actual === undefined ? undefined : Buffer.from(actual),
    expected === undefined ? undefined : Buffer.from(expected)
  )

/** Flips the last bit, so that the size stays. */
export const damaged = (blob: Uint8Array): Uint8Array => {
  const copy = Uint8Array.from(blob)
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1
  return copy
}
