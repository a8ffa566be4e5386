/**
 * Files over `node:fs`. Operations that move content or may wait for the disk run in Node's thread pool and are
 * uninterruptible: a fiber that is interrupted while the kernel still works would otherwise close or reuse a descriptor
 * under it. Those that only look at or change a name, or read a few pages, are called directly: they take
 * microseconds, and waking another thread and being woken by it takes a hundred of them.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { randomBytes } from "node:crypto"
import * as path from "node:path"
import { promisify } from "node:util"
import {
  type ChildStat,
  type DirectoryEntry,
  type FileKind,
  Files,
  FilesError,
  type FileStat,
  fromErrno,
  type PathStat
} from "./Files.ts"
import * as Posix from "./Posix.ts"

const attempt = <A>(operation: string, target: string, run: () => Promise<A>): Effect.Effect<A, FilesError> =>
  Effect.uninterruptible(Effect.tryPromise({ try: run, catch: (error) => lift(operation, target, error) }))

/** For what takes microseconds. */
const attemptNow = <A>(operation: string, target: string, run: () => A): Effect.Effect<A, FilesError> =>
  Effect.try({ try: run, catch: (error) => lift(operation, target, error) })

const lift = (operation: string, target: string, error: unknown): FilesError =>
  error instanceof FilesError ? error : fromErrno(operation, target, error)

const kindOf = (entry: fs.Dirent | fs.Stats | fs.BigIntStats): FileKind =>
  entry.isFile() ? "file" : entry.isDirectory() ? "directory" : entry.isSymbolicLink() ? "symlink" : "other"

const secondsOf = (nanoseconds: bigint): number => {
  const seconds = nanoseconds / 1_000_000_000n
  return Number(nanoseconds % 1_000_000_000n < 0n ? seconds - 1n : seconds)
}

const describe = (stat: fs.BigIntStats): FileStat => ({
  kind: kindOf(stat),
  sizeBytes: Number(stat.size),
  mtimeSeconds: secondsOf(stat.mtimeNs),
  atimeSeconds: secondsOf(stat.atimeNs),
  inode: stat.ino,
  mode: Number(stat.mode)
})

/** Without O_NONBLOCK a fifo that lies where a file should be would keep the thread for ever. */
const readFlags = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK

const openForReading = (target: string): Promise<fs.promises.FileHandle> =>
  fs.promises.open(target, readFlags)

/** Fills the buffer from `position` on; answers how much of it the file had. */
const fill = async (
  handle: fs.promises.FileHandle,
  buffer: Uint8Array,
  position: number
): Promise<number> => {
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled
}

const read = promisify(fs.read)

/** Takes as long as reading what a name stands for: some pages that lie together. */
const readAtOnceMaxBytes = 16 * 1024

/**
 * Most files that are read whole are small, and there are many: those are read directly, and of the others only the
 * content goes through another thread.
 */
const readWhole = async (target: string, maxSizeBytes: number): Promise<Uint8Array> => {
  const descriptor = fs.openSync(target, readFlags)
  try {
    const { size } = fs.fstatSync(descriptor)
    if (size > maxSizeBytes) throw new FilesError({ operation: "read", path: target, reason: "TooLarge" })
    const content = Buffer.allocUnsafeSlow(size)
    let filled = 0
    while (filled < size) {
      const count =
        size <= readAtOnceMaxBytes
          ? fs.readSync(descriptor, content, filled, size - filled, filled)
          : (await read(descriptor, content, filled, size - filled, filled)).bytesRead
      if (count === 0) break
      filled += count
    }
    return content.subarray(0, filled)
  } finally {
    fs.closeSync(descriptor)
  }
}

const temporaryNameOf = (target: string): string => {
  const extension = path.extname(target)
  const stem = extension === "" ? target : target.slice(0, -extension.length)
  return `${stem}.tmp_${randomBytes(6).toString("base64url").replaceAll(/[-_]/g, "x").slice(0, 6)}`
}

const syncDirectory = async (target: string): Promise<void> => {
  const handle = await fs.promises.open(target, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** In as few steps as the kernel takes: a handle's own `writeFile` goes by half mebibytes. */
const writeAll = async (handle: fs.promises.FileHandle, part: Uint8Array): Promise<void> => {
  for (let done = 0; done < part.length;) {
    const { bytesWritten } = await handle.write(part, done, part.length - done)
    done += bytesWritten
  }
}

const writeNew = async (
  target: string,
  parts: ReadonlyArray<Uint8Array>,
  mode: number,
  sync: boolean
): Promise<void> => {
  const handle = await fs.promises.open(target, "wx", mode)
  await orRemove(target, async () => {
    try {
      fs.fchmodSync(handle.fd, mode)
      for (const part of parts) await writeAll(handle, part)
      if (sync) await handle.sync()
    } finally {
      // Closing can fail as well: network file systems report a full disk only here.
      await handle.close()
    }
  })
}

/** Whatever fails with a new file, nothing of it stays; the first failure is the one that is told. */
const orRemove = async (target: string, run: () => Promise<void>): Promise<void> => {
  try {
    await run()
  } catch (error) {
    await fs.promises.unlink(target).catch(() => undefined)
    throw error
  }
}

const replaceWhole = async (
  target: string,
  parts: ReadonlyArray<Uint8Array>,
  mode: number,
  sync: boolean
): Promise<void> => {
  const temporary = temporaryNameOf(target)
  await writeNew(temporary, parts, mode, sync)
  await orRemove(temporary, async () => fs.renameSync(temporary, target))
  if (sync) await syncDirectory(path.dirname(target))
}

/**
 * Node has no UTIME_OMIT, but hands a NaN time down to it: the modification time stays as it is. The conformance suite
 * of Files checks that this holds on the Node it runs on.
 */
const keep = new Date(Number.NaN)

const touch = (target: string): boolean => {
  try {
    fs.lutimesSync(target, new Date(), keep)
    return true
  } catch (error) {
    if (typeof error === "object" && error !== null && "code" in error && error.code === "ENOENT")
      return false
    throw error
  }
}

const syncFileSystem = async (target: string): Promise<void> => {
  const handle = await openForReading(target)
  try {
    await Posix.syncFileSystem(handle.fd)
  } finally {
    await handle.close()
  }
}

const openRead = (target: string) =>
  Effect.acquireRelease(
    attempt("open", target, () => openForReading(target)),
    (handle) => Effect.promise(() => handle.close())
  ).pipe(
    Effect.flatMap((handle) =>
      Effect.map(
        attempt("stat", target, () => handle.stat()),
        ({ size }) => ({
          sizeBytes: size,
          readAt: (offset: number, buffer: Uint8Array) =>
            attempt("read", target, () => fill(handle, buffer, offset))
        })
      )
    )
  )

const describeChild = (directory: string, name: string): ChildStat | undefined => {
  const stat = fs.lstatSync(`${directory}/${name}`, { throwIfNoEntry: false })
  if (stat === undefined) return undefined
  return {
    name,
    kind: kindOf(stat),
    sizeBytes: stat.size,
    mtimeSeconds: Math.floor(stat.mtimeMs / 1000),
    atimeSeconds: Math.floor(stat.atimeMs / 1000)
  }
}

const describePath = (target: string): PathStat | undefined => {
  const stat = fs.lstatSync(target, { throwIfNoEntry: false })
  return stat === undefined ? undefined : { kind: kindOf(stat), sizeBytes: stat.size }
}

/** Synchronous, as `statDirectory`, and it says which of the names is the one that cannot be described. */
const statEach = (
  targets: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<PathStat | undefined>, FilesError> =>
  Effect.suspend(() => {
    const stats: Array<PathStat | undefined> = []
    for (const target of targets) {
      try {
        stats.push(describePath(target))
      } catch (error) {
        return Effect.fail(fromErrno("stat", target, error))
      }
    }
    return Effect.succeed(stats)
  })

const makeDirectoryNow = (target: string, mode: number): void => {
  fs.mkdirSync(target, { mode })
  fs.chmodSync(target, mode)
}

export const layer: Layer.Layer<Files> = Layer.succeed(Files, {
  stat: (target) => attemptNow("stat", target, () => describe(fs.lstatSync(target, { bigint: true }))),
  readFile: (target, maxSizeBytes) => attempt("read", target, () => readWhole(target, maxSizeBytes)),
  readDirectory: (target) =>
    // Folders of a store hold few names: going to another thread and back would take five times as long.
    attemptNow("list", target, () =>
      fs.readdirSync(target, { withFileTypes: true }).map((entry): DirectoryEntry => ({
        name: entry.name,
        kind: kindOf(entry)
      }))
    ),
  // Synchronous, as with `makeDirectories`: a promise a file would cost more than all of the kernel's work.
  statDirectory: (target) =>
    attemptNow("list", target, () =>
      fs.readdirSync(target).flatMap((name) => describeChild(target, name) ?? [])
    ),
  statEach,
  openRead,
  makeDirectory: (target, mode) =>
    attempt("create directory", target, async () => {
      await fs.promises.mkdir(target, { mode: mode ?? 0o777 })
      if (mode !== undefined) await fs.promises.chmod(target, mode)
    }),
  // One synchronous sweep: it is three times as fast as promises, and the caller chooses how many at once.
  makeDirectories: (parent, names, mode) =>
    attemptNow("create directories in", parent, () =>
      names.forEach((name) => makeDirectoryNow(`${parent}/${name}`, mode))
    ),
  createFile: (target, content, options) =>
    attempt("create", target, async () => {
      await writeNew(target, [content], options?.mode ?? 0o644, options?.sync ?? false)
      if (options?.sync === true) await orRemove(target, () => syncDirectory(path.dirname(target)))
    }),
  replaceFile: (target, parts, options) =>
    attempt("write", target, () =>
      replaceWhole(target, parts, options?.mode ?? 0o644, options?.sync ?? false)
    ),
  rename: (from, to) => attemptNow("rename", from, () => fs.renameSync(from, to)),
  unlink: (target) => attempt("remove", target, () => fs.promises.unlink(target)),
  removeDirectory: (target) => attempt("remove directory", target, () => fs.promises.rmdir(target)),
  touch: (target) => attemptNow("touch", target, () => touch(target)),
  syncDirectory: (target) => attempt("sync", target, () => syncDirectory(target)),
  syncFileSystem: (target) => attempt("sync", target, () => syncFileSystem(target)),
  statFileSystem: (target) =>
    attemptNow("stat", target, () => {
      const stat = fs.statfsSync(target)
      return { totalBytes: stat.blocks * stat.bsize, availableBytes: stat.bavail * stat.bsize }
    }),
  temporaryName: (target) => Effect.sync(() => temporaryNameOf(target))
})
