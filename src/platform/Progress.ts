/**
 * Progress: what long work tells while it runs, as typed events.
 *
 * Work reports through the `Progress` reference, which by default drops everything, so a library user pays nothing. A
 * command line puts a bar there, a program a callback, and `stream` turns it into a stream of events.
 *
 * Reporting is synchronous and cheap, and must not throw; reporters thin out events by themselves.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

export type ProgressEvent =
  | {
      readonly type: "progress"
      readonly task:
        | "create"
        | "backup"
        | "restore"
        | "verify"
        | "prune"
        | "gc-mark"
        | "gc-sweep"
        | "gc-remove"
        | "refresh"
      /** What is worked on: an archive, a snapshot. */
      readonly subject: string
      readonly state: "started" | "running" | "ended"
      readonly unit: "bytes" | "chunks" | "folders" | "indexes" | "snapshots"
      readonly done: number
      /** Undefined when nobody knows yet. */
      readonly total: number | undefined
      /** Further counts by their kebab-case names. */
      readonly counts: Readonly<Record<string, number>>
    }
  | { readonly type: "warning"; readonly subject: string; readonly message: string }

export type Reporter = (event: ProgressEvent) => void

export const Progress = Context.Reference<Reporter>("granary/platform/Progress", {
  defaultValue: () => () => undefined
})

/** Runs `effect` and emits its events; the stream ends with the effect and fails as it fails. */
export const stream = <A, E, R>(effect: Effect.Effect<A, E, R>): Stream.Stream<ProgressEvent, E, R> =>
  Stream.callback<ProgressEvent, E, R>((queue) =>
    effect.pipe(
      Effect.provideService(Progress, (event) => {
        Queue.offerUnsafe(queue, event)
      }),
      Effect.matchCauseEffect({
        onFailure: (cause) => Queue.failCause(queue, cause),
        onSuccess: () => Queue.end(queue)
      })
    )
  )
