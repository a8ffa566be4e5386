/**
 * SnapshotFolder: what a snapshot looks like as a directory: its file archives as directories, a split one once;
 * images, the catalog and whatever else is stored as chunks as files of their own size; blobs, the manifest and the
 * client's log as what they hold.
 *
 * Names are those that clients use, `root.pxar`, `disk.img`, `index.json`. Invariant: no two of them are the same;
 * where two files would have one name, the later one is called as it is stored.
 */
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import type { ManifestFile } from "../../format/Manifest.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as PxarParts from "../../restore/browse/PxarParts.ts"
import type { OpenSnapshot } from "./OpenSnapshots.ts"
import type { VfsError } from "../VfsError.ts"

/** A file that is no directory tree. */
export interface SnapshotFile {
  readonly name: string
  /** As it is stored. */
  readonly filename: string
  /**
   * `chunks`: the bytes of an archive. `blob`: of a blob in the manifest. `loose`: of a blob that no manifest vouches
   * for; it may be written anew.
   */
  readonly kind: "chunks" | "blob" | "loose"
  /** Of what is stored; of a loose file the SHA-256 of its content. */
  readonly csum: string
  /** Of an archive's bytes; otherwise of the stored file. */
  readonly storedBytes: number
}

export type SnapshotItem =
  | { readonly kind: "archive"; readonly name: string; readonly parts: PxarParts.PxarParts }
  | { readonly kind: "file"; readonly name: string; readonly file: SnapshotFile }

const clientOf = (filename: string): string => ArchiveName.fromFile(filename).client

const fileOf = ({ csum, filename, sizeBytes }: ManifestFile, name: string): SnapshotFile => {
  const kind = ArchiveName.fromFile(filename).kind === "blob" ? "blob" : "chunks"
  return { name, filename, kind, csum, storedBytes: sizeBytes }
}

const byName = (left: { readonly name: string }, right: { readonly name: string }): number =>
  left.name < right.name ? -1 : left.name > right.name ? 1 : 0

/** What the manifest lists. */
export const listedItems = ({ reader }: Pick<OpenSnapshot, "reader">): ReadonlyArray<SnapshotItem> => {
  const { manifest } = reader
  const taken = new Set([clientOf(ArchiveName.manifestFile), clientOf(ArchiveName.clientLogFile)])
  const freeName = (wanted: string, filename: string): string => {
    const name = taken.has(wanted) ? filename : wanted
    taken.add(name)
    return name
  }
  const archives = PxarParts.all(manifest)
  const parts = new Set(archives.flatMap(({ archive, payload }) => [archive.filename, payload?.filename]))
  const items: Array<SnapshotItem> = archives.map((found) => ({
    kind: "archive",
    name: freeName(found.name, found.archive.filename),
    parts: found
  }))
  for (const listed of manifest.files) {
    const { filename } = listed
    if (parts.has(filename) || filename === ArchiveName.manifestFile) continue
    if (filename === ArchiveName.clientLogFile) continue
    const name = freeName(clientOf(filename), filename)
    items.push({ kind: "file", name, file: fileOf(listed, name) })
  }
  return items.sort(byName)
}

export const contentHash = (content: Uint8Array): string => hash("sha256", content, "hex")

/** A file that is not in the manifest, as it is now. */
export const looseFile = (
  opened: OpenSnapshot,
  filename: string
): Effect.Effect<{ readonly file: SnapshotFile; readonly content: Uint8Array | undefined }, VfsError> => {
  const name = clientOf(filename)
  const file = (csum: string, storedBytes: number): SnapshotFile => ({
    name,
    filename,
    kind: "loose",
    csum,
    storedBytes
  })
  return opened.loose(filename).pipe(
    Effect.map((content) => ({ file: file(contentHash(content), content.length), content })),
    // It is there, whoever can read it.
    Effect.catchIf(
      ({ reason }) => reason === "KeyNeeded" || reason === "Damaged",
      () => Effect.succeed({ file: file("", 0), content: undefined })
    )
  )
}
