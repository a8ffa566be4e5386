/**
 * KnownChunks: the chunks that a backup need not store, and the proof that they are there.
 *
 * A session knows the chunks of the group's previous snapshot and those it has met itself. Trusting an index alone is
 * dangerous: a chunk that vanished after the last verification would make every later snapshot incomplete without
 * anybody noticing. So all that is registered is proven to be there before the first use, and all that the new snapshot
 * names before its manifest is written. What is planned is a value: which moment, which digests.
 *
 * A missing chunk fails the backup. If the previous snapshot names it, that one is marked as failed, and so the next
 * backup of the group does not build on it, but stores everything anew.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Datastore } from "../datastore/Datastore.ts"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import type { Manifest } from "../format/Manifest.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"
import type { Namespace } from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { Progress } from "../platform/Progress.ts"
import type { StorageError } from "../store/StorageError.ts"

/** When a backup may look whether the chunks it takes for known are there. */
export type Moment = "register" | "finish"

/** When it does. */
export type KnownChunksCheck = "off" | Moment | "both"

export const defaultCheck: KnownChunksCheck = "both"

export const checksAt = (check: KnownChunksCheck, moment: Moment): boolean =>
  check === "both" || check === moment

/** Some known chunks are not there. */
export class KnownChunkMissing extends Data.TaggedError("KnownChunkMissing")<{
  /** The first ones. */
  readonly digests: ReadonlyArray<Digest.Digest>
  /** How many there are. */
  readonly count: number
  /** The backup that failed. */
  readonly snapshot: string
  /** The snapshot that they were known from; undefined when they were stored, or found, during this backup. */
  readonly previous: string | undefined
  /** Whether the previous snapshot is marked as failed now. */
  readonly isMarked: boolean
}> {
  override get message(): string {
    const others = this.count === 1 ? "" : ` and ${this.count - 1} other${this.count === 2 ? "" : "s"}`
    const verb = this.count === 1 ? "is" : "are"
    const chunks = `chunk ${this.digests[0]}${others}`
    if (this.previous === undefined) {
      return `${this.snapshot}: ${chunks} vanished while this backup ran`
    }
    const marked = this.isMarked ? "is marked as failed now" : "could not be marked as failed"
    return `${this.snapshot}: ${chunks} of ${this.previous} ${verb} missing or empty; that snapshot ${marked}`
  }

  get hint(): string {
    if (this.previous === undefined) return "run the backup again; find out what removes chunks"
    const again = this.isMarked ? "run the backup again" : "run the backup again with --no-reuse"
    return `${again}: it will store everything anew`
  }
}

/** How many digests an error names. */
const namedCount = 10

/** Named by the previous snapshot. */
const registered = 1
/** Named by the snapshot in the making. */
const used = 2
/** Not to be relied on any more. */
const forgotten = 4

export class KnownChunks {
  readonly #table: DigestTable

  /** `seed` as for `DigestTable`. */
  constructor(seed?: number) {
    this.#table = new DigestTable(0, seed)
  }

  /** Takes the 32 bytes at `offset` for known from the previous snapshot. */
  register(bytes: Uint8Array, offset = 0): void {
    const before = this.#table.get(bytes, offset) ?? 0
    this.#table.set(bytes, offset, (before & ~forgotten) | registered)
  }

  /** The snapshot in the making names the digest; true when it was not known, so that it has to be stored. */
  add(bytes: Uint8Array, offset = 0): boolean {
    const before = this.#table.get(bytes, offset)
    if (before === undefined || (before & used) === 0 || (before & forgotten) !== 0) {
      this.#table.set(bytes, offset, ((before ?? 0) & ~forgotten) | used)
    }
    return before === undefined || (before & forgotten) !== 0
  }

  has(bytes: Uint8Array, offset = 0): boolean {
    return ((this.#table.get(bytes, offset) ?? forgotten) & forgotten) === 0
  }

  /** The chunk turned out to be no good. If the new snapshot names it already, that is still to be proven. */
  delete(bytes: Uint8Array, offset = 0): void {
    const before = this.#table.get(bytes, offset)
    if (before !== undefined) this.#table.set(bytes, offset, (before & used) | forgotten)
  }

  isRegistered(bytes: Uint8Array, offset = 0): boolean {
    return ((this.#table.get(bytes, offset) ?? 0) & registered) !== 0
  }

  /** What has to be there at a moment, 32 bytes each. */
  digestsAt(moment: Moment): Uint8Array {
    const wanted = moment === "register" ? registered : used
    return this.#table.toBytes((value) => (value & wanted) !== 0)
  }
}

/** Digests registered before others get their turn. */
const registeredTogether = 65_536

/** Registers the chunks of an index. */
const registerIndex = (index: ChunkIndex, known: KnownChunks): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (let chunk = 0; chunk < index.count; chunk++) {
      known.register(index.entries, index.digestOffset(chunk))
      if (chunk % registeredTogether === registeredTogether - 1) yield* Effect.yieldNow
    }
  })

/** Registers the chunks of the previous snapshot. An index that is not the one its manifest names only costs reuse. */
export const registerSnapshot = (
  datastore: Datastore["Service"],
  namespace: Namespace,
  previous: { readonly snapshot: Snapshot.Snapshot; readonly manifest: Manifest },
  known: KnownChunks
): Effect.Effect<void> =>
  Effect.forEach(
    previous.manifest.files,
    ({ csum, filename }) => {
      const archive = ArchiveName.fromFile(filename)
      if (archive.kind === "blob") return Effect.void
      return datastore.snapshotFiles.index(namespace, previous.snapshot, archive).pipe(
        Effect.flatMap((index) =>
          index.computeChecksum() === csum ? registerIndex(index, known) : Effect.void
        ),
        Effect.ignore
      )
    },
    { discard: true }
  )

/** What is to be proven, and when. */
export interface KnownChunksPlan {
  readonly moment: Moment
  /** 32 bytes each. */
  readonly digests: Uint8Array
}

export const plan = (known: KnownChunks, check: KnownChunksCheck, moment: Moment): KnownChunksPlan => ({
  moment,
  digests: checksAt(check, moment) ? known.digestsAt(moment) : new Uint8Array(0)
})

/** Where a plan is carried out. */
export interface Scene {
  readonly datastore: Datastore["Service"]
  readonly namespace: Namespace
  /** The one in the making. */
  readonly snapshot: Snapshot.Snapshot
  readonly previous: Snapshot.Snapshot | undefined
  readonly known: KnownChunks
  /** The backup's task id. */
  readonly upid: string
}

/** The manifest may be out of reach, on a read-only store for example: the backup fails all the same. */
const markAsFailed = ({ datastore, namespace, upid }: Scene, previous: Snapshot.Snapshot) =>
  datastore.snapshotFiles
    .updateManifest(namespace, previous, (manifest) =>
      ManifestNotes.withVerifyState(manifest, { state: "failed", upid })
    )
    .pipe(
      Effect.as(true),
      Effect.catchTag(["FilesError", "ObjectStoreError", "StoreError"], (error) =>
        Effect.map(Progress, (report) => {
          const message = `it could not be marked as failed: ${error.message}`
          report({ type: "warning", subject: Snapshot.format(previous), message })
          return false
        })
      )
    )

const failure = (scene: Scene, digests: Uint8Array, absent: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const { known, previous, snapshot } = scene
    const offsets = absent.map((number) => number * Digest.lengthBytes)
    const blamed = offsets.filter((offset) => known.isRegistered(digests, offset))
    const isBlamed = previous !== undefined && blamed.length > 0
    const isMarked = isBlamed && (yield* markAsFailed(scene, previous))
    const told = isBlamed ? blamed : offsets
    return new KnownChunkMissing({
      digests: told.slice(0, namedCount).map((offset) => Digest.fromBytes(digests, offset)),
      count: told.length,
      snapshot: Snapshot.format(snapshot),
      previous: isBlamed ? Snapshot.format(previous) : undefined,
      isMarked
    })
  })

/** Carries a plan out: everything is there, or the backup fails. */
export const prove = (
  { digests }: KnownChunksPlan,
  scene: Scene
): Effect.Effect<void, StorageError | KnownChunkMissing> =>
  Effect.gen(function* () {
    const absent = yield* scene.datastore.presence.findAbsent(digests)
    if (absent.length > 0) return yield* Effect.flatMap(failure(scene, digests, absent), Effect.fail)
  })
