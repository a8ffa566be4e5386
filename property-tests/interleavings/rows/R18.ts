/**
 * R18: threads are few. Whoever keeps one while it waits for a digest's guard stops those who hold the guard and need
 * a thread: with as many such waiters as threads nobody ever goes on. A backup therefore waits for a guard as a fiber
 * only, with its thread given back, while a verification may hold a guard and wait for a thread.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Semaphore from "effect/Semaphore"
import { ChunkCodec } from "../../../src/platform/ChunkCodec.ts"
import * as ChunkStore from "../../../src/store/ChunkStore.ts"
import { layoutOf } from "../../../src/store/StoreLayout.ts"
import { actor, type MemoryDisk, MemoryPlatform, type Scenario, Simulation } from "../../../src/testing.ts"
import { insertLoose } from "../harness/actors.ts"
import type { Mutation } from "../harness/Mutation.ts"
import { callsOn, shortLabel } from "../harness/points.ts"
import type { Case, Row } from "../harness/Row.ts"
import { basePath } from "../harness/StoreView.ts"
import { digestOfText, pathOfChunk, prepare } from "../harness/World.ts"

/** The threads of a process. */
const Threads = Context.Reference("granary/interleavings/Threads", {
  defaultValue: () => Semaphore.makeUnsafe(1)
})

/** Whether the fiber has a thread already. */
const HasThread = Context.Reference("granary/interleavings/HasThread", { defaultValue: () => false })

const onThread = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const threads = yield* Threads
    if (yield* HasThread) return yield* work
    return yield* threads.withPermit(Effect.provideService(work, HasThread, true))
  })

/** A codec that works on threads, as the one of production does. */
const threadedCodec = Layer.effect(
  ChunkCodec,
  Effect.map(ChunkCodec, (inline) =>
    ChunkCodec.of({
      ...inline,
      stage: (request) => onThread(inline.stage(request)),
      load: (request) => onThread(inline.load(request)),
      check: (request) => onThread(inline.check(request))
    })
  )
)

type Chunks = ChunkStore.ChunkStore["Service"]

/** Which chunk store the actors are given; the mutant's begins on a thread and ends there. */
const Change = Context.Reference("granary/interleavings/ChangeOfChunks", {
  defaultValue: () => (chunks: Chunks) => chunks
})

const keepsThread: Mutation = {
  around: (work) =>
    Effect.provideService(work, Change, (chunks: Chunks) => ({
      ...chunks,
      insert: (chunk) => onThread(chunks.insert(chunk))
    }))
}

const digest = digestOfText("x")

const damaged = prepare({
  contents: ["x"],
  setUp: insertLoose("x"),
  damage: (disk) => disk.put(pathOfChunk("x"), Buffer.from("damaged"))
})

const store = (chunks: Chunks) =>
  Effect.asVoid(chunks.insert({ digest, data: Buffer.from("x"), compress: false, crypt: undefined }))

const verify = (chunks: Chunks) =>
  Effect.asVoid(chunks.condemn({ digest, sizeBytes: undefined, crypt: undefined }))

const threaded =
  (origin: MemoryDisk, threadCount: number, backups: number) => (mutation: Mutation) => (): Scenario => {
    const around = mutation.around ?? ((work) => work)
    const disk = origin.fork()
    const points = callsOn(".granary.lock", digest)
    const program = Effect.gen(function* () {
      const { point: park } = yield* Simulation
      const point = (label: string, step: number) =>
        points(label, step) ? park(shortLabel(label)) : Effect.void
      const platform = MemoryPlatform.layer({ disk, point })
      const opened = ChunkStore.make(layoutOf(basePath), { syncLevel: "filesystem" }).pipe(
        Effect.provide(Layer.provideMerge(threadedCodec, platform))
      )
      const chunks = (yield* Change)(yield* opened)
      const writers = Array.from({ length: backups }, (_, number) =>
        store(chunks).pipe(actor(`backup ${number}`))
      )
      yield* Effect.all([verify(chunks).pipe(actor("verify")), ...writers], {
        concurrency: "unbounded",
        discard: true
      })
    })
    return {
      program: around(
        Effect.provideService(Effect.scoped(program), Threads, Semaphore.makeUnsafe(threadCount))
      )
    }
  }

const guard = "giving the thread back before waiting for a guard"

const one: Case = {
  name: "one thread, a backup and a verification of one chunk",
  make: threaded(damaged, 1, 1),
  preemptions: { daily: 4, full: 8 },
  dailySeededRuns: 400,
  mutants: [{ guard, mutation: keepsThread, by: { strategy: "exhaustive", preemptions: 1 }, maxRuns: 100 }]
}

const two: Case = {
  name: "two threads, two backups and a verification of one chunk",
  make: threaded(damaged, 2, 2),
  preemptions: { daily: 2, full: 3 },
  dailySeededRuns: 400,
  mutants: [{ guard, mutation: keepsThread, by: { strategy: "pct", depth: 3 }, maxRuns: 1000 }]
}

export const R18: Row = { id: "R18", title: "a thread that waits for a guard", cases: [one, two] }
