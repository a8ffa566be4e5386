/**
 * ImageSource: a disk image, a block device or any other large file, read from its beginning, with its holes.
 *
 * Whole chunks that lie in a hole of a sparse file are told apart, so that nobody reads, cuts and hashes zeros.
 * An image is taken as it is: if it changes while it is read, the backup holds a mixture, as with every image
 * backup.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import * as Posix from "../platform/Posix.ts"
import { type ByteSource, SourceError } from "./ByteSource.ts"

export interface ImageSource extends ByteSource {
  readonly sizeBytes: number
  /** Bytes of hole from the current position on; 0 when data comes next. */
  readonly holeBytes: Effect.Effect<number, SourceError>
  /** Moves the position forward over a hole. */
  readonly skip: (countBytes: number) => Effect.Effect<void>
}

const blockDeviceSizeOf = (path: string): number => {
  const name = fs
    .realpathSync(path)
    .replace(/^\/dev\//, "")
    .replaceAll("/", "!")
  const sectorBytes = 512
  return Number(fs.readFileSync(`/sys/class/block/${name}/size`, "utf8")) * sectorBytes
}

const failure = (path: string, error: unknown): SourceError => {
  const code =
    typeof error === "object" && error !== null && "code" in error ? String(error.code) : String(error)
  const detail =
    { ENOENT: "no such file", EACCES: "permission denied", EISDIR: "is a directory" }[code] ?? code
  return new SourceError({ subject: path, detail: `cannot be read: ${detail}` })
}

const attempt = <A>(path: string, run: () => A): Effect.Effect<A, SourceError> =>
  Effect.try({ try: run, catch: (error) => (error instanceof SourceError ? error : failure(path, error)) })

interface Opened {
  readonly fd: number
  readonly sizeBytes: number
  readonly isFile: boolean
}

const openImage = (path: string): Opened => {
  const fd = fs.openSync(path, fs.constants.O_RDONLY)
  try {
    const stat = fs.fstatSync(fd)
    if (stat.isDirectory())
      throw new SourceError({ subject: path, detail: "is a directory; name it NAME.pxar" })
    if (!stat.isFile() && !stat.isBlockDevice()) {
      throw new SourceError({ subject: path, detail: "is neither a file nor a block device" })
    }
    const sizeBytes = stat.isFile() ? stat.size : blockDeviceSizeOf(path)
    if (sizeBytes === 0) throw new SourceError({ subject: path, detail: "is empty; an image needs content" })
    return { fd, sizeBytes, isFile: stat.isFile() }
  } catch (error) {
    fs.closeSync(fd)
    throw error
  }
}

/** Where the hole at `position` ends; `position` itself when there is data. */
const endOfHole = ({ fd, isFile, sizeBytes }: Opened, position: number): number => {
  if (!isFile || position >= sizeBytes) return position
  try {
    return Math.min(Posix.nextData(fd, position) ?? sizeBytes, sizeBytes)
  } catch (error) {
    // Not every file system and not every system knows of holes: then everything is data.
    if (error instanceof Posix.PosixError) return position
    throw error
  }
}

export const open = (path: string): Effect.Effect<ImageSource, SourceError, Scope.Scope> =>
  Effect.gen(function* () {
    const image = yield* Effect.acquireRelease(
      attempt(path, () => openImage(path)),
      ({ fd }) => Effect.sync(() => fs.closeSync(fd))
    )
    let position = 0
    let dataUntil = 0

    return {
      sizeBytes: image.sizeBytes,
      holeBytes: attempt(path, () => {
        if (position < dataUntil) return 0
        const end = endOfHole(image, position)
        if (end === position)
          dataUntil = image.isFile ? (nextHole(image, position) ?? image.sizeBytes) : image.sizeBytes
        return end - position
      }),
      skip: (countBytes) => Effect.sync(() => void (position += countBytes)),
      read: (target) =>
        attempt(path, () => {
          const wanted = Math.min(target.length, image.sizeBytes - position)
          if (wanted === 0) return 0
          const count = fs.readSync(image.fd, target, 0, wanted, position)
          if (count === 0)
            throw new SourceError({ subject: path, detail: "became shorter while it was read" })
          position += count
          return count
        })
    }
  })

const nextHole = ({ fd }: Opened, position: number): number | undefined => {
  try {
    return Posix.nextHole(fd, position)
  } catch (error) {
    if (error instanceof Posix.PosixError) return undefined
    throw error
  }
}
