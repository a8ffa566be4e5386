/**
 * FiberScheduler: how the laboratory runs Effect's fibers; the only file that knows how Effect schedules them.
 *
 * Effect never takes a fiber's turn away here (`shouldYield` says no), so what happens does not depend on how many
 * operations Effect's own code takes, and survives a new version of it.
 *
 * How the dead stay dead: every fiber carries an identity, and that a process. Before each operation Effect asks
 * `shouldYield`; for a fiber of a dead process the answer is yes, and the task that would bring it back is dropped. So
 * even a fiber that somebody else wakes or interrupts never runs another operation, and no finalizer of it.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"

export type AnyFiber = Fiber.Fiber<unknown, unknown>

export interface Process {
  /** Undefined for what is outside of all processes. */
  readonly name: string | undefined
  /** In the order in which the processes of a run were started. */
  readonly number: number
  dead: boolean
  /** How many of its fibers have parked. */
  strandCount: number
  readonly onDeath: Array<() => void>
}

export interface Identity {
  readonly actor: string
  readonly process: Process
  /** Whom an interruption of the actor hits; undefined for the program itself. */
  readonly fiber: AnyFiber | undefined
}

export const makeProcess = (name: string | undefined, number: number): Process => ({
  name,
  number,
  dead: false,
  strandCount: 0,
  onDeath: []
})

export const Identity = Context.Reference<Identity>("granary/testing/Identity", {
  defaultValue: () => ({ actor: "main", process: makeProcess(undefined, 0), fiber: undefined })
})

/** Fibers that wake each other without ever parking would go on for ever. */
const tasksBetweenStepsMax = 100_000

export class FiberScheduler {
  /** Called when something became able to run. */
  notify: (() => void) | undefined
  /** Says that some process is dead; before that nobody needs to be asked. */
  anyDead = false
  private readonly tasks: Array<() => void> = []
  private nextTask = 0
  private dropNextTask = false

  private readonly dispatcher: Scheduler.SchedulerDispatcher = {
    scheduleTask: (task) => {
      if (this.dropNextTask) {
        this.dropNextTask = false
        return
      }
      this.later(task)
    },
    flush: () => void this.drain()
  }

  private readonly scheduler: Scheduler.Scheduler = {
    executionMode: "sync",
    shouldYield: (fiber) => {
      if (!this.anyDead || !fiber.getRef(Identity).process.dead) return false
      this.dropNextTask = true
      return true
    },
    makeDispatcher: () => this.dispatcher
  }

  /** Does something when those who run now have come to rest. */
  later(task: () => void): void {
    this.tasks.push(task)
    this.notify?.()
  }

  /** Runs whatever can run without a decision; false when that does not come to an end. */
  drain(): boolean {
    for (let done = 0; this.nextTask < this.tasks.length; done++) {
      if (done === tasksBetweenStepsMax) return false
      this.tasks[this.nextTask++]?.()
    }
    this.tasks.length = 0
    this.nextTask = 0
    return true
  }

  fork<A, E, R>(effect: Effect.Effect<A, E, R>, context: Context.Context<R>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(context)(effect, { scheduler: this.scheduler })
  }
}

/** Real asynchronous work: runs on Effect's own scheduler and clock, so that it finds the machine as it is. */
export class ExternalWork {
  private readonly fibers = new Set<AnyFiber>()
  private readonly scheduler = new Scheduler.MixedScheduler()

  /** How many effects are at work. */
  get count(): number {
    return this.fibers.size
  }

  fork<A, E, R>(effect: Effect.Effect<A, E, R>, context: Context.Context<never>): Fiber.Fiber<A, E> {
    const clock = Context.get(Context.empty(), Clock.Clock)
    // The caller's context holds what the effect asks for.
    const real = Context.add(context, Clock.Clock, clock) as Context.Context<R>
    const fiber = Effect.runForkWith(real)(effect, { scheduler: this.scheduler })
    this.fibers.add(fiber)
    fiber.addObserver(() => this.fibers.delete(fiber))
    return fiber
  }

  /** Ends what a finished run has left behind. */
  async close(): Promise<void> {
    const left = [...this.fibers]
    for (const fiber of left) fiber.interruptUnsafe()
    await Promise.all(left.map((fiber) => new Promise<void>((done) => void fiber.addObserver(() => done()))))
  }
}
