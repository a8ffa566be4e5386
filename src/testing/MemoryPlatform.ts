/**
 * MemoryPlatform: everything a datastore needs of the machine, in memory and repeatable: files and locks of one
 * program on a disk, chunks worked on in the calling fiber, random bytes that are the same in every run, and a host
 * of fixed name.
 *
 * Invariant: nothing here waits, and nothing depends on anything but the disk, the table and the options.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import * as ChunkCodec from "../platform/ChunkCodec.ts"
import { Entropy } from "../platform/Entropy.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import type { Files } from "../platform/Files.ts"
import { Host, type HostInfo } from "../platform/Host.ts"
import { MemoryDisk } from "./MemoryDisk.ts"
import * as MemoryFileLocks from "./MemoryFileLocks.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

export interface MemoryPlatformOptions {
  /** Default: an empty one. */
  readonly disk?: MemoryDisk
  /** Locks on files of that disk. Default: a table of its own, as if no other program worked on the disk. */
  readonly locks?: MemoryFileLocks.MemoryLockTable
  /** The program's name, for its locks and as its user's name. Default `granary`. */
  readonly process?: string
  readonly pid?: number
  /** Runs before every system call; see `MemoryFiles`. */
  readonly point?: MemoryFiles.FilesPoint
  /** How many files, and how many locks, may be open at once. */
  readonly openFilesMax?: number
}

const blockBytes = 32

/** Bytes that look random: no two requests on one disk get the same, and a program's are its own. */
const entropyOf =
  (disk: MemoryDisk, program: string) =>
  (countBytes: number): Uint8Array => {
    const bytes = new Uint8Array(countBytes)
    for (let done = 0; done < countBytes; done += blockBytes) {
      const block = createHash("sha256")
        .update(`entropy ${disk.takeNumber(program)}`)
        .digest()
      bytes.set(block.subarray(0, countBytes - done), done)
    }
    return bytes
  }

const hostOf = (disk: MemoryDisk, { process = "granary", pid = 1 }: MemoryPlatformOptions): HostInfo => ({
  nodeName: "memory",
  bootId: `boot ${disk.powerLosses}`,
  pid,
  processStart: 1,
  userName: process
})

export const layer = (
  options: MemoryPlatformOptions = {}
): Layer.Layer<Files | FileLocks | ChunkCodec.ChunkCodec> =>
  Layer.suspend(() => {
    const { process = "granary", point, openFilesMax } = options
    const locks = options.locks
    const disk = options.disk ?? locks?.disk ?? new MemoryDisk()
    const calls = {
      program: process,
      ...(point === undefined ? {} : { point }),
      ...(openFilesMax === undefined ? {} : { openFilesMax })
    }
    const ports = Layer.mergeAll(
      MemoryFiles.layer(disk, calls),
      MemoryFileLocks.layer(locks ?? new MemoryFileLocks.MemoryLockTable(disk), { ...calls, process }),
      Layer.succeed(Entropy, entropyOf(disk, process)),
      Layer.succeed(Host, hostOf(disk, options))
    )
    // Fresh: two programs of one world must not share the codec that the first one's files are behind.
    return Layer.provideMerge(Layer.fresh(ChunkCodec.layerInline), ports)
  })

/** Runs an effect as one program on a disk: short for providing the layer. */
export const run = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: MemoryPlatformOptions = {}
): Effect.Effect<A, E, Exclude<R, Files | FileLocks | ChunkCodec.ChunkCodec>> =>
  Effect.provide(effect, layer(options))
