/** ArchiveWriter: chunks, index and manifest line of one archive, in a session on a real datastore. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as ArchiveWriter from "../../src/backup/ArchiveWriter.ts"
import * as BackupSession from "../../src/backup/BackupSession.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { group, inStore, newStore, noise, owner } from "./stores.ts"

const session = BackupSession.open({ namespace: Namespace.root, group, owner, time: 1_700_000_000 })
const name = ArchiveName.fromClient
const content = noise("archive", 300_000)
const averageBytes = 16_384

const indexOf = (
  { datastore, namespace, snapshot }: BackupSession.BackupSession,
  archive: ArchiveName.ArchiveName
) => datastore.snapshotFiles.index(namespace, snapshot, archive)

/** Everything that an index names, one chunk after the other. */
const readBack = (open: BackupSession.BackupSession, archive: ArchiveName.ArchiveName) =>
  Effect.gen(function* () {
    const index = yield* indexOf(open, archive)
    const chunks: Array<Uint8Array> = []
    for (let chunk = 0; chunk < index.count; chunk++) {
      const sizeBytes = index.end(chunk) - index.start(chunk)
      const crypt = undefined
      chunks.push(yield* open.datastore.chunks.read({ digest: index.digest(chunk), sizeBytes, crypt }))
    }
    return Buffer.concat(chunks)
  })

describe("ArchiveWriter", () => {
  it.live("writes the index last, and names in the manifest what it wrote", () =>
    Effect.gen(function* () {
      const base = yield* newStore
      yield* inStore(base)(
        Effect.gen(function* () {
          const open = yield* session
          const archive = name("a.pxar")
          const writer = yield* ArchiveWriter.open(open, archive, { kind: "dynamic", averageBytes })
          yield* writer.ingest.write(content)
          const path = join(base, Snapshot.toPath(Namespace.root, open.snapshot), archive.file)
          assert.isFalse(existsSync(path))
          const file = yield* writer.finish
          assert.isTrue(existsSync(path))
          const index = yield* indexOf(open, archive)
          assert.deepInclude(file, { filename: "a.pxar.didx", cryptMode: "none", sizeBytes: content.length })
          assert.strictEqual(file.csum, index.computeChecksum())
          assert.strictEqual(writer.sizeBytes(), content.length)
          assert.isAbove(index.count, 5)
          assert.deepStrictEqual(yield* readBack(open, archive), content)
          const { chunks, newBytes, newChunks, sizeBytes, storedBytes } = open.statistics
          assert.deepStrictEqual(
            [chunks, newChunks, sizeBytes, newBytes],
            [index.count, index.count, content.length, content.length]
          )
          assert.isAtLeast(storedBytes, content.length)
        })
      )
    })
  )

  it.live("counts chunks that the session knows, and those that others have stored", () =>
    inNewStore(
      Effect.gen(function* () {
        const open = yield* session
        for (const client of ["a.pxar", "b.pxar"]) {
          const writer = yield* ArchiveWriter.open(open, name(client), { kind: "dynamic", averageBytes })
          yield* writer.ingest.write(content)
          yield* writer.finish
        }
        const { newBytes, reusedBytes, duplicateBytes } = open.statistics
        assert.deepStrictEqual([newBytes, reusedBytes, duplicateBytes], [content.length, content.length, 0])
        open.known.delete((yield* indexOf(open, name("a.pxar"))).digestBytes(0))
        const writer = yield* ArchiveWriter.open(open, name("c.pxar"), { kind: "dynamic", averageBytes })
        yield* writer.ingest.write(content)
        yield* writer.finish
        assert.strictEqual(open.statistics.duplicateChunks, 1)
      })
    )
  )

  it.live("puts chunks of another archive between its own", () =>
    inNewStore(
      Effect.gen(function* () {
        const open = yield* session
        const other = yield* ArchiveWriter.open(open, name("other.ppxar"), { kind: "payload", averageBytes })
        yield* other.ingest.write(content)
        yield* other.finish
        const index = yield* indexOf(open, name("other.ppxar"))
        const range = { index, first: 2, last: 4 }
        const injected = content.subarray(index.start(2), index.end(4))
        assert.strictEqual(ArchiveWriter.rangeBytes(range), injected.length)

        const writer = yield* ArchiveWriter.open(open, name("b.ppxar"), { kind: "payload", averageBytes })
        const pieces = [noise("before", 100), noise("between", 50_000), noise("after", 1)]
        yield* writer.inject(range)
        for (const piece of pieces) {
          yield* writer.ingest.write(piece)
          yield* writer.inject(range)
        }
        const reused = open.statistics.reusedChunks
        yield* writer.finish
        assert.strictEqual(reused, 12)
        const expected = [injected, ...pieces.flatMap((piece) => [piece, injected])]
        assert.deepStrictEqual(yield* readBack(open, name("b.ppxar")), Buffer.concat(expected))
        assert.strictEqual((yield* indexOf(open, name("b.ppxar"))).end(3), injected.length + 100)
      })
    )
  )

  it.live("refuses chunks that nobody knows, and chunks of others in any other archive", () =>
    inNewStore(
      Effect.gen(function* () {
        const open = yield* session
        const other = yield* ArchiveWriter.open(open, name("other.ppxar"), { kind: "payload", averageBytes })
        yield* other.ingest.write(content)
        yield* other.finish
        const index = yield* indexOf(open, name("other.ppxar"))
        const range = { index, first: 0, last: 0 }
        const dynamic = yield* ArchiveWriter.open(open, name("a.pxar"), { kind: "dynamic", averageBytes })
        assert.isTrue(Exit.hasDies(yield* Effect.exit(dynamic.inject(range))))
        const payload = yield* ArchiveWriter.open(open, name("b.ppxar"), { kind: "payload", averageBytes })
        open.known.delete(index.digestBytes(0))
        assert.isTrue(Exit.hasDies(yield* Effect.exit(payload.inject(range))))
      })
    )
  )

  it.live("cuts images into chunks of one size, and adds zeros without reading them", () =>
    inNewStore(
      Effect.gen(function* () {
        const open = yield* session
        const chunkBytes = 4096
        const sizeBytes = 5 * chunkBytes + 10
        const writer = yield* ArchiveWriter.open(open, name("disk.img"), {
          kind: "fixed",
          chunkBytes,
          sizeBytes
        })
        const first = noise("first", chunkBytes)
        yield* writer.ingest.write(first)
        yield* writer.addZeroChunks(4)
        yield* writer.ingest.write(noise("tail", 10))
        yield* writer.finish
        const expected = Buffer.concat([first, Buffer.alloc(4 * chunkBytes), noise("tail", 10)])
        assert.deepStrictEqual(yield* readBack(open, name("disk.img")), expected)
        assert.strictEqual(open.statistics.newChunks, 3, "zeros are stored once")
      })
    )
  )

  it.live("fails for an archive of nothing", () =>
    inNewStore(
      Effect.gen(function* () {
        const writer = yield* ArchiveWriter.open(yield* session, name("a.pxar"), {
          kind: "dynamic",
          averageBytes
        })
        const error = yield* Effect.flip(writer.finish)
        assert.strictEqual(error.reason, "Damaged")
      })
    )
  )
})

function inNewStore<A, E, R>(effect: Effect.Effect<A, E, R>) {
  return Effect.flatMap(newStore, (base) => inStore(base)(effect))
}
