/**
 * Entries of an archive that wait until it is decided how the contents before them are stored. While the queue is held
 * it only grows; once it is released the walk stands still, and one entry after the other is taken out in order.
 */
export interface QueuedEntry {
  /** Relative to the root, for warnings. */
  readonly path: Uint8Array
  readonly write: () => void
}

export class EntryQueue {
  #entries: Array<QueuedEntry> = []
  #taken = 0
  #isReleased = false

  /** Entries that were not taken out yet. */
  get length(): number {
    return this.#entries.length - this.#taken
  }

  add(entry: QueuedEntry): void {
    this.#entries.push(entry)
  }

  /** From now on `take` gives entries, until none is left. */
  release(): void {
    this.#isReleased = true
  }

  /** The next entry; undefined while the queue is held. The last one may add others, which are held again. */
  take(): QueuedEntry | undefined {
    if (!this.#isReleased) return undefined
    const entry = this.#entries[this.#taken++]
    if (this.length > 0) return entry
    this.#entries = []
    this.#taken = 0
    this.#isReleased = false
    return entry
  }
}
