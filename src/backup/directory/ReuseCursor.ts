/**
 * Walks the previous archive of a tree in step with the walk through the tree itself. Both go through their children in
 * the byte order of names, so one pass finds every entry that has a counterpart, and no more of the old archive is kept
 * than the entry at hand.
 *
 * Bytes come from outside: `seek` answers false when it takes more of them, and is asked again after `push` or `end`.
 * An archive whose names are in another order costs matches and nothing else: what is found stands at exactly the path
 * that was looked for.
 */
import { Decoder, type Event } from "../../format/pxar/Decoder.ts"
import type { Entry } from "../../format/pxar/Entry.ts"

export class ReuseCursor {
  readonly #decoder = new Decoder()
  /** The next event that was not passed yet. */
  #event: Event | undefined
  /** Directories of the old archive that are open where the cursor stands. */
  #depth = 0
  /** How many should be: those that the walk is in and the old archive has as well. The root is one from the start. */
  #wantedDepth = 1
  /** Directories that the walk is in and the old archive does not have. */
  #newDepth = 0
  #isOver = false
  #found: Entry | undefined

  /** What the old archive has under the name that was sought last. */
  get found(): Entry | undefined {
    return this.#found
  }

  /** Takes the next bytes of the old archive. */
  push(bytes: Uint8Array): void {
    this.#decoder.push(bytes)
  }

  /** No more bytes come, or none that can be used: nothing is found any more. */
  end(): void {
    this.#isOver = true
    this.#event = undefined
  }

  /**
   * Goes to the child of that name in the directory that the walk is in. Names must ascend from call to call. False
   * when more bytes are needed; throws `FormatError` when the archive is damaged.
   */
  seek(name: Uint8Array): boolean {
    this.#found = undefined
    if (this.#newDepth > 0) return true
    while (!this.#isOver) {
      this.#event ??= this.#decoder.next()
      if (this.#event === undefined) return false
      if (this.#depth === this.#wantedDepth) {
        const order = orderOf(this.#event, name)
        if (order > 0) return true
        if (order === 0) {
          if (this.#event.kind === "entry") this.#found = this.#event.entry
          return true
        }
      }
      this.#pass(this.#event)
    }
    return true
  }

  /** The walk enters the directory that it sought last. */
  enter(): void {
    if (this.#found?.kind !== "directory") this.#newDepth++
    else if (this.#event !== undefined) {
      this.#wantedDepth++
      this.#pass(this.#event)
    }
    this.#found = undefined
  }

  /** The walk leaves the directory that it entered last. What is left of it in the old archive is passed over later. */
  leave(): void {
    if (this.#newDepth > 0) this.#newDepth--
    else this.#wantedDepth--
  }

  #pass(event: Event): void {
    if (event.kind === "entry" && event.entry.kind === "directory") this.#depth++
    else if (event.kind === "directory-end") this.#depth--
    this.#event = undefined
  }
}

/** Where an event stands to a wanted child of its directory: the end comes behind all of them. */
const orderOf = (event: Event, name: Uint8Array): number => {
  if (event.kind === "entry") return Buffer.compare(event.name, name)
  return event.kind === "directory-end" || event.kind === "end" ? 1 : -1
}
