/**
 * Footprint: what one step touched of the things that several processes see. Steps of different processes whose
 * footprints have nothing in common can change places, and nobody will ever know.
 *
 * A step of which nothing is known touches everything. Within one process every step depends on every other: they share
 * its memory.
 */

/** Something that a step reads or writes: any name, as long as the same thing always has the same one. */
export interface Touch {
  readonly thing: string
  readonly writes: boolean
}

export interface Footprint {
  readonly process: string | undefined
  /** By name, whether it was written; undefined for everything. */
  readonly touched: ReadonlyMap<string, boolean> | undefined
}

/** Adds to what is touched already; writing counts more than reading. */
export const addTouches = (touched: Map<string, boolean>, touches: Iterable<Touch>): void => {
  for (const { thing, writes } of touches) touched.set(thing, writes || touched.get(thing) === true)
}

/** What either may touch: for a step that goes on differently by values that it asks for. */
export const union = (one: Footprint | undefined, other: Footprint): Footprint => {
  if (one === undefined) return other
  if (one.touched === undefined || other.touched === undefined) return { ...one, touched: undefined }
  const touched = new Map(one.touched)
  addTouches(
    touched,
    Array.from(other.touched, ([thing, writes]) => ({ thing, writes }))
  )
  return { process: one.process, touched }
}

const conflict = (one: ReadonlyMap<string, boolean>, other: ReadonlyMap<string, boolean>): boolean => {
  for (const [thing, writes] of one) {
    const found = other.get(thing)
    if (found !== undefined && (found || writes)) return true
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
  #touched: Map<string, boolean> | undefined
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
    if (this.#touched !== undefined && this.#hasSetTimer) this.#touched.set("timers", true)
    return { process: this.#process, touched: this.#touched }
  }
}
