/**
 * R27: the server's clock is not ours. A chunk that another program (Proxmox Backup Server, without leases that we
 * know) has just put is protected by its LastModified alone. By a clock that is behind it looks older than it is, so the
 * difference is measured and reckoned with; where it is too large, nothing is collected.
 */
import * as Effect from "effect/Effect"
import * as BackupGroup from "../../../../src/model/BackupGroup.ts"
import * as ObjectKey from "../../../../src/objectstore/ObjectKey.ts"
import type { ObjectStore } from "../../../../src/objectstore/ObjectStore.ts"
import { backUp, collect, withoutRules } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { keyOfChunk, prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { BucketWorld } from "../../harness/bucket/BucketWorld.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Mutant, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { digestOfText, timeBefore } from "../../harness/World.ts"

const foreignGroup = BackupGroup.make("host", "p")

/** What the other program will have put. */
const template = prepareBucket({
  contents: ["foreign"],
  setUp: { here: backUp(undefined, { time: timeBefore(0), contents: ["foreign"], group: foreignGroup }) }
})

const start = prepareBucket({
  contents: ["foreign", "mine"],
  setUp: { here: backUp(undefined, { time: timeBefore(0), contents: ["mine"] }) }
})

/** Chunk, owner, index; the manifest at the end, as their order is here. */
const keys = [
  keyOfChunk("foreign"),
  ...template.bucket
    .keys()
    .filter((key) => key.includes("/.cnt/"))
    .toSorted(
      (left, right) => Number(left.endsWith("/index.json.blob")) - Number(right.endsWith("/index.json.blob"))
    )
]

const putAll = (world: BucketWorld) => (objects: ObjectStore["Service"]) =>
  Effect.gen(function* () {
    for (const key of keys) {
      yield* objects.put(ObjectKey.parse(key), template.bucket.find(key)?.body ?? new Uint8Array(0))
    }
    const [snapshot] = template.bucket
      .keys()
      .flatMap((key) => /(host\/p\/[^/]+)\/index.json/.exec(key)?.[1] ?? [])
    world.acknowledged.push({ snapshot: snapshot ?? "", digests: [digestOfText("foreign")] })
  })

/** Some seconds pass between what the other program puts and the collection; a minute is the shortest cutoff. */
const skewed = (name: string, clockSkewSeconds: number, mutants: ReadonlyArray<Mutant>): Case => ({
  name,
  isOpaque: true,
  make: bucketStage({
    start,
    server: { clockSkewSeconds },
    points: () => false,
    requests: (operation) => operation !== "get" && operation !== "head",
    settles: false,
    program: (world) =>
      together(
        world.foreign("pbs")(putAll(world)),
        world.process("gc")(refusing(collect({ cutoffMinutes: 1 })))
      )
  }),
  preemptions: { daily: 1, full: 3 },
  dailySeededRuns: 30,
  mutants
})

/** Too large a difference is refused; an end as good as any. */
const refusing = <A, E extends { readonly _tag: string; readonly reason?: unknown }, R>(
  work: Effect.Effect<A, E, R>
) =>
  Effect.catchIf(
    work,
    (error) => error._tag === "StoreError" && error.reason === "Refused",
    () => Effect.void
  )

/** The difference is taken for none, however large it is. */
const unmeasured: Mutation = {
  ...withoutRules({ correctsSkew: false }),
  objects: (objects) => ({
    ...objects,
    head: (key) =>
      key.endsWith("/.granary/clock")
        ? Effect.flatMap(objects.head(key), (info) =>
            Effect.clockWith((clock) =>
              Effect.succeed({
                ...info,
                lastModifiedSeconds: Math.floor(clock.currentTimeMillisUnsafe() / 1000)
              })
            )
          )
        : objects.head(key)
  })
}

const search = { by: { strategy: "exhaustive", preemptions: 1 }, maxRuns: 1000 } as const

export const R27: Row = {
  id: "R27",
  title: "the server's clock is behind",
  cases: [
    skewed(
      "another program stores a chunk beside a collection, by a clock that is four minutes behind",
      -240,
      [
        {
          guard: "reckoning with the measured difference",
          mutation: withoutRules({ correctsSkew: false }),
          ...search
        },
        {
          guard: "looking at the times of objects",
          mutation: withoutRules({ respectsLastModified: false }),
          ...search
        }
      ]
    ),
    skewed("the same by a clock that is an hour behind", -3600, [
      { guard: "refusing a difference that is too large", mutation: unmeasured, ...search }
    ])
  ]
}
