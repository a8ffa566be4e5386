/**
 * R4 and R24: a backup that keeps no chunk content (`no-cache`) runs while garbage is swept. What it has uploaded is named
 * by no index yet; without a mark of its own in the folder nothing would say that somebody counts on it. So such an
 * upload makes a marker too, under the same guard, and an object that was put lately stays whatever the folder says.
 */
import * as Effect from "effect/Effect"
import { allRules, GcRules } from "../../../../src/gc/GcRules.ts"
import { backUp, collect, insertLoose } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Mutant, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { pathOfChunk, timeBefore } from "../../harness/World.ts"

/** Uploads of the backup leave nothing in the folder; what is known is not looked for either, for it looks there. */
const withoutMarkers: Mutation = {
  files: (files) => ({
    ...files,
    replaceFile: (target, parts, options) =>
      target.includes("/.chunks/") ? Effect.void : files.replaceFile(target, parts, options)
  }),
  knownChunks: "off",
  processes: ["backup"]
}

const withoutTimesOfObjects: Mutation = {
  ...withoutMarkers,
  around: (work) => Effect.provideService(work, GcRules, { ...allRules, respectsLastModified: false }),
  processes: ["backup", "gc"]
}

const contents = ["again", "new"]

/** An old object that nobody needs, and that the folder does not know of. */
const withOldObject = prepareBucket({
  contents,
  setUp: { here: insertLoose("again") },
  damage: ({ disks }) => disks["here"]?.unlink(pathOfChunk("again"), 0)
})

const empty = prepareBucket({ contents, setUp: {} })

const noCache = (
  name: string,
  start: typeof empty,
  stored: string,
  mutants: ReadonlyArray<Mutant>
): Case => ({
  name,
  isOpaque: true,
  make: bucketStage({
    start,
    program: (world) =>
      together(
        world.process("backup", { cache: "bypass" })(
          backUp(world, { time: timeBefore(1), contents: [stored] })
        ),
        world.process("gc")(collect())
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 30,
  mutants
})

export const R04: Row = {
  id: "R4",
  title: "uploads of backups without a cache against the sweep (and R24)",
  cases: [
    noCache("a no-cache backup finds an old object in the bucket", withOldObject, "again", [
      {
        guard: "a marker for what a no-cache backup uploads",
        mutation: withoutMarkers,
        by: { strategy: "exhaustive", preemptions: 1 },
        maxRuns: 1000
      }
    ]),
    noCache("a no-cache backup uploads a new chunk", empty, "new", [
      {
        guard: "the marker, and looking at the times of objects",
        mutation: withoutTimesOfObjects,
        by: { strategy: "exhaustive", preemptions: 1 },
        maxRuns: 1000
      }
    ])
  ]
}
