/**
 * What a backup passed over. All are counted and told to the listener; only the first ones are kept, so that a folder
 * full of trouble does not fill the memory.
 */
export interface SourceWarning {
  /** Relative to the root of the backup; empty for the root itself. */
  readonly path: Uint8Array
  readonly message: string
}

const KEPT_COUNT = 1000

export class Warnings {
  readonly #kept: Array<SourceWarning> = []
  readonly #listener: ((warning: SourceWarning) => void) | undefined
  #count = 0

  constructor(listener: ((warning: SourceWarning) => void) | undefined) {
    this.#listener = listener
  }

  get count(): number {
    return this.#count
  }

  get kept(): ReadonlyArray<SourceWarning> {
    return this.#kept
  }

  add(path: Uint8Array, message: string): void {
    const warning: SourceWarning = { path, message }
    this.#count++
    if (this.#kept.length < KEPT_COUNT) this.#kept.push(warning)
    this.#listener?.(warning)
  }
}
