/**
 * CatalogScan: looks through one archive's part of a catalog for entries that somebody wants, a directory before what
 * is in it. Levels are kept in a list, so no depth is too much.
 */
import * as Catalog from "../../format/Catalog.ts"
import { joinNames } from "./TreeNode.ts"

/** A directory on the way down to where the scan is. */
export interface CatalogLevel {
  /** Undefined for the root of the archive. */
  readonly parent: CatalogLevel | undefined
  readonly name: Uint8Array
  readonly rest: Iterator<Catalog.CatalogEntry>
}

export interface CatalogMatch {
  /** The directory that the entry is in. */
  readonly level: CatalogLevel
  readonly name: Uint8Array
}

const entriesAtOnce = 4096

export class CatalogScan {
  readonly #catalog: Uint8Array
  readonly #isWanted: (path: Uint8Array, isDirectory: boolean) => boolean
  readonly #pending: Array<CatalogLevel> = []

  constructor(
    catalog: Uint8Array,
    top: Catalog.CatalogDirectory,
    isWanted: (path: Uint8Array, isDirectory: boolean) => boolean
  ) {
    this.#catalog = catalog
    this.#isWanted = isWanted
    this.#enter(undefined, new Uint8Array(0), top)
  }

  /** The next entry that is wanted; undefined at the end; "pause" after many that are not, to be called again. */
  next(): CatalogMatch | "pause" | undefined {
    let seen = 0
    for (let level = this.#pending.at(-1); level !== undefined; level = this.#pending.at(-1)) {
      if (seen++ >= entriesAtOnce) return "pause"
      const { done, value: entry } = level.rest.next()
      if (done === true) {
        this.#pending.pop()
        continue
      }
      const { kind, name } = entry
      if (entry.kind === "directory") this.#enter(level, name, entry.directory)
      if (this.#isWanted(joinNames({ parent: level, name }), kind === "directory")) return { level, name }
    }
    return undefined
  }

  #enter(parent: CatalogLevel | undefined, name: Uint8Array, directory: Catalog.CatalogDirectory): void {
    this.#pending.push({ parent, name, rest: Catalog.readDirectory(this.#catalog, directory) })
  }
}
