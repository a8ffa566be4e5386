/**
 * R17 in a bucket: a batch of deletions holds the guards of all its digests until the server has answered. With a lock
 * file for each of them a collection comes to the limit of open files; byte ranges of one file take one.
 */
import * as Effect from "effect/Effect"
import * as DigestGuards from "../../../../src/store/DigestGuards.ts"
import { FileLocks } from "../../../../src/platform/FileLocks.ts"
import { collect, insertLoose } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Mutation } from "../../harness/Mutation.ts"
import type { Case, Row } from "../../harness/Row.ts"

const contents = Array.from({ length: 12 }, (_, number) => `loose ${number}`)

const openFilesMax = 10

/** A lock file for each digest, as Proxmox Backup Server had them. */
const fileForEach: Mutation = {
  around: (work) =>
    Effect.provideService(work, DigestGuards.Maker, (layout) =>
      Effect.gen(function* () {
        const fileLocks = yield* FileLocks
        const { guard } = yield* DigestGuards.make(layout)
        return DigestGuards.DigestGuards.of({
          guard,
          guardFree: (digests, use) =>
            Effect.scoped(
              Effect.gen(function* () {
                const free = yield* Effect.filter(digests, (digest) =>
                  fileLocks.tryLock(`${layout.base}/${digest}.lock`, { offset: 0, length: 1 }, "exclusive")
                )
                return yield* use(free)
              })
            )
        })
      })
    )
}

const batch: Case = {
  name: "twelve objects go at once, and ten files may be open",
  isOpaque: true,
  make: bucketStage({
    start: prepareBucket({
      contents,
      setUp: { here: Effect.forEach(contents, insertLoose, { discard: true }) }
    }),
    points: () => false,
    requests: (operation) => operation === "deleteMany",
    program: (world) => world.process("gc", { openFilesMax })(collect()),
    check: (world) => (world.view.chunks.size === 0 ? undefined : `${world.view.chunks.size} objects stayed`)
  }),
  preemptions: { daily: 0, full: 0 },
  dailySeededRuns: 0,
  mutants: [
    {
      guard: "one file for all guards",
      mutation: fileForEach,
      by: { strategy: "exhaustive", preemptions: 0 },
      maxRuns: 10
    }
  ]
}

export const R17: Row = {
  id: "R17",
  title: "batches of deletions and the limit of open files",
  cases: [batch]
}
