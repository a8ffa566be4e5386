/** A tree in memory to serve: nodes put together by hand, whose reads can be counted, held back and made to fail. */
import * as Effect from "effect/Effect"
import { type Attributes, type Inode, rootInode, type Vfs } from "../../src/vfs/Vfs.ts"
import { type VfsError, vfsError } from "../../src/vfs/VfsError.ts"

type Read = (offset: number, lengthBytes: number) => Effect.Effect<Uint8Array, VfsError>

export interface Node {
  readonly kind: Attributes["kind"]
  readonly sizeBytes: number
  readonly mode: number
  readonly mtimeSeconds: number
  readonly target: Uint8Array
  readonly entries: ReadonlyArray<readonly [name: Uint8Array, node: Node]>
  readonly read: Read
}

export type Details = Partial<Pick<Node, "mode" | "mtimeSeconds">>

/** One character a byte, so that names of any bytes can be written. */
export const raw = (text: string): Uint8Array => Buffer.from(text, "latin1")

const defaults: Node = {
  kind: "file",
  sizeBytes: 0,
  mode: 0o100644,
  mtimeSeconds: 1_700_000_000,
  target: new Uint8Array(),
  entries: [],
  read: () => Effect.die("not a file")
}

export const file = (content: string | Uint8Array, details: Details = {}): Node => {
  const bytes = typeof content === "string" ? Buffer.from(content) : content
  return {
    ...defaults,
    sizeBytes: bytes.length,
    read: (offset, lengthBytes) => Effect.succeed(bytes.subarray(offset, offset + lengthBytes)),
    ...details
  }
}

export const computedFile = (sizeBytes: number, read: Read, details: Details = {}): Node => ({
  ...defaults,
  sizeBytes,
  read,
  ...details
})

export const link = (target: string): Node => ({
  ...defaults,
  kind: "symlink",
  mode: 0o120777,
  target: raw(target),
  sizeBytes: target.length
})

export const special = (kind: "fifo" | "socket" | "device-char" | "device-block"): Node => ({
  ...defaults,
  kind
})

export const folder = (entries: Readonly<Record<string, Node>>, details: Details = {}): Node => ({
  ...defaults,
  kind: "directory",
  mode: 0o040755,
  entries: Object.entries(entries).map(([name, node]) => [raw(name), node]),
  ...details
})

/** The tree below `root`. Two places with one node are two names of one file. */
export const make = (root: Node): Vfs["Service"] => {
  const inodes = new Map<Node, Inode>()
  const nodes = new Map<Inode, Node>()
  const parents = new Map<Inode, Inode>()
  const number = (node: Node, parent: Inode): void => {
    const inode = inodes.get(node) ?? rootInode + BigInt(inodes.size)
    inodes.set(node, inode)
    nodes.set(inode, node)
    parents.set(inode, parent)
    for (const [, child] of node.entries) number(child, inode)
  }
  number(root, rootInode)
  const attributesOf = (node: Node): Attributes => ({
    inode: inodes.get(node) ?? 0n,
    kind: node.kind,
    mode: node.mode,
    linkCount: 1,
    uid: 0,
    gid: 0,
    sizeBytes: node.sizeBytes,
    blocks: Math.ceil(node.sizeBytes / 512),
    mtimeSeconds: node.mtimeSeconds,
    mtimeNanos: 5,
    device: undefined,
    validSeconds: Number.POSITIVE_INFINITY
  })
  const at = (inode: Inode): Effect.Effect<Node, VfsError> => {
    const node = nodes.get(inode)
    return node === undefined
      ? Effect.fail(vfsError("Gone", `inode ${inode}`, "is gone"))
      : Effect.succeed(node)
  }
  const directoryAt = (inode: Inode) =>
    Effect.filterOrFail(
      at(inode),
      (node) => node.kind === "directory",
      () => vfsError("NotADirectory", `inode ${inode}`, "is no directory")
    )
  return {
    root: attributesOf(root),
    attributes: (inode) => Effect.map(at(inode), attributesOf),
    lookup: (directory, name) =>
      Effect.flatMap(directoryAt(directory), ({ entries }) => {
        const found = entries.find(([other]) => Buffer.compare(other, name) === 0)
        return found === undefined
          ? Effect.fail(vfsError("NotFound", Buffer.from(name).toString(), "is not there"))
          : Effect.succeed(attributesOf(found[1]))
      }),
    list: (directory) =>
      Effect.map(directoryAt(directory), ({ entries }) => ({
        entries: entries.map(([name, node]) => ({ name, attributes: attributesOf(node) })),
        validSeconds: Number.POSITIVE_INFINITY
      })),
    parent: (directory) => Effect.succeed(parents.get(directory) ?? rootInode),
    readLink: (inode) => Effect.map(at(inode), ({ target }) => target),
    xattrNames: () => Effect.succeed([]),
    xattr: () => Effect.fail(vfsError("NoAttribute", "an attribute", "is not there")),
    read: (inode, offset, lengthBytes) => Effect.flatMap(at(inode), ({ read }) => read(offset, lengthBytes)),
    lendNow: () => false,
    listNow: () => undefined,
    lend: (inode, offset, lengthBytes, use) =>
      Effect.flatMap(at(inode), ({ read }) => Effect.map(read(offset, lengthBytes), use)),
    seek: (_, offset) => Effect.succeed(offset),
    statistics: Effect.succeed({ totalBytes: 0, availableBytes: 0, longestNameBytes: 255 })
  }
}
