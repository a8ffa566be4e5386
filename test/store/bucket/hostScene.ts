/** Hosts in memory: each has a disk with a cache folder, locks and random bytes of its own; they share one bucket. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import { make as makeConnection } from "../../../src/testing/MemoryObjectStore.ts"
import * as Digest from "../../../src/model/Digest.ts"
import type { ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import { Entropy } from "../../../src/platform/Entropy.ts"
import type { FileLocks } from "../../../src/platform/FileLocks.ts"
import { Files } from "../../../src/platform/Files.ts"
import { Host } from "../../../src/platform/Host.ts"
import * as Hosts from "../../../src/store/bucket/Hosts.ts"
import * as StoreBucket from "../../../src/store/bucket/StoreBucket.ts"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { chunkPath, layoutOf, type StoreLayout } from "../../../src/store/StoreLayout.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import * as MemoryFileLocks from "../../../src/testing/MemoryFileLocks.ts"
import * as MemoryFiles from "../../../src/testing/MemoryFiles.ts"

export const layout: StoreLayout = layoutOf("/store")

export const digestNumber = (number: number): Digest.Digest =>
  Digest.parse(createHash("sha256").update(`chunk ${number}`).digest("hex"))

export const newDisk = (...digests: ReadonlyArray<Digest.Digest>): MemoryDisk => {
  const disk = new MemoryDisk()
  disk.makeDirectory("/store", 0o755, 0)
  disk.makeDirectory(layout.chunks, 0o750, 0)
  for (const prefix of new Set(digests.map(Digest.prefix))) {
    disk.makeDirectory(`${layout.chunks}/${prefix}`, 0o750, 0)
  }
  return disk
}

/** The same in every run, and different for every name. */
export const entropyOf = (name: string): ((countBytes: number) => Uint8Array) => {
  let count = 0
  return (countBytes) => {
    count += 1
    return createHash("sha512").update(`${name} ${count}`).digest().subarray(0, countBytes)
  }
}

export interface MachineOptions {
  readonly name: string
  readonly disk: MemoryDisk
  readonly bootId?: string
  /** Another process of the host has other random bytes. */
  readonly seed?: string
  readonly locks?: MemoryFileLocks.MemoryLockTable
}

export const machine = ({ bootId = "boot", disk, locks, name, seed = name }: MachineOptions) =>
  Layer.fresh(
    Layer.mergeAll(
      MemoryFiles.layer(disk),
      MemoryFileLocks.layer(locks ?? new MemoryFileLocks.MemoryLockTable(disk)),
      Layer.succeed(Entropy, entropyOf(seed)),
      Layer.succeed(Host, { nodeName: name, pid: 7, bootId, processStart: 1, userName: "root" })
    )
  )

export const storeBucket = (objects: ObjectStore["Service"]): StoreBucket.StoreBucket =>
  StoreBucket.make({ objects, name: "store", title: "s3:here/bucket/store" })

export interface SceneHost {
  readonly disk: MemoryDisk
  readonly bucket: StoreBucket.StoreBucket
  readonly hosts: Hosts.Hosts
  readonly files: Files["Service"]
  readonly has: (digest: Digest.Digest) => boolean
  /** Runs something that needs the machine itself. */
  readonly on: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, Exclude<R, Files | FileLocks>>
}

export const hasFile = (disk: MemoryDisk, path: string): boolean => {
  try {
    disk.stat(path)
    return true
  } catch {
    return false
  }
}

/** A host on its disk; the connection may be a bad one. */
export const hostOn = (options: MachineOptions, objects: ObjectStore["Service"]) =>
  Effect.gen(function* () {
    const bucket = storeBucket(objects)
    const context = yield* Layer.build(machine(options))
    const on = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, context)
    const { files, ...made } = yield* on(
      Effect.gen(function* () {
        const guards = yield* DigestGuards.make(layout)
        return { hosts: yield* Hosts.make(layout, bucket, guards), files: yield* Files }
      })
    )
    const hosts: Hosts.Hosts = {
      writing: (name) => on(made.hosts.writing(name)),
      collecting: Effect.map(on(made.hosts.collecting), ({ beginsRemoving, check }) => ({
        check,
        beginsRemoving: on(beginsRemoving)
      })),
      condemning: on(made.hosts.condemning)
    }
    const has = (digest: Digest.Digest) => hasFile(options.disk, chunkPath(layout, digest))
    const host: SceneHost = { disk: options.disk, bucket, hosts, files, has, on }
    return host
  })

export const connection = makeConnection

export const newBucket = (): MemoryBucket => new MemoryBucket()

/** Puts a chunk's object into the bucket, whatever it holds. */
export const putChunk = (bucket: MemoryBucket, digest: Digest.Digest): void => {
  bucket.put(`store/.chunks/${Digest.prefix(digest)}/${digest}`, Buffer.from("x"), 0)
}

/** Makes a marker, as an upload does. */
export const mark = (host: SceneHost, digest: Digest.Digest) =>
  host.files.replaceFile(chunkPath(layout, digest), [])
