/**
 * R13 in a bucket: an eviction empties a cache file that a reader has open. It replaces the file by an empty one: who has
 * it open reads on what it was.
 */
import * as Effect from "effect/Effect"
import * as DataBlob from "../../../../src/format/DataBlob.ts"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import { Files } from "../../../../src/platform/Files.ts"
import { storeError } from "../../../../src/store/StoreError.ts"
import { backUp } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { pathOfChunk, timeBefore } from "../../harness/World.ts"
import { inPlace } from "../R13.ts"

const [cached, added] = ["a".repeat(200), "b".repeat(200)] as [string, string]

/** A little more than one of the chunks. */
const maxCacheBytes = 300

const expected = DataBlob.encode(Buffer.from(cached), { compress: false })

/** Opens the cache file, and reads it when it has content. */
const readOpen = Effect.scoped(
  Effect.gen(function* () {
    const files = yield* Files
    const path = pathOfChunk(cached)
    const handle = yield* files.openRead(path)
    if (handle.sizeBytes === 0) return
    const content = Buffer.alloc(handle.sizeBytes)
    const count = yield* handle.readAt(0, content)
    if (count === expected.length && content.equals(expected)) return
    return yield* storeError("Damaged", path, "what was open was emptied")
  })
)

const evicted: Case = {
  name: "a cache file is evicted while a reader has it open",
  isOpaque: true,
  make: bucketStage({
    start: prepareBucket({
      contents: [cached, added],
      setUp: { here: backUp(undefined, { time: timeBefore(0), contents: [cached] }) }
    }),
    program: (world) =>
      together(
        world.process("reader")(readOpen),
        world.process("writer", { maxCacheBytes })(
          backUp(world, { time: timeBefore(1), contents: [added], group: BackupGroup.make("host", "b") })
        )
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 30,
  mutants: [
    {
      guard: "replacing whole files (evicting)",
      mutation: { ...inPlace, processes: ["writer"] },
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R13: Row = { id: "R13", title: "evicted files are replaced", cases: [evicted] }
