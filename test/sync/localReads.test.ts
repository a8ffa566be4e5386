/** Chunks that go from file to file, between two folders on one disk. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import { encode } from "../../src/format/DataBlob.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import type { Digest } from "../../src/model/Digest.ts"
import { digestOf } from "../../src/platform/chunkContent.ts"
import * as NodePlatform from "../../src/platform/NodePlatform.ts"
import * as DatastoreSource from "../../src/sync/DatastoreSource.ts"
import * as DatastoreTarget from "../../src/sync/DatastoreTarget.ts"
import * as LocalReads from "../../src/sync/LocalReads.ts"
import type { SyncError } from "../../src/sync/SyncError.ts"
import { hardData } from "../platform/chunks.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { archive, owner } from "./scene.ts"

const open = (path: string) =>
  Effect.gen(function* () {
    mkdirSync(join(path, ".chunks"), { recursive: true })
    writeFileSync(join(path, ".lock"), "")
    const context = yield* Layer.build(Layer.fresh(Datastore.layer({ path })))
    return Context.get(context, Datastore.Datastore)
  })

const snapshot = Snapshot.make(BackupGroup.make("vm", "1"), 1_767_225_600)
const data = hardData(1, 1_500_000)
const digest = digestOf(data, undefined)

/** Two stores; the first one has the chunk, and a snapshot to open. */
const ends = Effect.gen(function* () {
  const folder = yield* scratchFolder
  const from = yield* open(join(folder, "from"))
  const to = yield* open(join(folder, "to"))
  yield* from.chunks.insert({ digest, data, compress: true, crypt: undefined })
  yield* from.hierarchy.ensureGroup(Namespace.root, snapshot.group, owner)
  yield* from.hierarchy.createSnapshot(Namespace.root, snapshot)
  const opened = yield* DatastoreSource.make(from).openSnapshot(Namespace.root, snapshot)
  const writer = yield* (yield* DatastoreTarget.make(to)).beginWriting
  const pathIn = (store: string) => join(folder, store, ".chunks", digest.slice(0, 4), digest)
  const read = opened.chunk(digest)
  let fetches = 0
  const fetch = Effect.suspend(() => {
    fetches += 1
    return read
  })
  const store = (of: Digest = digest, encrypted = false) =>
    writer.store({
      digest: of,
      sizeBytes: data.length,
      encrypted,
      fetch,
      file: LocalReads.fileOf(read),
      archive: { name: ArchiveName.fromFile(archive.file), sizeBytes: data.length }
    })
  return { from: pathIn("from"), to: pathIn("to"), read, store, fetches: () => fetches }
})

const run = <A>(work: Effect.Effect<A, unknown, Effect.Services<typeof ends>>) =>
  work.pipe(Effect.scoped, Effect.provide(NodePlatform.layer))

describe("a chunk of a folder", () => {
  it.live("is copied from its file, byte for byte, and never fetched", () =>
    run(
      Effect.gen(function* () {
        const { fetches, from, store, to } = yield* ends
        const { length } = readFileSync(from)
        assert.deepStrictEqual(yield* store(), { outcome: "stored", encodedBytes: length })
        assert.isTrue(readFileSync(to).equals(readFileSync(from)))
        assert.deepStrictEqual(yield* store(), { outcome: "present", encodedBytes: length })
        assert.deepStrictEqual(readdirSync(dirname(to)), [digest])
        assert.strictEqual(fetches(), 0)
      })
    )
  )

  it.live("that is not what it should be fails as it does when it is fetched, and nothing is left", () =>
    run(
      Effect.gen(function* () {
        const { from, store, to } = yield* ends
        const failure = (error: SyncError) => `${error.side} ${error.reason}: ${error.detail}`
        const told = (encrypted = false) => Effect.map(Effect.flip(store(digest, encrypted)), failure)
        assert.match(yield* told(true), /source Corrupt: .*it should be encrypted, and is not/)
        writeFileSync(from, encode(hardData(2, data.length), { compress: true }))
        assert.match(yield* told(), /source Corrupt: .*its content has the digest/)
        writeFileSync(from, readFileSync(from).subarray(0, 1_000_000))
        assert.match(yield* told(), /source Corrupt/)
        assert.deepStrictEqual(readdirSync(dirname(to)), [])
      })
    )
  )

  it.live("is fetched by whoever stands in between", () =>
    run(
      Effect.gen(function* () {
        const { read } = yield* ends
        assert.isDefined(LocalReads.fileOf(read))
        assert.isUndefined(LocalReads.fileOf(Effect.tap(read, () => Effect.void)))
        assert.isDefined(LocalReads.fileOf(LocalReads.told(read, Effect.orDie)))
      })
    )
  )
})
