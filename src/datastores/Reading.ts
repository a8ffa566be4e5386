/**
 * Reading: says of a configured datastore that somebody reads it, for who opens it by himself: a process that only
 * serves one store needs no other of the service, and opens the store as it has to be open there.
 *
 * Invariant: as for a lookup, the reader is counted before he looks at the maintenance mode, and until the scope
 * closes.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { FileLocks } from "../platform/FileLocks.ts"
import type { Files } from "../platform/Files.ts"
import * as ActiveOperations from "./ActiveOperations.ts"
import * as ConfigCache from "./ConfigCache.ts"
import { admit, configured, type ConfigurationError } from "./Lookup.ts"

export const hold = (
  folder: string,
  name: string
): Effect.Effect<void, ConfigurationError, Files | FileLocks | Scope.Scope> =>
  Effect.gen(function* () {
    const cache = yield* ConfigCache.make(folder, { ttlMillis: 0, editLookMillis: 0 })
    // An unknown name, and what is kept out anyway, leaves nothing behind.
    const ask = Effect.flatMap(configured({ cache }, name), (found) => admit(name, found, "read"))
    yield* ask
    const operations = yield* ActiveOperations.make(folder)
    yield* Effect.acquireRelease(
      Effect.suspend(() => {
        operations.enter(name, "read")
        return operations.publish(name)
      }),
      () => {
        operations.leave(name, "read")
        return Effect.ignore(operations.publish(name))
      }
    )
    yield* ask
  })
