/** A backup and a restore over the wire, as a client goes through them, and what is in the store then. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as client from "./client.ts"
import * as scene from "./scene.ts"

const time = 1_750_000_000
const folder = "host/t1/2025-06-15T15:06:40Z"

const live = (title: string, test: (scene: scene.Scene) => Promise<void>) =>
  it.live(title, () => Effect.flatMap(scene.make, (made) => Effect.promise(() => test(made))))

describe("the backup protocol", () => {
  live("stores a backup that the reader protocol gives back", async (made) => {
    await scene.backUp(made, "t1", time)
    assert.deepStrictEqual(scene.namesIn(made.base, folder), [
      "disk.img.fidx",
      "index.json.blob",
      "root.pxar.didx",
      "vm.conf.blob"
    ])
    const reader = await scene.openSession(made, "reader", scene.snapshotQuery("t1", time))
    const download = async (name: string) =>
      (await reader.ask("GET", "/download", { query: { "file-name": name } })).body
    const manifest = Manifest.decode(await download("index.json.blob"))
    assert.deepStrictEqual(ManifestNotes.chunkUploadStats(manifest), {
      count: 6,
      sizeBytes: 70_005 + 70_006 + 70_007 + 2 * 4_194_304 + 100_000,
      compressedSizeBytes: scene
        .sampleArchives()
        .flatMap(({ chunks }) => chunks)
        .reduce((sum, { blob }) => sum + blob.length, 0),
      duplicates: 0
    })
    for (const archive of scene.sampleArchives()) {
      const file = manifest.files.find(({ filename }) => filename === archive.name)
      const bytes = await download(archive.name)
      const start = 4096
      assert.strictEqual(scene.sha256(bytes.subarray(start)), file?.csum)
      for (const { data, digest } of archive.chunks) {
        const answer = await reader.ask("GET", "/chunk", { query: { digest } })
        assert.strictEqual(answer.status, 200)
        assert.isTrue(Buffer.from(DataBlob.decode(answer.body)).equals(data))
      }
    }
    assert.isTrue((await download("vm.conf.blob")).equals(scene.sampleBlob))
    const index = DynamicIndex.decode(await download("root.pxar.didx"))
    assert.strictEqual(index.sizeBytes, 70_005 + 70_006 + 70_007)
    assert.lengthOf((await reader.ask("GET", "/speedtest")).body, 1024 * 1024)
    await reader.close()
  })

  live("gives chunks the checksum that clients leave out or get wrong, and refuses others", async (made) => {
    const session = await scene.openSession(made, "backup", scene.snapshotQuery("crc", time))
    const chunks = [21, 22, 23].map((seed) => scene.chunkOf(scene.content(seed, 90_000), seed === 22))
    await scene.good(session.ask("POST", "/dynamic_index", { query: { "archive-name": "a.pxar.didx" } }))
    const upload = ({ blob, data, digest }: scene.Chunk, crc: number) => {
      const body = Buffer.from(blob)
      body.writeUInt32LE(crc, 8)
      const query = { wid: 1, digest, size: data.length, "encoded-size": body.length }
      return session.ask("POST", "/dynamic_chunk", { query, body })
    }
    for (const [place, chunk] of chunks.entries()) {
      assert.strictEqual(await scene.good(upload(chunk, [0, 0, 0xdead_beef][place] ?? 0)), chunk.digest)
      const stored = readFileSync(path.join(made.base, ".chunks", chunk.digest.slice(0, 4), chunk.digest))
      assert.isTrue(stored.equals(chunk.blob))
    }
    const [first, second] = chunks
    if (first === undefined || second === undefined) return assert.fail("no chunks")
    const strange = scene.chunkOf(scene.content(24, 90_000))
    for (const crc of [0, 1, Buffer.from(strange.blob).readUInt32LE(8)]) {
      const answer = await upload({ ...strange, digest: second.digest.replace(/^.{4}/, "0000") }, crc)
      assert.strictEqual(answer.text, "detected chunk with wrong digest.")
    }
    assert.isEmpty(scene.namesIn(made.base, ".chunks/0000") ?? [])
    await session.close()
  })

  live("lets the next backup name chunks of the one before, and nothing else", async (made) => {
    await scene.backUp(made, "t1", time)
    const session = await scene.openSession(made, "backup", scene.snapshotQuery("t1", time + 10))
    assert.strictEqual(await scene.good(session.ask("GET", "/previous_backup_time")), time)
    const [root, disk] = scene.sampleArchives()
    if (root === undefined || disk === undefined) return assert.fail("no samples")
    const known = new Set(root.chunks.map(({ digest }) => digest))
    const requests = scene.archiveRequests(root, 1, known)
    const [create, append] = requests
    if (create === undefined || append === undefined) return assert.fail("no requests")
    await scene.good(session.ask(...create))
    const early = await session.ask(...append)
    assert.strictEqual(early.text, `no such chunk ${root.chunks[0]?.digest}`)
    const previous = await session.ask("GET", "/previous", { query: { "archive-name": root.name } })
    assert.strictEqual(scene.sha256(previous.body.subarray(4096)), scene.indexSum("dynamic", root.chunks))
    for (const request of requests.slice(1)) await scene.good(session.ask(...request))
    const manifest = scene.manifestOf("t1", time + 10, [root])
    await scene.good(session.ask(...scene.manifestRequest(manifest)))
    await scene.good(session.ask("POST", "/finish"))
    await session.close()
    const stored = await Effect.runPromise(
      made.datastore.snapshotFiles.manifest("" as never, {
        group: { type: "host", id: "t1" },
        time: time + 10,
        directory: "2025-06-15T15:06:50Z"
      })
    )
    assert.strictEqual(ManifestNotes.chunkUploadStats(stored)?.count, 0)
    assert.lengthOf(stored.files, 1)
  })

  live("takes many chunks at once, larger ones than a window, and back-pressure holds", async (made) => {
    const chunks = Array.from({ length: 30 }, (_, number) =>
      scene.chunkOf(scene.content(number, 600_000 + number))
    )
    const archive = { name: "big.pxar.didx", chunks }
    const session = await scene.openSession(made, "backup", scene.snapshotQuery("many", time))
    const requests = scene.archiveRequests(archive, 1)
    const uploads = requests.slice(1, -2)
    await scene.good(session.ask(...(requests[0] ?? assert.fail("none"))))
    const answers = await Promise.all(uploads.map((request) => session.ask(...request)))
    assert.deepStrictEqual(
      answers.map(({ data }) => data),
      chunks.map(({ digest }) => digest)
    )
    for (const request of requests.slice(-2)) await scene.good(session.ask(...request))
    await scene.good(session.ask(...scene.manifestRequest(scene.manifestOf("many", time, [archive]))))
    await scene.good(session.ask("POST", "/finish"))
    await session.close()
  })

  live("goes on with a reader of its base, and refuses a second writer", async (made) => {
    await scene.backUp(made, "t1", time)
    const session = await scene.openSession(made, "backup", scene.snapshotQuery("t1", time + 10))
    const reader = await scene.openSession(made, "reader", scene.snapshotQuery("t1", time))
    const manifest = await reader.ask("GET", "/download", { query: { "file-name": "index.json.blob" } })
    assert.strictEqual(manifest.status, 200)
    const second = await client.upgrade(made.port, "/api2/json/backup", {
      headers: made.admin,
      query: scene.snapshotQuery("t1", time + 20)
    })
    if (scene.isSession(second)) return assert.fail("a second writer was let in")
    assert.strictEqual(second.status, 400)
    assert.match(second.text, /^unable to acquire backup group lock/)
    await reader.close()
    await session.cut()
    await scene.eventually(
      () => scene.namesIn(made.base, "host/t1/2025-06-15T15:06:50Z") === undefined,
      "removal"
    )
    await scene.backUp(made, "t1", time + 20)
  })
})
