/**
 * History: a fingerprint of where every actor of a run is, kept up to date step by step.
 *
 * An actor is where the list of its labels has brought it; the order in which different actors got there does not
 * count. So two schedules that meet in the same place have the same fingerprint. It knows nothing of data: a scenario
 * that wants its data in the count gives a `state` function of its own.
 */

/** FNV-1a over the units of a string, begun anywhere. */
const hashText = (start: number, text: string): number => {
  let hash = start
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash
}

const mix = (hash: number): number => {
  const first = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  return first ^ (first >>> 15)
}

const begin = 0x811c9dc5 | 0
const otherLane = 0x9e3779b9 | 0

export class History {
  private readonly actors = new Map<string, number>()
  private high = 0
  private low = 0

  /** The actor has gone on from a point. */
  add(actor: string, label: string): void {
    const before = this.actors.get(actor)
    const after = mix(hashText(before ?? hashText(begin, actor), label))
    this.actors.set(actor, after)
    // Sums do not depend on the order of actors; two of them make collisions rare.
    if (before !== undefined) {
      this.high = (this.high - mix(before)) | 0
      this.low = (this.low - mix(before ^ otherLane)) | 0
    }
    this.high = (this.high + mix(after)) | 0
    this.low = (this.low + mix(after ^ otherLane)) | 0
  }

  /** 52 bits. */
  get fingerprint(): number {
    return (this.high >>> 0) * 2 ** 20 + (this.low >>> 12)
  }
}
