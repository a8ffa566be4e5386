/** A datastore of the reference implementation is listed and read exactly as that implementation describes it. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as ChunkIndex from "../../src/format/ChunkIndex.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { listing } from "../platform/scratch.ts"
import { platform } from "../store/stores.ts"
import { copyOf, describeGoldenStores, goldenKey, type GoldenStore } from "./goldenStores.ts"

const openCopy = (store: GoldenStore) => Effect.flatMap(copyOf(store), (path) => Datastore.open({ path }))

/** Everything in the store, in the shape of the reference's description. */
const describeAll = ({ hierarchy, snapshotFiles }: Datastore.Datastore["Service"]) =>
  Effect.gen(function* () {
    const found = []
    for (const namespace of yield* hierarchy.namespaces(Namespace.root)) {
      for (const group of yield* hierarchy.groups(namespace)) {
        const owner = yield* hierarchy.owner(namespace, group)
        for (const entry of yield* hierarchy.snapshots(namespace, group)) {
          const manifest = yield* snapshotFiles.manifest(namespace, entry.snapshot)
          found.push({
            ns: namespace,
            dir: Snapshot.format(entry.snapshot),
            files: entry.files,
            finished: entry.finished,
            manifest: manifest.raw,
            owner,
            protected: entry.protected
          })
        }
      }
    }
    return found
  })

const byName = (left: { ns: string; dir: string }, right: { ns: string; dir: string }): number =>
  `${left.ns} ${left.dir}` < `${right.ns} ${right.dir}` ? -1 : 1

describeGoldenStores("Datastore", (store) => {
  it.live("lists exactly the snapshots, owners, files and manifests that are there", () =>
    Effect.gen(function* () {
      const found = yield* describeAll(yield* openCopy(store))
      const expected = store.snapshots.map(({ ns, dir, files, finished, manifest, owner, ...rest }) => ({
        ns,
        dir,
        files: files.toSorted(),
        finished,
        manifest,
        owner,
        protected: rest.protected
      }))
      assert.deepStrictEqual<unknown>(found.toSorted(byName), expected.toSorted(byName))
    }).pipe(Effect.provide(platform))
  )

  it.live("groups come in order, snapshots newest first, namespaces parents first", () =>
    Effect.gen(function* () {
      const { hierarchy } = yield* openCopy(store)
      const namespaces = yield* hierarchy.namespaces(Namespace.root)
      const spaces = new Set(store.snapshots.map(({ ns }) => ns))
      assert.deepStrictEqual([...namespaces], spaces.has("team/dev") ? ["", "team", "team/dev"] : [""])
      const groups = yield* hierarchy.groups(Namespace.root)
      assert.deepStrictEqual(
        groups.map(({ type }) => type),
        groups.map(({ type }) => type).toSorted()
      )
      for (const group of groups) {
        const times = (yield* hierarchy.snapshots(Namespace.root, group)).map(({ snapshot }) => snapshot.time)
        assert.deepStrictEqual(
          times,
          times.toSorted((left, right) => right - left)
        )
      }
    }).pipe(Effect.provide(platform))
  )

  it.live("every index and blob reads, and every chunk decodes to what its index says", () =>
    Effect.gen(function* () {
      const { chunks, snapshotFiles } = yield* openCopy(store)
      let read = 0
      for (const { ns, dir } of store.snapshots) {
        const [namespace, snapshot] = [Namespace.parse(ns), Snapshot.parse(dir)]
        const manifest = yield* snapshotFiles.manifest(namespace, snapshot)
        Manifest.verifySignature(manifest, goldenKey)
        for (const file of manifest.files) {
          const archive = ArchiveName.fromFile(file.filename)
          if (archive.kind === "blob") {
            const blob = yield* snapshotFiles.read(namespace, snapshot, file.filename)
            assert.strictEqual(blob.length, file.sizeBytes)
            DataBlob.decode(blob, { crypt: goldenKey })
            continue
          }
          const index = yield* snapshotFiles.index(namespace, snapshot, archive)
          ChunkIndex.verifyChecksum(index)
          assert.strictEqual(index.computeChecksum(), file.csum)
          for (let chunk = 0; chunk < index.count; chunk++) {
            const sizeBytes = index.end(chunk) - index.start(chunk)
            const data = yield* chunks.read({ digest: index.digest(chunk), sizeBytes, crypt: goldenKey })
            assert.strictEqual(data.length, sizeBytes)
            read += 1
          }
        }
      }
      assert.isAbove(read, 4)
    }).pipe(Effect.provide(platform))
  )

  it.live("opening and reading writes nothing", () =>
    Effect.gen(function* () {
      const path = yield* copyOf(store)
      const before = listing(path)
      yield* describeAll(yield* Datastore.open({ path }))
      assert.deepStrictEqual(listing(path), before)
    }).pipe(Effect.provide(Layer.fresh(platform)))
  )
})
