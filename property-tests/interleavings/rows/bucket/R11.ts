/**
 * R11 and R19: a chunk that was set aside (`<digest>.0.bad`) is not that chunk, for nobody who reads or
 * writes its key. A sweep that drops the suffix on the way removes the good object in place of the bad one. (In the folder
 * the same mistake costs a name and no chunk: what the folder does not know, the server is asked for.)
 */
import * as ObjectKey from "../../../../src/objectstore/ObjectKey.ts"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import { backUp, collect } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { keyOfChunk, prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { pathOfChunk, startMillis, timeBefore } from "../../harness/World.ts"

/** The chunk was set aside, and then stored anew: an old bad object lies beside the good one, in both places. */
const start = prepareBucket({
  contents: ["base"],
  setUp: { here: backUp(undefined, { time: timeBefore(0), contents: ["base"] }) },
  damage: ({ bucket, disks }) => {
    bucket.put(`${keyOfChunk("base")}.0.bad`, Buffer.from("no chunk at all"), timeBefore(0) * 1000)
    disks["here"]?.create(`${pathOfChunk("base")}.0.bad`, 0o644, timeBefore(0) * 1000)
  }
})

const withoutSuffix = (name: string): string => name.replace(/\.[0-9]\.bad$/, "")

/** Keys of bad chunks lose their suffix on the way to the server. */
const keysWithoutSuffix: Mutation = {
  objects: (objects) => ({
    ...objects,
    deleteMany: (keys) => objects.deleteMany(keys.map((key) => ObjectKey.parse(withoutSuffix(key))))
  }),
  processes: ["gc"]
}

const beside: Case = {
  name: "a bad chunk lies beside the good one while garbage is collected",
  isOpaque: true,
  make: bucketStage({
    start,
    program: (world) =>
      together(
        world.process("backup")(
          backUp(world, {
            time: startMillis / 1000,
            contents: ["base"],
            group: BackupGroup.make("host", "b")
          })
        ),
        world.process("gc")(collect())
      )
  }),
  preemptions: { daily: 1, full: 2 },
  dailySeededRuns: 40,
  mutants: [
    {
      guard: "keys that are read and written as a whole",
      mutation: keysWithoutSuffix,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 1000
    }
  ]
}

export const R11: Row = { id: "R11", title: "keys and paths of bad chunks (and R19)", cases: [beside] }
