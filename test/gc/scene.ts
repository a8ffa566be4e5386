/** A small datastore for garbage collection: snapshots of a few chunks with known contents, and clocks turned back. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { existsSync, lutimesSync, readdirSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import * as BackupSession from "../../src/backup/BackupSession.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as Gc from "../../src/gc/Gc.ts"
import { allRules, GcRules } from "../../src/gc/GcRules.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { digestOf } from "../../src/platform/chunkContent.ts"
import { chunkPath, type StoreLayout } from "../../src/store/StoreLayout.ts"
import type { Hooks } from "../store/HookedFiles.ts"
import { hookedPlatform, newLayout, platform, prepareFor } from "../store/stores.ts"

export const host = BackupGroup.make("host", "a")
export const archive = ArchiveName.fromFile("a.pxar.didx")
const owner = AuthId.parse("root@pam")

export const digestOfText = (text: string): Digest.Digest => digestOf(Buffer.from(text), undefined)

export const scene = newLayout()

/** Runs with the store open, as a process of its own would see it. */
export const inStore =
  (layout: StoreLayout, hooks?: Hooks) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(
      Effect.scoped(effect),
      Layer.provideMerge(
        Layer.fresh(Datastore.layer({ path: layout.base, syncLevel: "none" })),
        hooks === undefined ? platform : hookedPlatform(hooks)
      )
    )

/** As `inStore`, for hooks, which run in the middle of somebody else's work: nothing of theirs is shared. */
export const apart = <A, E>(
  layout: StoreLayout,
  effect: Effect.Effect<A, E, Datastore.Datastore | Scope.Scope>
): Effect.Effect<A> => Effect.promise(() => Effect.runPromise(inStore(layout)(effect)))

export interface SnapshotInput {
  readonly time: number
  readonly contents: ReadonlyArray<string>
  readonly group?: BackupGroup.BackupGroup
  readonly namespace?: Namespace.Namespace
  readonly archive?: ArchiveName.ArchiveName
}

/** Stores what is not known, writes the index, and leaves the session open. */
export const begin = (layout: StoreLayout, input: SnapshotInput) =>
  Effect.gen(function* () {
    const session = yield* BackupSession.open({
      namespace: input.namespace ?? Namespace.root,
      group: input.group ?? host,
      time: input.time,
      owner
    })
    const entries: Array<DynamicIndex.DynamicEntry> = []
    for (const content of input.contents) {
      const data = Buffer.from(content)
      const digest = digestOfText(content)
      if (session.known.add(Digest.toBytes(digest))) {
        prepareFor(layout, digest)
        yield* session.datastore.chunks.insert({ digest, data, compress: false, crypt: undefined })
      }
      entries.push({ end: (entries.at(-1)?.end ?? 0) + data.length, digest })
    }
    const index = DynamicIndex.encode({ uuid: Buffer.alloc(16, input.time), ctime: input.time, entries })
    const { file } = input.archive ?? archive
    yield* session.datastore.snapshotFiles.write(session.namespace, session.snapshot, file, index.bytes)
    yield* session.addFile({
      filename: file,
      cryptMode: "none",
      sizeBytes: index.sizeBytes,
      csum: index.checksum
    })
    return session
  })

/** Makes a finished snapshot; what the one before has is known, and not touched. */
export const backUp = (layout: StoreLayout, input: SnapshotInput) =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* begin(layout, input)
      yield* session.finish
      return session.snapshot
    })
  )

export const forget = (snapshot: Snapshot.Snapshot, namespace = Namespace.root) =>
  Effect.flatMap(Datastore.Datastore, (store) => store.forget(namespace, snapshot))

/** Stores a chunk that no snapshot names. */
export const insertLoose = (layout: StoreLayout, content: string) =>
  Effect.gen(function* () {
    const { chunks } = yield* Datastore.Datastore
    const digest = digestOfText(content)
    prepareFor(layout, digest)
    return yield* chunks.insert({ digest, data: Buffer.from(content), compress: false, crypt: undefined })
  })

const daySeconds = 86_400

/** Sets the times of all files in the chunk folders back. */
export const age = (layout: StoreLayout, seconds = 2 * daySeconds): void => {
  const time = Math.floor(performance.timeOrigin / 1000) - seconds
  for (const name of readdirSync(layout.chunks, { recursive: true, encoding: "utf8" })) {
    const path = join(layout.chunks, name)
    if (statSync(path).isFile()) lutimesSync(path, time, time)
  }
}

export const isStored = (layout: StoreLayout, content: string): boolean =>
  existsSync(chunkPath(layout, digestOfText(content)))

export const assertStored = (layout: StoreLayout, ...contents: ReadonlyArray<string>): void => {
  for (const content of contents) assert.isTrue(isStored(layout, content), `${content} is gone`)
}

export const assertGone = (layout: StoreLayout, ...contents: ReadonlyArray<string>): void => {
  for (const content of contents) assert.isFalse(isStored(layout, content), `${content} is still there`)
}

/** Collects without the second that proving the file system's times takes. */
export const collect = (options: Gc.GcOptions = {}, rules: Partial<GcRules> = {}) =>
  Gc.collect({ checksTimes: false, ...options }).pipe(
    Effect.provideService(GcRules, { ...allRules, ...rules })
  )

export const verifyState = (snapshot: Snapshot.Snapshot) =>
  Effect.gen(function* () {
    const { snapshotFiles } = yield* Datastore.Datastore
    return ManifestNotes.verifyState(yield* snapshotFiles.manifest(Namespace.root, snapshot))
  })

export const indexPath = (layout: StoreLayout, snapshot: Snapshot.Snapshot): string =>
  join(layout.base, Snapshot.format(snapshot), archive.file)

export const folderOf = (layout: StoreLayout, content: string): string =>
  dirname(chunkPath(layout, digestOfText(content)))
