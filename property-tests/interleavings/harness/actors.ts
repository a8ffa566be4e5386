/**
 * Actors: what is done in a store, with the product's own code: backups, incremental or not, forgetting, pruning,
 * collecting, verifying, reading, moving.
 *
 * A backup is the real session with the real stores, fed with whole chunks instead of a stream that has to be cut. What
 * is known from the previous snapshot is neither stored nor touched, as in `ArchiveWriter`. That somebody else is at
 * work (`Busy`), or has removed the very thing meanwhile, is an end as good as any; other failures are failures.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BackupSession from "../../../src/backup/BackupSession.ts"
import { KnownChunkMissing } from "../../../src/backup/KnownChunks.ts"
import { Datastore } from "../../../src/datastore/Datastore.ts"
import * as DynamicIndex from "../../../src/format/DynamicIndex.ts"
import * as Gc from "../../../src/gc/Gc.ts"
import { allRules, GcRules } from "../../../src/gc/GcRules.ts"
import * as ArchiveName from "../../../src/model/ArchiveName.ts"
import * as AuthId from "../../../src/model/AuthId.ts"
import * as BackupGroup from "../../../src/model/BackupGroup.ts"
import * as Digest from "../../../src/model/Digest.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import * as Prune from "../../../src/prune/Prune.ts"
import * as PrunePlan from "../../../src/prune/PrunePlan.ts"
import * as ArchiveReader from "../../../src/restore/ArchiveReader.ts"
import * as SnapshotReader from "../../../src/restore/SnapshotReader.ts"
import { storeError, type StoreError, type StoreReason } from "../../../src/store/StoreError.ts"
import * as Verify from "../../../src/verify/Verify.ts"
import * as VerifyPlan from "../../../src/verify/VerifyPlan.ts"
import { Vfs } from "../../../src/vfs/Vfs.ts"
import * as VfsLayer from "../../../src/vfs/VfsLayer.ts"
import * as VfsPaths from "../../../src/vfs/VfsPaths.ts"
import type { Mutation } from "./Mutation.ts"
import { digestOfText, type StoreEffect, type World } from "./World.ts"

/** Who is told what was acknowledged and what was given up. */
export type Witness = Pick<World, "absentAmong" | "acknowledged" | "fault" | "givenUp" | "mutation">

export const group = BackupGroup.make("host", "a")
export const fileArchive = ArchiveName.fromFile("a.pxar.didx")
/** Stored like a file archive, and shown by a mount as one plain file. */
export const plainArchive = ArchiveName.fromFile("catalog.pcat1.didx")
export const owner = AuthId.parse("root@pam")

export interface BackupInput {
  readonly time: number
  /** One chunk each. */
  readonly contents: ReadonlyArray<string>
  readonly group?: BackupGroup.BackupGroup
  readonly namespace?: Namespace.Namespace
  /** How the archive is called; a file archive that nobody looks into, unless told. */
  readonly archive?: ArchiveName.ArchiveName
  readonly reusePrevious?: boolean
  /** Runs after the chunks are stored and before the index is written. */
  readonly between?: StoreEffect<unknown, never>
}

export const snapshotAt = (time: number, of = group): Snapshot.Snapshot => Snapshot.make(of, time)

const storeChunk = (session: BackupSession.BackupSession, content: string) => {
  const data = Buffer.from(content)
  const digest = digestOfText(content)
  return session.known.add(Digest.toBytes(digest))
    ? session.datastore.chunks.insert({ digest, data, compress: false, crypt: undefined })
    : Effect.void
}

const writeIndex = (
  session: BackupSession.BackupSession,
  { archive = fileArchive, contents, time }: BackupInput
) =>
  Effect.gen(function* () {
    let end = 0
    const entries = contents.map((content) => ({
      digest: digestOfText(content),
      end: (end += Buffer.byteLength(content))
    }))
    const index = DynamicIndex.encode({ uuid: Buffer.alloc(16, time), ctime: time, entries })
    const { snapshotFiles } = session.datastore
    yield* session.addFile({
      filename: archive.file,
      cryptMode: "none",
      sizeBytes: index.sizeBytes,
      csum: index.checksum
    })
    yield* snapshotFiles.write(session.namespace, session.snapshot, archive.file, index.bytes)
  })

/** A session up to the moment before it finishes. */
export const begin = (input: BackupInput, mutation: Mutation = {}) =>
  Effect.gen(function* () {
    const { knownChunks } = mutation
    const session = yield* BackupSession.open({
      namespace: input.namespace ?? Namespace.root,
      group: input.group ?? group,
      time: input.time,
      owner,
      reusePrevious: input.reusePrevious ?? true,
      ...(knownChunks === undefined ? {} : { knownChunks })
    })
    for (const content of input.contents) yield* storeChunk(session, content)
    yield* input.between ?? Effect.void
    yield* writeIndex(session, input)
    return session
  })

/**
 * A whole backup, which the world is told of when it is acknowledged. Fails as the session does. One that ends well
 * although a chunk was not there when it began to finish, and is not there now, has not looked.
 */
export const backUp = (world: Witness | undefined, input: BackupInput) =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* begin(input, world?.mutation)
      if (world === undefined) return yield* Effect.as(session.finish, session.snapshot)
      const digests = input.contents.map(digestOfText)
      const absent = yield* world.absentAmong(digests)
      yield* session.finish
      const snapshot = Snapshot.format(session.snapshot)
      const [missed] = yield* world.absentAmong(absent)
      if (missed !== undefined)
        world.fault = `I2: ${snapshot} was acknowledged without chunk ${missed.slice(0, 8)}`
      world.acknowledged.push({ snapshot, digests })
      return session.snapshot
    })
  )

/** A backup that may miss chunks which it took for known, and then fails: for scenarios that make them vanish. */
export const unlessMissing = <A, E, R>(work: Effect.Effect<A, E | KnownChunkMissing, R>) =>
  Effect.catchIf(
    work,
    (error): error is KnownChunkMissing => error instanceof KnownChunkMissing,
    () => Effect.succeed(undefined)
  )

const isBetween = (reasons: ReadonlyArray<StoreReason>) => (error: { readonly _tag: string }) =>
  error._tag === "StoreError" && reasons.includes((error as StoreError).reason)

const othersAtWork: ReadonlyArray<StoreReason> = [
  "Busy",
  "NoSuchSnapshot",
  "NoSuchGroup",
  "SnapshotExists",
  "Unfinished"
]

/** Others may be in the way; answers undefined then. */
export const yielding = <A, E extends { readonly _tag: string }, R>(
  work: Effect.Effect<A, E, R>
): Effect.Effect<A | undefined, E, R> =>
  Effect.catchIf(work, isBetween(othersAtWork), () => Effect.succeed(undefined))

/** Removes a snapshot. */
export const forget = (world: Witness, snapshot: Snapshot.Snapshot, namespace = Namespace.root) =>
  Effect.suspend(() => {
    world.givenUp.add(Snapshot.format(snapshot))
    return Effect.flatMap(Datastore, (store) => store.forget(namespace, snapshot))
  })

/** Prunes the group to its newest snapshot. */
export const prune = (world: Witness, of = group, namespace = Namespace.root) =>
  Effect.gen(function* () {
    const plan = yield* PrunePlan.make({ namespace, groups: [of], retention: { last: 1 } })
    for (const { decisions } of plan.groups) {
      for (const { keep, snapshot } of decisions) if (!keep) world.givenUp.add(Snapshot.format(snapshot))
    }
    return yield* Prune.run(plan)
  })

/** Collects garbage, without the second that proving the file system's times takes. */
export const collect = (options: Gc.GcOptions = {}) =>
  Effect.gen(function* () {
    const summary = yield* Gc.collect({ checksTimes: false, ...options })
    const [error] = summary.errors
    if (error !== undefined) return yield* storeError("Damaged", "garbage collection", error)
    return summary
  })

/** Switches rules of garbage collection off. */
export const withoutRules = (rules: Partial<GcRules>): Mutation => ({
  around: (work) => Effect.provideService(work, GcRules, { ...allRules, ...rules })
})

/** Verifies everything, or one group. */
export const verify = (options: Partial<VerifyPlan.VerifyOptions> = {}) =>
  Effect.flatMap(VerifyPlan.make({ namespace: Namespace.root, ...options }), (plan) => Verify.run(plan))

const readOtherwise = (snapshot: Snapshot.Snapshot) =>
  storeError("Damaged", Snapshot.format(snapshot), "what was read is not what was backed up")

/** Reads a whole archive of a snapshot; what came must be what was backed up. */
export const restore = (
  snapshot: Snapshot.Snapshot,
  expected: string,
  { archive = fileArchive, namespace = Namespace.root } = {}
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* SnapshotReader.open({ namespace, snapshot })
      const index = yield* reader.index(yield* reader.find(archive.client))
      const content = yield* ArchiveReader.make(reader.datastore.chunks, index, undefined)
      const bytes = yield* content.read(0, content.sizeBytes)
      if (Buffer.from(bytes).toString() === expected) return
      return yield* readOtherwise(snapshot)
    })
  )

/** Nothing of the name any more, or another thing of that name. */
const isGone = (error: { readonly _tag: string; readonly reason?: string }): boolean =>
  error._tag === "VfsError" && (error.reason === "NotFound" || error.reason === "Gone")

/**
 * Reads the plain archive of a snapshot through a tree as a mount serves it, byte by byte: a program that reads a file
 * knows of no snapshot. That it has been removed is an end as good as any; bytes that are missing or wrong are not.
 */
export const readMounted = (snapshot: Snapshot.Snapshot, expected: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const tree = yield* Layer.build(VfsLayer.layer())
      const vfs = Context.get(tree, Vfs)
      const { id, type } = snapshot.group
      const path = `${type}/${id}/${snapshot.directory}/${plainArchive.client}`
      const { inode } = yield* Effect.provide(VfsPaths.stat(path), tree)
      const bytes = yield* Effect.forEach([...expected], (_, offset) => vfs.read(inode, offset, 1))
      if (Buffer.concat(bytes).toString() !== expected) return yield* readOtherwise(snapshot)
    })
  ).pipe(Effect.catchIf(isGone, () => Effect.void))

export const move = (from: Namespace.Namespace, to: Namespace.Namespace, of = group) =>
  Effect.flatMap(Datastore, (store) => store.moveGroup(from, of, to))

/** Stores a chunk that nobody names. */
export const insertLoose = (content: string) =>
  Effect.flatMap(Datastore, ({ chunks }) =>
    chunks.insert({
      digest: digestOfText(content),
      data: Buffer.from(content),
      compress: false,
      crypt: undefined
    })
  )

/** Condemns a chunk if its content is wrong, as a verification does. */
export const condemn = (content: string) =>
  Effect.flatMap(Datastore, ({ chunks }) =>
    chunks.condemn({ digest: digestOfText(content), sizeBytes: undefined, crypt: undefined })
  )
