/**
 * R21 in a bucket: a guard is held across a request, so it must be of one digest. With one lock for all chunks the whole
 * store waits for the slowest answer; and where answers depend on each other, as behind a server or a pool of
 * connections that serves in its own order, for ever.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { insertLoose } from "../../harness/actors.ts"
import { bucketStage } from "../../harness/bucket/bucketStage.ts"
import { keyOfChunk, prepareBucket } from "../../harness/bucket/bucketStart.ts"
import type { Case, Row } from "../../harness/Row.ts"
import { together } from "../../harness/stage.ts"
import { oneForAll } from "../R21.ts"

const slow: Case = {
  name: "the server answers one upload when it has got another",
  isOpaque: true,
  make: bucketStage({
    start: prepareBucket({ contents: ["one", "two"], setUp: {} }),
    connection: (objects) => {
      const other = Deferred.makeUnsafe<void>()
      return {
        ...objects,
        putIfAbsent: (key, body) => {
          const put = objects.putIfAbsent(key, body)
          if (key === keyOfChunk("one")) return Effect.tap(put, () => Deferred.await(other))
          return Effect.tap(put, () => Deferred.succeed(other, undefined))
        }
      }
    },
    program: (world) => world.process("backup")(together(insertLoose("one"), insertLoose("two")))
  }),
  preemptions: { daily: 2, full: 6 },
  dailySeededRuns: 40,
  mutants: [
    {
      guard: "a guard for each digest instead of one for all",
      mutation: oneForAll,
      by: { strategy: "exhaustive", preemptions: 1 },
      maxRuns: 100
    }
  ]
}

export const R21: Row = { id: "R21", title: "guards across requests are of one digest", cases: [slow] }
