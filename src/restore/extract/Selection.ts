/**
 * Which entries a restore wants. Without includes everything is wanted; with them, what one of them matches
 * and what lies below it. An exclude takes an entry out with all that lies below it. In both lists the last
 * pattern that matches decides, and one with a leading `!` takes back what those before it say.
 */
import { match, type PathPattern } from "../../model/PathPattern.ts"

export type Choice =
  | "selected"
  /** Not wanted itself, though something below it may be. */
  | "passed"
  | "excluded"

export class Selection {
  readonly #includes: ReadonlyArray<PathPattern>
  readonly #excludes: ReadonlyArray<PathPattern>

  constructor(includes: ReadonlyArray<PathPattern>, excludes: ReadonlyArray<PathPattern>) {
    this.#includes = includes
    this.#excludes = excludes
  }

  /** Whether the root of the archive is wanted for itself. */
  get isRootSelected(): boolean {
    return this.#includes.length === 0
  }

  get isEverything(): boolean {
    return this.#includes.length === 0 && this.#excludes.length === 0
  }

  choose(path: Uint8Array, isDirectory: boolean, isParentSelected: boolean): Choice {
    // A plain pattern is an exclude by nature; in a list of includes it is what picks an entry.
    if (match(this.#excludes, path, isDirectory) === "exclude") return "excluded"
    const decision = match(this.#includes, path, isDirectory)
    const isSelected = decision === undefined ? isParentSelected : decision === "exclude"
    return isSelected ? "selected" : "passed"
  }
}
