/**
 * What a folder looks like, entry by entry with every attribute: as the system shows it, and as the tree does; and
 * stores with such folders in them.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs"
import type * as Backup from "../../src/backup/Backup.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import { deviceToNumber } from "../../src/model/FileMetadata.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as Posix from "../../src/platform/Posix.ts"
import { MemoryDisk } from "../../src/testing/MemoryDisk.ts"
import * as MemoryPlatform from "../../src/testing/MemoryPlatform.ts"
import type { Attributes, Entry, Inode, Vfs } from "../../src/vfs/Vfs.ts"
import type { VfsError } from "../../src/vfs/VfsError.ts"
import * as backups from "../backup/stores.ts"

type Operations = Vfs["Service"]

/** One entry: its name and everything that is known of it. */
export interface Described {
  readonly path: string
  readonly mode: string
  readonly owner: string
  readonly time: string
  readonly sizeBytes: number
  readonly device: bigint
  /** Digest of a file's content, target of a symbolic link. */
  readonly content: string
  readonly linkCount: number
  /** The first name of the same file. */
  readonly firstName: string
  readonly xattrs: ReadonlyArray<string>
}

const digest = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex")

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

const pair = (name: Uint8Array, value: Uint8Array): string =>
  `${latin1(name)}=${Buffer.from(value).toString("hex")}`

const isDirectoryMode = (mode: bigint): boolean => (mode & 0o170000n) === 0o040000n

const folderContent = (place: Buffer, mode: bigint): string => {
  const kind = mode & 0o170000n
  if (kind === 0o100000n) return digest(readFileSync(place))
  return kind === 0o120000n ? latin1(readlinkSync(place, { encoding: "buffer" })) : ""
}

/** As the system shows it, in the order of names. */
export const describeFolder = (root: string): ReadonlyArray<Described> => {
  const firstNames = new Map<bigint, string>()
  const visit = (below: Buffer): ReadonlyArray<Described> => {
    const place = Buffer.concat([Buffer.from(root), below])
    const stat = lstatSync(place, { bigint: true })
    const isDirectory = isDirectoryMode(stat.mode)
    const path = latin1(below)
    if (!firstNames.has(stat.ino)) firstNames.set(stat.ino, path)
    const terminated = Buffer.concat([place, Buffer.alloc(1)])
    const names = Posix.listXattrs(terminated)
    const described: Described = {
      path,
      mode: stat.mode.toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      time: `${stat.mtimeNs}`,
      sizeBytes: isDirectory ? 0 : Number(stat.size),
      device: stat.rdev,
      content: folderContent(place, stat.mode),
      linkCount: isDirectory ? 1 : Number(stat.nlink),
      firstName: firstNames.get(stat.ino) ?? "",
      xattrs: names.map((name) => pair(name, Posix.getXattr(terminated, name) ?? Buffer.alloc(0))).toSorted()
    }
    const children = isDirectory ? readdirSync(place, { encoding: "buffer" }).toSorted(Buffer.compare) : []
    return [described, ...children.flatMap((name) => visit(Buffer.concat([below, Buffer.from("/"), name])))]
  }
  return visit(Buffer.alloc(0))
}

export const readAll = (
  vfs: Operations,
  { inode, sizeBytes }: Attributes
): Effect.Effect<Uint8Array, VfsError> =>
  Effect.gen(function* () {
    const pieces: Array<Uint8Array> = []
    for (let offset = 0; ;) {
      const piece = yield* vfs.read(inode, offset, 777_777)
      if (piece.length === 0) break
      pieces.push(piece)
      offset += piece.length
      if (offset > sizeBytes) throw new Error(`${offset} bytes of ${sizeBytes}`)
    }
    return Buffer.concat(pieces)
  })

const contentOf = (vfs: Operations, attributes: Attributes): Effect.Effect<string, VfsError> => {
  if (attributes.kind === "file") return Effect.map(readAll(vfs, attributes), digest)
  return attributes.kind === "symlink"
    ? Effect.map(vfs.readLink(attributes.inode), latin1)
    : Effect.succeed("")
}

/** As the tree shows it, from a directory on, in the order of names. */
export const describeTree = (
  vfs: Operations,
  root: Attributes
): Effect.Effect<ReadonlyArray<Described>, VfsError> => {
  const firstNames = new Map<Inode, string>()
  const visit = (path: string, attributes: Attributes): Effect.Effect<ReadonlyArray<Described>, VfsError> =>
    Effect.gen(function* () {
      const { device, gid, inode, kind, linkCount, mode, mtimeNanos, mtimeSeconds, uid } = attributes
      if (!firstNames.has(inode)) firstNames.set(inode, path)
      const names = yield* vfs.xattrNames(inode)
      const xattrs = yield* Effect.forEach(names, (name) =>
        Effect.map(vfs.xattr(inode, name), (value) => pair(name, value))
      )
      const described: Described = {
        path,
        mode: mode.toString(8),
        owner: `${uid}:${gid}`,
        time: `${BigInt(mtimeSeconds) * 1_000_000_000n + BigInt(mtimeNanos)}`,
        sizeBytes: attributes.sizeBytes,
        device: device === undefined ? 0n : deviceToNumber(device),
        content: yield* contentOf(vfs, attributes),
        linkCount,
        firstName: firstNames.get(inode) ?? "",
        xattrs: xattrs.toSorted()
      }
      if (kind !== "directory") return [described]
      const entries = yield* listIn(vfs, inode)
      const inOrder = entries.toSorted((left, right) => Buffer.compare(left.name, right.name))
      const below = yield* Effect.forEach(inOrder, (entry) =>
        visit(`${path}/${latin1(entry.name)}`, entry.attributes)
      )
      return [described, ...below.flat()]
    })
  return visit("", root)
}

/** What a path of plain names leads to. */
export const find = (vfs: Operations, path: string): Effect.Effect<Attributes, VfsError> =>
  Effect.gen(function* () {
    let found = vfs.root
    for (const name of path.split("/").filter((each) => each !== "")) {
      found = yield* vfs.lookup(found.inode, Buffer.from(name))
    }
    return found
  })

/** Names in a directory, in the tree's order. */
export const namesIn = (vfs: Operations, path: string): Effect.Effect<ReadonlyArray<string>, VfsError> =>
  Effect.gen(function* () {
    const { inode } = yield* find(vfs, path)
    return (yield* listIn(vfs, inode)).map(({ name }) => Buffer.from(name).toString())
  })

/** What is in a directory; told the same at once, where that can be. */
export const listIn = (vfs: Operations, inode: Inode): Effect.Effect<ReadonlyArray<Entry>, VfsError> =>
  Effect.gen(function* () {
    const { entries } = yield* vfs.list(inode)
    const now = vfs.listNow(inode)
    if (now === undefined) return entries
    assert.deepStrictEqual(now.listing.entries, entries)
    assert.strictEqual(now.parent, yield* vfs.parent(inode))
    return entries
  })

/** Backs up a folder as `root.pxar`, in the current store. */
export const backUp = (folder: string, options: Partial<Backup.BackupOptions> = {}) =>
  Effect.map(backups.backUp(folder, options), ({ summary }) => summary.snapshot)

export const pathOf = (snapshot: Snapshot.Snapshot): string => Snapshot.format(snapshot)

const storePath = "/store"

/** Made once: every test goes on from a fork. */
const emptyStore = once(() => {
  const disk = new MemoryDisk()
  Effect.runSync(MemoryPlatform.run(Datastore.create(storePath), { disk }))
  return disk
})

function once<A>(make: () => A): () => A {
  let made: { readonly value: A } | undefined
  return () => (made ??= { value: make() }).value
}

/** Runs with a new datastore open that is nowhere but in memory; `use` is told where its files think they are. */
export const inMemoryStore = <A, E, R>(
  use: (base: string) => Effect.Effect<A, E, R>,
  point?: (label: string) => Effect.Effect<void>
) => {
  const platform = MemoryPlatform.layer({
    disk: emptyStore().fork(),
    ...(point === undefined ? {} : { point })
  })
  return Effect.provide(
    Effect.scoped(use(storePath)),
    Layer.provideMerge(Layer.fresh(Datastore.layer({ path: storePath })), Layer.fresh(platform))
  )
}
