/** syncMutations: guards of a sync that are switched off in more than one scenario. */
import * as Effect from "effect/Effect"
import type { Mutation } from "../Mutation.ts"

/** Locks on things of that kind are granted to the process at once, and keep nobody out. */
export const withoutLocks = (process: string, kind: "group" | "snapshot" | "manifest"): Mutation => ({
  processes: [process],
  datastore: (store) => {
    const { hold, holdSoon, tryHold } = store.locks
    const isFree = (name: string): boolean => name.startsWith(`${kind} `)
    return {
      ...store,
      locks: {
        ...store.locks,
        hold: (name, mode) => (isFree(name) ? Effect.void : hold(name, mode)),
        holdSoon: (name, mode) => (isFree(name) ? Effect.void : holdSoon(name, mode)),
        tryHold: (name, mode) => (isFree(name) ? Effect.succeed(true) : tryHold(name, mode))
      }
    }
  }
})
