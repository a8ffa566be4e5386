/**
 * Underway: the requests that are being worked on, each a fiber, so that the kernel can take one back.
 *
 * Most are answered from memory: their effects end in the same step, without ever being entered here, which is what
 * keeps a look at a file at a few microseconds. Invariant: an exit is told once, and none after `interruptAll` is
 * done.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { VfsError } from "../../vfs/VfsError.ts"
import type { Head } from "../protocol/Request.ts"
import * as Signals from "./Signals.ts"

export interface Underway {
  /** Starts the effect; `onExit` is called when it has ended, at once if it can be. */
  readonly run: <A>(
    head: Head,
    effect: Effect.Effect<A, VfsError>,
    onExit: (exit: Exit.Exit<A, VfsError>) => void
  ) => void
  /** The kernel takes a request back, because the thread that waits for it got a signal. */
  readonly interrupt: (unique: bigint) => void
  readonly interruptAll: Effect.Effect<void>
}

interface Running {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly threadId: number
}

/** An effect that is nothing but its result needs no fiber. */
const isEnded = <A>(effect: Effect.Effect<A, VfsError>): effect is Exit.Exit<A, VfsError> =>
  Exit.isExit(effect)

/** A signal that counts may follow one that does not, and the kernel tells of the first only. */
const lookAgain = "100 millis"

export const make = (context: Context.Context<never>): Underway => {
  const fork = Effect.runForkWith(context)
  const running = new Map<bigint, Running>()

  const run: Underway["run"] = ({ threadId, unique }, effect, onExit) => {
    if (isEnded(effect)) return onExit(effect)
    const fiber = fork(effect)
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return onExit(exit)
    running.set(unique, { fiber, threadId })
    fiber.addObserver((late) => {
      running.delete(unique)
      onExit(late)
    })
  }

  const interrupt = (unique: bigint): void => {
    const request = running.get(unique)
    if (request === undefined) return
    if (Signals.isEnding(request.threadId)) return request.fiber.interruptUnsafe()
    fork(
      Effect.andThen(
        Effect.sleep(lookAgain),
        Effect.sync(() => interrupt(unique))
      )
    )
  }

  return {
    run,
    interrupt,
    interruptAll: Effect.suspend(() => Fiber.interruptAll([...running.values()].map(({ fiber }) => fiber)))
  }
}
