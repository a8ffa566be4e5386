/**
 * Paths: from the paths that `fuse-native` asks with to the inodes of the tree, step by step, with a cache of what was
 * found.
 *
 * Invariant: what was found is relied on for as long as the tree allows, and no longer. What is missing is asked for
 * each time.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Inode, rootInode, type Vfs } from "../../vfs/Vfs.ts"
import type { VfsError } from "../../vfs/VfsError.ts"

const knownMax = 20_000

interface Known {
  readonly inode: Inode
  readonly untilMillis: number
}

export class Paths {
  readonly #tree: Vfs["Service"]
  /** The one that was used longest ago first. */
  readonly #known = new Map<string, Known>()

  constructor(tree: Vfs["Service"]) {
    this.#tree = tree
  }

  /** Forgets all: something that was known has turned out to be gone. */
  clear(): void {
    this.#known.clear()
  }

  find(path: string): Effect.Effect<Inode, VfsError> {
    return Effect.flatMap(Clock.currentTimeMillis, (nowMillis) => this.#find(path, nowMillis))
  }

  #find(path: string, nowMillis: number): Effect.Effect<Inode, VfsError> {
    if (path === "/" || path === "") return Effect.succeed(rootInode)
    const known = this.#known.get(path)
    if (known !== undefined && known.untilMillis >= nowMillis) {
      this.#known.delete(path)
      this.#known.set(path, known)
      return Effect.succeed(known.inode)
    }
    const slash = path.lastIndexOf("/")
    const name = Buffer.from(path.slice(slash + 1))
    return Effect.flatMap(this.#find(path.slice(0, slash), nowMillis), (directory) =>
      Effect.map(this.#tree.lookup(directory, name), ({ inode, validSeconds }) => {
        this.#remember(path, { inode, untilMillis: nowMillis + validSeconds * 1000 })
        return inode
      })
    )
  }

  #remember(path: string, known: Known): void {
    this.#known.delete(path)
    this.#known.set(path, known)
    if (this.#known.size <= knownMax) return
    const [oldest] = this.#known.keys()
    if (oldest !== undefined) this.#known.delete(oldest)
  }
}
