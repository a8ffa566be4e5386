/** What is done to a datastore in a bucket: operations that begin with the same store and can be asked for again. */
import * as Effect from "effect/Effect"
import * as BackupSession from "../../../src/backup/BackupSession.ts"
import { Datastore } from "../../../src/datastore/Datastore.ts"
import * as DynamicIndex from "../../../src/format/DynamicIndex.ts"
import * as ManifestNotes from "../../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../../src/model/ArchiveName.ts"
import * as AuthId from "../../../src/model/AuthId.ts"
import * as BackupGroup from "../../../src/model/BackupGroup.ts"
import * as Digest from "../../../src/model/Digest.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import { digestOf } from "../../../src/platform/chunkContent.ts"
import * as ForgetGroup from "../../../src/prune/ForgetGroup.ts"
import * as Prune from "../../../src/prune/Prune.ts"
import * as PrunePlan from "../../../src/prune/PrunePlan.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import { markAsCache } from "./cacheMark.ts"
import { base, inWorld, type Services, type World } from "./world.ts"

export type Work = Effect.Effect<unknown, unknown, Services>

const root = Namespace.root
const team = Namespace.parse("team")
const owner = AuthId.parse("root@pam")
const index = ArchiveName.fromFile("texts.didx")
const blob = ArchiveName.fromFile("note.conf.blob")

export const group = BackupGroup.make("vm", "10")
/** Its name begins like the other's. */
export const neighbour = BackupGroup.make("vm", "100")

export const time = 1_700_000_000

const texts = ["one", "two"]

const digestOfText = (text: string): Digest.Digest => digestOf(Buffer.from(text), undefined)

/** A folder of a new store, with folders for the chunks of these tests only. */
export const newWorld = (): World => {
  const disk = new MemoryDisk()
  disk.makeDirectory(base, 0o755, 0)
  disk.makeDirectory(`${base}/.chunks`, 0o750, 0)
  for (const prefix of new Set(texts.map((text) => digestOfText(text).slice(0, 4)))) {
    disk.makeDirectory(`${base}/.chunks/${prefix}`, 0o750, 0)
  }
  disk.create(`${base}/.lock`, 0o644, 0)
  markAsCache(disk, base, "store")
  disk.syncAll()
  return { disk, bucket: new MemoryBucket() }
}

/** A finished snapshot of an index and a blob. */
export const backUp = (at: number, of = group, namespace = root) =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* BackupSession.open({ namespace, group: of, owner, time: at })
      const { datastore, snapshot } = session
      const entries: Array<DynamicIndex.DynamicEntry> = []
      for (const text of texts) {
        const data = Buffer.from(text)
        const digest = digestOfText(text)
        if (session.known.add(Digest.toBytes(digest))) {
          yield* datastore.chunks.insert({ digest, data, compress: false, crypt: undefined })
        }
        entries.push({ end: (entries.at(-1)?.end ?? 0) + data.length, digest })
      }
      const encoded = DynamicIndex.encode({ uuid: Buffer.alloc(16, 1), ctime: at, entries })
      yield* datastore.snapshotFiles.write(namespace, snapshot, index.file, encoded.bytes)
      const { checksum: csum, sizeBytes } = encoded
      yield* session.addFile({ filename: index.file, cryptMode: "none", sizeBytes, csum })
      yield* session.uploadBlob(blob, Buffer.from("a note"))
      yield* session.finish
      return snapshot
    })
  )

const inStore = <A, E, R>(use: (store: Datastore["Service"]) => Effect.Effect<A, E, R>) =>
  Effect.flatMap(Datastore, use)

const snapshotAt = (at: number): Snapshot.Snapshot => Snapshot.make(group, at)

const forgetLeftovers = inStore(({ forget, hierarchy }) =>
  Effect.gen(function* () {
    for (const each of yield* hierarchy.groups(root)) {
      for (const { finished, snapshot } of yield* hierarchy.snapshots(root, each)) {
        if (!finished) yield* forget(root, snapshot)
      }
    }
  })
)

const setProtected = (isProtected: boolean) =>
  inStore(({ hierarchy }) => hierarchy.setProtected(root, snapshotAt(time), isProtected))

export interface Operation {
  readonly name: string
  /** What is there before; always a neighbour whose names begin alike. */
  readonly setup: Work
  readonly run: Work
  /** How it is asked for again after a failure; the same way if absent. */
  readonly again?: Work
  /** What may be said then, when all had been done the first time. */
  readonly doneAlready?: ReadonlyArray<string>
  /** What is asked for again does not lead to the same state, only to an equal one in both places. */
  readonly endsDifferently?: boolean
}

const neighbours: Work = inStore(({ hierarchy }) =>
  Effect.gen(function* () {
    yield* hierarchy.createNamespace(Namespace.parse("teamwork"))
    yield* backUp(time, neighbour)
    yield* backUp(time, group, Namespace.parse("teamwork"))
  })
)

const after = (...works: ReadonlyArray<Work>): Work => Effect.forEach([neighbours, ...works], (work) => work)

export const operations: ReadonlyArray<Operation> = [
  {
    name: "create a namespace",
    setup: after(),
    run: inStore(({ hierarchy }) => hierarchy.createNamespace(Namespace.parse("team/dev")))
  },
  {
    name: "back up into a new group",
    setup: after(),
    run: backUp(time),
    again: Effect.andThen(forgetLeftovers, backUp(time + 9)),
    endsDifferently: true
  },
  {
    name: "back up once more",
    setup: after(backUp(time)),
    run: backUp(time + 1),
    again: Effect.andThen(forgetLeftovers, backUp(time + 9)),
    endsDifferently: true
  },
  {
    name: "change the notes",
    setup: after(backUp(time)),
    run: inStore(({ snapshotFiles }) =>
      snapshotFiles.updateManifest(root, snapshotAt(time), (manifest) =>
        ManifestNotes.withNotes(manifest, "changed")
      )
    )
  },
  { name: "protect", setup: after(backUp(time)), run: setProtected(true) },
  { name: "unprotect", setup: after(backUp(time), setProtected(true)), run: setProtected(false) },
  {
    name: "forget one of two snapshots",
    setup: after(backUp(time), backUp(time + 1)),
    run: inStore(({ forget }) => forget(root, snapshotAt(time))),
    doneAlready: ["NoSuchSnapshot"]
  },
  {
    name: "forget the last snapshot",
    setup: after(backUp(time)),
    run: inStore(({ forget }) => forget(root, snapshotAt(time))),
    again: ForgetGroup.forgetGroup(root, group),
    doneAlready: ["NoSuchGroup"]
  },
  {
    name: "forget a group",
    setup: after(backUp(time), backUp(time + 1)),
    run: Effect.flatMap(ForgetGroup.forgetGroup(root, group), ({ isGroupRemoved, kept }) =>
      isGroupRemoved ? Effect.void : Effect.fail(kept[0]?.error ?? "the group is still there")
    ),
    doneAlready: ["NoSuchGroup"]
  },
  {
    name: "prune",
    setup: after(backUp(time), backUp(time + 1), backUp(time + 2)),
    run: PrunePlan.make({ namespace: root, groups: [group], timeZone: "UTC", retention: { last: 1 } }).pipe(
      Effect.flatMap(Prune.run),
      Effect.flatMap(({ warnings }) => (warnings > 0 ? Effect.fail("something was kept") : Effect.void))
    ),
    again: Effect.andThen(
      forgetLeftovers,
      Effect.flatMap(
        PrunePlan.make({ namespace: root, groups: [group], timeZone: "UTC", retention: { last: 1 } }),
        Prune.run
      )
    )
  },
  {
    name: "move a group",
    setup: after(
      backUp(time),
      backUp(time + 1),
      setProtected(true),
      inStore(({ hierarchy }) => hierarchy.createNamespace(team))
    ),
    run: inStore(({ moveGroup }) => moveGroup(root, group, team)),
    doneAlready: ["NoSuchGroup"]
  }
]

/** The store as it is before an operation, all of it on the disk. */
export const prepared = ({ setup }: Operation) =>
  Effect.gen(function* () {
    const world = newWorld()
    yield* setup.pipe(inWorld(world))
    world.disk.syncAll()
    return world
  })
