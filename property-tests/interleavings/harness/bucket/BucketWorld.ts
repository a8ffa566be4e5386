/**
 * BucketWorld: one small datastore in a bucket in memory, the hosts that work on it, each with a cache folder on a disk
 * of its own, and their processes, as a scenario of the laboratory.
 *
 * Bucket and disks are prepared once and forked for every run. A process is a datastore opened anew, with its cache
 * folder; each request that others could notice is a point, and so is each call on a chunk of the folder. Which
 * requests go wrong, the exploration decides.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import { createHash } from "node:crypto"
import * as Datastore from "../../../../src/datastore/Datastore.ts"
import { around } from "../../../../src/objectstore/decorators/ObjectRequest.ts"
import { retrying } from "../../../../src/objectstore/decorators/retrying.ts"
import type { ObjectStore } from "../../../../src/objectstore/ObjectStore.ts"
import type { ObjectStoreOperation } from "../../../../src/objectstore/ObjectStoreError.ts"
import { Entropy } from "../../../../src/platform/Entropy.ts"
import { Files } from "../../../../src/platform/Files.ts"
import { Host } from "../../../../src/platform/Host.ts"
import * as StoreBucket from "../../../../src/store/bucket/StoreBucket.ts"
import * as StoreLocks from "../../../../src/store/StoreLocks.ts"
import {
  type Crash,
  inProcess,
  type MemoryBucket,
  type MemoryDisk,
  MemoryLockTable,
  MemoryObjectStore,
  MemoryPlatform,
  Simulation
} from "../../../../src/testing.ts"
import type { Acknowledged } from "../Invariants.ts"
import { guarded, type Machine, type Mutation, mutationFor } from "../Mutation.ts"
import { type Calls, calls, shortLabel } from "../points.ts"
import { basePath, type StoreView } from "../StoreView.ts"
import { makeTellingLocks, type StoreEffect } from "../World.ts"
import { keyOfDigest, storeName, untrueName, viewBucket } from "./BucketView.ts"

/** What is there when a scenario begins. */
export interface BucketStart {
  readonly bucket: MemoryBucket
  /** Cache folders, by host. */
  readonly disks: Readonly<Record<string, MemoryDisk>>
}

/** Which requests are points; by the key, or the prefix of a listing. */
export type Requests = (operation: ObjectStoreOperation, key: string) => boolean

/** Faults of the server that may happen in a run, wherever the exploration puts them. */
export interface ServerFaults {
  readonly kinds: ReadonlyArray<MemoryObjectStore.Fault>
  readonly max: number
  /** To which keys. Default: those of chunks. */
  readonly on?: (key: string) => boolean
}

export interface BucketWorldOptions {
  readonly mutation: Mutation
  /** Which calls on the folder are points. Default: those on chunks that others can notice. */
  readonly points?: Calls
  /** Default: those on chunks, on files of snapshots, and all deletions. */
  readonly requests?: Requests
  readonly server?: MemoryObjectStore.ServerTraits
  readonly faults?: ServerFaults
  /** A server with ways of its own, made anew for each connection. */
  readonly connection?: (objects: ObjectStore["Service"]) => ObjectStore["Service"]
  /** Whether what fails in passing is tried again, as in a real connection. Default false. */
  readonly retries?: boolean
}

export interface ProcessOptions {
  /** Default `here`. */
  readonly host?: string
  readonly cache?: "use" | "bypass"
  /** Default: room for everything. */
  readonly maxCacheBytes?: number
  /** How many files may be open at once. */
  readonly openFilesMax?: number
}

export const title = `s3:memory/bucket/${storeName}`

const isOnChunk: Calls = (label, step) => label.includes("/.chunks/") && calls(label, step)

const isOnChunks: Requests = (operation, key) => operation === "deleteMany" || key.includes("/.chunks/")

const isShared: Requests = (operation, key) => isOnChunks(operation, key) || key.includes("/.cnt/")

const isChunkKey = (key: string): boolean => /\/\.chunks\/[0-9a-f]{4}\//.test(key)

const changing: ReadonlySet<ObjectStoreOperation> = new Set(["put", "putIfAbsent", "deleteMany", "copy"])

/** Of a key the end tells enough; of a digest the beginning. */
const shortKey = (key: string): string =>
  key
    .replace(`${storeName}/`, "")
    .replace(/^\.chunks\/[0-9a-f]{4}\/([0-9a-f]{8})[0-9a-f]{56}/, "chunk $1")
    .replace(/^\.cnt\//, "")

interface HostState {
  readonly name: string
  readonly disk: MemoryDisk
  readonly locks: MemoryLockTable
}

export class BucketWorld {
  readonly bucket: MemoryBucket
  readonly acknowledged: Array<Acknowledged> = []
  readonly givenUp = new Set<string>()
  /** What an actor found wrong by itself. */
  fault: string | undefined
  readonly mutation: Mutation
  readonly #options: BucketWorldOptions
  readonly #hosts: ReadonlyMap<string, HostState>
  #faultsLeft: number
  #view: StoreView | undefined

  constructor({ bucket, disks }: BucketStart, options: BucketWorldOptions) {
    this.bucket = bucket
    this.mutation = options.mutation
    this.#options = options
    this.#faultsLeft = options.faults?.max ?? 0
    this.#hosts = new Map(
      Object.entries(disks).map(([name, disk]) => [name, { name, disk, locks: new MemoryLockTable(disk) }])
    )
  }

  /** What the bucket holds now. */
  get view(): StoreView {
    this.#view ??= viewBucket(this.bucket)
    return this.#view
  }

  /** Something changes in the bucket. */
  changed(): void {
    this.#view = undefined
  }

  disk(host = "here"): MemoryDisk {
    return this.#host(host).disk
  }

  /** All as it is now, for somebody who goes on with a copy of it. */
  copy(): BucketStart {
    const disks = [...this.#hosts.values()].map(({ disk, name }) => [name, disk.fork()] as const)
    return { bucket: this.bucket.clone(), disks: Object.fromEntries(disks) }
  }

  /** I3: what a folder says that is not so. */
  untrue(): string | undefined {
    for (const { disk, name } of this.#hosts.values()) {
      const found = untrueName(disk, this.bucket)
      if (found !== undefined)
        return `I3: the folder of ${name} knows chunk ${found.slice(0, 8)}, which is absent`
    }
    return undefined
  }

  /** Those of the chunks that are not in the bucket, for somebody who looks past the server. */
  absentAmong(digests: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>> {
    return Effect.sync(() => {
      this.changed()
      return digests.filter((digest) => (this.view.chunks.get(digest) ?? "empty") === "empty")
    })
  }

  /** Runs work as a process with the store open; what it answers is nobody's business. */
  readonly process =
    (name: string, options: ProcessOptions = {}) =>
    <E>(work: StoreEffect<unknown, E>): Effect.Effect<Option.Option<void>, E | Error, Simulation> =>
      this.inside(name, options)(work).pipe(Effect.asVoid, inProcess(name))

  /** Runs work with the store open, inside of a process that the caller has begun. */
  readonly inside =
    (name: string, options: ProcessOptions = {}) =>
    <A, E>(work: StoreEffect<A, E>): Effect.Effect<A, E | Error, Simulation> =>
      Effect.scoped(Effect.flatMap(Simulation, (simulation) => this.#open(name, options, simulation)(work)))

  /** Another program that works on the bucket, without a folder and without any of our rules. */
  readonly foreign =
    (name: string) =>
    <E>(work: (objects: ObjectStore["Service"]) => Effect.Effect<unknown, E, Simulation>) =>
      Effect.flatMap(Simulation, (simulation) => work(this.connect(simulation, guarded, this.disk()))).pipe(
        Effect.asVoid,
        inProcess(name)
      )

  #host(name: string): HostState {
    const host = this.#hosts.get(name)
    if (host === undefined) throw new Error(`there is no host ${name}`)
    return host
  }

  /** A connection of its own; what the mutation makes of it asks the server like anybody else. */
  connect(simulation: Simulation["Service"], mutation: Mutation, disk: MemoryDisk): ObjectStore["Service"] {
    const {
      connection = (objects) => objects,
      faults,
      requests = isShared,
      retries = false,
      server
    } = this.#options
    const isHit = faults?.on ?? isChunkKey
    const objects = MemoryObjectStore.make(this.bucket, {
      ...server,
      ...mutation.server,
      faults: faults?.kinds ?? [],
      decide: (fault, key) => {
        if (this.#faultsLeft === 0 || !isHit(key)) return false
        const happens = simulation.choose(`${fault} ${shortKey(key)}`, 2) === 1
        if (happens) this.#faultsLeft -= 1
        return happens
      }
    })
    const explored = around(objects, ({ key, operation }, request) => {
      const happens = Effect.suspend(() => {
        if (changing.has(operation)) this.changed()
        return request
      })
      return requests(operation, key)
        ? Effect.andThen(simulation.point(`${operation} ${shortKey(key)}`), happens)
        : happens
    })
    const change = mutation.objects ?? ((unchanged) => unchanged)
    const machine: Machine = {
      disk,
      point: (label) => Effect.map(simulation.point(label), () => this.changed())
    }
    const changed = change(connection(explored), machine)
    return retries ? Effect.runSync(retrying(changed)) : changed
  }

  #open(process: string, options: ProcessOptions, simulation: Simulation["Service"]) {
    const mutation = mutationFor(this.mutation, process)
    const { disk, locks, name } = this.#host(options.host ?? "here")
    const { points = isOnChunk } = this.#options
    const park = (label: string): Effect.Effect<void> => simulation.point(shortLabel(label))
    const platform = MemoryPlatform.layer({
      disk,
      locks,
      process,
      ...(options.openFilesMax === undefined ? {} : { openFilesMax: options.openFilesMax }),
      point: (label, step) => (points(label, step) ? park(label) : Effect.void)
    })
    const changeFiles = mutation.files ?? ((files) => files)
    const files = Layer.effect(
      Files,
      Effect.map(Files, (service) => changeFiles(service, { disk, point: park }))
    )
    const host = {
      nodeName: name,
      bootId: `boot ${disk.powerLosses}`,
      pid: 1,
      processStart: 1,
      userName: process
    }
    const names = Layer.merge(
      Layer.succeed(Entropy, entropyOf(name, process, disk)),
      Layer.succeed(Host, host)
    )
    const bucket = StoreBucket.make({
      objects: this.connect(simulation, mutation, disk),
      name: storeName,
      title
    })
    const { cache = "use", maxCacheBytes = 1e9 } = options
    const store = Layer.fresh(Datastore.layer({ path: basePath, bucket, cache, maxCacheBytes }))
    const machine = Layer.merge(files, names).pipe(Layer.provideMerge(platform))
    const wrap = mutation.around ?? ((work) => work)
    const change = mutation.datastore ?? ((opened) => opened)
    return <A, E>(work: StoreEffect<A, E>) =>
      wrap(
        Effect.updateService(work, Datastore.Datastore, change).pipe(
          Effect.provide(Layer.provideMerge(store, machine))
        )
      ).pipe(Effect.provideService(StoreLocks.Maker, makeTellingLocks))
  }

  /** Gives back what the dead held; a power loss takes what was not flushed, on every host. */
  readonly onCrash =
    (choose: (count: number) => number) =>
    (crash: Crash): void => {
      this.changed()
      for (const { disk, locks } of this.#hosts.values()) {
        if (crash.kind === "process") locks.releaseProcess(crash.process)
        else {
          locks.releaseAll()
          disk.losePower(choose)
        }
      }
    }

  /** Of an object, behind everybody's back. */
  put(digest: string, body: Uint8Array, millis: number): void {
    this.bucket.put(keyOfDigest(digest), body, millis)
    this.changed()
  }
}

/** Bytes that look random; no two hosts, processes or calls get the same, and every run gets them again. */
const entropyOf =
  (host: string, process: string, disk: MemoryDisk) =>
  (countBytes: number): Uint8Array =>
    createHash("sha512")
      .update(`${host} ${process} ${disk.takeNumber(process)}`)
      .digest()
      .subarray(0, countBytes)
