/**
 * R30: a server that ignores `If-None-Match` and overwrites. Chunks do not mind: equal digests, equal content. Marks of
 * hosts would: so none of them is shared, and none relies on who was first. With one mark for all writers the second
 * one would be without, as soon as the first has ended.
 *
 * A writer asks whether conditions count, and fails if not. So here are several gateways of different age, and it asked
 * one of the others.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import * as ObjectKey from "../../../../src/objectstore/ObjectKey.ts"
import { present } from "../../../../src/objectstore/ObjectStore.ts"
import { backUp, collect, insertLoose, yielding } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { pathOfChunk, timeBefore } from "../../harness/World.ts"

/** An old object that nobody needs, and that no folder knows of. */
const start = prepareBucket({
  contents: ["again", "new"],
  hosts: ["here", "there", "third"],
  setUp: { here: insertLoose("again") },
  damage: ({ disks }) => disks["here"]?.unlink(pathOfChunk("again"), 0)
})

const shared = (key: ObjectKey.ObjectKey): ObjectKey.ObjectKey =>
  ObjectKey.parse(key.replace(/(\/\.granary\/writers)\/.*/, "$1/one"))

const markNow = (key: ObjectKey.ObjectKey) =>
  Effect.clockWith((clock) => {
    const lastModifiedSeconds = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
    return Effect.succeed({ key, sizeBytes: 1, lastModifiedSeconds, etag: undefined })
  })

/** All writers put the same mark, if it is not there; each takes it for its own, and believes that it is there. */
const oneMark: Mutation = {
  objects: (objects) => {
    let own: ObjectKey.ObjectKey | undefined
    return {
      ...objects,
      put: (key, body) => {
        if (shared(key) === key) return objects.put(key, body)
        own = key
        return Effect.as(objects.putIfAbsent(shared(key), body), { etag: "" })
      },
      putIfAbsent: (key, body) => (key === own ? Effect.succeed(present) : objects.putIfAbsent(key, body)),
      get: (key, maxSizeBytes) => objects.get(shared(key), maxSizeBytes),
      deleteMany: (keys) => objects.deleteMany(keys.map(shared)),
      list: (request) =>
        Effect.gen(function* () {
          const page = yield* objects.list(request)
          if (own === undefined || !request.prefix.endsWith("/.granary/")) return page
          const others = page.objects.filter(({ key }) => !key.includes("/writers/"))
          return { ...page, objects: [...others, yield* markNow(own)] }
        })
    }
  },
  processes: ["first", "second"]
}

const group = (id: string) => BackupGroup.make("host", id)

const overwriting: Case = {
  name: "two hosts write, a third collects, on a server that ignores conditions",
  isOpaque: true,
  make: bucketStage({
    start,
    server: { conditionalPut: (key) => (key.includes("/writers/") ? "honoured" : "ignored") },
    points: () => false,
    requests: (operation, key) =>
      (operation.startsWith("put") && key.includes("/.chunks/")) ||
      key.includes("/writers") ||
      operation === "deleteMany",
    program: (world) =>
      together(
        world.process("first")(
          yielding(backUp(world, { time: timeBefore(1), contents: ["new"], group: group("b") }))
        ),
        world.process("second", { host: "there" })(
          yielding(backUp(world, { time: timeBefore(2), contents: ["new", "again"], group: group("c") }))
        ),
        world.process("gc", { host: "third" })(yielding(collect()))
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 20,
  mutants: [
    {
      guard: "a mark for each writer",
      mutation: oneMark,
      by: { strategy: "exhaustive", preemptions: 2 },
      maxRuns: 2000
    }
  ]
}

export const R30: Row = { id: "R30", title: "a server that ignores If-None-Match", cases: [overwriting] }
