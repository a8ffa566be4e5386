/**
 * A datastore in a bucket in memory, and hosts on it: each has a cache folder on a memory disk of its own. Time is the
 * laboratory's, which costs nothing; everything runs at one go unless it is explored.
 */
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import * as BackupSession from "../../src/backup/BackupSession.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as Gc from "../../src/gc/Gc.ts"
import { allRules, GcRules } from "../../src/gc/GcRules.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { around } from "../../src/objectstore/decorators/ObjectRequest.ts"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import type { ChunkCodec } from "../../src/platform/ChunkCodec.ts"
import { digestOf } from "../../src/platform/chunkContent.ts"
import { Entropy } from "../../src/platform/Entropy.ts"
import type { FileLocks } from "../../src/platform/FileLocks.ts"
import { Files } from "../../src/platform/Files.ts"
import { Host as HostReference } from "../../src/platform/Host.ts"
import * as StoreBucket from "../../src/store/bucket/StoreBucket.ts"
import { chunkPath, layoutOf } from "../../src/store/StoreLayout.ts"
import {
  MemoryBucket,
  MemoryDisk,
  type MemoryFiles,
  MemoryLockTable,
  MemoryObjectStore,
  MemoryPlatform,
  run,
  type Simulation
} from "../../src/testing.ts"
import { markAsCache } from "../store/bucket/cacheMark.ts"

export const layout = layoutOf("/cache")
export const startMillis = 1_767_225_600_000
export const startSeconds = startMillis / 1000
export const daySeconds = 86_400

export const digestOfText = (text: string): Digest.Digest => digestOf(Buffer.from(text), undefined)

const keyOfDigest = (digest: Digest.Digest): string => `store/.chunks/${Digest.prefix(digest)}/${digest}`

export const keyOf = (text: string): string => keyOfDigest(digestOfText(text))

export const pathOf = (text: string): string => chunkPath(layout, digestOfText(text))

export const blobOf = (text: string): Uint8Array => DataBlob.encode(Buffer.from(text), { compress: false })

/** Any digest will do, for what nobody reads. */
export const digestNumber = (number: number): Digest.Digest =>
  Digest.parse(createHash("sha256").update(`number ${number}`).digest("hex"))

/** A cache folder, and what its processes share. */
export class Host {
  readonly name: string
  readonly disk: MemoryDisk
  readonly locks: MemoryLockTable
  #entropyCount = 0

  constructor(name: string, texts: ReadonlyArray<string>, origin?: Host) {
    this.name = name
    this.disk = origin?.disk.fork() ?? new MemoryDisk()
    this.locks = new MemoryLockTable(this.disk)
    if (origin !== undefined) {
      this.#entropyCount = origin.#entropyCount
      return
    }
    this.disk.makeDirectory(layout.base, 0o755, 0)
    this.disk.makeDirectory(layout.chunks, 0o750, 0)
    for (const prefix of new Set(texts.map((text) => Digest.prefix(digestOfText(text))))) {
      this.disk.makeDirectory(`${layout.chunks}/${prefix}`, 0o750, 0)
    }
    this.disk.create(layout.processLock, 0o644, 0)
    markAsCache(this.disk, layout.base, "s3:here/bucket/store")
  }

  /** The same in every run; no two hosts and no two calls get the same. */
  readonly entropy = (countBytes: number): Uint8Array => {
    const block = createHash("sha512")
      .update(`${this.name} ${this.#entropyCount++}`)
      .digest()
    return block.subarray(0, countBytes)
  }

  /** Names in the chunk's folder. */
  names(text: string): ReadonlyArray<string> {
    const digest = digestOfText(text)
    return this.disk
      .list(`${layout.chunks}/${Digest.prefix(digest)}`, 0)
      .map(([name]) => name.replace(digest, "x"))
      .toSorted()
  }

  remove(text: string): void {
    this.disk.unlink(pathOf(text), 0)
  }

  has(text: string): boolean {
    return this.names(text).includes("x")
  }

  /** Puts a file beside the chunk, or a chunk file, behind everybody's back. */
  lay(text: string, suffix: string, content: Uint8Array, seconds: number): void {
    const path = `${pathOf(text)}${suffix}`
    this.disk.create(path, 0o644, seconds * 1000)
    this.disk.put(path, content)
  }
}

export interface Connection extends MemoryObjectStore.MemoryObjectStoreOptions {
  readonly deleteBatchSize?: number
  readonly point?: MemoryFiles.FilesPoint
  readonly process?: string
  readonly rules?: Partial<GcRules>
  readonly cache?: "use" | "bypass"
  readonly decorate?: (objects: ObjectStore["Service"]) => ObjectStore["Service"]
  readonly decorateFiles?: (files: Files["Service"]) => Files["Service"]
}

export type StoreEffect<A, E> = Effect.Effect<
  A,
  E,
  Datastore.Datastore | Files | FileLocks | ChunkCodec | Scope.Scope | Simulation
>

export class Scene {
  readonly bucket: MemoryBucket
  readonly host: Host
  readonly other: Host
  /** Operations asked for since they were taken last, but for those that keep hosts apart. */
  #requests: Array<string> = []

  constructor(texts: ReadonlyArray<string>, origin?: Scene) {
    this.bucket = origin?.bucket.clone() ?? new MemoryBucket()
    this.host = new Host("here", texts, origin?.host)
    this.other = new Host("there", texts, origin?.other)
  }

  /** Once more as it is now, for a run of its own. */
  fork(): Scene {
    return new Scene([], this)
  }

  takeRequests(): ReadonlyArray<string> {
    const taken = this.#requests
    this.#requests = []
    return taken
  }

  /** What the bucket has of these contents. */
  stored(...texts: ReadonlyArray<string>): ReadonlyArray<boolean> {
    return texts.map((text) => this.bucket.find(keyOf(text)) !== undefined)
  }

  /** Puts a chunk's object into the bucket behind everybody's back. */
  put(text: string, seconds: number, suffix = ""): void {
    this.bucket.put(`${keyOf(text)}${suffix}`, blobOf(text), seconds * 1000)
  }

  /** Objects of nobody, and nobody's folders. */
  putNumbers(count: number, seconds: number): void {
    for (let number = 0; number < count; number++) {
      this.bucket.put(keyOfDigest(digestNumber(number)), Buffer.from("x"), seconds * 1000)
    }
  }

  /** Runs with the store open, as a process of its own. */
  readonly on =
    (host: Host, options: Connection = {}) =>
    <A, E>(work: StoreEffect<A, E>) =>
      Effect.suspend(() => {
        const {
          cache = "use",
          decorate = (objects) => objects,
          deleteBatchSize,
          point,
          process = "process"
        } = options
        const counted = around(MemoryObjectStore.make(this.bucket, options), ({ key, operation }, request) =>
          Effect.suspend(() => {
            this.#requests.push(key === "" ? operation : `${operation} ${key}`)
            return request
          })
        )
        const bucket = StoreBucket.make({
          objects: decorate(counted),
          name: "store",
          title: "s3:here/bucket/store",
          ...(deleteBatchSize === undefined ? {} : { deleteBatchSize })
        })
        const machine = MemoryPlatform.layer({
          disk: host.disk,
          locks: host.locks,
          process,
          ...(point === undefined ? {} : { point })
        })
        const { decorateFiles = (files: Files["Service"]) => files } = options
        const files = Layer.effect(Files, Effect.map(Files, decorateFiles))
        const names = Layer.mergeAll(
          Layer.succeed(Entropy, host.entropy),
          Layer.succeed(HostReference, {
            nodeName: host.name,
            bootId: `boot ${host.disk.powerLosses}`,
            pid: 1,
            processStart: 1,
            userName: "root"
          })
        )
        const store = Datastore.layer({
          path: layout.base,
          syncLevel: "none",
          bucket,
          cache,
          maxCacheBytes: 1e9
        })
        const layer = Layer.fresh(store).pipe(
          Layer.provideMerge(files),
          Layer.provideMerge(names),
          Layer.provideMerge(machine)
        )
        return Effect.scoped(work).pipe(
          Effect.provideService(GcRules, { ...allRules, ...options.rules }),
          Effect.provide(layer)
        )
      })
}

/** Plays a program to its end, on a clock that costs nothing. */
export const play = <A, E>(program: Effect.Effect<A, E, Simulation>): A => {
  const { outcome } = run({ program }, {}, { startMillis, maxSteps: 1_000_000 })
  assert.strictEqual(outcome._tag, "Done")
  if (outcome._tag !== "Done") throw new Error("unreachable")
  if (Exit.isSuccess(outcome.exit)) return outcome.exit.value
  throw Cause.squash(outcome.exit.cause)
}

export const group = BackupGroup.make("host", "a")
const archive = ArchiveName.fromFile("a.pxar.didx")
const owner = AuthId.parse("root@pam")

export const insert = (text: string) =>
  Effect.flatMap(Datastore.Datastore, ({ chunks }) =>
    chunks.insert({ digest: digestOfText(text), data: Buffer.from(text), compress: false, crypt: undefined })
  )

/** Stores what is not known, writes the index, and leaves the session open; `between` comes right before the index. */
export const begin = <E = never, R = never>(
  texts: ReadonlyArray<string>,
  of = group,
  between?: Effect.Effect<unknown, E, R>
) =>
  Effect.gen(function* () {
    const session = yield* BackupSession.open({
      namespace: Namespace.root,
      group: of,
      owner,
      knownChunks: "register"
    })
    const entries: Array<DynamicIndex.DynamicEntry> = []
    for (const text of texts) {
      const digest = digestOfText(text)
      if (session.known.add(Digest.toBytes(digest))) yield* insert(text)
      entries.push({ end: (entries.at(-1)?.end ?? 0) + text.length, digest })
    }
    if (between !== undefined) yield* between
    const { snapshot } = session
    const index = DynamicIndex.encode({ uuid: Buffer.alloc(16, 1), ctime: snapshot.time, entries })
    yield* session.datastore.snapshotFiles.write(session.namespace, snapshot, archive.file, index.bytes)
    const { checksum, sizeBytes } = index
    yield* session.addFile({ filename: archive.file, cryptMode: "none", sizeBytes, csum: checksum })
    return session
  })

/** Makes a finished snapshot. */
export const backUpNow = (texts: ReadonlyArray<string>, of = group) =>
  Effect.scoped(Effect.flatMap(begin(texts, of), (session) => Effect.as(session.finish, session.snapshot)))

/** A minute after the one before. */
export const backUp = (texts: ReadonlyArray<string>, of = group) =>
  Effect.andThen(Effect.sleep("1 minute"), backUpNow(texts, of))

export const forget = (snapshot: Snapshot.Snapshot) =>
  Effect.flatMap(Datastore.Datastore, (store) => store.forget(Namespace.root, snapshot))

export const collect = (options: Gc.GcOptions = {}) => Gc.collect({ checksTimes: false, ...options })

/** Longer than the grace period. */
export const graceOver = Effect.sleep("3 days")

export const nowSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

export const indexKeyOf = (snapshot: Snapshot.Snapshot): string =>
  `store/.cnt/${Snapshot.format(snapshot)}/${archive.file}`
