/**
 * Knowledge: what the processes of a run know, and so what a state of the whole world is.
 *
 * What a process will do follows from where it began and what it has met since: its steps, their times, and what it
 * learned of the things that processes share. Together with these things themselves, and the clock, that is all there
 * is: from two states with the same fingerprint the same can follow.
 *
 * Invariant: a process knows of others only what was noted here, so everything that it reads has to be.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { hash } from "node:crypto"
import { Identity, type Process } from "./FiberScheduler.ts"
import type { VirtualClock } from "./VirtualClock.ts"

interface History {
  /** Of all that was noted before. */
  digest: string
  pending: string
}

export interface WorldAround {
  readonly clock: VirtualClock<Identity>
  /** Those that have not ended. */
  readonly processes: Iterable<Process>
  /** All that processes share; undefined where nobody wants to know of states. */
  readonly shared: (() => string) | undefined
}

const digestOf = (text: string): string => hash("sha256", text, "base64")

export class Knowledge {
  readonly #around: WorldAround
  readonly #histories = new Map<Process, History>()

  constructor(around: WorldAround) {
    this.#around = around
  }

  note(process: Process | undefined, what: string): void {
    if (process === undefined || this.#around.shared === undefined) return
    const history = this.#histories.get(process)
    if (history === undefined) this.#histories.set(process, { digest: "", pending: `${what}\n` })
    else history.pending += `${what}\n`
  }

  /** Whoever waits for a process learns what comes of it: in doubt all that it knew. */
  noteEnd(caller: Process, process: Process, exit: Exit.Exit<unknown, unknown>): void {
    const isPlain = Exit.isSuccess(exit) && exit.value === undefined
    this.note(caller, `${process.number} ended ${isPlain ? "" : this.#historyOf(process)}`)
  }

  /** The calling fiber's process learns that. */
  readonly learns = (tell: () => string): Effect.Effect<void> =>
    this.#around.shared === undefined
      ? Effect.void
      : Effect.withFiber((fiber) => {
          this.note(fiber.getRef(Identity).process, tell())
          return Effect.void
        })

  /** All that what follows depends on, in few letters. */
  readonly state = (): string | undefined => {
    const { clock, processes, shared } = this.#around
    if (shared === undefined) return undefined
    const sleepers = clock.sleepers.map(({ owner, wakeMillis }) => `${owner.process.number} ${wakeMillis}`)
    let text = `${clock.nowMillis} ${sleepers.join(" ")}`
    for (const process of processes) text += `\n${process.number} ${process.name} ${this.#historyOf(process)}`
    return digestOf(`${text}\n${shared()}`)
  }

  #historyOf(process: Process): string {
    const history = this.#histories.get(process)
    if (history === undefined) return ""
    if (history.pending !== "") history.digest = digestOf(`${history.digest}\n${history.pending}`)
    history.pending = ""
    return history.digest
  }
}
