/** What a planned session expects of a bucket, beside what a session asks: with more chunks than are asked for singly. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as BackupSession from "../../src/backup/BackupSession.ts"
import * as PlannedSession from "../../src/backup/PlannedSession.ts"
import * as DynamicIndex from "../../src/format/DynamicIndex.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import { Meter, metered } from "../../src/objectstore/decorators/metered.ts"
import * as RequestCosts from "../../src/objectstore/RequestCosts.ts"
import { questionsMax } from "../../src/store/bucket/BucketPresence.ts"
import { type Connection, digestOfText, group, play, Scene, startSeconds } from "../gc/bucketScene.ts"

const options = { namespace: Namespace.root, group, owner: AuthId.parse("root@pam") }
const archive = ArchiveName.fromFile("a.pxar.didx")

/** Names the same chunks as the snapshot before. */
const fill = (session: BackupSession.BackupSession, texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const entries = texts.map((text, number) => {
      const digest = digestOfText(text)
      session.known.add(Digest.toBytes(digest))
      return { end: number + 1, digest }
    })
    const index = DynamicIndex.encode({ uuid: Buffer.alloc(16, 1), ctime: session.snapshot.time, entries })
    const { checksum, sizeBytes } = index
    const { snapshotFiles } = session.datastore
    yield* snapshotFiles.write(session.namespace, session.snapshot, archive.file, index.bytes)
    yield* session.addFile({ filename: archive.file, cryptMode: "none", sizeBytes, csum: checksum })
    yield* session.finish
  })

const counting = () => {
  const meter = new Meter()
  const decorate: Connection["decorate"] = (objects) => Effect.runSync(metered(objects, { meter }))
  return { connection: { decorate }, costs: Effect.map(meter.usage, RequestCosts.ofUsage) }
}

const compare = (count: number) =>
  Effect.gen(function* () {
    const texts = Array.from({ length: count }, (_, number) => `text ${number}`)
    const scene = new Scene(texts)
    // As another host has stored them.
    for (const text of texts) scene.put(text, startSeconds)
    const first = Effect.flatMap(BackupSession.open({ ...options, knownChunks: "off" }), (session) =>
      fill(session, texts)
    )
    yield* Effect.scoped(first).pipe(scene.on(scene.host))
    yield* Effect.sleep("1 minute")
    // A folder that can be written notes what it learns of chunks; the plan is made where nobody sees that.
    const copy = scene.fork()
    const planning = counting()
    const planned = yield* Effect.gen(function* () {
      const { cost, lookups, session } = yield* PlannedSession.open(options)
      yield* fill(session, texts)
      return { rest: cost(), lookups }
    }).pipe(Effect.scoped, copy.on(copy.host, planning.connection))
    const used = counting()
    const real = Effect.flatMap(BackupSession.open(options), (session) => fill(session, texts))
    yield* Effect.scoped(real).pipe(scene.on(scene.host, used.connection))
    if (planned.rest === undefined) throw new Error("a store in a bucket has costs")
    const before = RequestCosts.without(yield* planning.costs, planned.lookups)
    return { expected: RequestCosts.after(before, planned.rest).costs, used: yield* used.costs }
  })

describe("a planned session in a bucket", () => {
  it("expects what a session asks, when few chunks are unknown to the folder", () => {
    const { expected, used } = play(compare(40))
    assert.deepStrictEqual({ ...used, sentBytes: 0 }, { ...expected, sentBytes: 0 })
    assert.approximately(used.sentBytes, expected.sentBytes, 16)
    assert.isAtLeast(used.get, 40)
  })

  it("expects two listings, when they are many", () => {
    const { expected, used } = play(compare(questionsMax + 1))
    assert.deepStrictEqual({ ...used, sentBytes: 0 }, { ...expected, sentBytes: 0 })
    assert.isAtLeast(used.list, 2 * 5)
  })
})
