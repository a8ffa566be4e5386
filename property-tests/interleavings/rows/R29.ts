/**
 * R29: a process is killed, or the power goes, at any step of any operation. What is on the disk then must be as good as
 * before, whoever comes next must be able to do the same again, and nothing of what died may stay for ever.
 *
 * After a power loss this is for the sync levels that promise it: `filesystem` and `file`; a level of `none` is only
 * proof against death of the process.
 */
import * as Effect from "effect/Effect"
import { open } from "../../../src/backup/BackupSession.ts"
import * as ArchiveName from "../../../src/model/ArchiveName.ts"
import * as BackupGroup from "../../../src/model/BackupGroup.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as actors from "../harness/actors.ts"
import { aftermath, type Loss, type Trial } from "../harness/aftermath.ts"
import { deathCase, type DeathKind, type Guards } from "../harness/death.ts"
import { type Case, isFull, type Row } from "../harness/Row.ts"
import * as worlds from "../harness/World.ts"
import {
  unatomicChunks,
  unflushed,
  unflushedFolders,
  unflushedLeases,
  unflushedStore,
  unorderedRemoval,
  withoutDoubts
} from "./R29Mutations.ts"

const contents = ["base", "old", "other", "new", "loose"]
const aa = Namespace.parse("aa")
const otherGroup = BackupGroup.make("host", "b")

const store = worlds.prepare({
  contents,
  namespaces: ["aa"],
  setUp: Effect.gen(function* () {
    yield* actors.backUp(undefined, { time: worlds.timeBefore(0), contents: ["base", "old"] })
    yield* actors.backUp(undefined, { time: worlds.timeBefore(1), contents: ["base", "other"] })
    yield* actors.insertLoose("loose")
  })
})

const damaged = store.fork()
damaged.put(worlds.pathOfChunk("other"), Buffer.from("damaged"))

const seconds = worlds.startMillis / 1000
const minuteLater = seconds + 60

/** Two chunks, of which the store has one. */
const backUp = (of: BackupGroup.BackupGroup, time: number) => (world: worlds.World) =>
  actors.backUp(world, { time, contents: ["base", "new"], group: of })

const backUpBlob = (time: number) => () =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* open({ namespace: Namespace.root, group: otherGroup, time, owner: actors.owner })
      yield* session.uploadBlob(ArchiveName.fromClient("a.conf"), Buffer.from("a = 1"))
      yield* session.finish
    })
  )

const newest = actors.snapshotAt(worlds.timeBefore(1))
const moves = () => actors.move(Namespace.root, aa)

export const backup: Trial = {
  disk: store,
  operation: backUp(otherGroup, seconds),
  again: backUp(otherGroup, minuteLater)
}
const incremental: Trial = {
  disk: store,
  operation: backUp(actors.group, seconds),
  again: backUp(actors.group, minuteLater)
}
const blob: Trial = { disk: store, operation: backUpBlob(seconds), again: backUpBlob(minuteLater) }
const forget: Trial = {
  disk: store,
  operation: (world) => actors.forget(world, newest),
  again: (world) => actors.yielding(actors.forget(world, newest))
}
const verify: Trial = {
  disk: damaged,
  operation: () => actors.verify(),
  excuses: (_snapshot, digest) => digest === worlds.digestOfText("other")
}
const move: Trial = { disk: store, operation: moves, again: () => actors.yielding(moves()) }
const collect: Trial = { disk: store, operation: () => actors.collect() }
const collectByTimes: Trial = { disk: store, operation: () => actors.collect({ mark: "atime" }) }
const prune: Trial = { disk: store, operation: (world) => actors.prune(world) }

const sweep = (name: string, trial: Trial, kind: DeathKind, guards: Guards = {}): Case =>
  deathCase({ name, kind, guards, make: aftermath(trial), maxRuns: 200 })

const killed = (name: string, trial: Trial, guards?: Guards): Case =>
  sweep(`${name}, killed at any step`, trial, "kill", guards)

const lossText = (loss: Loss): string =>
  typeof loss === "string" ? `${loss} unflushed` : `some of what is unflushed (${loss.content}, ${loss.seed})`

const powerless = (name: string, trial: Trial, loss: Loss, guards?: Guards): Case =>
  sweep(
    `${name}, the power goes at any step and takes ${lossText(loss)}`,
    { ...trial, loss },
    "crash",
    guards
  )

const usualSeed = 27

/** The seed that finds the mutants; and many more in the full range. */
const partly = (
  name: string,
  trial: Trial,
  content: "whole" | "torn",
  guards: Guards = {},
  tellingSeed = usualSeed
): ReadonlyArray<Case> => {
  const others = isFull ? Array.from({ length: 50 }, (_, index) => index + 1) : []
  return [...new Set([tellingSeed, ...others])].map((seed) =>
    powerless(name, trial, { seed, content }, seed === tellingSeed ? guards : {})
  )
}

const manifestFlushed = { "flushing the manifest": unflushed("index.json.blob") }
const beforeManifest = { "flushing everything before the manifest is written": unflushedStore }

const doubtGuards = {
  "proving chunks that a power loss may have torn": withoutDoubts,
  "leases that survive a power loss": unflushedLeases
}

const atLevelFile = { ...backup, syncLevel: "file" as const }
const atLevelNone = { ...backup, syncLevel: "none" as const }

const cases: ReadonlyArray<Case> = [
  killed("a backup", backup, { "giving a chunk its name when it is whole": unatomicChunks }),
  powerless("a backup", backup, "everything", { ...beforeManifest, ...manifestFlushed }),
  ...partly("a backup", backup, "whole"),
  ...partly("a backup", backup, "torn", doubtGuards, 4),
  killed("an incremental backup", incremental),
  powerless("an incremental backup", incremental, "everything", beforeManifest),
  ...partly("an incremental backup", incremental, "whole"),
  ...partly("an incremental backup", incremental, "torn"),
  killed("a backup of a blob into a new group", blob),
  ...partly("a backup of a blob into a new group", blob, "torn", {
    "flushing the owner of a group": unflushed("/owner")
  }),
  killed("a backup without flushing", atLevelNone),
  powerless("a backup that flushes file by file", atLevelFile, "everything", {
    "flushing new folders": unflushedFolders
  }),
  ...partly("a backup that flushes file by file", atLevelFile, "torn"),
  killed("garbage collection", collect),
  ...partly("garbage collection", collect, "torn"),
  killed("garbage collection by access times", collectByTimes),
  ...partly("garbage collection by access times", collectByTimes, "torn"),
  killed("prune", prune),
  ...partly("prune", prune, "torn"),
  killed("forget", forget, { "removing the manifest first": unorderedRemoval }),
  ...partly("forget", forget, "torn"),
  killed("verify", verify),
  ...partly("verify", verify, "torn"),
  killed("moving a group", move),
  ...partly("moving a group", move, "torn", { "flushing the move journal": unflushed(".granary-moves") })
]

export const R29: Row = { id: "R29", title: "death at any step", cases }
