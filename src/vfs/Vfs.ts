/**
 * Vfs: a whole datastore, or a part of it, as one read-only tree of files, for whoever serves it: a FUSE driver,
 * WebDAV, the library's own calls (`VfsPaths`).
 *
 * Everything is asked for by inode. There are no open files: whoever reads says from where, and the tree notices by
 * itself what is read in order. So a server that was never told of an end leaks nothing. An effect that is interrupted
 * cancels the fetches that only it waits for.
 *
 * Invariants: an inode stands for the same thing for as long as the tree is open; two names of one file have one inode;
 * what lies inside a snapshot never changes. A snapshot that is being read holds its shared lock, until nobody has read
 * it for a while.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Device, FileKind } from "../model/FileMetadata.ts"
import type { VfsError } from "./VfsError.ts"

/** 64 bits, never 0; the root has 1. */
export type Inode = bigint

export const rootInode: Inode = 1n

export interface Attributes {
  readonly inode: Inode
  readonly kind: Exclude<FileKind, "hardlink">
  /** The whole `st_mode`, the kind's bits included. */
  readonly mode: number
  readonly linkCount: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  /** What the file takes in the archive, holes not counted, in units of 512 bytes. */
  readonly blocks: number
  readonly mtimeSeconds: number
  readonly mtimeNanos: number
  /** Of a device node. */
  readonly device: Device | undefined
  /** How long others may rely on it, and on its name: without end (`Infinity`) inside of a snapshot. */
  readonly validSeconds: number
}

export interface Entry {
  /** One component, raw bytes: never empty, `.` or `..`, without slash and NUL. */
  readonly name: Uint8Array
  readonly attributes: Attributes
}

/**
 * The same children by their number, for a server that hands on hundreds of thousands of them: no object is made but
 * for what is asked for.
 */
export interface PackedListing {
  readonly count: number
  /** The kind's bits of the mode. */
  readonly typeOf: (child: number) => number
  readonly isDirectory: (child: number) => boolean
  readonly nameBytes: (child: number) => number
  readonly putName: (child: number, target: Uint8Array, at: number) => void
  /** Little endian. */
  readonly putInode: (child: number, view: DataView, at: number) => void
  readonly attributes: (child: number) => Attributes
}

export interface Listing {
  /** In the tree's own order, which stays the same inside of a snapshot. Without `.` and `..`. */
  readonly entries: ReadonlyArray<Entry>
  /** In the same order; undefined where a directory is known entry by entry. */
  readonly packed?: PackedListing
  /** As in `Attributes`: a list of snapshots is soon out of date. */
  readonly validSeconds: number
}

export interface ListedDirectory {
  readonly listing: Listing
  /** `..` */
  readonly parent: Inode
}

/** A stretch of a file that is all data, or all hole. */
export type Seek = "data" | "hole"

export interface Statistics {
  /** Of what the datastore holds and could hold, as far as that is known at no cost; 0 otherwise. */
  readonly totalBytes: number
  readonly availableBytes: number
  readonly longestNameBytes: number
}

export class Vfs extends Context.Service<
  Vfs,
  {
    readonly root: Attributes
    readonly attributes: (inode: Inode) => Effect.Effect<Attributes, VfsError>
    /** Fails with `NotFound` when the directory has nothing of that name. */
    readonly lookup: (directory: Inode, name: Uint8Array) => Effect.Effect<Attributes, VfsError>
    /** Everything in a directory, with attributes. Asked for again while it is used, it costs nothing. */
    readonly list: (directory: Inode) => Effect.Effect<Listing, VfsError>
    /** `.` and `..` of a directory; the root is its own parent. */
    readonly parent: (directory: Inode) => Effect.Effect<Inode, VfsError>
    /**
     * `list` and `parent` at once, where all that they take is in memory; undefined where it is not. For a server of
     * very many small directories: no effect is run for it.
     */
    readonly listNow: (directory: Inode) => ListedDirectory | undefined
    readonly readLink: (inode: Inode) => Effect.Effect<Uint8Array, VfsError>
    /** Raw names, such as `user.comment`, `security.capability`, `system.posix_acl_access`. */
    readonly xattrNames: (inode: Inode) => Effect.Effect<ReadonlyArray<Uint8Array>, VfsError>
    /** Fails with `NoAttribute` when there is none of that name. */
    readonly xattr: (inode: Inode, name: Uint8Array) => Effect.Effect<Uint8Array, VfsError>
    /**
     * Up to `lengthBytes` bytes from `offset` on: fewer only at the end of the file, none behind it. The bytes are not
     * to be changed, and stay as they are for as long as somebody holds them.
     */
    readonly read: (inode: Inode, offset: number, lengthBytes: number) => Effect.Effect<Uint8Array, VfsError>
    /**
     * What `use` makes of the same bytes, which are lent to it: it is called once at most, and keeps no view of them,
     * for their memory is used again. Costs no copy.
     */
    readonly lend: <A>(
      inode: Inode,
      offset: number,
      lengthBytes: number,
      use: (bytes: Uint8Array) => A
    ) => Effect.Effect<A, VfsError>
    /**
     * The same at once, where all of it is in memory; false when it is not, and then `use` was not called. For a server
     * of very many small reads: no effect is run for it.
     */
    readonly lendNow: (
      inode: Inode,
      offset: number,
      lengthBytes: number,
      use: (bytes: Uint8Array) => void
    ) => boolean
    /**
     * Where from `offset` on the next data or the next hole begins; the end of the file counts as a hole. Undefined
     * when there is none, or `offset` is not in the file.
     */
    readonly seek: (inode: Inode, offset: number, wanted: Seek) => Effect.Effect<number | undefined, VfsError>
    readonly statistics: Effect.Effect<Statistics, VfsError>
  }
>()("granary/vfs/Vfs") {}
