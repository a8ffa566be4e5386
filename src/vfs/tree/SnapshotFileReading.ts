/**
 * SnapshotFileReading: contents of the files of a snapshot that are no directory trees. Those that are stored as chunks
 * are read where they are wanted, with their holes; blobs are decoded as a whole, and the last ones are kept.
 */
import * as Effect from "effect/Effect"
import * as DataBlob from "../../format/DataBlob.ts"
import type { Node } from "./Nodes.ts"
import { nameOf, type OpenSnapshot } from "./OpenSnapshots.ts"
import { contentHash, type SnapshotFile } from "./SnapshotFolder.ts"
import type { Inode, Seek } from "../Vfs.ts"
import { type VfsError, vfsError } from "../VfsError.ts"
import { WeightedCache } from "./WeightedCache.ts"

export interface FileSize {
  readonly sizeBytes: number
  /** Without holes. */
  readonly dataBytes: number
}

export interface SnapshotFiles {
  /** As well as may be, where the key is missing or what is stored is damaged. */
  readonly measure: (
    opened: OpenSnapshot,
    node: Node,
    file: SnapshotFile
  ) => Effect.Effect<FileSize, VfsError>
  /** The bytes are lent to `use`, as by `ContentReader`. */
  readonly lend: <A>(
    opened: OpenSnapshot,
    node: Node,
    file: SnapshotFile,
    range: { readonly offset: number; readonly lengthBytes: number },
    use: (bytes: Uint8Array) => A
  ) => Effect.Effect<A, VfsError>
  readonly seek: (
    opened: OpenSnapshot,
    node: Node,
    file: SnapshotFile,
    offset: number,
    wanted: Seek
  ) => Effect.Effect<number | undefined, VfsError>
  /** Remembers what was decoded anyway. */
  readonly keep: (node: Node, content: Uint8Array) => void
}

/** Of decoded blobs. */
const keptBytesMax = 16 * 1024 * 1024

const nothing = new Uint8Array(0)

export const make = (): SnapshotFiles => {
  const kept = new WeightedCache<Inode, Uint8Array>(keptBytesMax)

  const keep = (node: Node, content: Uint8Array): void => {
    node.contentBytes = content.length
    kept.set(node.inode, content, content.length)
  }

  const loose = (opened: OpenSnapshot, file: SnapshotFile) =>
    Effect.flatMap(opened.loose(file.filename), (content) =>
      contentHash(content) === file.csum
        ? Effect.succeed(content)
        : Effect.fail(vfsError("Gone", `${nameOf(opened.reader)} ${file.name}`, "it was written anew"))
    )

  const decode = (opened: OpenSnapshot, file: SnapshotFile): Effect.Effect<Uint8Array, VfsError> =>
    file.kind === "loose"
      ? loose(opened, file)
      : Effect.andThen(opened.file(file.filename, file.csum), opened.blob(file.filename))

  const contentOf = (opened: OpenSnapshot, node: Node, file: SnapshotFile) =>
    Effect.suspend(() => {
      const known = kept.get(node.inode)
      if (known !== undefined) return Effect.succeed(known)
      return Effect.tap(decode(opened, file), (content) => Effect.sync(() => keep(node, content)))
    })

  const chunksOf = (opened: OpenSnapshot, file: SnapshotFile) =>
    Effect.andThen(opened.file(file.filename, file.csum), opened.content(file.filename))

  const sizeOf = (
    opened: OpenSnapshot,
    node: Node,
    file: SnapshotFile
  ): Effect.Effect<FileSize, VfsError> => {
    if (file.kind === "chunks") {
      return Effect.flatMap(chunksOf(opened, file), ({ dataBytes, sizeBytes }) =>
        Effect.map(dataBytes, (found) => ({ sizeBytes, dataBytes: found }))
      )
    }
    if (node.contentBytes !== undefined) {
      return Effect.succeed({ sizeBytes: node.contentBytes, dataBytes: node.contentBytes })
    }
    return Effect.map(contentOf(opened, node, file), ({ length }) => ({
      sizeBytes: length,
      dataBytes: length
    }))
  }

  /** An image's size is known in any case; of a blob that cannot be decoded, what it is if it was not compressed. */
  const guess = ({ kind, storedBytes }: SnapshotFile): FileSize => {
    const sizeBytes =
      kind === "blob" ? Math.max(0, storedBytes - DataBlob.headerSize("encrypted")) : storedBytes
    return { sizeBytes, dataBytes: sizeBytes }
  }

  return {
    keep,
    measure: (opened, node, file) =>
      Effect.catchIf(
        sizeOf(opened, node, file),
        ({ reason }) => reason === "KeyNeeded" || reason === "Damaged",
        () => Effect.succeed(guess(file))
      ),
    lend: (opened, node, file, { lengthBytes, offset }, use) =>
      file.kind === "chunks"
        ? Effect.flatMap(chunksOf(opened, file), (content) => {
            const wantedBytes = Math.min(lengthBytes, content.sizeBytes - offset)
            return wantedBytes <= 0
              ? Effect.succeed(use(nothing))
              : content.lend(offset, wantedBytes, content.sizeBytes, use)
          })
        : Effect.map(contentOf(opened, node, file), (content) =>
            use(content.subarray(offset, offset + lengthBytes))
          ),
    seek: (opened, node, file, offset, wanted) =>
      file.kind === "chunks"
        ? Effect.flatMap(chunksOf(opened, file), (content) => content.seek(offset, wanted))
        : Effect.map(contentOf(opened, node, file), ({ length }) => {
            if (offset < 0 || offset >= length) return undefined
            return wanted === "data" ? offset : length
          })
  }
}
