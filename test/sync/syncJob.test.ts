import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { assertSame, type Kind, play, Scene } from "./scene.ts"

const kinds: ReadonlyArray<readonly [source: Kind, target: Kind]> = [
  ["folder", "folder"],
  ["folder", "bucket"],
  ["bucket", "folder"],
  ["bucket", "bucket"]
]

describe("a sync", () => {
  for (const [source, target] of kinds) {
    for (const direction of ["pull", "push"] as const) {
      it(`${direction}s from a ${source} to a ${target}, byte for byte`, () => {
        const scene = new Scene(source, target)
        play(
          Effect.gen(function* () {
            yield* scene.backUpDays(scene.source, "vm/100", [
              ["a", "b"],
              ["a", "b", "c"],
              ["c", "d"]
            ])
            yield* scene.backUp(scene.source, {
              group: "host/h",
              day: 0,
              texts: ["a", "e"],
              clientLog: "log"
            })
            yield* scene.backUpDays(scene.source, "ct/1", [["f"], ["f", "g"]], "team/dev")
            const summary = yield* scene.sync({ direction, parallelGroups: 2 })
            assert.strictEqual(summary.failedGroups, 0)
            assert.strictEqual(summary.groups.length, 3)
            assert.strictEqual(summary.counts.copiedSnapshots, 6)
            assert.strictEqual(summary.counts.chunks, 7)
            yield* assertSame(scene)
            const again = yield* scene.sync({ direction })
            assert.strictEqual(again.counts.copiedSnapshots, 0)
            assert.strictEqual(again.counts.chunks, 0)
            assert.strictEqual(again.counts.checkedSnapshots, direction === "pull" ? 3 : 0)
            yield* assertSame(scene)
          })
        )
      })
    }
  }
})
