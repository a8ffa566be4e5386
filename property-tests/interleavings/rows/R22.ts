/**
 * R22: a chunk vanishes after the snapshot that names it was finished, and the next backup takes it for known. Unless
 * it looks, its own snapshot is incomplete from its first moment, and so is every later one of the group.
 *
 * With the check a backup fails when something is missing, the previous snapshot is marked as failed, and the backup
 * after that stores everything anew. What vanishes after the last look nobody can know of.
 */
import * as Effect from "effect/Effect"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import { actor } from "../../../src/testing.ts"
import { backUp, begin, type BackupInput, snapshotAt } from "../harness/actors.ts"
import type { Case, Mutant, Row } from "../harness/Row.ts"
import { stage, together } from "../harness/stage.ts"
import { pathOfChunk, prepare, startMillis, timeBefore, type World } from "../harness/World.ts"

const lost = "base"
const contents = [lost, "other", "new"]
const previous = snapshotAt(timeBefore(0))

/** What happened in the run that is being played. */
interface Story {
  /** Backups that had begun to look for their chunks, for the last time. */
  readonly proving: Set<string>
  /** Who may lack the chunk: those that had looked before it went. */
  excused: ReadonlySet<string>
  vanished: boolean
}

const newStory = (): Story => ({ proving: new Set(), excused: new Set(), vanished: false })

/** A whole backup; answers whether it was told that a chunk is missing. */
const tryBackUp = (world: World, story: Story, input: BackupInput) =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* begin(input, world.mutation)
      story.proving.add(Snapshot.format(session.snapshot))
      yield* session.finish
      return false
    })
  ).pipe(Effect.catchTag("KnownChunkMissing", () => Effect.succeed(true)))

const vanish = (world: World, story: Story) =>
  Effect.sync(() => {
    world.disk.unlink(pathOfChunk(lost), startMillis)
    world.changed()
    story.vanished = true
    story.excused = new Set([...story.proving, Snapshot.format(previous)])
  }).pipe(actor("vandal"))

const seconds = startMillis / 1000

/** The chunk is lost once, so at the latest the third backup has to be a good one. */
const backUpUntilGood = (world: World, story: Story) =>
  Effect.gen(function* () {
    for (let attempt = 0; attempt < 3; attempt++) {
      const input = { time: seconds + attempt, contents }
      if (!(yield* tryBackUp(world, story, input))) return
    }
    return yield* Effect.die(new Error("no backup succeeds any more"))
  })

let story = newStory()

const without = (knownChunks: "off" | "register", guard: string): Mutant => ({
  guard,
  mutation: { knownChunks },
  by: { strategy: "exhaustive", preemptions: 1 },
  maxRuns: 200
})

const vanishing: Case = {
  name: "a known chunk vanishes before or during an incremental backup",
  make: stage({
    disk: prepare({
      contents,
      setUp: backUp(undefined, { time: previous.time, contents: [lost, "other"] })
    }),
    program: (world) => {
      story = newStory()
      return together(vanish(world, story), world.process("backup")(backUpUntilGood(world, story)))
    },
    remembers: () => `${story.vanished} ${[...story.proving].join(" ")} ${[...story.excused].join(" ")}`,
    excuses: (snapshot) => story.excused.has(snapshot),
    check: ({ view }) => {
      const snapshots = view.snapshots.filter(({ isFinished }) => isFinished)
      const failed = snapshots.find(({ isReported }) => isReported)
      if (failed !== undefined && failed.path !== Snapshot.format(previous)) {
        return `${failed.path} is marked as failed, and only ${Snapshot.format(previous)} may be`
      }
      const good = snapshots.find(({ path }) => path !== Snapshot.format(previous))
      if (good === undefined) return "no backup was finished"
      const isWhole = view.chunks.get(good.digests[0] ?? "") === "good"
      return isWhole || story.excused.has(good.path) ? undefined : `${good.path} lacks what it names`
    }
  }),
  preemptions: { daily: 3, full: 5 },
  dailySeededRuns: 200,
  mutants: [
    without("off", "looking for known chunks"),
    without("register", "looking once more before the manifest is written")
  ]
}

export const R22: Row = { id: "R22", title: "a known chunk that vanished", cases: [vanishing] }
