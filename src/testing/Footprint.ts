/**
 * Footprint: what one step touched of the things that several processes see. Steps of different processes whose
 * footprints have nothing in common can change places, and nobody will ever know.
 *
 * A step of which nothing is known touches everything. Within one process every step depends on every other: they share
 * its memory.
 */

/**
 * Something that a step touches: any name, as long as the same thing always has the same one. `adds` is a change that
 * comes to the same in any order with others of its kind, as a new name in a folder does; reading sees it.
 */
export interface Touch {
  readonly thing: string
  readonly how: "reads" | "adds" | "writes"
}

export interface Footprint {
  readonly process: string | undefined
  /** By name, how (see `modes`); undefined for everything. */
  readonly touched: ReadonlyMap<string, number> | undefined
}

/** Reading and adding come to writing. */
const modes = { reads: 1, adds: 2, writes: 3 } as const

/** Adds to what is touched already. */
const addTouches = (touched: Map<string, number>, touches: Iterable<Touch>): void => {
  for (const { how, thing } of touches) touched.set(thing, (touched.get(thing) ?? 0) | modes[how])
}

/** What either may touch: for a step that goes on differently by values that it asks for. */
export const union = (one: Footprint | undefined, other: Footprint): Footprint => {
  if (one === undefined) return other
  if (one.touched === undefined || other.touched === undefined) return { ...one, touched: undefined }
  const touched = new Map(one.touched)
  for (const [thing, mode] of other.touched) touched.set(thing, (touched.get(thing) ?? 0) | mode)
  return { process: one.process, touched }
}

const conflict = (one: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): boolean => {
  for (const [thing, mode] of one) {
    const found = other.get(thing)
    if (found !== undefined && (found !== mode || mode === modes.writes)) return true
  }
  return false
}

/** Whether it makes no difference which of the two comes first. */
export const areIndependent = (one: Footprint, other: Footprint): boolean => {
  if (one.process === other.process || one.touched === undefined || other.touched === undefined) return false
  return one.touched.size <= other.touched.size
    ? !conflict(one.touched, other.touched)
    : !conflict(other.touched, one.touched)
}

/** What the step that runs now has said. */
export class Recorder {
  #process: string | undefined
  #touched: Map<string, number> | undefined
  #hasSetTimer = false

  begin(process: string | undefined): void {
    this.#process = process
    this.#touched = undefined
    this.#hasSetTimer = false
  }

  add(touches: Iterable<Touch>): void {
    addTouches((this.#touched ??= new Map()), touches)
  }

  /** Timers of one time go off in the order in which they were set: so that is something to touch. */
  setTimer(): void {
    this.#hasSetTimer = true
  }

  get footprint(): Footprint {
    if (this.#touched !== undefined && this.#hasSetTimer) this.#touched.set("timers", modes.writes)
    return { process: this.#process, touched: this.#touched }
  }
}
