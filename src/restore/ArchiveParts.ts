/**
 * ArchiveParts: finds an archive of a snapshot by the name users know it by, and opens what it is made of. A directory
 * backed up as `root.pxar` is one archive, or a split pair `root.mpxar` and `root.ppxar`; either answers to `root.pxar`.
 */
import * as Effect from "effect/Effect"
import type { ManifestFile } from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { FilesError } from "../platform/Files.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as ArchiveReader from "./ArchiveReader.ts"
import type { SnapshotReader } from "./SnapshotReader.ts"

export type ArchiveParts =
  | {
      readonly kind: "pxar"
      readonly name: string
      readonly archive: ArchiveReader.ArchiveReader
      /** File contents of a split archive. */
      readonly payload: ArchiveReader.ArchiveReader | undefined
    }
  /** An image, a catalog, or any other archive without a structure of ours. */
  | { readonly kind: "bytes"; readonly name: string; readonly archive: ArchiveReader.ArchiveReader }
  | { readonly kind: "blob"; readonly name: string; readonly file: ManifestFile }

type Failure = FilesError | StoreError

const openReader = (
  reader: SnapshotReader,
  file: ManifestFile
): Effect.Effect<ArchiveReader.ArchiveReader, Failure> =>
  Effect.flatMap(reader.index(file), (index) => {
    if (file.cryptMode === "encrypt" && reader.crypt === undefined) {
      return Effect.fail(storeError("KeyNeeded", file.filename, "this archive is encrypted"))
    }
    return ArchiveReader.make(reader.datastore.chunks, index, reader.crypt)
  })

const openSplit = (reader: SnapshotReader, metadata: ManifestFile): Effect.Effect<ArchiveParts, Failure> =>
  Effect.gen(function* () {
    const stem = ArchiveName.fromFile(metadata.filename).client.replace(/\.mpxar$/, "")
    const payload = yield* reader.find(`${stem}.ppxar`)
    return {
      kind: "pxar",
      name: `${stem}.pxar`,
      archive: yield* openReader(reader, metadata),
      payload: yield* openReader(reader, payload)
    }
  })

/** The name of the split form: `root.pxar` may have been stored as `root.mpxar`. */
const splitForm = (name: string): string => name.replace(/\.pxar(?:\.didx)?$/, ".mpxar")

export const open = (reader: SnapshotReader, name: string): Effect.Effect<ArchiveParts, Failure> =>
  Effect.gen(function* () {
    const file = yield* reader
      .find(name)
      .pipe(
        Effect.catch((error) =>
          splitForm(name) === name
            ? Effect.fail(error)
            : Effect.mapError(reader.find(splitForm(name)), () => error)
        )
      )
    const { client, kind } = ArchiveName.fromFile(file.filename)
    if (kind === "blob") return { kind: "blob", name: client, file }
    if (client.endsWith(".mpxar")) return yield* openSplit(reader, file)
    const archive = yield* openReader(reader, file)
    return client.endsWith(".pxar")
      ? { kind: "pxar", name: client, archive, payload: undefined }
      : { kind: "bytes", name: client, archive }
  })
