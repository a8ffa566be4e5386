/**
 * TreeSize: a quick look at how much a directory holds, so that a bar has an end. It stays on one file system and takes
 * whatever it cannot read for nothing: it is a guess, never a promise.
 */
import * as Effect from "effect/Effect"
import * as fs from "node:fs"

const entriesPerTurn = 2000

/** About what an entry takes in an archive besides its content. */
const entryBytes = 150

interface Frame {
  readonly path: string
  readonly entries: ReadonlyArray<fs.Dirent>
  next: number
}

const list = (path: string): Frame => {
  try {
    return { path, entries: fs.readdirSync(path, { withFileTypes: true }), next: 0 }
  } catch {
    return { path, entries: [], next: 0 }
  }
}

class Estimate {
  totalBytes = entryBytes
  readonly #device: number
  readonly #stack: Array<Frame>

  constructor(root: string) {
    this.#device = fs.statSync(root, { throwIfNoEntry: false })?.dev ?? -1
    this.#stack = [list(root)]
  }

  /** Looks at up to `count` more entries; false when all were seen. */
  advance(count: number): boolean {
    for (let done = 0; done < count; done++) {
      const frame = this.#stack.at(-1)
      if (frame === undefined) return false
      const entry = frame.entries[frame.next++]
      if (entry === undefined) this.#stack.pop()
      else this.#add(`${frame.path}/${entry.name}`, entry)
    }
    return true
  }

  #add(path: string, entry: fs.Dirent): void {
    this.totalBytes += entryBytes + entry.name.length
    if (!entry.isFile() && !entry.isDirectory()) return
    const stat = fs.lstatSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return
    if (entry.isFile()) this.totalBytes += stat.size
    else if (stat.dev === this.#device) this.#stack.push(list(path))
  }
}

/** Bytes that an archive of the directory will have, roughly. */
export const estimate = (root: string): Effect.Effect<number> =>
  Effect.gen(function* () {
    const found = new Estimate(root)
    while (found.advance(entriesPerTurn)) yield* Effect.yieldNow
    return found.totalBytes
  })
