/**
 * ChunkRecency: what the times of a chunk's file say about its use, and which chunks have to go when room is needed.
 *
 * The modification time is when the chunk came, the access time when it was used last. Chunks used only once since they
 * came are on probation: they go first, the oldest first. Those used again go by their last use, and keep at most four
 * fifths of the room; what exceeds that is judged like those on probation, by its last use. So content that is read
 * once, however much, never pushes out what is in daily use.
 *
 * Invariant: memory does not grow with the number of chunks. Ages are counted in steps: one second up to 34 minutes,
 * then steps that are a thousandth of the age, or less.
 */

export interface ChunkTimes {
  readonly mtimeSeconds: number
  readonly atimeSeconds: number
}

/** Several reads within this time of the chunk's arrival are one use: a restore may need a chunk more than once. */
export const oneUseSeconds = 15 * 60

/** An access time younger than this is not renewed. */
export const renewalSeconds = 60 * 60

export const isUsedAgain = ({ mtimeSeconds, atimeSeconds }: ChunkTimes): boolean =>
  atimeSeconds - mtimeSeconds >= oneUseSeconds

/** Whether a use now tells more than the times do already. */
export const isRenewalDue = (times: ChunkTimes, nowSeconds: number): boolean =>
  nowSeconds - times.atimeSeconds >= renewalSeconds ||
  (!isUsedAgain(times) && nowSeconds - times.mtimeSeconds >= oneUseSeconds)

const exactBits = 10
const exactSteps = 2 ** exactBits
const ageMaxSeconds = 2 ** 31
const stepCount = (31 - exactBits) * exactSteps + 2 * exactSteps

/** Steps grow with the age; younger than now counts as now. */
const stepOf = (ageSeconds: number): number => {
  const age = Math.min(Math.max(0, ageSeconds), ageMaxSeconds)
  if (age < exactSteps) return age
  const shift = 31 - Math.clz32(age) - exactBits
  return shift * exactSteps + (age >>> shift)
}

/** What goes: older than the step `from` all of them; of that step itself `bytesFrom` bytes. */
export interface Selection {
  readonly totalBytes: number
  /** Those used again up to this step stay, whatever their age. */
  readonly protectedBelow: number
  readonly from: number
  readonly bytesFrom: number
}

/** How much there is of which age, at one moment. */
export class Census {
  readonly nowSeconds: number
  readonly #once = new Float64Array(stepCount)
  readonly #again = new Float64Array(stepCount)
  #chunks = 0
  #bytes = 0

  constructor(nowSeconds: number) {
    this.nowSeconds = nowSeconds
  }

  get chunks(): number {
    return this.#chunks
  }

  get bytes(): number {
    return this.#bytes
  }

  #stepOf(times: ChunkTimes): number {
    return stepOf(this.nowSeconds - (isUsedAgain(times) ? times.atimeSeconds : times.mtimeSeconds))
  }

  add(times: ChunkTimes, sizeBytes: number): void {
    const steps = isUsedAgain(times) ? this.#again : this.#once
    const step = this.#stepOf(times)
    steps[step] = (steps[step] ?? 0) + sizeBytes
    this.#chunks += 1
    this.#bytes += sizeBytes
  }

  /** Which go so that at most `keptBytes` stay; undefined when all may stay. */
  select(keptBytes: number, protectedBytes: number): Selection | undefined {
    if (this.#bytes <= keptBytes) return undefined
    const protectedBelow = this.#protectedBelow(protectedBytes)
    let excess = this.#bytes - keptBytes
    for (let step = stepCount - 1; step >= 0; step--) {
      const here = (this.#once[step] ?? 0) + (step < protectedBelow ? 0 : (this.#again[step] ?? 0))
      if (here >= excess) return { totalBytes: this.#bytes, protectedBelow, from: step, bytesFrom: excess }
      excess -= here
    }
    return { totalBytes: this.#bytes, protectedBelow, from: 0, bytesFrom: excess }
  }

  #protectedBelow(protectedBytes: number): number {
    let sum = 0
    for (let step = 0; step < stepCount; step++) {
      sum += this.#again[step] ?? 0
      if (sum > protectedBytes) return step
    }
    return stepCount
  }

  /** Whether a chunk goes: `always`, while bytes of its step are still wanted, or not. */
  judge(selection: Selection, times: ChunkTimes): "goes" | "goes while wanted" | "stays" {
    const step = this.#stepOf(times)
    if (isUsedAgain(times) && step < selection.protectedBelow) return "stays"
    if (step > selection.from) return "goes"
    return step === selection.from ? "goes while wanted" : "stays"
  }
}
