/**
 * NameJournal: changes of names that are not on the disk yet, oldest first.
 *
 * Invariant, and the whole of what the fault model promises about names: one change is lost or kept as a whole, and no
 * change is kept while an earlier one of the same folder is lost. With `journal` ordering all folders count as one.
 */

export interface NameChange {
  readonly directory: number
  readonly name: string
  readonly before: number | undefined
  readonly after: number | undefined
}

export interface NameOperation {
  readonly operation: "create" | "make directory" | "rename" | "remove" | "remove directory"
  readonly path: string
  readonly changes: ReadonlyArray<NameChange>
  /** Folders whose order it belongs to. */
  readonly directories: ReadonlyArray<number>
}

/** How names survive: see the fault model in `MemoryDisk`. */
export type NameOrdering = "directory" | "journal"

const sharesOne = (numbers: ReadonlyArray<number>, set: ReadonlySet<number>): boolean =>
  numbers.some((number) => set.has(number))

export class NameJournal {
  readonly #ordering: NameOrdering
  #pending: Array<NameOperation> = []

  constructor(ordering: NameOrdering) {
    this.#ordering = ordering
  }

  fork(): NameJournal {
    const copy = new NameJournal(this.#ordering)
    copy.#pending = this.#pending.slice()
    return copy
  }

  get size(): number {
    return this.#pending.length
  }

  push(operation: NameOperation): void {
    this.#pending.push(operation)
  }

  /**
   * Puts the changes of one folder on the disk, and with each all that came before it in any folder it touches; answers
   * what went there.
   */
  commit(directory: number): ReadonlyArray<NameOperation> {
    if (this.#ordering === "journal") return this.commitAll()
    if (this.#pending.length === 0) return []
    const wanted = new Set([directory])
    const committed: Array<NameOperation> = []
    const rest: Array<NameOperation> = []
    for (const operation of this.#pending.toReversed()) {
      if (sharesOne(operation.directories, wanted)) {
        operation.directories.forEach((number) => wanted.add(number))
        committed.push(operation)
      } else rest.push(operation)
    }
    this.#pending = rest.toReversed()
    return committed
  }

  /** The flush of one file's content: takes everything along where there is only one order. */
  commitWithContent(): ReadonlyArray<NameOperation> {
    return this.#ordering === "journal" ? this.commitAll() : []
  }

  commitAll(): ReadonlyArray<NameOperation> {
    return this.#pending.splice(0)
  }

  /**
   * Ends the journal as a power loss does: tells what is kept, and what is lost, newest first. `isLost` is asked for
   * every change that could have survived.
   */
  lose(isLost: (operation: NameOperation) => boolean): {
    readonly kept: ReadonlyArray<NameOperation>
    readonly lost: ReadonlyArray<NameOperation>
  } {
    const kept: Array<NameOperation> = []
    const lost: Array<NameOperation> = []
    const cut = new Set<number>()
    for (const operation of this.commitAll()) {
      const isCut = this.#ordering === "journal" ? lost.length > 0 : sharesOne(operation.directories, cut)
      if (isCut || isLost(operation)) {
        lost.push(operation)
        operation.directories.forEach((number) => cut.add(number))
      } else kept.push(operation)
    }
    return { kept, lost: lost.toReversed() }
  }
}
