/**
 * R17: many digests are guarded at once, and a process may have only so many files open. With a lock file for each
 * digest a collection that queues removals, or a backup with many chunks under way, comes to that limit and fails.
 * Guards that are byte ranges of one file take one open file for all of them.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Digest from "../../../src/model/Digest.ts"
import { FileLocks } from "../../../src/platform/FileLocks.ts"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { layoutOf } from "../../../src/store/StoreLayout.ts"
import {
  actor,
  MemoryDisk,
  MemoryFileLocks,
  MemoryLockTable,
  point,
  type Scenario,
  Simulation
} from "../../../src/testing.ts"
import type { Mutation } from "../harness/Mutation.ts"
import type { Case, Row } from "../harness/Row.ts"

const digestAt = (number: number): Digest.Digest =>
  Digest.parse(number.toString(16).padStart(13, "0").padEnd(64, "0"))

export interface Crowd {
  /** How many work at once, each on a digest of its own. */
  readonly workers: number
  readonly openFilesMax: number
}

/** Nothing of the store but its guards. */
export const crowd =
  ({ workers, openFilesMax }: Crowd) =>
  (mutation: Mutation) =>
  (): Scenario => {
    const table = new MemoryLockTable(new MemoryDisk())
    const around = mutation.around ?? ((work) => work)
    let done = 0
    const work = (guards: DigestGuards.DigestGuards["Service"], number: number) =>
      guards
        .guard(digestAt(number))(point("changes its chunk"))
        .pipe(
          Effect.tap(() => Effect.sync(() => (done += 1))),
          actor(`worker ${number}`)
        )
    const program = Effect.gen(function* () {
      const { point: park } = yield* Simulation
      const locks = MemoryFileLocks.make(table, { process: "store", point: park, openFilesMax })
      const makeGuards = yield* DigestGuards.Maker
      const guards = yield* Effect.provideService(makeGuards(layoutOf("/")), FileLocks, locks)
      const numbers = Array.from({ length: workers }, (_, number) => number)
      yield* Effect.forEach(numbers, (number) => work(guards, number), {
        concurrency: "unbounded",
        discard: true
      })
    })
    return {
      program: around(Effect.scoped(program)),
      check: () => done === workers || `${workers - done} of ${workers} did not come to an end`
    }
  }

const lockedSoon = Schedule.spaced("5 millis")

/** A lock file for each digest, as Proxmox Backup Server had them. */
const fileForEach: Mutation = {
  around: (work) =>
    Effect.provideService(work, DigestGuards.Maker, (layout) =>
      Effect.map(FileLocks, (fileLocks) =>
        DigestGuards.DigestGuards.of({
          guardFree: (digests, use) => use(digests),
          guard: (digest) => (effect) =>
            Effect.scoped(
              Effect.andThen(
                fileLocks
                  .tryLock(`${layout.base}${digest}.lock`, { offset: 0, length: 1 }, "exclusive")
                  .pipe(Effect.repeat({ schedule: lockedSoon, until: (held) => held })),
                effect
              )
            )
        })
      )
    )
}

const guard = "one file for all guards"

const few: Case = {
  name: "three digests under guard, and two files",
  make: crowd({ workers: 3, openFilesMax: 2 }),
  preemptions: { daily: 3, full: 3 },
  dailySeededRuns: 400,
  mutants: [{ guard, mutation: fileForEach, by: { strategy: "exhaustive", preemptions: 2 }, maxRuns: 100 }]
}

/** Too many for every schedule; the file for the guards is all that may be open. */
export const many = {
  name: "200 digests under guard, and one file",
  make: crowd({ workers: 200, openFilesMax: 1 }),
  mutation: fileForEach
}

export const R17: Row = { id: "R17", title: "guards and the limit of open files", cases: [few] }
