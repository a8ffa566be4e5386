/**
 * MemoryVfs: a tree of files in memory that obeys the contract of `Vfs`, for tests of whoever serves one: drivers,
 * WebDAV.
 *
 * It is built entry by entry and may be changed while it is served. What can be answered is answered in the same step.
 */
import * as Effect from "effect/Effect"
import type { Device } from "../../src/model/FileMetadata.ts"
import { kindOfMode } from "../../src/model/FileMetadata.ts"
import type { Attributes, Entry, Inode, Seek, Statistics, Vfs } from "../../src/vfs/Vfs.ts"
import { rootInode } from "../../src/vfs/Vfs.ts"
import { type VfsError, vfsError, type VfsReason } from "../../src/vfs/VfsError.ts"

type Bytes = Uint8Array

/** Content that is not simply there. */
export interface Content {
  readonly sizeBytes: number
  /** Within the size, which the tree has looked after. */
  readonly read: (offset: number, lengthBytes: number) => Effect.Effect<Bytes, VfsError>
  /** Where data is, in order; all of it by default. */
  readonly data?: ReadonlyArray<readonly [start: number, end: number]>
}

export interface NodeOptions {
  readonly inode?: Inode
  /** Permissions. */
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  readonly mtimeSeconds?: number
  readonly mtimeNanos?: number
  readonly device?: Device
  readonly xattrs?: Readonly<Record<string, Bytes>>
  readonly validSeconds?: number
}

interface Node {
  attributes: Attributes
  readonly xattrs: ReadonlyArray<readonly [name: Bytes, value: Bytes]>
  readonly content: Content | undefined
  readonly target: Bytes | undefined
  /** By name as Latin-1, which keeps every byte. */
  readonly children: Map<string, Entry> | undefined
  parent: Inode
  listed: { readonly version: number; readonly entries: ReadonlyArray<Entry> } | undefined
}

const bytesOf = (text: string | Bytes): Bytes => (typeof text === "string" ? Buffer.from(text) : text)
const keyOf = (name: Bytes): string => Buffer.from(name).toString("latin1")

const contentOf = (bytes: Bytes): Content => ({
  sizeBytes: bytes.length,
  read: (offset, lengthBytes) => Effect.succeed(bytes.subarray(offset, offset + lengthBytes))
})

const type = {
  directory: 0o040000,
  file: 0o100000,
  symlink: 0o120000
} as const

export class MemoryVfs {
  readonly #nodes = new Map<Inode, Node>()
  #lastInode = rootInode
  /** Counts changes, so that lists are made anew after one. */
  #version = 0
  statistics: Statistics = { totalBytes: 0, availableBytes: 0, longestNameBytes: 255 }

  constructor(options: NodeOptions = {}) {
    this.#put(
      type.directory | (options.mode ?? 0o755),
      { inode: rootInode, ...options },
      { children: new Map() }
    )
  }

  directory(parent: Inode, name: string | Bytes, options: NodeOptions = {}): Inode {
    const inode = this.#put(type.directory | (options.mode ?? 0o755), options, { children: new Map() })
    this.#node(inode).parent = parent
    this.#count(parent, 1)
    return this.#enter(parent, name, inode)
  }

  file(
    parent: Inode,
    name: string | Bytes,
    content: Bytes | Content | string,
    options: NodeOptions = {}
  ): Inode {
    const held = typeof content === "string" || content instanceof Uint8Array
    const found = held ? contentOf(bytesOf(content)) : content
    return this.#enter(
      parent,
      name,
      this.#put(type.file | (options.mode ?? 0o644), options, { content: found })
    )
  }

  symlink(parent: Inode, name: string | Bytes, target: string | Bytes, options: NodeOptions = {}): Inode {
    return this.#enter(parent, name, this.#put(type.symlink | 0o777, options, { target: bytesOf(target) }))
  }

  /** A device node, fifo or socket; `mode` says which. */
  special(parent: Inode, name: string, mode: number, options: NodeOptions = {}): Inode {
    return this.#enter(parent, name, this.#put(mode, options, {}))
  }

  /** One more name of what is there. */
  link(parent: Inode, name: string | Bytes, inode: Inode): Inode {
    this.#count(inode, 1)
    return this.#enter(parent, name, inode)
  }

  remove(parent: Inode, name: string): void {
    const node = this.#node(parent)
    const key = keyOf(bytesOf(name))
    const inode = node.children?.get(key)?.attributes.inode
    node.children?.delete(key)
    this.#version++
    if (inode !== undefined) this.#nodes.delete(inode)
  }

  get vfs(): Vfs["Service"] {
    return {
      root: this.#node(rootInode).attributes,
      attributes: (inode) => this.#with(inode, ({ attributes }) => Effect.succeed(attributes)),
      lookup: (directory, name) => this.#in(directory, (node) => this.#lookup(node, name)),
      list: (directory) => this.#in(directory, (node) => Effect.succeed(this.#list(node))),
      parent: (directory) => this.#in(directory, ({ parent }) => Effect.succeed(parent)),
      readLink: (inode) =>
        this.#with(inode, ({ target }) =>
          target === undefined ? this.#fail("WrongKind", inode) : Effect.succeed(target)
        ),
      xattrNames: (inode) => this.#with(inode, ({ xattrs }) => Effect.succeed(xattrs.map(([name]) => name))),
      xattr: (inode, name) =>
        this.#with(inode, ({ xattrs }) => {
          const found = xattrs.find(([known]) => keyOf(known) === keyOf(name))
          return found === undefined ? this.#fail("NoAttribute", inode) : Effect.succeed(found[1])
        }),
      read: (inode, offset, lengthBytes) => this.#read(inode, offset, lengthBytes),
      lendNow: () => false,
      listNow: () => undefined,
      lend: (inode, offset, lengthBytes, use) => Effect.map(this.#read(inode, offset, lengthBytes), use),
      seek: (inode, offset, wanted) =>
        this.#contentOf(inode, (content) => Effect.succeed(seekIn(content, offset, wanted))),
      statistics: Effect.sync(() => this.statistics)
    }
  }

  #read(inode: Inode, offset: number, lengthBytes: number): Effect.Effect<Uint8Array, VfsError> {
    return this.#contentOf(inode, ({ read, sizeBytes }) => {
      const length = Math.max(0, Math.min(lengthBytes, sizeBytes - offset))
      return length === 0 ? Effect.succeed(new Uint8Array(0)) : read(offset, length)
    })
  }

  #fail(reason: VfsReason, inode: Inode): Effect.Effect<never, VfsError> {
    return Effect.fail(vfsError(reason, `inode ${inode}`, reason))
  }

  #with<A>(inode: Inode, use: (node: Node) => Effect.Effect<A, VfsError>): Effect.Effect<A, VfsError> {
    const node = this.#nodes.get(inode)
    return node === undefined ? this.#fail("Gone", inode) : use(node)
  }

  #in<A>(
    inode: Inode,
    use: (node: Node & { readonly children: Map<string, Entry> }) => Effect.Effect<A, VfsError>
  ): Effect.Effect<A, VfsError> {
    return this.#with(inode, (node) => {
      const { children } = node
      return children === undefined
        ? this.#fail("NotADirectory", inode)
        : use(node as Node & { readonly children: Map<string, Entry> })
    })
  }

  #contentOf<A>(
    inode: Inode,
    use: (content: Content) => Effect.Effect<A, VfsError>
  ): Effect.Effect<A, VfsError> {
    return this.#with(inode, ({ children, content }) => {
      if (content !== undefined) return use(content)
      return this.#fail(children === undefined ? "WrongKind" : "IsADirectory", inode)
    })
  }

  #lookup(node: Node, name: Bytes): Effect.Effect<Attributes, VfsError> {
    const entry = node.children?.get(keyOf(name))
    return entry === undefined
      ? this.#fail("NotFound", node.attributes.inode)
      : this.#with(entry.attributes.inode, ({ attributes }) => Effect.succeed(attributes))
  }

  #list(node: Node) {
    if (node.listed?.version !== this.#version) {
      const entries = [...(node.children ?? new Map<string, Entry>()).values()]
      node.listed = {
        version: this.#version,
        entries: entries.map(({ attributes, name }) => ({
          name,
          attributes: this.#node(attributes.inode).attributes
        }))
      }
    }
    return { entries: node.listed.entries, validSeconds: node.attributes.validSeconds }
  }

  #node(inode: Inode): Node {
    const node = this.#nodes.get(inode)
    if (node === undefined) throw new Error(`there is no inode ${inode}`)
    return node
  }

  #count(inode: Inode, more: number): void {
    const node = this.#node(inode)
    node.attributes = { ...node.attributes, linkCount: node.attributes.linkCount + more }
    this.#version++
  }

  #enter(parent: Inode, name: string | Bytes, inode: Inode): Inode {
    const node = this.#node(parent)
    const bytes = bytesOf(name)
    node.children?.set(keyOf(bytes), { name: bytes, attributes: this.#node(inode).attributes })
    this.#version++
    return inode
  }

  #put(
    mode: number,
    options: NodeOptions,
    { children, content, target }: Partial<Pick<Node, "children" | "content" | "target">>
  ): Inode {
    const inode = options.inode ?? ++this.#lastInode
    const sizeBytes = content?.sizeBytes ?? target?.length ?? 0
    const dataBytes = content?.data?.reduce((sum, [start, end]) => sum + end - start, 0) ?? sizeBytes
    const attributes: Attributes = {
      inode,
      kind: kindOfMode(mode) ?? "file",
      mode,
      linkCount: children === undefined ? 1 : 2,
      uid: options.uid ?? 0,
      gid: options.gid ?? 0,
      sizeBytes,
      blocks: Math.ceil(dataBytes / 512),
      mtimeSeconds: options.mtimeSeconds ?? 1_700_000_000,
      mtimeNanos: options.mtimeNanos ?? 123_456_789,
      device: options.device,
      validSeconds: options.validSeconds ?? Infinity
    }
    const xattrs = Object.entries(options.xattrs ?? {}).map(([name, value]): readonly [Bytes, Bytes] => [
      bytesOf(name),
      value
    ])
    this.#nodes.set(inode, {
      attributes,
      xattrs,
      content,
      target,
      children,
      parent: inode,
      listed: undefined
    })
    return inode
  }
}

const seekIn = ({ data, sizeBytes }: Content, offset: number, wanted: Seek): number | undefined => {
  if (offset >= sizeBytes) return undefined
  const segments = data ?? [[0, sizeBytes] as const]
  const inside = segments.find(([start, end]) => start <= offset && offset < end)
  if (wanted === "hole") return inside === undefined ? offset : inside[1]
  if (inside !== undefined) return offset
  return segments.find(([start]) => start > offset)?.[0]
}
