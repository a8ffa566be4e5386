/**
 * Two datastores in memory, to be synced: each in a folder of a disk of its own, or in a bucket with a cache folder. Time
 * costs nothing, and everything runs at one go.
 */
import { assert } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import * as BackupSession from "../../src/backup/BackupSession.ts"
import * as BucketReading from "../../src/datastore/BucketReading.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import type { CryptConfig } from "../../src/format/CryptConfig.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import * as ChunkCodec from "../../src/platform/ChunkCodec.ts"
import { digestOf } from "../../src/platform/chunkContent.ts"
import * as StoreBucket from "../../src/store/bucket/StoreBucket.ts"
import { chunkPath, layoutOf } from "../../src/store/StoreLayout.ts"
import * as DatastoreSource from "../../src/sync/DatastoreSource.ts"
import * as DatastoreTarget from "../../src/sync/DatastoreTarget.ts"
import * as SyncJob from "../../src/sync/SyncJob.ts"
import type { SyncOptions } from "../../src/sync/SyncOptions.ts"
import type { SyncSource } from "../../src/sync/SyncSource.ts"
import type { SyncTarget } from "../../src/sync/SyncTarget.ts"
import {
  MemoryBucket,
  MemoryDisk,
  MemoryLockTable,
  MemoryObjectStore,
  MemoryPlatform,
  run,
  type Simulation
} from "../../src/testing.ts"
import { markAsCache } from "../store/bucket/cacheMark.ts"

export const owner = AuthId.parse("backup@pbs")
export const startSeconds = 1_767_225_600

export type Kind = "folder" | "bucket"
type Opened = Datastore.Datastore["Service"]

export const digestOfText = (text: string, crypt?: CryptConfig): Digest.Digest =>
  digestOf(Buffer.from(text), crypt)

/** A store that processes open. */
export class Store {
  readonly kind: Kind
  readonly name: string
  readonly disk = new MemoryDisk()
  readonly locks = new MemoryLockTable(this.disk)
  readonly memory = new MemoryBucket()
  readonly layout: ReturnType<typeof layoutOf>
  readonly #prefixes = new Set<string>()
  /** Around the requests of a store in a bucket. */
  decorate: (objects: ObjectStore["Service"]) => ObjectStore["Service"] = (objects) => objects

  constructor(name: string, kind: Kind) {
    this.name = name
    this.kind = kind
    this.layout = layoutOf(`/${name}`)
    this.disk.makeDirectory(this.layout.base, 0o755, 0)
    this.disk.makeDirectory(this.layout.chunks, 0o750, 0)
    this.disk.create(this.layout.processLock, 0o644, 0)
    if (kind === "bucket") markAsCache(this.disk, this.layout.base, `s3:here/bucket/${name}`)
  }

  #bucket(): StoreBucket.StoreBucket {
    const objects = this.decorate(MemoryObjectStore.make(this.memory))
    return StoreBucket.make({ objects, name: "store", title: `s3:here/bucket/${this.name}` })
  }

  prepareFor(digest: Digest.Digest): void {
    const prefix = Digest.prefix(digest)
    if (this.#prefixes.has(prefix)) return
    this.#prefixes.add(prefix)
    this.disk.makeDirectory(`${this.layout.chunks}/${prefix}`, 0o750, 0)
  }

  machine(process: string) {
    return MemoryPlatform.layer({ disk: this.disk, locks: this.locks, process })
  }

  /** Opens it as a process of its own. */
  open(process = "process"): Effect.Effect<Opened, unknown, Scope.Scope> {
    const machine = this.machine(process)
    const bucket = this.kind === "bucket" ? { bucket: this.#bucket(), maxCacheBytes: 1e9 } : {}
    return Layer.build(
      Layer.provide(Layer.fresh(Datastore.layer({ path: this.layout.base, ...bucket })), machine)
    ).pipe(Effect.map((context) => Context.get(context, Datastore.Datastore)))
  }

  /** Reads it straight from its bucket. */
  openWithoutFolder(): Effect.Effect<Opened, unknown, Scope.Scope> {
    const machine = MemoryPlatform.layer({ disk: new MemoryDisk(), process: "reader" })
    return Effect.provide(BucketReading.open(this.#bucket()), machine)
  }

  /** Changes a chunk where it lies. */
  damageChunk(text: string): void {
    const digest = digestOfText(text)
    if (this.kind === "folder") return this.disk.put(chunkPath(this.layout, digest), Buffer.from("damaged"))
    const key = `store/.chunks/${Digest.prefix(digest)}/${digest}`
    this.memory.put(key, Buffer.from("damaged"), 0)
    this.disk.put(chunkPath(this.layout, digest), Buffer.from("damaged"))
  }
}

export interface BackupInput {
  readonly group: string
  /** Days after the start. */
  readonly day: number
  readonly texts: ReadonlyArray<string>
  readonly namespace?: string
  readonly owner?: AuthId.AuthId
  readonly key?: { readonly crypt: CryptConfig; readonly mode: "encrypt" | "sign-only" }
  readonly clientLog?: string
  readonly notes?: string
}

export const snapshotOf = (group: string, day: number): Snapshot.Snapshot =>
  Snapshot.make(BackupGroup.parse(group), startSeconds + day * 86_400)

export class Scene {
  readonly source: Store
  readonly target: Store

  constructor(source: Kind = "folder", target: Kind = "folder") {
    this.source = new Store("source", source)
    this.target = new Store("target", target)
  }

  prepareFor(digest: Digest.Digest): void {
    this.source.prepareFor(digest)
    this.target.prepareFor(digest)
  }

  /** Makes a finished snapshot of one index and one blob. */
  backUp(store: Store, input: BackupInput) {
    const namespace = Namespace.parse(input.namespace ?? "")
    const crypt = input.key?.mode === "encrypt" ? input.key.crypt : undefined
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        const datastore = yield* store.open("backup")
        if (namespace !== Namespace.root) yield* datastore.hierarchy.createNamespace(namespace)
        const { group, time } = snapshotOf(input.group, input.day)
        const session = yield* BackupSession.open({
          namespace,
          group,
          time,
          owner: input.owner ?? owner,
          knownChunks: "off",
          ...(input.key === undefined ? {} : { key: input.key })
        }).pipe(Effect.provideService(Datastore.Datastore, datastore))
        const entries: Array<DynamicIndex.DynamicEntry> = []
        for (const text of input.texts) {
          const digest = digestOfText(text, crypt)
          this.prepareFor(digest)
          yield* datastore.chunks.insert({ digest, data: Buffer.from(text), compress: true, crypt })
          entries.push({ end: (entries.at(-1)?.end ?? 0) + text.length, digest })
        }
        const { checksum, bytes, sizeBytes } = DynamicIndex.encode({
          uuid: Buffer.alloc(16, input.day + 1),
          ctime: time,
          entries
        })
        const { snapshot } = session
        yield* datastore.snapshotFiles.write(namespace, snapshot, archive.file, bytes)
        const { cryptMode } = session
        yield* session.addFile({ filename: archive.file, cryptMode, sizeBytes, csum: checksum })
        yield* session.uploadBlob(ArchiveName.fromFile("a.conf.blob"), Buffer.from(`conf ${input.day}`))
        yield* session.finish
        if (input.clientLog !== undefined) {
          const log = Buffer.from(input.clientLog)
          yield* datastore.snapshotFiles.write(namespace, snapshot, ArchiveName.clientLogFile, log)
        }
        return snapshot
      })
    )
  }

  /** Several snapshots of a group, one a day, each with the texts of its day. */
  backUpDays(store: Store, group: string, days: ReadonlyArray<ReadonlyArray<string>>, namespace = "") {
    return Effect.forEach(days, (texts, day) => this.backUp(store, { group, day, texts, namespace }))
  }

  /** Runs with both ends open. */
  ends<A, E, R>(
    use: (ends: {
      readonly source: SyncSource["Service"]
      readonly target: SyncTarget["Service"]
      readonly sourceStore: Opened
      readonly targetStore: Opened
    }) => Effect.Effect<A, E, R>
  ) {
    return Effect.scoped(
      Effect.gen({ self: this }, function* () {
        const sourceStore = yield* this.source.open("sync")
        const targetStore = yield* this.target.open("sync")
        const codec = Layer.provide(Layer.fresh(ChunkCodec.layerInline), MemoryPlatform.layer())
        const target = yield* Effect.provide(DatastoreTarget.make(targetStore), codec)
        return yield* use({ source: DatastoreSource.make(sourceStore), target, sourceStore, targetStore })
      })
    )
  }

  /** `around` stands between the sync and its source. */
  sync(
    options: Partial<SyncOptions> = {},
    around: (source: SyncSource["Service"]) => SyncSource["Service"] = (source) => source
  ) {
    return this.ends(({ source, target }) =>
      SyncJob.make(around(source), target).run({ direction: "pull", owner, ...options })
    )
  }

  plan(options: Partial<SyncOptions> = {}) {
    return this.ends(({ source, target }) =>
      SyncJob.make(source, target).plan({ direction: "pull", owner, ...options })
    )
  }
}

export const archive = ArchiveName.fromFile("a.pxar.didx")

/** Works on an opened store. */
export const inStore = <A, E, R>(store: Store, work: (datastore: Opened) => Effect.Effect<A, E, R>) =>
  Effect.scoped(Effect.flatMap(store.open("other"), work))

const hex = (bytes: Uint8Array): string => hash("sha256", bytes, "hex").slice(0, 12)

/** Everything that a store holds, as lines: snapshots with their files, and the chunks that indexes name. */
export const contentsOf = (store: Store, start = "") =>
  inStore(store, (datastore) =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const chunks = new Set<Digest.Digest>()
      const { hierarchy, snapshotFiles } = datastore
      for (const namespace of yield* hierarchy.namespaces(Namespace.parse(start))) {
        lines.push(`namespace ${namespace}`)
        for (const group of yield* hierarchy.groups(namespace)) {
          lines.push(`${BackupGroup.format(group)} ${yield* hierarchy.owner(namespace, group)}`)
          for (const { snapshot } of (yield* hierarchy.snapshots(namespace, group)).toReversed()) {
            for (const name of [...(yield* snapshotFiles.stored(namespace, snapshot))].toSorted()) {
              if (name === ArchiveName.protectedFile) lines.push(`${Snapshot.format(snapshot)} protected`)
              else {
                const bytes = yield* snapshotFiles.read(namespace, snapshot, name)
                lines.push(`${Snapshot.format(snapshot)} ${name} ${hex(bytes)}`)
                if (!name.endsWith(".didx")) continue
                const index = DynamicIndex.decode(bytes)
                for (let chunk = 0; chunk < index.count; chunk++) chunks.add(index.digest(chunk))
              }
            }
          }
        }
      }
      for (const digest of [...chunks].toSorted()) {
        const blob = yield* Effect.result(datastore.chunks.readEncoded(digest))
        lines.push(`chunk ${digest.slice(0, 12)} ${blob._tag === "Success" ? hex(blob.success) : "missing"}`)
      }
      return lines
    })
  )

/** Both stores hold the same, byte for byte. */
export const assertSame = (scene: Scene, sourceStart = "", targetStart = "") =>
  Effect.gen(function* () {
    const strip = (start: string) => (line: string) =>
      start === ""
        ? line
        : line.replace(`namespace ${start}`, "namespace ").replace("namespace /", "namespace ")
    const expected = (yield* contentsOf(scene.source, sourceStart)).map(strip(sourceStart))
    const found = (yield* contentsOf(scene.target, targetStart)).map(strip(targetStart))
    assert.deepStrictEqual(found, expected)
    assert.isEmpty(found.filter((line) => line.endsWith("missing")))
  })

/** Names of the snapshots of a store, with `u` for unfinished and `p` for protected ones. */
export const snapshotsOf = (store: Store, namespace = "") =>
  inStore(store, ({ hierarchy }) =>
    Effect.gen(function* () {
      const groups = yield* hierarchy.groups(Namespace.parse(namespace))
      const entries = yield* Effect.forEach(groups, (group) =>
        hierarchy.snapshots(Namespace.parse(namespace), group)
      )
      return entries.flatMap((listed) =>
        listed.toReversed().map((entry) => {
          const { group, time } = entry.snapshot
          const flags = `${entry.finished ? "" : "u"}${entry.protected ? "p" : ""}`
          return `${BackupGroup.format(group)}@${(time - startSeconds) / 86_400}${flags === "" ? "" : ` ${flags}`}`
        })
      )
    })
  )

/** Plays a program to its end. */
export const play = <A, E>(program: Effect.Effect<A, E, Simulation>): A => {
  const { outcome } = run({ program }, {}, { startMillis: startSeconds * 1000, maxSteps: 5_000_000 })
  assert.strictEqual(outcome._tag, "Done")
  if (outcome._tag !== "Done") throw new Error("unreachable")
  if (Exit.isSuccess(outcome.exit)) return outcome.exit.value
  throw Cause.squash(outcome.exit.cause)
}

/** What goes wrong instead. */
export const failureOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.match(effect, {
    onFailure: (error) => error as { readonly message: string; readonly reason?: string },
    onSuccess: () => assert.fail("it succeeded")
  })
