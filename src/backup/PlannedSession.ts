/**
 * PlannedSession: a session that makes no snapshot. It looks at what a backup looks at, in the same order, holds nobody
 * up, and counts what a backup would store and ask of a bucket.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Datastore } from "../datastore/Datastore.ts"
import * as AuthId from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Digest from "../model/Digest.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { makeMeter } from "../objectstore/decorators/metered.ts"
import { tally } from "../objectstore/decorators/tallied.ts"
import * as RequestCosts from "../objectstore/RequestCosts.ts"
import type { ChunkCodec } from "../platform/ChunkCodec.ts"
import type { Files } from "../platform/Files.ts"
import * as HostCosts from "../store/bucket/HostCosts.ts"
import type { StorageError } from "../store/StorageError.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as BackupSession from "./BackupSession.ts"
import * as KnownChunks from "./KnownChunks.ts"
import * as PlannedStore from "./PlannedStore.ts"

type Failure = StorageError | StoreError | KnownChunks.KnownChunkMissing

export interface PlannedSession {
  readonly session: BackupSession.BackupSession
  /** What the backup takes besides what the plan takes itself; undefined for a store in a folder. */
  readonly cost: () => RequestCosts.Expectation | undefined
  /** What was asked only to find that out. */
  readonly lookups: RequestCosts.RequestCosts
}

/** Looking whether the bucket has the snapshot already, and in the end whether it has all of its files. */
const listings = 2

const noWriter: HostCosts.WritingCosts = { costs: RequestCosts.none, listed: undefined }

/** The owner is claimed in any case; where there is one, the server's answer is read. */
const ownerCosts = (owner: AuthId.AuthId, isNew: boolean): RequestCosts.RequestCosts => {
  const bytes = Buffer.byteLength(`${owner}\n`)
  const claim = { put: 1, sentBytes: bytes }
  return RequestCosts.make(isNew ? claim : { ...claim, get: 1, receivedBytes: bytes })
}

/** Whose the group is; undefined when there is none yet. */
const findOwner = (
  { hierarchy }: Datastore["Service"],
  { group, namespace, owner }: BackupSession.SessionOptions
) =>
  Effect.gen(function* () {
    const name = BackupGroup.format(group)
    const groups = yield* hierarchy.groups(namespace)
    if (!groups.some((found) => BackupGroup.format(found) === name)) return undefined
    const actual = yield* hierarchy.owner(namespace, group)
    if (AuthId.isOwner(actual, owner)) return actual
    return yield* storeError("NotOwner", name, `this backup group belongs to ${actual}, not to ${owner}`)
  })

/**
 * Proves what the previous snapshot names; answers what the backup asks once more in the end. Chunks that were asked
 * for one by one are known to its folder by then, those that a listing has shown are not (see `BucketPresence`).
 */
const proveRegistered = (
  scene: KnownChunks.Scene,
  planned: PlannedStore.PlannedStore,
  knownChunks: KnownChunks.KnownChunksCheck
) =>
  Effect.gen(function* () {
    const meter = yield* makeMeter
    const before = planned.costs()
    yield* tally(meter)(KnownChunks.prove(KnownChunks.plan(scene.known, knownChunks, "register"), scene))
    const counted = RequestCosts.without(planned.costs(), before)
    const asked = RequestCosts.sum(RequestCosts.ofUsage(yield* meter.usage), counted)
    return knownChunks === "both" && asked.list > 0 ? asked : RequestCosts.none
  })

/** Proves what is known and would not be stored anew: that is there by then. */
const proveUsed = (scene: KnownChunks.Scene, planned: PlannedStore.PlannedStore) =>
  Effect.suspend(() => {
    const { digests, moment } = KnownChunks.plan(scene.known, "finish", "finish")
    const kept: Array<Uint8Array> = []
    for (let at = 0; at < digests.length; at += Digest.lengthBytes) {
      if (!planned.isStored(digests, at)) kept.push(digests.subarray(at, at + Digest.lengthBytes))
    }
    return KnownChunks.prove({ moment, digests: Buffer.concat(kept) }, scene)
  })

export const open = (
  options: BackupSession.SessionOptions
): Effect.Effect<PlannedSession, Failure, Datastore | ChunkCodec | Files | Scope.Scope> =>
  Effect.gen(function* () {
    const store = yield* Datastore
    const { group, knownChunks = KnownChunks.defaultCheck, namespace } = options
    const meter = yield* makeMeter
    const { bucket, layout } = store
    const looking = bucket === undefined ? Effect.succeed(noWriter) : HostCosts.ofWriting(layout, bucket)
    const writer = yield* tally(meter)(looking)
    const lookups = RequestCosts.ofUsage(yield* meter.usage)
    const owner = yield* findOwner(store, options)
    const entries = owner === undefined ? [] : yield* store.hierarchy.snapshots(namespace, group)
    const snapshot = Snapshot.make(group, yield* BackupSession.chooseTime(options, entries[0]?.snapshot))
    const previous = yield* BackupSession.findPrevious(store, namespace, entries)
    const planned = yield* PlannedStore.make(store, writer.listed)
    const { datastore } = planned
    const scene = yield* BackupSession.prepareKnown(datastore, options, snapshot, previous)
    const again = yield* proveRegistered(scene, planned, knownChunks)
    const parts = BackupSession.makeSession(datastore, options, snapshot, previous)
    // What was asked for when it was registered is known to the folder from then on.
    const prove = knownChunks === "finish" ? proveUsed(scene, planned) : Effect.void
    const session: BackupSession.BackupSession = {
      ...parts,
      known: scene.known,
      knownChunks,
      leftovers: entries.filter(({ finished }) => !finished).map((entry) => entry.snapshot),
      finish: Effect.andThen(Effect.andThen(parts.prepareFinish, prove), parts.writeManifest)
    }
    const cost = () => {
      if (bucket === undefined) return undefined
      const claim = ownerCosts(owner ?? options.owner, owner === undefined)
      const stored = planned.costs()
      const lists = RequestCosts.make({ list: listings })
      return RequestCosts.expectation(RequestCosts.sum(writer.costs, claim, lists, again, stored), {
        // Another host may have stored some of the chunks; and files change.
        requestsAre: "about",
        bytesAre: "about",
        storedBytes: stored.sentBytes
      })
    }
    return { session, cost, lookups }
  })
