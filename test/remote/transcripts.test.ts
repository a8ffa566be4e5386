/**
 * What our client asks for, compared with what Proxmox Backup Server's own client was recorded to ask for when it
 * restored: the same calls with the same parameters.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as RemoteReading from "../../src/remote/RemoteReading.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as scene from "../server/scene.ts"
import * as Transcript from "../server/Transcript.ts"
import { platform } from "../store/stores.ts"
import { type Asked, clientOf, json } from "./lyingServer.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as Digest from "../../src/model/Digest.ts"

const [recorded] = Transcript.read("08-restore.txt")

const split = (target: string) => {
  const url = new URL(`https://server${target}`)
  return { path: url.pathname, query: Object.fromEntries(url.searchParams) }
}

const recordedCalls = (recorded?.calls ?? []).map(({ method, path, query }) => ({
  method,
  path,
  query: Object.fromEntries(query)
}))

const file = ArchiveName.fromFile("root.pxar.didx")

/** As many chunks as the recorded client asked for, under their digests. */
const digests = recordedCalls.flatMap(({ path, query }) =>
  path === "/chunk" ? [Digest.parse(query["digest"] ?? "")] : []
)

describe("a restore", () => {
  it.live("asks for what the recorded one asked for", () =>
    Effect.gen(function* () {
      const openings: Array<Asked> = []
      const calls: Array<ReturnType<typeof split>> = []
      const blob = scene.chunkOf(scene.content(1, 100)).blob
      const index = DynamicIndex.encode({
        uuid: new Uint8Array(16),
        ctime: 1,
        entries: digests.map((digest, number) => ({ end: (number + 1) * 100, digest }))
      }).bytes
      const group = { "backup-type": "host", "backup-id": "t1" }
      const files = [
        { filename: "index.json.blob", size: 1 },
        { filename: file.file, size: 1 }
      ]
      const remote = yield* clientOf({
        rest: ({ target }) =>
          target.includes("/namespace")
            ? json([{ ns: "" }])
            : json([{ ...group, "backup-time": 1_750_000_000, files, size: 2 }]),
        stream: (target) => {
          calls.push(split(target))
          return { body: target.startsWith("/chunk") ? blob : index }
        },
        onUpgrade: (asked) => openings.push(asked)
      })
      const store = yield* Effect.provide(RemoteReading.open(remote), platform)
      const snapshot = Snapshot.parse("host/t1/2025-06-15T15:06:40Z")
      yield* store.snapshotFiles.index(Namespace.root, snapshot, file)
      yield* store.snapshotFiles.read(Namespace.root, snapshot, "index.json.blob")
      for (const digest of digests) yield* store.chunks.readEncoded(digest)

      const [opening, ...more] = openings
      assert.lengthOf(more, 0)
      const own = split(opening?.target ?? "")
      assert.strictEqual(own.path, "/reader")
      assert.match(recorded?.opening.path ?? "", /^\/+api2\/json\/reader$/)
      assert.deepStrictEqual(own.query, Object.fromEntries(recorded?.opening.query ?? []))
      assert.include(opening?.headers, {
        connection: "upgrade",
        upgrade: "proxmox-backup-reader-protocol-v1",
        "content-type": "application/x-www-form-urlencoded",
        authorization: "PBSAPIToken root@pam!t:the%20secret"
      })
      // The order is not the same: theirs begins with the manifest, ours may have it already.
      const sorted = (list: ReadonlyArray<ReturnType<typeof split>>) =>
        list.map((call) => JSON.stringify(call)).toSorted()
      assert.isAbove(digests.length, 0)
      assert.deepStrictEqual(sorted(calls), sorted(recordedCalls.map(({ path, query }) => ({ path, query }))))
    })
  )
})
