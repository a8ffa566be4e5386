/** Backups over the wire into our server: what is stored is what a local backup stores, and reads back the same. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs"
import { join } from "node:path"
import * as ByteSource from "../../src/backup/ByteSource.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import {
  assertVerified,
  chunkFileOf,
  differences,
  keyOf,
  noise,
  restoreFile,
  sampleTree,
  writeAt
} from "../backup/stores.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { backUp, client, type Client, connect, inServersStore } from "./backups.ts"

const name = ArchiveName.fromClient
const mebibyte = 1024 * 1024

const writeImage = (path: string): void => {
  const fd = openSync(path, "w")
  writeSync(fd, noise("front", mebibyte), 0)
  writeSync(fd, "end", 9 * mebibyte)
  ftruncateSync(fd, 9 * mebibyte + 5)
  closeSync(fd)
}

const live = <A, E>(title: string, test: (client: Client) => Effect.Effect<A, E, never>) =>
  it.live(title, () => Effect.scoped(Effect.flatMap(client, test)))

describe("a backup to a server", () => {
  live("stores archives of every kind in one snapshot", ({ made, remote }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* sampleTree
        const folder = yield* scratchFolder
        const image = join(folder, "disk")
        writeImage(image)
        const dump = noise("dump", mebibyte)
        const source = yield* ByteSource.fromStream(
          Stream.fromIterable([dump.subarray(0, 1000), dump.subarray(1000)])
        )
        const { summary, warnings } = yield* backUp(remote, root, {
          archives: [
            { kind: "directory", archive: name("root.pxar"), path: root },
            { kind: "image", archive: name("disk.img"), path: image },
            { kind: "stream", archive: name("dump.img"), source },
            { kind: "blob", archive: name("a.conf"), content: Effect.succeed(Buffer.from("a = 1")) }
          ]
        })
        const { entries, files, leftovers, previous, snapshot, statistics } = summary
        assert.deepStrictEqual(
          files.map(({ filename }) => filename),
          ["root.pxar.didx", "disk.img.fidx", "dump.img.fidx", "a.conf.blob", "catalog.pcat1.didx"]
        )
        assert.deepStrictEqual(
          { warnings, leftovers, previous },
          { warnings: [], leftovers: [], previous: undefined }
        )
        assert.deepInclude(entries, { files: 40, directories: 5, reusedFiles: 0 })
        yield* inServersStore(made)(
          Effect.gen(function* () {
            assert.deepStrictEqual(yield* differences(snapshot, root), [])
            assert.isTrue((yield* restoreFile(snapshot, "disk.img")).equals(readFileSync(image)))
            assert.isTrue((yield* restoreFile(snapshot, "dump.img")).equals(dump))
            assert.strictEqual((yield* restoreFile(snapshot, "a.conf")).toString(), "a = 1")
            yield* assertVerified()
            const manifest = yield* made.datastore.snapshotFiles.manifest(Namespace.root, snapshot)
            const told = ManifestNotes.chunkUploadStats(manifest)
            assert.strictEqual(told?.count, statistics.newChunks)
            assert.strictEqual(told?.compressedSizeBytes, statistics.encodedBytes)
          })
        )
      })
    )
  )

  live("uploads nothing that the snapshot before has, and what has changed", ({ made, remote }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* sampleTree
        const image = join(yield* scratchFolder, "disk")
        writeFileSync(image, noise("disk", 5 * mebibyte))
        const archives = [
          { kind: "directory", archive: name("root.pxar"), path: root },
          { kind: "image", archive: name("disk.img"), path: image }
        ] as const
        const first = yield* backUp(remote, root, { archives })
        const again = yield* backUp(remote, root, { archives })
        assert.deepStrictEqual(again.summary.previous, first.summary.snapshot)
        const { newChunks, reusedBytes, sizeBytes } = again.summary.statistics
        assert.deepStrictEqual([newChunks, reusedBytes], [0, sizeBytes])
        writeAt(join(root, "d1", "more"), noise("more", 90_000), 1_600_000_100)
        const changed = yield* backUp(remote, root, { archives })
        assert.isAbove(changed.summary.statistics.newBytes, 90_000)
        assert.isAtLeast(changed.summary.statistics.reusedBytes, 5 * mebibyte)
        const anew = yield* backUp(remote, root, { reusePrevious: false })
        assert.strictEqual(anew.summary.statistics.reusedBytes, 0)
        yield* inServersStore(made)(
          Effect.gen(function* () {
            assert.deepStrictEqual(yield* differences(changed.summary.snapshot, root), [])
            yield* assertVerified()
          })
        )
      })
    )
  )

  live("does not read unchanged files, with a key as without one", ({ made, remote }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* sampleTree
        const crypt = keyOf(7)
        const keyed = { group: BackupGroup.make("host", "keyed"), key: { crypt, mode: "encrypt" } } as const
        for (const options of [{}, keyed]) {
          const metadata = { changeDetection: "metadata", ...options } as const
          yield* backUp(remote, root, metadata)
          writeAt(join(root, "d2", "added"), noise("added", 50_000), 1_600_000_100)
          const { summary, warnings } = yield* backUp(remote, root, metadata)
          assert.deepStrictEqual(warnings, [])
          assert.strictEqual(summary.entries.reusedFiles, summary.entries.files - (options === keyed ? 0 : 1))
          const read = "key" in options ? crypt : undefined
          yield* inServersStore(made)(
            Effect.map(differences(summary.snapshot, root, read), (found) =>
              assert.deepStrictEqual(found, [])
            )
          )
        }
        const other = { ...keyed, key: { crypt: keyOf(8), mode: "encrypt" as const } }
        const { summary } = yield* backUp(remote, root, { changeDetection: "metadata", ...other })
        assert.deepStrictEqual([summary.entries.reusedFiles, summary.previous], [0, undefined])
        yield* inServersStore(made)(assertVerified())
      })
    )
  )

  live("stores everything anew when the server misses chunks of the snapshot before", ({ made, remote }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* sampleTree
        const first = yield* backUp(remote, root)
        const index = yield* made.datastore.snapshotFiles.index(
          Namespace.root,
          first.summary.snapshot,
          name("root.pxar")
        )
        writeFileSync(chunkFileOf(made.base, index.digest(0)), "")
        const { summary } = yield* backUp(remote, root)
        assert.strictEqual(summary.previous, undefined)
        assert.strictEqual(summary.statistics.reusedBytes, 0)
        yield* inServersStore(made)(
          Effect.map(differences(summary.snapshot, root), (found) => assert.deepStrictEqual(found, []))
        )
      })
    )
  )

  live("tells what the server refuses in one line, and leaves nothing", ({ made, remote }) =>
    Effect.scoped(
      Effect.gen(function* () {
        const root = yield* sampleTree
        const { summary } = yield* backUp(remote, root)
        const refused = (options: Parameters<typeof backUp>[2], as = remote) =>
          Effect.flip(backUp(as, root, options))
        const early = yield* refused({ time: summary.snapshot.time - 10 })
        assert.include(early.message, "the group has a snapshot of")
        const nowhere = yield* refused({ namespace: Namespace.parse("nowhere") })
        assert.match(nowhere.message, /^127\.0\.0\.1:\d+: namespace not found$/)
        const other = yield* made.tokenWith("other@pbs!one", "DatastoreBackup")
        const stranger = yield* connect({ ...made, admin: other }, { id: "other@pbs!one" })
        const owned = yield* refused({}, stranger)
        assert.match(owned.message, /backup owner check failed/)
        assert.match(owned.hint, /--backup-id/)
        const wrong = yield* connect(
          { ...made, admin: { authorization: "PBSAPIToken other@pbs!one:wrong" } },
          { id: "other@pbs!one" }
        )
        const denied = yield* refused({}, wrong)
        assert.match(denied.hint, /secret/)
        const large = {
          kind: "blob",
          archive: name("a.conf"),
          content: Effect.succeed(noise("l", 17 * mebibyte))
        } as const
        assert.match((yield* refused({ archives: [large] })).message, /at most 16 MiB/)
        const missing = { kind: "image", archive: name("b.img"), path: join(root, "none") } as const
        assert.match((yield* refused({ archives: [missing] })).message, /no such file/)
        // The server undoes a session when it has seen its connection end.
        const { group } = summary.snapshot
        const listed = yield* made.datastore.hierarchy.snapshots(Namespace.root, group).pipe(
          Effect.map((entries) => entries.map(({ snapshot }) => snapshot)),
          Effect.repeat({
            schedule: Schedule.max([Schedule.spaced("50 millis"), Schedule.recurs(200)]),
            until: ({ length }) => length === 1
          })
        )
        assert.deepStrictEqual(listed, [summary.snapshot])
      })
    )
  )
})
