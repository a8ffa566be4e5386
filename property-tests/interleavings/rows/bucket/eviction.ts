/** eviction: a reader of a cached chunk beside a backup for whose chunk that one has to go. */
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import { backUp } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { type StoreEffect, timeBefore } from "../../harness/World.ts"

/** What the reader is after. */
export const cached = "a".repeat(200)

const added = "b".repeat(200)

/** A little more than one of the chunks. */
const maxCacheBytes = 300

export interface Eviction<E> {
  readonly name: string
  /** Of the snapshot that holds `cached`, or of its chunk. */
  readonly reader: StoreEffect<unknown, E>
  readonly guard: string
  readonly mutation: Mutation
}

export const evictionCase = <E>({ guard, mutation, name, reader }: Eviction<E>): Case => ({
  name,
  isOpaque: true,
  make: bucketStage({
    start: prepareBucket({
      contents: [cached, added],
      setUp: { here: backUp(undefined, { time: timeBefore(0), contents: [cached] }) }
    }),
    program: (world) =>
      together(
        world.process("reader")(reader),
        world.process("writer", { maxCacheBytes })(
          backUp(world, { time: timeBefore(1), contents: [added], group: BackupGroup.make("host", "b") })
        )
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 30,
  mutants: [{ guard, mutation, by: { strategy: "exhaustive", preemptions: 1 }, maxRuns: 1000 }]
})
