/** Tries locks in two folders of a read-only file system, with and without a lock file; prints the outcomes as JSON. */
import * as Effect from "effect/Effect"
import { FileLocks, type LockMode } from "../../src/platform/FileLocks.ts"
import type { FilesError } from "../../src/platform/Files.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"

const outcome = <A>(effect: Effect.Effect<A, FilesError>): Effect.Effect<string> =>
  Effect.match(effect, { onFailure: ({ reason }) => reason, onSuccess: String })

const outcomes = (locks: FileLocks["Service"], path: string) => {
  const tryMode = (mode: LockMode) =>
    outcome(Effect.scoped(locks.tryLock(path, { offset: 1, length: 1 }, mode)))
  return Effect.all({
    shared: tryMode("shared"),
    exclusive: tryMode("exclusive"),
    table: outcome(Effect.scoped(Effect.as(locks.openRanges(path), "open")))
  })
}

const result = await Effect.runPromise(
  Effect.gen(function* () {
    const locks = yield* FileLocks
    return {
      withFile: yield* outcomes(locks, `${process.argv[2]}/with/.lock`),
      withoutFile: yield* outcomes(locks, `${process.argv[2]}/without/.lock`)
    }
  }).pipe(Effect.provide(NodeFileLocks.layer))
)
process.stdout.write(JSON.stringify(result))
