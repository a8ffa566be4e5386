/**
 * ArchiveParts: finds an archive of a snapshot by the name users know it by, and opens what it is made of. A
 * directory backed up as `root.pxar` is one archive, or a split pair `root.mpxar` and `root.ppxar`; either
 * answers to `root.pxar`.
 */
import * as Effect from "effect/Effect"
import type { ManifestFile } from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import * as ArchiveReader from "./ArchiveReader.ts"
import * as PxarParts from "./browse/PxarParts.ts"
import type { SnapshotReader } from "./SnapshotReader.ts"
import type { StorageError } from "../store/StorageError.ts"

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

type Failure = StorageError | StoreError

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

const openPxar = (reader: SnapshotReader, parts: PxarParts.PxarParts): Effect.Effect<ArchiveParts, Failure> =>
  Effect.gen(function* () {
    const { name } = parts
    const archive = yield* openReader(reader, parts.archive)
    const payload = parts.payload === undefined ? undefined : yield* openReader(reader, parts.payload)
    return { kind: "pxar", name, archive, payload }
  })

const openOther = (reader: SnapshotReader, name: string): Effect.Effect<ArchiveParts, Failure> =>
  Effect.gen(function* () {
    const file = yield* reader.find(name)
    const { client, kind } = ArchiveName.fromFile(file.filename)
    if (kind === "blob") return { kind: "blob", name: client, file }
    return { kind: "bytes", name: client, archive: yield* openReader(reader, file) }
  })

export const open = (reader: SnapshotReader, name: string): Effect.Effect<ArchiveParts, Failure> =>
  PxarParts.find(reader.manifest, name).pipe(
    Effect.matchEffect({
      onFailure: () => openOther(reader, name),
      onSuccess: (parts) => openPxar(reader, parts)
    })
  )
