/** The next snapshot, whose chunks come while the one before is being finished. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { syncError } from "../../src/sync/SyncError.ts"
import { type SyncEvent, SyncReporter } from "../../src/sync/SyncEvent.ts"
import type { SyncSource } from "../../src/sync/SyncSource.ts"
import { digestOfText, assertSame, play, Scene, snapshotsOf } from "./scene.ts"
import { hooked } from "./hooked.ts"

const days = [
  ["a", "b"],
  ["a", "c"],
  ["c", "d"]
]

const prepared = Effect.gen(function* () {
  const scene = new Scene()
  const snapshots = yield* scene.backUpDays(scene.source, "vm/1", days)
  return { scene, names: snapshots.map(({ time }) => time) }
})

/** Every chunk takes a moment, and so does everything else of the source: what happens is told in its order. */
const watched = (seen: Array<string>) => {
  const wait = (what: string) =>
    Effect.sync(() => void seen.push(what)).pipe(Effect.andThen(Effect.sleep("1 second")))
  return hooked({
    open: (snapshot) => wait(`open ${snapshot.slice(-3, -1)}`),
    file: (name) => wait(name),
    chunk: (digest) => wait(`chunk ${["a", "b", "c", "d"].find((text) => digestOfText(text) === digest)}`)
  })
}

const reporting = (seen: Array<string>) => (event: SyncEvent) => {
  if (event.type === "snapshot") seen.push(event.state)
}

const sync = (
  scene: Scene,
  seen: Array<string>,
  around: (source: SyncSource["Service"]) => SyncSource["Service"] = watched(seen)
) => Effect.provideService(scene.sync({}, around), SyncReporter, reporting(seen))

describe("the next snapshot", () => {
  it("is opened when all files of the one before are there, once, and nothing is fetched twice", () => {
    play(
      Effect.gen(function* () {
        const { scene } = yield* prepared
        const seen: Array<string> = []
        yield* sync(scene, seen)
        yield* assertSame(scene)
        const opens = seen.flatMap((what, place) => (what.startsWith("open ") ? [place] : []))
        assert.strictEqual(opens.length, days.length)
        for (const text of ["a", "b", "c", "d"]) {
          assert.strictEqual(seen.filter((what) => what === `chunk ${text}`).length, 1, text)
        }
        assert.strictEqual(seen.filter((what) => what === "index.json.blob").length, days.length)
        assert.strictEqual(seen.filter((what) => what === "a.pxar.didx").length, days.length)
        const second = opens[1] ?? 0
        assert.isBelow(seen.indexOf("chunk b"), second)
        assert.isAbove(seen.indexOf("chunk c"), second)
        assert.deepStrictEqual(
          seen.filter((what) => what === "started" || what === "done"),
          days.flatMap(() => ["started", "done"])
        )
        assert.isBelow(second, seen.indexOf("done"))
      })
    )
  })

  it("that fails is told in its turn, tried once, and nothing of it is there", () => {
    play(
      Effect.gen(function* () {
        const { scene } = yield* prepared
        const seen: Array<string> = []
        let reads = 0
        const failing = hooked({
          chunk: (digest) =>
            Effect.suspend(() => {
              if (digest !== digestOfText("c")) return Effect.void
              reads += 1
              return Effect.fail(syncError("Failed", "no such luck"))
            })
        })
        const { failedGroups, groups } = yield* sync(scene, seen, failing)
        assert.strictEqual(failedGroups, 1)
        assert.strictEqual(groups[0]?.error?.snapshot?.time, (yield* prepared).names[1])
        assert.strictEqual(groups[0]?.error?.archive, "a.pxar.didx")
        assert.strictEqual(reads, 1)
        assert.deepStrictEqual(seen, ["started", "done", "started", "failed"])
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/1@0"])
        yield* scene.sync()
        yield* assertSame(scene)
      })
    )
  })

  it("that vanishes meanwhile is none of the sync's business any more", () => {
    play(
      Effect.gen(function* () {
        const { names, scene } = yield* prepared
        const vanishing = hooked({
          open: (snapshot) =>
            snapshot.endsWith(new Date((names[1] ?? 0) * 1000).toISOString().replace(".000Z", "Z"))
              ? Effect.fail(syncError("Missing", "it is gone"))
              : Effect.void
        })
        const seen: Array<string> = []
        const { counts, failedGroups } = yield* sync(scene, seen, vanishing)
        assert.strictEqual(failedGroups, 0)
        assert.strictEqual(counts.vanishedSnapshots, 1)
        assert.deepStrictEqual(yield* snapshotsOf(scene.target), ["vm/1@0", "vm/1@2"])
      })
    )
  })
})
