/**
 * InodeTable: the tree of a memory disk as it is seen now: inodes by number, names in folders, and the way from a
 * path to an inode.
 *
 * Invariants: `usedBytes` is the content of all files that have a name; an inode is changed by its owner only, and a
 * fork takes ownership from both sides, so that they share what neither has changed. Numbers are never used again.
 */
import type { FileKind } from "../../platform/Files.ts"
import { fail, type Inode, modeOf } from "./Inode.ts"

/** Where a path leads: a name in a folder, and what has that name. */
export interface Place {
  readonly directory: number
  /** Empty for the root, which has no name. */
  readonly name: string
  readonly inode: number | undefined
  /** All folders on the way, from the root on. */
  readonly trail: ReadonlyArray<number>
}

export interface NewInode {
  readonly kind: FileKind
  readonly permissions: number
  readonly nowMillis: number
  readonly target?: string
}

/** Inodes that lie together: a fork shares pages, and who changes an inode copies its page first. */
interface Page {
  readonly owner: object
  readonly inodes: Array<Inode | undefined>
}

const pageBits = 7
const pageMask = (1 << pageBits) - 1

const linksMax = 40
const nameMaxBytes = 255
const nothing = new Uint8Array(0)

export class InodeTable {
  static readonly rootNumber = 0
  usedBytes = 0
  #pages: Array<Page | undefined> = []
  #count = 0
  #owner: object = {}

  static make(nowMillis: number): InodeTable {
    const table = new InodeTable()
    const root = table.add({ kind: "directory", permissions: 0o755, nowMillis })
    table.own(root).links = 1
    return table
  }

  fork(): InodeTable {
    const copy = new InodeTable()
    copy.#pages = this.#pages.slice()
    copy.#count = this.#count
    copy.usedBytes = this.usedBytes
    this.#owner = {}
    return copy
  }

  find(number: number): Inode | undefined {
    return this.#pages[number >> pageBits]?.inodes[number & pageMask]
  }

  at(number: number): Inode {
    return this.find(number) ?? fail("ESTALE")
  }

  #put(number: number, inode: Inode | undefined): void {
    let page = this.#pages[number >> pageBits]
    if (page?.owner !== this.#owner) {
      page = { owner: this.#owner, inodes: page?.inodes.slice() ?? [] }
      this.#pages[number >> pageBits] = page
    }
    page.inodes[number & pageMask] = inode
  }

  /** The inode for changing it. */
  own(number: number): Inode {
    const inode = this.at(number)
    if (inode.owner === this.#owner) return inode
    const children = inode.children === undefined ? undefined : new Map(inode.children)
    const copy: Inode = { ...inode, owner: this.#owner, children }
    this.#put(number, copy)
    return copy
  }

  /** Adds an inode without a name. */
  add({ kind, permissions, nowMillis, target = "" }: NewInode): number {
    const number = this.#count++
    this.#put(number, {
      owner: this.#owner,
      number,
      kind,
      mode: modeOf(kind, permissions),
      links: 0,
      content: nothing,
      mtimeMillis: nowMillis,
      atimeMillis: nowMillis,
      ctimeMillis: nowMillis,
      children: kind === "directory" ? new Map() : undefined,
      target
    })
    return number
  }

  /** Forgets an inode that no name leads to, and what is below it; does nothing while there is a name. */
  dropNameless(number: number): void {
    const inode = this.find(number)
    if (inode === undefined || inode.links > 0) return
    for (const [name, child] of inode.children ?? []) {
      this.setEntry(number, name, undefined)
      this.dropNameless(child)
    }
    this.#put(number, undefined)
  }

  setContent(number: number, content: Uint8Array): void {
    const inode = this.own(number)
    if (inode.links > 0) this.usedBytes += content.length - inode.content.length
    inode.content = content
  }

  /** Lets a name of a folder lead to an inode, or to nothing. */
  setEntry(directory: number, name: string, after: number | undefined): void {
    const children = this.own(directory).children ?? fail("ENOTDIR")
    const before = children.get(name)
    if (before !== undefined) this.#unlink(before)
    if (after === undefined) {
      children.delete(name)
      return
    }
    children.set(name, after)
    const inode = this.own(after)
    inode.links += 1
    if (inode.links === 1) this.usedBytes += inode.content.length
  }

  #unlink(number: number): void {
    const inode = this.own(number)
    inode.links -= 1
    if (inode.links === 0) this.usedBytes -= inode.content.length
  }

  /** A path to every inode, for telling of them. */
  paths(): ReadonlyMap<number, string> {
    const paths = new Map([[InodeTable.rootNumber, ""]])
    for (const [number, path] of paths) {
      for (const [name, child] of this.at(number).children ?? []) paths.set(child, `${path}/${name}`)
    }
    return paths
  }

  /** Follows links on the way, and one at the end of the path when `follows` is set. */
  locate(path: string, follows: boolean): Place {
    return this.#walk([InodeTable.rootNumber], path, follows, 0)
  }

  #walk(start: ReadonlyArray<number>, path: string, follows: boolean, linkCount: number): Place {
    const names = path.split("/").filter((name) => name !== "" && name !== ".")
    const trail = path.startsWith("/") ? [InodeTable.rootNumber] : [...start]
    if (names.length === 0) return rootOf(trail)
    for (let index = 0; index < names.length; index++) {
      const name = names[index] ?? ""
      const isLast = index === names.length - 1
      if (name === "..") {
        if (trail.length > 1) trail.pop()
        if (isLast) return rootOf(trail)
        continue
      }
      const directory = trail.at(-1) ?? InodeTable.rootNumber
      const found = (this.at(directory).children ?? fail("ENOTDIR")).get(name)
      if (found !== undefined && this.at(found).kind === "symlink" && (follows || !isLast)) {
        if (linkCount === linksMax) fail("ELOOP")
        const target = this.#walk(trail, this.at(found).target, true, linkCount + 1)
        if (isLast) return target
        if (target.inode === undefined) return fail("ENOENT")
        trail.splice(0, trail.length, ...target.trail, target.inode)
        continue
      }
      if (isLast) return { directory, name, inode: found, trail }
      trail.push(found ?? fail("ENOENT"))
    }
    return fail("ENOENT")
  }
}

const rootOf = (trail: ReadonlyArray<number>): Place => ({
  directory: trail.at(-2) ?? InodeTable.rootNumber,
  name: "",
  inode: trail.at(-1),
  trail
})

/** The name for a new entry: one that a folder can hold. */
export const newName = ({ name }: Place): string => {
  if (name === "") return fail("EBUSY")
  if (name.length * 3 > nameMaxBytes && Buffer.byteLength(name) > nameMaxBytes) return fail("ENAMETOOLONG")
  return name
}
