/**
 * An empty datastore whose 65,536 chunk folders are made when they are needed, as in a copy of a store by a program that
 * leaves out what is empty. Making and removing all of them takes seconds, and hundreds of tests want a store of
 * their own; what `init` makes is proven where it is tested.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** Makes it in `base`, which is made as well, and answers `base`. */
export const emptyStore = (base: string): string => {
  mkdirSync(base, { mode: 0o755 })
  mkdirSync(join(base, ".chunks"), { mode: 0o750 })
  writeFileSync(join(base, ".lock"), "")
  return base
}
