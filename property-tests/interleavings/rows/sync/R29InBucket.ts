/**
 * R29 for a sync into a bucket: it is killed, or the power goes on both ends, at any of its steps. What is in the
 * bucket then must be as good as before, the cache folder must not say what is not so, and the same sync again must
 * end with all that it promises, and leave nothing of what died.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import * as Namespace from "../../../../src/model/Namespace.ts"
import { insertLoose, snapshotAt } from "../../harness/actors.ts"
import type { BucketLoss } from "../../harness/bucket/bucketAftermath.ts"
import { keyOfChunk } from "../../harness/bucket/bucketStart.ts"
import type { BucketStart } from "../../harness/bucket/BucketWorld.ts"
import { deathInBucket } from "../../harness/death.ts"
import { type Case, isFull, type Row } from "../../harness/Row.ts"
import type { MemoryDisk } from "../../../../src/testing.ts"
import { bucketSyncAftermath, type BucketSyncTrial } from "../../harness/sync/bucketSyncAftermath.ts"
import { lackingInBucket } from "../../harness/sync/BucketSyncWorld.ts"
import { bucketEndWith, endWith, marked, protect } from "../../harness/sync/syncActors.ts"
import { digestOfText, pathOfChunk, timeBefore } from "../../harness/World.ts"
import { indexesLast } from "../bucket/R29Mutations.ts"
import { unflushed } from "../R29Mutations.ts"

const contents = ["base", "old", "new", "other", "loose"]
const other = BackupGroup.make("host", "b")
const aa = Namespace.parse("aa")
const [old, newer] = [
  { number: 0, contents: ["base", "old"] },
  { number: 1, contents: ["base", "new", "loose"] }
]
const beside = { number: 0, contents: ["other", "base"], group: other, namespace: aa }
const first = snapshotAt(timeBefore(0))

/** For good: no power loss brings the marker back. */
const forgetChunk = (disk: MemoryDisk | undefined, content: string): void => {
  disk?.unlink(pathOfChunk(content), 0)
  disk?.syncAll()
}

/** The bucket has a chunk of which the folder knows nothing. */
const forgetLoose = ({ disks }: BucketStart): void => forgetChunk(disks["here"], "loose")

/** A snapshot into a group that is there, and a new group in a new namespace. */
const copying: BucketSyncTrial = {
  start: {
    source: endWith({ contents, namespaces: ["aa"], snapshots: [old, newer, beside] }),
    target: bucketEndWith({ contents, snapshots: [old], more: insertLoose("loose"), damage: forgetLoose })
  },
  input: { options: { pipelining: "on" } }
}

/** A snapshot into a group that is there. */
const following: BucketSyncTrial = {
  ...copying,
  start: { ...copying.start, source: endWith({ contents, snapshots: [old, newer] }) }
}

/** What vanished goes: a snapshot, and a namespace with a group; a protected snapshot stays. */
const removing: BucketSyncTrial = {
  start: {
    source: endWith({ contents, snapshots: [newer] }),
    target: bucketEndWith({
      contents,
      namespaces: ["aa"],
      snapshots: [{ number: -1, contents: ["old"] }, old, newer, beside],
      more: protect({ givenUp: new Set() }, first)
    })
  },
  removes: true,
  input: { options: { removeVanished: true } },
  promise: (world) => {
    const paths = world.target.view.snapshots.map(({ path }) => path)
    return lackingInBucket(world) ?? (paths.length === 2 ? undefined : `the target has ${paths.join(", ")}`)
  }
}

/** The older snapshot was found damaged: a chunk is lost, and the folder knows that. */
const repairing: BucketSyncTrial = {
  start: {
    source: endWith({ contents, snapshots: [old, newer] }),
    target: bucketEndWith({
      contents,
      snapshots: [old, newer],
      more: Effect.asVoid(marked(first, "failed")),
      damage: ({ bucket, disks }) => {
        bucket.delete(keyOfChunk("old"), 0)
        forgetChunk(disks["here"], "old")
      }
    })
  },
  input: { options: { resyncCorrupt: true } },
  excuses: (_snapshot, digest, state) => digest === digestOfText("old") && state === "absent",
  promise: (world) =>
    lackingInBucket(world) ??
    (world.target.view.chunks.get(digestOfText("old")) === "good" ? undefined : "the chunk is still missing")
}

const dying = deathInBucket(bucketSyncAftermath)

/** Power losses that take some of what was not flushed. */
const partly = (name: string, trial: BucketSyncTrial): ReadonlyArray<Case> => {
  const losses: ReadonlyArray<BucketLoss> = Array.from({ length: 30 }, (_, index) => ({ seed: index + 1 }))
  return losses.map((loss) => dying(`${name} (loss ${JSON.stringify(loss)})`, { ...trial, loss }, "crash"))
}

/** In the full range. */
const more: ReadonlyArray<Case> = [
  dying("a sync into a bucket that removes what vanished", removing, "crash"),
  dying("a sync into a bucket that repairs", repairing, "kill"),
  ...partly("a sync into a bucket that repairs", repairing)
]

export const R29: Row = {
  id: "R29",
  title: "a sync into a bucket dies at any step",
  cases: [
    dying("a sync into a bucket", copying, "kill", { "a manifest after what it names": indexesLast }),
    dying("a sync of one snapshot into a bucket", following, "crash", {
      "flushing the index in the folder": unflushed(".didx")
    }),
    dying("a sync into a bucket that removes what vanished", removing, "kill"),
    dying("a sync into a bucket that repairs", repairing, "crash"),
    ...(isFull
      ? [dying("a sync into a bucket", copying, "crash"), ...partly("a sync into a bucket", copying), ...more]
      : [])
  ]
}
