/**
 * World: one run's fibers at their points, its clock and its decisions.
 *
 * Fibers run until they park, sleep or wait for each other; only when nothing can run any more is the chooser asked
 * who goes on, and what befalls it. The world records every step, buries the dead and tells those who watch. How
 * Effect's fibers are run is `FiberScheduler`'s business.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { applies, type Chooser } from "./Choosers.ts"
import {
  type AnyFiber,
  ExternalWork,
  FiberScheduler,
  Identity,
  makeProcess,
  type Process
} from "./FiberScheduler.ts"
import { Recorder } from "./Footprint.ts"
import { History } from "./History.ts"
import { Knowledge } from "./Knowledge.ts"
import { type Crash, type Fault, type Parked, Simulation, type Step } from "./Simulation.ts"
import { Strands } from "./Strands.ts"
import { VirtualClock } from "./VirtualClock.ts"

export interface WorldOptions {
  /**
   * `idle`: the clock moves only when no fiber can go on, as if work took no time. `choice`: that the next timer goes
   * off competes with every parked fiber, as if work could take any time. Default `idle`.
   */
  readonly time?: "idle" | "choice"
  /** More steps than that end the run. Default 10,000. */
  readonly maxSteps?: number
  /** Where the clock begins, in milliseconds since 1970. Default 2026-01-01T00:00:00Z. */
  readonly startMillis?: number
}

const startMillisDefault = 1_767_225_600_000
const maxStepsDefault = 10_000

interface Entry extends Parked {
  readonly identity: Identity
  readonly fiber: AnyFiber | undefined
  readonly resume: (fails: boolean) => void
  gone: boolean
}

export type Advance =
  | { readonly kind: "stuck" }
  | { readonly kind: "limit" }
  | { readonly kind: "pruned" }
  | { readonly kind: "crashed"; readonly at: Parked }

const placeOf = ({ actor, process, label, canFail, strand }: Parked): Parked => ({
  actor,
  process,
  label,
  canFail,
  strand
})

const go = Effect.succeed(false)
const failing = Effect.succeed(true)

export class World {
  readonly steps: Array<Step> = []
  readonly history = new History()
  readonly fibers = new FiberScheduler()
  readonly external = new ExternalWork()
  private readonly chooser: Chooser
  private readonly timeIsChoice: boolean
  private readonly maxSteps: number
  private readonly clock: VirtualClock<Identity>
  private readonly parked: Array<Entry> = []
  private readonly options: Array<Entry> = []
  private readonly strands = new Strands()
  private readonly processes = new Set<Process>()
  private readonly crashHooks: Array<(crash: Crash) => void> = []
  private readonly recorder = new Recorder()
  private readonly knowledge: Knowledge
  private processCount = 0
  private lastActor = "main"
  private lastStrand = 0
  /** Of whoever runs in this step. */
  private running: Process | undefined

  constructor(
    chooser: Chooser,
    { time = "idle", maxSteps = maxStepsDefault, startMillis }: WorldOptions = {},
    shared?: () => string
  ) {
    this.chooser = chooser
    this.timeIsChoice = time === "choice"
    this.maxSteps = maxSteps
    this.clock = new VirtualClock(startMillis ?? startMillisDefault, (sleep) =>
      Effect.withFiber((fiber) => {
        this.recorder.setTimer()
        return sleep(fiber.getRef(Identity))
      })
    )
    this.knowledge = new Knowledge({
      clock: this.clock,
      processes: this.processes,
      shared: chooser.asksForStates === true ? shared : undefined
    })
  }

  get nowMillis(): number {
    return this.clock.nowMillis
  }

  /** Starts a program outside of all processes. */
  start<A, E>(program: Effect.Effect<A, E, Simulation>): Fiber.Fiber<A, E> {
    const identity: Identity = { actor: "main", process: this.newProcess(undefined), fiber: undefined }
    const context = Context.make(Simulation, this.service).pipe(
      Context.add(Clock.Clock, this.clock.service),
      Context.add(Identity, identity)
    )
    return this.fibers.fork(program, context)
  }

  // ---------------------------------------------------------------- the service

  private enter(
    fiber: AnyFiber,
    label: string,
    canFail: boolean,
    resume: (fails: boolean) => void
  ): Effect.Effect<void> {
    const identity = fiber.getRef(Identity)
    const entry: Entry = {
      actor: identity.actor,
      process: identity.process.name,
      label,
      canFail,
      strand: this.strands.numberOf(fiber, identity, label),
      identity,
      fiber,
      resume,
      gone: false
    }
    this.parked.push(entry)
    this.fibers.notify?.()
    return Effect.sync(() => this.leave(entry))
  }

  private leave(entry: Entry): void {
    entry.gone = true
    const index = this.parked.indexOf(entry)
    if (index !== -1) this.parked.splice(index, 1)
  }

  private readonly failPoint = (label: string): Effect.Effect<boolean> =>
    Effect.withFiber((fiber) =>
      Effect.callback<boolean>((resume) =>
        this.enter(fiber, label, true, (fails) => resume(fails ? failing : go))
      )
    )

  private readonly point = (label: string): Effect.Effect<void> =>
    Effect.withFiber((fiber) =>
      Effect.callback<void>((resume) => this.enter(fiber, label, false, () => resume(Effect.void)))
    )

  private readonly choose = (label: string, count: number): number => {
    if (count < 2) return 0
    const chosen = this.chooser.value(label, count)
    const at = { actor: this.lastActor, process: undefined, label, canFail: false, strand: this.lastStrand }
    this.record("value", at, chosen, count, "none")
    this.knowledge.note(this.running, `${label} ${chosen}`)
    return chosen
  }

  private readonly actor =
    (name: string) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.withFiber((fiber) =>
        Effect.provideService(Effect.andThen(this.point("start"), self), Identity, {
          actor: name,
          process: fiber.getRef(Identity).process,
          fiber
        })
      )

  private newProcess(name: string | undefined): Process {
    const process = makeProcess(name, this.processCount++)
    this.processes.add(process)
    return process
  }

  private readonly process =
    (name: string) =>
    <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Option.Option<A>, E, R> =>
      Effect.withFiber((parent) =>
        Effect.callback<Option.Option<A>, E>((resume) => {
          const process = this.newProcess(name)
          const identity: Identity = { actor: name, process, fiber: undefined }
          // What the parent has is what the effect may ask for: they share their requirements.
          const context = Context.add(parent.context, Identity, identity) as Context.Context<R>
          const fiber = this.fibers.fork(this.actor(name)(self), context)
          const caller = parent.getRef(Identity).process
          process.onDeath.push(() => {
            this.knowledge.note(caller, `${name} died`)
            resume(Effect.succeed(Option.none()))
          })
          fiber.addObserver((exit) => {
            this.processes.delete(process)
            this.knowledge.noteEnd(caller, process, exit)
            resume(Exit.map(exit, Option.some))
          })
          return Effect.callback<void>((done) => {
            process.onDeath.push(() => done(Effect.void))
            fiber.addObserver(() => done(Effect.void))
            fiber.interruptUnsafe(parent.id)
          })
        })
      )

  private readonly runExternal = <A, E, R>(
    label: string,
    effect: Effect.Effect<A, E, R>
  ): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) =>
      Effect.callback<A, E>((resume) => {
        const { process } = fiber.getRef(Identity)
        const work = this.external.fork(effect, fiber.context)
        let wanted = true
        let leave: Effect.Effect<void> = Effect.void
        work.addObserver((exit) => {
          if (wanted && !process.dead) {
            leave = this.enter(fiber, `${label}:done`, false, () => resume(exit))
          }
          this.fibers.notify?.()
        })
        return Effect.suspend(() => {
          wanted = false
          if (work.pollUnsafe() !== undefined) return leave
          return Effect.callback<void>((done) => {
            work.addObserver(() => done(Effect.void))
            work.interruptUnsafe(fiber.id)
          })
        })
      })
    )

  private readonly service = Simulation.of({
    point: this.point,
    failPoint: this.failPoint,
    choose: this.choose,
    external: this.runExternal,
    actor: this.actor,
    process: this.process,
    kill: (name) =>
      Effect.sync(() => {
        for (const process of this.processes) if (process.name === name) this.killProcess(process)
      }),
    touches: (touches) => this.recorder.add(touches),
    learns: (tell) => this.knowledge.learns(tell),
    onCrash: (hook) => Effect.sync(() => this.onCrash(hook))
  })

  // ------------------------------------------------------------------ the driver's side

  private record(kind: Step["kind"], at: Parked, chosen: number, count: number, fault: Fault): void {
    const { actor, process, label, canFail } = at
    const timeMillis = this.clock.nowMillis
    this.steps.push({ kind, actor, process, label, canFail, chosen, count, fault, timeMillis })
    this.history.add(
      actor,
      kind === "value" ? `${label}=${chosen}` : fault === "none" ? label : fault + label
    )
  }

  onCrash(hook: (crash: Crash) => void): void {
    this.crashHooks.push(hook)
  }

  private announce(crash: Crash): void {
    for (const hook of this.crashHooks) hook(crash)
  }

  private bury(): void {
    this.fibers.anyDead = true
    for (let index = this.parked.length - 1; index >= 0; index--) {
      if (this.parked[index]?.identity.process.dead === true) this.parked.splice(index, 1)
    }
    this.clock.remove((identity) => identity.process.dead)
  }

  private killProcess(process: Process): void {
    if (process.dead || process.name === undefined) return
    process.dead = true
    this.processes.delete(process)
    this.bury()
    this.announce({ kind: "process", process: process.name })
    for (const observer of process.onDeath) this.fibers.later(observer)
  }

  private crashWorld(): void {
    for (const process of this.processes) process.dead = true
    this.processes.clear()
    this.bury()
    this.announce({ kind: "world" })
  }

  /** An interruption hits the actor; where that cannot be interrupted now, the parked fiber simply goes on. */
  private interrupt(entry: Entry): void {
    const { fiber } = entry.identity
    const target = fiber === undefined || fiber.pollUnsafe() !== undefined ? entry.fiber : fiber
    target?.interruptUnsafe(target.id)
    if (!entry.gone) entry.resume(false)
  }

  /** The actor that ran last comes first, its own fiber before its others; then by arrival; then the clock. */
  private arrange(): boolean {
    const { options, parked, lastActor, lastStrand } = this
    options.length = 0
    for (const entry of parked) {
      if (entry.actor === lastActor && entry.strand === lastStrand) options.push(entry)
    }
    for (const entry of parked) {
      if (entry.actor === lastActor && entry.strand !== lastStrand) options.push(entry)
    }
    const continues = options.length > 0
    for (const entry of parked) if (entry.actor !== lastActor) options.push(entry)
    if (this.timeIsChoice && this.clock.sleepers.length > 0) options.push(this.tick)
    return continues
  }

  private readonly tick: Entry = {
    actor: "clock",
    process: undefined,
    label: "tick",
    canFail: false,
    strand: -1,
    identity: { actor: "clock", process: makeProcess(undefined, -1), fiber: undefined },
    fiber: undefined,
    resume: () => {
      this.running = this.clock.wakeNext()?.process
      this.knowledge.note(this.running, `woken ${this.clock.nowMillis}`)
    },
    gone: false
  }

  /** To be called when the step has come to rest. */
  settle(): void {
    if (this.steps.length > 0) this.chooser.took?.(this.recorder.footprint)
  }

  /** One decision; undefined when the run goes on. */
  step(): Advance | undefined {
    if (this.steps.length >= this.maxSteps) return { kind: "limit" }
    if (this.parked.length === 0 && this.clock.sleepers.length === 0) return { kind: "stuck" }
    const continues = this.arrange()
    const { options } = this
    if (options.length === 0) options.push(this.tick)
    const count = options.length
    const asks = count > 1 || this.chooser.asksAlways === true
    const chosen = asks ? this.chooser.pick(options, this.steps.length, continues, this.knowledge.state) : 0
    if (chosen === -1) return { kind: "pruned" }
    const entry = options[chosen]
    if (entry === undefined) throw new RangeError(`a chooser picked ${chosen} of ${count} options`)
    const wanted = this.chooser.fault?.(this.steps.length, entry) ?? "none"
    const fault = applies(wanted, entry) ? wanted : "none"
    if (entry !== this.tick) {
      this.lastActor = entry.actor
      this.lastStrand = entry.strand
      const index = this.parked.indexOf(entry)
      this.parked.splice(index, 1)
    }
    return this.perform(entry, chosen, count, fault)
  }

  private perform(entry: Entry, chosen: number, count: number, fault: Fault): Advance | undefined {
    const isTick = entry === this.tick
    this.recorder.begin(entry.process)
    if (isTick && fault === "none") entry.resume(false)
    this.record(isTick ? "tick" : "point", entry, chosen, count, fault)
    if (fault === "crash") {
      this.crashWorld()
      return { kind: "crashed", at: placeOf(entry) }
    }
    if (isTick) return undefined
    this.running = entry.identity.process
    this.knowledge.note(this.running, `${entry.strand} ${entry.label} ${this.clock.nowMillis} ${fault}`)
    if (fault === "kill") this.killProcess(entry.identity.process)
    else if (fault === "interrupt") this.interrupt(entry)
    else entry.resume(fault === "fail")
    return undefined
  }

  get waiting(): Strands["waiting"] {
    return this.strands.waiting
  }
}
