/**
 * storeWork: what the processes of a `StoreScenarios` scenario do: back up a few short texts, forget a snapshot,
 * collect garbage; and the look at the store when all is over.
 *
 * Each text is one chunk. A backup takes what it knows from the group's snapshot before for stored and does not touch
 * it, as every backup does.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as BackupSession from "../backup/BackupSession.ts"
import { Datastore } from "../datastore/Datastore.ts"
import * as DynamicIndex from "../format/DynamicIndex.ts"
import * as Gc from "../gc/Gc.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as AuthId from "../model/AuthId.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Digest from "../model/Digest.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { digestOf } from "../platform/chunkContent.ts"
import { Files } from "../platform/Files.ts"
import type { StoreUnderTest, StoreWork } from "./StoreUnderTest.ts"

/** Something that a store must keep and does not have, or should not have and keeps. */
class Lost extends Data.TaggedError("Lost")<{ readonly message: string }> {}

const owner = AuthId.parse("root@pam")
const archive = ArchiveName.fromFile("texts.didx")

const isBusy = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "reason" in error && error.reason === "Busy"

const retriesMax = 100

/** Who meets somebody at work on the same thing tries again, as its user would. */
const patiently = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.retry(work, {
    schedule: Schedule.max([Schedule.spaced("1 minute"), Schedule.recurs(retriesMax)]),
    while: isBusy
  })

const storeTexts = (session: BackupSession.BackupSession, texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const entries: Array<DynamicIndex.DynamicEntry> = []
    for (const text of texts) {
      const data = Buffer.from(text)
      const digest = digestOf(data, undefined)
      if (session.known.add(Digest.toBytes(digest))) {
        yield* session.datastore.chunks.insert({ digest, data, compress: false, crypt: undefined })
      }
      entries.push({ end: (entries.at(-1)?.end ?? 0) + data.length, digest })
    }
    return entries
  })

/** Makes a finished snapshot in the group `host/<name>`. */
export const backUp = (
  store: StoreUnderTest,
  name: string,
  texts: ReadonlyArray<string>
): StoreWork<Snapshot.Snapshot> =>
  Effect.scoped(
    Effect.gen(function* () {
      const group = BackupGroup.make("host", name)
      const session = yield* BackupSession.open({ namespace: Namespace.root, group, owner })
      const { datastore, namespace, snapshot } = session
      const entries = yield* storeTexts(session, texts)
      const uuid = Buffer.alloc(16, 1)
      const index = DynamicIndex.encode({ uuid, ctime: snapshot.time, entries })
      yield* datastore.snapshotFiles.write(namespace, snapshot, archive.file, index.bytes)
      const { checksum, sizeBytes } = index
      yield* session.addFile({ filename: archive.file, cryptMode: "none", sizeBytes, csum: checksum })
      yield* session.finish
      store.acknowledged.push(snapshot)
      return snapshot
    })
  ).pipe(patiently)

export const forget = (store: StoreUnderTest, snapshot: Snapshot.Snapshot): StoreWork =>
  Effect.gen(function* () {
    const datastore = yield* Datastore
    store.givenUp.push(snapshot)
    yield* patiently(datastore.forget(Namespace.root, snapshot))
  })

/** What interrupted backups left keeps its chunks until somebody removes it, as the next backup's user is told to. */
export const forgetUnfinished: StoreWork = Effect.gen(function* () {
  const { forget: remove, hierarchy } = yield* Datastore
  for (const group of yield* hierarchy.groups(Namespace.root)) {
    for (const { finished, snapshot } of yield* hierarchy.snapshots(Namespace.root, group)) {
      if (!finished) yield* remove(Namespace.root, snapshot)
    }
  }
})

export const collect: StoreWork = Effect.asVoid(patiently(Gc.collect()))

/** Reads a finished snapshot as whoever restores it would; answers the digests that it names. */
const readSnapshot = (snapshot: Snapshot.Snapshot) =>
  Effect.gen(function* () {
    const { chunks, snapshotFiles } = yield* Datastore
    const needed: Array<Digest.Digest> = []
    const manifest = yield* snapshotFiles.manifest(Namespace.root, snapshot)
    for (const { csum, filename } of manifest.files) {
      const index = yield* snapshotFiles.index(Namespace.root, snapshot, ArchiveName.fromFile(filename))
      if (index.computeChecksum() !== csum) {
        return yield* Effect.fail(new Lost({ message: `${filename} is not the one that the manifest names` }))
      }
      for (let chunk = 0; chunk < index.count; chunk++) {
        const digest = index.digest(chunk)
        const sizeBytes = index.end(chunk) - index.start(chunk)
        yield* chunks.read({ digest, sizeBytes, crypt: undefined })
        needed.push(digest)
      }
    }
    return needed
  }).pipe(Effect.mapError((error) => new Lost({ message: `${Snapshot.format(snapshot)}: ${error.message}` })))

const sameAs = (one: Snapshot.Snapshot) => (other: Snapshot.Snapshot) => Snapshot.order(one, other) === 0

/**
 * Fails unless every finished snapshot can be read, and every one is there that its backup was told to be done. Answers
 * the digests that are needed.
 */
export const readEverything = (store: StoreUnderTest) =>
  Effect.gen(function* () {
    const { hierarchy } = yield* Datastore
    const found: Array<Snapshot.Snapshot> = []
    const needed = new Set<string>()
    for (const group of yield* hierarchy.groups(Namespace.root)) {
      for (const { finished, snapshot } of yield* hierarchy.snapshots(Namespace.root, group)) {
        if (!finished) continue
        found.push(snapshot)
        for (const digest of yield* readSnapshot(snapshot)) needed.add(digest)
      }
    }
    const lost = store.acknowledged.find(
      (snapshot) => !found.some(sameAs(snapshot)) && !store.givenUp.some(sameAs(snapshot))
    )
    if (lost === undefined) return needed
    return yield* Effect.fail(
      new Lost({ message: `${Snapshot.format(lost)}: its backup was done, and it is not there` })
    )
  })

/** Fails when something lies among the chunks, or the leases, that nobody needs. */
export const findLeftovers = (needed: ReadonlySet<string>) =>
  Effect.gen(function* () {
    const files = yield* Files
    const { layout } = yield* Datastore
    for (const { name: folder } of yield* files.readDirectory(layout.chunks)) {
      for (const { name } of yield* files.readDirectory(`${layout.chunks}/${folder}`)) {
        if (needed.has(name)) continue
        return yield* Effect.fail(
          new Lost({ message: `${folder}/${name}: nobody needs it, and it was not collected` })
        )
      }
    }
    const [lease] = yield* files.readDirectory(layout.writers)
    if (lease === undefined) return
    return yield* Effect.fail(
      new Lost({ message: `${lease.name}: its writer is dead, and its lease was not collected` })
    )
  })
