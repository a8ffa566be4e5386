/**
 * Resource: what a path of the tree leads to, and what a directory has to offer to somebody who knows files and
 * directories only.
 *
 * Symbolic links are followed and stand for what they lead to. One that leads out of the tree leads nowhere: an
 * absolute one (the tree cannot know where it was the root), one with more `..` than there are directories above it,
 * one in a circle. Devices, pipes and sockets are left out.
 *
 * Invariant: who goes down through directories as they are listed comes to an end, for a link back to a directory on
 * the way is not listed. It can be asked for all the same.
 */
import * as Effect from "effect/Effect"
import { type Attributes, type Inode, rootInode, Vfs } from "../vfs/Vfs.ts"
import { type VfsError, vfsError } from "../vfs/VfsError.ts"

export interface Resource {
  /** As asked for: names from the root on. */
  readonly names: ReadonlyArray<Uint8Array>
  /** Of a file or a directory. */
  readonly attributes: Attributes
  /** The directories on the way, itself included when it is one. */
  readonly trail: ReadonlySet<Inode>
}

const linksMax = 40
const targetMaxBytes = 4096
const slash = 0x2f
const dot = 0x2e

/** How many links may still be followed. */
interface Budget {
  links: number
}

const shown = (name: Uint8Array): string => JSON.stringify(Buffer.from(name).toString())

const nowhere = (subject: string, detail: string) => Effect.fail(vfsError("NotFound", subject, detail))

const componentsOf = (target: Uint8Array): ReadonlyArray<Uint8Array> => {
  const components: Array<Uint8Array> = []
  for (let start = 0; start <= target.length;) {
    const next = target.indexOf(slash, start)
    const end = next === -1 ? target.length : next
    if (end > start) components.push(target.subarray(start, end))
    start = end + 1
  }
  return components
}

const isDots = (name: Uint8Array, count: number): boolean =>
  name.length === count && name.every((byte) => byte === dot)

/** What one name in a directory stands for; links are followed. */
const step = (
  vfs: Vfs["Service"],
  directory: Inode,
  name: Uint8Array,
  budget: Budget
): Effect.Effect<Attributes, VfsError> =>
  Effect.flatMap(vfs.lookup(directory, name), (found) =>
    found.kind === "symlink" ? follow(vfs, directory, found.inode, budget) : Effect.succeed(found)
  )

const follow = (
  vfs: Vfs["Service"],
  directory: Inode,
  link: Inode,
  budget: Budget
): Effect.Effect<Attributes, VfsError> =>
  Effect.gen(function* () {
    const target = yield* vfs.readLink(link)
    const subject = `the link to ${shown(target)}`
    if (budget.links-- <= 0) return yield* nowhere(subject, "leads through too many links")
    if (target.length === 0 || target.length > targetMaxBytes || target.includes(0)) {
      return yield* nowhere(subject, "leads nowhere")
    }
    if (target[0] === slash) return yield* nowhere(subject, "leads out of the tree")
    let at = yield* vfs.attributes(directory)
    for (const name of componentsOf(target)) {
      if (at.kind !== "directory") return yield* nowhere(subject, "leads through what is no directory")
      if (isDots(name, 1)) continue
      if (!isDots(name, 2)) at = yield* step(vfs, at.inode, name, budget)
      else if (at.inode === rootInode) return yield* nowhere(subject, "leads out of the tree")
      else at = yield* vfs.attributes(yield* vfs.parent(at.inode))
    }
    return at
  })

const isOffered = ({ kind }: Attributes): boolean => kind === "file" || kind === "directory"

/** Fails with `NotFound` where there is nothing, or nothing that can be offered. */
export const find = (names: ReadonlyArray<Uint8Array>): Effect.Effect<Resource, VfsError, Vfs> =>
  Effect.gen(function* () {
    const vfs = yield* Vfs
    const budget = { links: linksMax }
    let attributes = vfs.root
    const trail = new Set([attributes.inode])
    for (const name of names) {
      if (attributes.kind !== "directory") return yield* nowhere(shown(name), "is below a file")
      attributes = yield* step(vfs, attributes.inode, name, budget)
      if (attributes.kind === "directory") trail.add(attributes.inode)
    }
    if (!isOffered(attributes)) return yield* nowhere(shown(names.at(-1) ?? new Uint8Array()), "is no file")
    return { names, attributes, trail }
  })

export interface Member {
  readonly name: Uint8Array
  readonly attributes: Attributes
}

/** A link that leads nowhere, or whose way is damaged, is left out; a store that cannot be asked is not passed over. */
const memberOf = (vfs: Vfs["Service"], directory: Resource, { attributes, name }: Member) => {
  if (attributes.kind !== "symlink")
    return Effect.succeed(isOffered(attributes) ? [{ name, attributes }] : [])
  return follow(vfs, directory.attributes.inode, attributes.inode, { links: linksMax }).pipe(
    Effect.map((found) =>
      isOffered(found) && !directory.trail.has(found.inode) ? [{ name, attributes: found }] : []
    ),
    Effect.catch((error) => (error.reason === "Unreachable" ? Effect.fail(error) : Effect.succeed([])))
  )
}

/** What a directory offers, in its order. */
export const members = (directory: Resource): Effect.Effect<ReadonlyArray<Member>, VfsError, Vfs> =>
  Effect.gen(function* () {
    const vfs = yield* Vfs
    const { entries } = yield* vfs.list(directory.attributes.inode)
    if (entries.every((entry) => isOffered(entry.attributes))) return entries
    const found = yield* Effect.forEach(entries, (entry) => memberOf(vfs, directory, entry), {
      concurrency: 16
    })
    return found.flat()
  })
