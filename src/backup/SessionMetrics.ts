/**
 * SessionMetrics: what backup sessions tell the metrics: local backups as well as those that a client sends.
 *
 * Invariant: a session counts as a task from its begin to its end, and as a success only when its manifest was written.
 * Its chunks count when it ends, whether it succeeded or not: they were read, hashed and stored.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Metrics from "../platform/Metrics.ts"
import * as Observation from "../platform/Observation.ts"
import type { SessionStatistics } from "./SessionStatistics.ts"

export interface SessionMetrics {
  /** Names the counts of the session, which go on growing. */
  readonly watch: (statistics: SessionStatistics) => void
  readonly finished: Effect.Effect<void>
}

const count = (statistics: SessionStatistics): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { duplicateBytes, duplicateChunks, newBytes, newChunks, reusedBytes, reusedChunks } = statistics
    yield* Observation.add(Metrics.backupChunks, reusedChunks, { kind: "reused" })
    yield* Observation.add(Metrics.backupChunks, duplicateChunks, { kind: "duplicate" })
    yield* Observation.add(Metrics.backupChunks, newChunks, { kind: "new" })
    yield* Observation.add(Metrics.backupBytes, reusedBytes, { kind: "reused" })
    yield* Observation.add(Metrics.backupBytes, duplicateBytes, { kind: "duplicate" })
    yield* Observation.add(Metrics.backupBytes, newBytes, { kind: "new" })
    yield* Observation.add(Metrics.backupStoredBytes, statistics.storedBytes)
  })

/** Begins before anything of the session, so that it ends after all of it. */
export const begin: Effect.Effect<SessionMetrics, never, Scope.Scope> = Effect.gen(function* () {
  let isFinished = false
  let watched: SessionStatistics | undefined
  yield* Observation.taskScoped("backup", (exit) => {
    const outcome = Observation.outcomeOf(exit)
    if (isFinished) return "success"
    return outcome === "success" ? "failure" : outcome
  })
  yield* Effect.addFinalizer(() => (watched === undefined ? Effect.void : count(watched)))
  return {
    watch: (statistics) => void (watched = statistics),
    finished: Effect.sync(() => void (isFinished = true))
  }
})
