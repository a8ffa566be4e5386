/**
 * Runs: carries effects out as promises and async iterables, on the one runtime of an opened datastore.
 *
 * A promise rejects with the typed error itself, or with the reason of the signal that stopped it. Closing
 * stops what is under way, waits until it has cleaned up, and only then lets the datastore go; afterwards every
 * call rejects.
 */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as ManagedRuntime from "effect/ManagedRuntime"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Progress, type ProgressEvent } from "../platform/Progress.ts"

/** Something was asked of a datastore that has been closed, or is being closed. */
export class ClosedError extends Data.TaggedError("ClosedError")<{ readonly path: string }> {
  override get message(): string {
    return `${this.path}: the datastore has been closed`
  }

  get hint(): string {
    return "open it again"
  }
}

/** What every call takes. */
export interface CallOptions {
  /** Stops the work cleanly; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface ProgressOptions extends CallOptions {
  /** Called very often. What it throws stops the work, and the promise rejects with it. */
  readonly onProgress?: (event: ProgressEvent) => void
}

export class Runs<R> {
  readonly #path: string
  readonly #runtime: ManagedRuntime.ManagedRuntime<R, unknown>
  /** Holds what iterators have opened, so that closing also frees what an abandoned one left behind. */
  readonly #scope = Scope.makeUnsafe()
  readonly #closing = new AbortController()
  readonly #underWay = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined

  constructor(path: string, runtime: ManagedRuntime.ManagedRuntime<R, unknown>) {
    this.#path = path
    this.#runtime = runtime
  }

  run<A>(effect: Effect.Effect<A, unknown, R>, options: ProgressOptions = {}): Promise<A> {
    const running = this.#run(effect, options)
    this.#underWay.add(running)
    const forget = (): void => void this.#underWay.delete(running)
    running.then(forget, forget)
    return running
  }

  /** The stream is opened with the first element that is asked for, and closed when the loop is left. */
  async *iterate<A>(
    stream: Stream.Stream<A, unknown, R>,
    options: CallOptions = {}
  ): AsyncGenerator<A, void> {
    const scope = await this.run(Scope.fork(this.#scope), options)
    try {
      const pull = await this.run(Scope.provide(Stream.toPull(stream), scope), options)
      const next = Pull.catchDone(pull, () => Effect.succeed([]))
      for (;;) {
        const elements = await this.run(next, options)
        if (elements.length === 0) return
        yield* elements
      }
    } finally {
      await Effect.runPromise(Scope.close(scope, Exit.void))
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#closing.abort(new ClosedError({ path: this.#path }))
    await Promise.allSettled(this.#underWay)
    await Effect.runPromise(Scope.close(this.#scope, Exit.void))
    await this.#runtime.dispose()
  }

  async #run<A>(effect: Effect.Effect<A, unknown, R>, options: ProgressOptions): Promise<A> {
    const reporting = new AbortController()
    const signals = [this.#closing.signal, reporting.signal]
    const signal = AbortSignal.any(options.signal === undefined ? signals : [options.signal, ...signals])
    signal.throwIfAborted()
    const { onProgress = () => undefined } = options
    const report = (event: ProgressEvent): void => {
      try {
        onProgress(event)
      } catch (error) {
        reporting.abort(error)
      }
    }
    const exit = await this.#runtime.runPromiseExit(Effect.provideService(effect, Progress, report), {
      signal
    })
    if (Exit.isSuccess(exit)) return exit.value
    throw signal.aborted && Cause.hasInterruptsOnly(exit.cause) ? signal.reason : Cause.squash(exit.cause)
  }
}
