/**
 * TreeNode: one entry of an archive in its place: its name below its parent, and what the archive says of it.
 *
 * A node knows its parent instead of its path, so that an archive nested a hundred thousand levels deep takes no more
 * memory than it has entries; the path is put together when somebody asks for it.
 */
import type { Child } from "../../format/pxar/Accessor.ts"
import type { Entry } from "../../format/pxar/Entry.ts"

const SLASH = 0x2f

export class TreeNode {
  /** Undefined for the root. */
  readonly parent: TreeNode | undefined
  /** Where the entry stands in the archive. */
  readonly child: Child
  /** As it is stored; a hard link is one here. */
  readonly entry: Entry

  constructor(parent: TreeNode | undefined, child: Child, entry: Entry) {
    this.parent = parent
    this.child = child
    this.entry = entry
  }

  /** Empty for the root. */
  get name(): Uint8Array {
    return this.child.name
  }

  /** From the root of the archive, without a leading slash; empty for the root itself. */
  get path(): Uint8Array {
    return joinNames(this)
  }
}

/** Anything that has a name and stands below something else; what has no parent does not show in the path. */
export interface Named {
  readonly parent: Named | undefined
  readonly name: Uint8Array
}

/** The names from the root down, with slashes between them. */
export const joinNames = (node: Named): Uint8Array => {
  let lengthBytes = -1
  for (let each: Named = node; each.parent !== undefined; each = each.parent)
    lengthBytes += each.name.length + 1
  const path = new Uint8Array(Math.max(0, lengthBytes))
  let end = path.length
  for (let each: Named = node; each.parent !== undefined; each = each.parent) {
    path.set(each.name, end - each.name.length)
    end -= each.name.length + 1
    if (end >= 0) path[end] = SLASH
  }
  return path
}

/** The names in a path; superfluous slashes and `.` do not count. */
export const splitPath = (path: Uint8Array): ReadonlyArray<Uint8Array> => {
  const names: Array<Uint8Array> = []
  for (let start = 0; start < path.length;) {
    const slash = path.indexOf(SLASH, start)
    const end = slash === -1 ? path.length : slash
    const name = path.subarray(start, end)
    if (name.length > 0 && !(name.length === 1 && name[0] === 0x2e)) names.push(name)
    start = end + 1
  }
  return names
}
