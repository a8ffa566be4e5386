/**
 * R29 for a sync: it is killed, or the power goes on both ends, at any of its steps. What is on the target then must
 * be as good as before, and the same sync again must end with all that it promises, and leave nothing of what died.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import * as Namespace from "../../../../src/model/Namespace.ts"
import { snapshotAt } from "../../harness/actors.ts"
import type { Loss } from "../../harness/aftermath.ts"
import { deathCase, type Guards } from "../../harness/death.ts"
import { type Case, isFull, type Row } from "../../harness/Row.ts"
import { digestOfText, pathOfChunk, timeBefore } from "../../harness/World.ts"
import { endWith, isProtected, marked, protect } from "../../harness/sync/syncActors.ts"
import { syncAftermath, type SyncTrial } from "../../harness/sync/syncAftermath.ts"
import { lacking, type SyncWorld } from "../../harness/sync/SyncWorld.ts"
import { unatomicChunks, unflushed, unflushedLeases, unflushedStore, withoutDoubts } from "../R29Mutations.ts"

const contents = ["base", "old", "new", "other"]
const other = BackupGroup.make("host", "b")
const aa = Namespace.parse("aa")
const [old, newer] = [
  { number: 0, contents: ["base", "old"] },
  { number: 1, contents: ["base", "new"] }
]
const beside = { number: 0, contents: ["other", "base"], group: other, namespace: aa }
const first = snapshotAt(timeBefore(0))
const protectedFirst = protect({ givenUp: new Set() }, first)

const pipelining = "on"

/** A snapshot into a group that is there, and a new group in a new namespace. */
const copying: SyncTrial = {
  disks: {
    source: endWith({ contents, namespaces: ["aa"], snapshots: [old, newer, beside] }),
    target: endWith({ contents, snapshots: [old] })
  },
  input: { options: { pipelining } }
}

/** All of a source without a namespace, and nothing else but what is protected. */
const mirrored = (world: SyncWorld): string | undefined => {
  const missing = lacking(world)
  if (missing !== undefined) return missing
  const paths = world.target.view.snapshots.map(({ path }) => path)
  return paths.length === 2 && isProtected(world.target, first)
    ? undefined
    : `the target has ${paths.join(", ")}`
}

/** What vanished goes: a snapshot, and a namespace with a group; a protected snapshot stays. */
const removing: SyncTrial = {
  disks: {
    source: endWith({ contents, snapshots: [newer] }),
    target: endWith({
      contents,
      namespaces: ["aa"],
      snapshots: [{ number: -1, contents: ["old"] }, old, newer, beside],
      more: protectedFirst
    })
  },
  removes: true,
  input: { options: { removeVanished: true } },
  promise: mirrored
}

/** The older snapshot, which is protected, was found damaged. */
const repairing: SyncTrial = {
  disks: {
    source: endWith({ contents, snapshots: [old, newer] }),
    target: endWith({
      contents,
      snapshots: [old, newer],
      more: Effect.andThen(marked(first, "failed"), protectedFirst),
      damage: (disk) => disk.unlink(pathOfChunk("old"), 0)
    })
  },
  input: { options: { resyncCorrupt: true } },
  excuses: (_snapshot, digest, state) => digest === digestOfText("old") && state === "absent",
  promise: (world) =>
    lacking(world) ??
    (isProtected(world.target, first) ? undefined : "the snapshot is not protected any more") ??
    (world.target.view.chunks.get(digestOfText("old")) === "good" ? undefined : "the chunk is still missing")
}

const make = (name: string, trial: SyncTrial, kind: "kill" | "crash", guards: Guards): Case =>
  deathCase({ name, kind, guards, make: syncAftermath(trial), maxRuns: 200 })

const killed = (name: string, trial: SyncTrial, guards: Guards = {}): Case =>
  make(`${name}, killed at any step`, trial, "kill", guards)

const powerless = (name: string, trial: SyncTrial, loss: Loss, guards: Guards = {}): Case => {
  const text =
    typeof loss === "string" ? `${loss} unflushed` : `some of what is unflushed (torn, ${loss.seed})`
  return make(`${name}, the power goes at any step and takes ${text}`, { ...trial, loss }, "crash", guards)
}

/** One seed, and many more in the full range. */
const partly = (
  name: string,
  trial: SyncTrial,
  tellingSeed: number,
  guards: Guards = {}
): ReadonlyArray<Case> => {
  const others = isFull ? Array.from({ length: 50 }, (_, index) => index + 1) : []
  return [...new Set([tellingSeed, ...others])].map((seed) =>
    powerless(name, trial, { seed, content: "torn" }, seed === tellingSeed ? guards : {})
  )
}

const cases: ReadonlyArray<Case> = [
  killed("a sync", copying, { "giving a chunk its name when it is whole": unatomicChunks }),
  powerless("a sync", copying, "everything", {
    "flushing everything before the manifest is written": unflushedStore,
    "flushing the manifest": unflushed("index.json.blob")
  }),
  ...partly("a sync", copying, 4, {
    "proving chunks that a power loss may have torn": withoutDoubts,
    "leases that survive a power loss": unflushedLeases
  }),
  killed("a sync that removes what vanished", removing),
  ...partly("a sync that removes what vanished", removing, 27),
  killed("a sync that repairs", repairing),
  ...partly("a sync that repairs", repairing, 27)
]

export const R29: Row = { id: "R29", title: "a sync dies at any step", cases }
