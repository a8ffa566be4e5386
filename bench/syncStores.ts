/**
 * Datastores for the benchmark of sync, and the sync between two of them: through ports that answer late, as a store
 * does that is far away.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import { cp, mkdir, writeFile } from "node:fs/promises"
import * as path from "node:path"
import * as Datastore from "../src/datastore/Datastore.ts"
import * as DynamicIndex from "../src/format/DynamicIndex.ts"
import * as Manifest from "../src/format/Manifest.ts"
import * as ArchiveName from "../src/model/ArchiveName.ts"
import * as AuthId from "../src/model/AuthId.ts"
import * as BackupGroup from "../src/model/BackupGroup.ts"
import * as Digest from "../src/model/Digest.ts"
import * as Namespace from "../src/model/Namespace.ts"
import * as Snapshot from "../src/model/Snapshot.ts"
import { ChunkCodec } from "../src/platform/ChunkCodec.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"
import { digestOf } from "../src/platform/chunkContent.ts"
import * as DatastoreSource from "../src/sync/DatastoreSource.ts"
import * as DatastoreTarget from "../src/sync/DatastoreTarget.ts"
import * as SyncJob from "../src/sync/SyncJob.ts"
import type { SyncOptions } from "../src/sync/SyncOptions.ts"
import type { SyncSource } from "../src/sync/SyncSource.ts"
import type { SyncSummary } from "../src/sync/SyncSummary.ts"
import { makeNoise } from "./SeededData.ts"

type Store = Datastore.Datastore["Service"]

const owner = AuthId.parse("root@pam")
const archive = ArchiveName.fromFile("disk.img.didx")
const startSeconds = 1_767_225_600

/** Each thread has done something, so that none is still starting when the clock runs. */
const warmUp = Effect.gen(function* () {
  const codec = yield* ChunkCodec
  const jobs = Array.from({ length: codec.parallelism }, (_, number) => new Uint8Array([number]))
  yield* Effect.forEach(jobs, (job) => codec.digest(job, undefined), {
    concurrency: "unbounded",
    discard: true
  })
})

/** Threads are there before the clock runs. */
export const machine = Layer.tap(NodePlatform.layerWith({ startsEarly: true }), (context) =>
  Effect.provideContext(warmUp, context)
)

/** A store without the folders that no chunk is in, so that copying it copies nothing else. */
export const makeBare = async (folder: string): Promise<string> => {
  await mkdir(path.join(folder, ".chunks"), { recursive: true })
  await writeFile(path.join(folder, ".lock"), "")
  return folder
}

const open = (folder: string, syncLevel: "none" | "filesystem") =>
  Effect.map(Layer.build(Layer.fresh(Datastore.layer({ path: folder, syncLevel }))), (context) =>
    Context.get(context, Datastore.Datastore)
  )

/** Chunks and how many of the first of them each snapshot has, the oldest first. */
export interface GroupContent {
  readonly id: string
  readonly chunks: ReadonlyArray<Uint8Array>
  readonly countBySnapshot: ReadonlyArray<number>
}

export const groupNamed = (id: string): BackupGroup.BackupGroup => BackupGroup.make("vm", id)

const writeSnapshot = (
  { hierarchy, snapshotFiles }: Store,
  snapshot: Snapshot.Snapshot,
  entries: ReadonlyArray<DynamicIndex.DynamicEntry>
) =>
  Effect.gen(function* () {
    yield* hierarchy.createSnapshot(Namespace.root, snapshot)
    const uuid = hash("md5", Snapshot.format(snapshot), "buffer")
    const index = DynamicIndex.encode({ uuid, ctime: snapshot.time, entries })
    yield* snapshotFiles.write(Namespace.root, snapshot, archive.file, index.bytes)
    const { checksum: csum, sizeBytes } = index
    const manifest = Manifest.make(snapshot, [{ filename: archive.file, cryptMode: "none", sizeBytes, csum }])
    yield* snapshotFiles.write(Namespace.root, snapshot, ArchiveName.manifestFile, Manifest.encode(manifest))
  })

const fillGroup = (store: Store, { chunks, countBySnapshot, id }: GroupContent) =>
  Effect.gen(function* () {
    const group = groupNamed(id)
    yield* store.hierarchy.ensureGroup(Namespace.root, group, owner)
    const digests = chunks.map((data) => digestOf(data, undefined))
    yield* Effect.forEach(
      chunks,
      (data, number) =>
        store.chunks.insert({ digest: digests[number]!, data, compress: true, crypt: undefined }),
      { concurrency: 4, discard: true }
    )
    for (const [day, count] of countBySnapshot.entries()) {
      let end = 0
      const entries = chunks.slice(0, count).map(({ length }, number) => {
        end += length
        return { end, digest: digests[number]! }
      })
      yield* writeSnapshot(store, Snapshot.make(group, startSeconds + day * 86_400), entries)
    }
  })

export interface NoiseShape {
  readonly groups: number
  readonly snapshotsPerGroup: number
  /** Different ones, in all groups together. */
  readonly chunks: number
  readonly chunkBytes: number
}

/** How the groups of `groupsOfNoise` are called. */
export const idOfGroup = (number: number): string => String(100 + number)

/** Every snapshot has the chunks of the one before, and as many new ones. */
export const groupsOfNoise = function* (shape: NoiseShape): IterableIterator<GroupContent> {
  const { chunkBytes, snapshotsPerGroup } = shape
  const noise = makeNoise(`sync ${chunkBytes}`)
  for (let group = 0; group < shape.groups; group++) {
    const chunks = Array.from({ length: shape.chunks / shape.groups }, () => {
      const chunk = Buffer.alloc(chunkBytes)
      noise(chunk)
      return chunk
    })
    const countBySnapshot = Array.from({ length: snapshotsPerGroup }, (_, day) =>
      Math.ceil((chunks.length * (day + 1)) / snapshotsPerGroup)
    )
    yield { id: idOfGroup(group), chunks, countBySnapshot }
  }
}

/** Writes groups into a store, one after the other, so that only one is in memory. */
export const fill = (folder: string, groups: Iterable<GroupContent>) =>
  Effect.gen(function* () {
    const store = yield* open(folder, "none")
    for (const group of groups) yield* fillGroup(store, group)
  }).pipe(Effect.scoped)

/** A second store that has the same. */
export const copyStore = async (from: string, to: string): Promise<string> => {
  await cp(from, to, { recursive: true })
  return to
}

/** Every call of the source takes so long before it is even heard. */
export const late = (source: SyncSource["Service"], millis: number): SyncSource["Service"] => {
  const wait = <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.delay(call, millis)
  return {
    ...source,
    namespaces: (...of) => wait(source.namespaces(...of)),
    groups: (namespace) => wait(source.groups(namespace)),
    snapshots: (...of) => wait(source.snapshots(...of)),
    openSnapshot: (...of) =>
      Effect.map(wait(source.openSnapshot(...of)), (opened) => ({
        manifest: wait(opened.manifest),
        file: (name) => wait(opened.file(name)),
        chunk: (digest) => wait(opened.chunk(digest)),
        clientLog: wait(opened.clientLog)
      }))
  }
}

export interface Between {
  readonly from: string
  readonly to: string
  readonly latencyMillis?: number
}

/** Pulls from a source into a store in a folder. */
export const pullFrom = (
  source: SyncSource["Service"],
  to: string,
  options: Partial<SyncOptions>
): Effect.Effect<SyncSummary, unknown, Scope.Scope | ChunkCodec | Datastore.DatastoreRequirements> =>
  Effect.gen(function* () {
    const target = yield* DatastoreTarget.make(yield* open(to, "filesystem"))
    const summary = yield* SyncJob.make(source, target).run({ direction: "pull", owner, ...options })
    if (summary.failedGroups > 0)
      throw new Error(summary.groups.map(({ error }) => error?.message).join("\n"))
    return summary
  })

/** Pulls from one into the other. */
export const pull = (
  { from, latencyMillis = 0, to }: Between,
  options: Partial<SyncOptions> = {}
): Effect.Effect<SyncSummary, unknown, Scope.Scope | ChunkCodec | Datastore.DatastoreRequirements> =>
  Effect.gen(function* () {
    const source = DatastoreSource.make(yield* open(from, "filesystem"))
    return yield* pullFrom(latencyMillis === 0 ? source : late(source, latencyMillis), to, options)
  })

/** Digests that nobody has seen, without any content. */
export const digestNumbered = (number: number): Digest.Digest =>
  Digest.parse(hash("sha256", `${number}`, "hex"))
