/**
 * SyncMeter: counts what a group has come to so far, and tells that something moved. One for each group; the job's own
 * takes what all of them count.
 */
import { add, noCounts, type SyncCounts } from "./SyncSummary.ts"
import type { StoredChunk } from "./SyncTarget.ts"

export class SyncMeter {
  #counts: SyncCounts = noCounts
  readonly #onChange: (counts: SyncCounts) => void

  /** `onChange` is told what came on top. */
  constructor(onChange: (more: SyncCounts) => void = () => undefined) {
    this.#onChange = onChange
  }

  get counts(): SyncCounts {
    return this.#counts
  }

  count(more: Partial<SyncCounts>): void {
    const whole = { ...noCounts, ...more }
    this.#counts = add(this.#counts, whole)
    this.#onChange(whole)
  }

  readonly chunk = ({ encodedBytes, outcome }: StoredChunk): void =>
    this.count(
      outcome === "stored"
        ? { chunks: 1, chunkBytes: encodedBytes }
        : { presentChunks: 1, chunkBytes: encodedBytes }
    )

  file(sizeBytes: number): void {
    this.count({ files: 1, fileBytes: sizeBytes })
  }
}
