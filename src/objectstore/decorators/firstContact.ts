/**
 * firstContact: patience that has to be earned. Retries wait for minutes, which is right for a server that was there a
 * moment ago, and wrong for a host's name with a slip in it. So until the server has answered anything at all, requests
 * are tried a few times only.
 */
import * as Effect from "effect/Effect"
import { retrying } from "./retrying.ts"
import type { ObjectStore } from "../ObjectStore.ts"
import type { ObjectStoreError, ObjectStoreReason } from "../ObjectStoreError.ts"

type Store = ObjectStore["Service"]

const firstAttemptsMax = 3

/** Nobody has answered, or somebody else has. */
const silent: ReadonlySet<ObjectStoreReason> = new Set(["Unreachable", "Disconnected", "Untrusted", "NotS3"])

export const firstContact = (store: Store): Effect.Effect<Store> =>
  Effect.gen(function* () {
    const hasty = yield* retrying(store, { attemptsMax: firstAttemptsMax })
    const patient = yield* retrying(store)
    let isMet = false
    const meet = <A>(
      operation: (chosen: Store) => Effect.Effect<A, ObjectStoreError>
    ): Effect.Effect<A, ObjectStoreError> =>
      Effect.suspend(() => (isMet ? operation(patient) : operation(hasty))).pipe(
        Effect.tap(() => Effect.sync(() => void (isMet = true))),
        Effect.tapError(({ reason }) => Effect.sync(() => void (isMet ||= !silent.has(reason))))
      )
    return {
      put: (key, body) => meet((chosen) => chosen.put(key, body)),
      putIfAbsent: (key, body) => meet((chosen) => chosen.putIfAbsent(key, body)),
      get: (key, maxSizeBytes) => meet((chosen) => chosen.get(key, maxSizeBytes)),
      getRange: (key, range) => meet((chosen) => chosen.getRange(key, range)),
      head: (key) => meet((chosen) => chosen.head(key)),
      list: (request) => meet((chosen) => chosen.list(request)),
      deleteMany: (keys) => meet((chosen) => chosen.deleteMany(keys)),
      copy: (from, to) => meet((chosen) => chosen.copy(from, to))
    }
  })
