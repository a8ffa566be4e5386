/**
 * NativeModule: the package `fuse-native`, as far as it is used here. It is an optional dependency that many systems
 * cannot have, so it is loaded when it is asked for, and what is missing is told in one line.
 *
 * Two of its own ways to answer are replaced: they know the room that a caller has for an attribute, and would write
 * beyond it. It is pinned to one version, for these are its internals.
 */
import { createRequire } from "node:module"
import * as path from "node:path"
import { isMainThread } from "node:worker_threads"

/** 0 or a negative errno first. */
export type Answer = (errno: number, ...results: ReadonlyArray<unknown>) => void

/** As the package wants it; numbers are cut to 32 bits, times (milliseconds) and sizes to 53. */
export interface NativeStat {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly nlink: number
  readonly ino: number
  readonly rdev: number
  readonly blksize: number
  readonly blocks: number
  readonly atime: number
  readonly mtime: number
  readonly ctime: number
}

/** What the package calls for each request, with the path from the mountpoint on. */
export interface NativeOperations {
  readonly getattr: (path: string, answer: Answer) => void
  readonly readdir: (path: string, answer: Answer) => void
  readonly readlink: (path: string, answer: Answer) => void
  readonly statfs: (path: string, answer: Answer) => void
  readonly read: (
    path: string,
    fd: number,
    room: Uint8Array,
    lengthBytes: number,
    offset: number,
    answer: Answer
  ) => void
  /** The answer is the length; without room it is all that is wanted. */
  readonly getxattr: (path: string, name: string, room: Uint8Array, answer: (result: number) => void) => void
  readonly listxattr: (path: string, room: Uint8Array, answer: (result: number) => void) => void
}

/** A mount of the package's. It is to be held as long as the process: its threads use its memory. */
export interface NativeMount {
  /** Calls back when the kernel has said its first word. */
  readonly start: (done: (error: Error | null) => void) => void
  /** Lets the process end once it is unmounted. */
  readonly release: () => void
}

export interface NativeModule {
  readonly make: (mountpoint: string, operations: NativeOperations, rawOptions: string) => NativeMount
}

interface Binding {
  readonly fuse_native_unmount: (mountpoint: string, thread: Uint8Array) => void
}

interface FuseInstance {
  readonly mount: (done: (error: Error | null) => void) => void
  readonly mnt: string
  readonly _thread: Uint8Array | null
  _op_getxattr: (answer: Answer, path: string, name: string, room: Buffer) => void
  _op_listxattr: (answer: Answer, path: string, room: Buffer) => void
}

type FuseClass = new (
  mountpoint: string,
  operations: object,
  options: { readonly timeout: false; readonly fsname: string }
) => FuseInstance

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const codeOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null && "code" in error ? error.code : undefined

/** Mounts are never let go of, see `NativeMount`. */
const held: Array<FuseInstance> = []

const wrap = (Fuse: FuseClass, binding: Binding): NativeModule => ({
  make: (mountpoint, operations, rawOptions) => {
    // Raw options go through `fsname`: the package knows too few of them. Nobody is waited for with a limit.
    const fuse = new Fuse(mountpoint, operations, { timeout: false, fsname: rawOptions })
    held.push(fuse)
    fuse._op_getxattr = (answer, where, name, room) => {
      operations.getxattr(where, name, room, (result) => answer(result, room.buffer))
    }
    fuse._op_listxattr = (answer, where, room) => {
      operations.listxattr(where, room, (result) => answer(result, room.buffer))
    }
    return {
      start: (done) => fuse.mount(done),
      release: () => {
        if (fuse._thread !== null) binding.fuse_native_unmount(fuse.mnt, fuse._thread)
      }
    }
  }
})

const load = (): NativeModule => {
  const requireHere = createRequire(import.meta.url)
  const entry = requireHere.resolve("fuse-native")
  const Fuse: FuseClass = requireHere(entry)
  const binding: Binding = createRequire(entry)("node-gyp-build")(path.dirname(entry))
  return wrap(Fuse, binding)
}

const explain = (error: unknown): string => {
  const message = messageOf(error)
  const [first = ""] = message.split("\n")
  if (codeOf(error) === "MODULE_NOT_FOUND") {
    return "the package fuse-native is not installed (install it with: npm install fuse-native@2.2.6)"
  }
  if (/libfuse/.test(message)) return "the library libfuse 2 is missing (install the package libfuse2)"
  if (/no native build/i.test(message))
    return `fuse-native has no build for ${process.platform} ${process.arch}`
  return `fuse-native cannot be loaded: ${first}`
}

export type Loaded = { readonly native: NativeModule } | { readonly obstacle: string }

let loaded: Loaded | undefined

const attempt = (): Loaded => {
  // It ends the process there.
  if (!isMainThread) return { obstacle: "fuse-native works in the main thread alone" }
  try {
    return { native: load() }
  } catch (error) {
    return { obstacle: explain(error) }
  }
}

/** Loads it once. */
export const loadOnce = (): Loaded => (loaded ??= attempt())
