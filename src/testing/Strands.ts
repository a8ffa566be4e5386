/**
 * Strands: the fibers of a run that have parked, by number. A fiber's number says which process it belongs to and the
 * how manyth of it it is, so that it has the same one in whatever order processes came this far.
 */
import type { AnyFiber, Identity } from "./FiberScheduler.ts"

interface Strand {
  readonly number: number
  readonly fiber: AnyFiber
  identity: Identity
  label: string
}

/** Nobody has so many fibers. */
const strandsOfProcess = 2 ** 20

export class Strands {
  readonly #strands = new Map<number, Strand>()

  /** The fiber parks there. */
  numberOf(fiber: AnyFiber, identity: Identity, label: string): number {
    const known = this.#strands.get(fiber.id)
    if (known !== undefined) {
      known.identity = identity
      known.label = label
      return known.number
    }
    const { process } = identity
    const number = process.number * strandsOfProcess + process.strandCount++
    this.#strands.set(fiber.id, { number, fiber, identity, label })
    return number
  }

  /** The actors that neither ended nor died, with the point that each passed last. */
  get waiting(): ReadonlyArray<{ readonly actor: string; readonly label: string }> {
    return [...this.#strands.values()]
      .filter(({ fiber, identity }) => fiber.pollUnsafe() === undefined && !identity.process.dead)
      .map(({ identity, label }) => ({ actor: identity.actor, label }))
  }
}
