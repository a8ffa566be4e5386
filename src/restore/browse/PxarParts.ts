/**
 * PxarParts: which files of a snapshot make up a file archive: one (`root.pxar.didx`), or two of a split archive, the
 * entries (`root.mpxar.didx`) and the contents (`root.ppxar.didx`).
 *
 * People call both `root.pxar`; the names of the parts are understood as well.
 */
import * as Effect from "effect/Effect"
import type { Manifest, ManifestFile } from "../../format/Manifest.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import { storeError, type StoreError } from "../../store/StoreError.ts"

export interface PxarParts {
  /** As people call the archive, `root.pxar`. */
  readonly name: string
  /** The archive itself; of a split one the entries. */
  readonly archive: ManifestFile
  /** The contents of a split archive. */
  readonly payload: ManifestFile | undefined
}

const withoutPxar = (client: string): string => client.replace(/\.[mp]?pxar$/, "")

const clientOf = (file: ManifestFile): string => ArchiveName.fromFile(file.filename).client

/** Every file archive of the snapshot, in the order of the manifest. */
export const all = (manifest: Manifest): ReadonlyArray<PxarParts> =>
  manifest.files.flatMap((archive): ReadonlyArray<PxarParts> => {
    const client = clientOf(archive)
    if (client.endsWith(".pxar")) return [{ name: client, archive, payload: undefined }]
    if (!client.endsWith(".mpxar")) return []
    const stem = withoutPxar(client)
    const payload = manifest.files.find((file) => clientOf(file) === `${stem}.ppxar`)
    return [{ name: `${stem}.pxar`, archive, payload }]
  })

/** The archive that `wanted` names: by the name people use, that of a part, or that of a stored file. */
export const find = (manifest: Manifest, wanted: string): Effect.Effect<PxarParts, StoreError> =>
  Effect.suspend(() => {
    const archives = all(manifest)
    const isNamed = (file: ManifestFile | undefined): boolean =>
      file !== undefined && (file.filename === wanted || clientOf(file) === wanted)
    const found =
      archives.find(({ archive, payload }) => isNamed(archive) || isNamed(payload)) ??
      archives.find(({ name }) => name === wanted)
    if (found !== undefined) return Effect.succeed(found)
    const names = archives.map(({ name }) => name).join(", ")
    const detail =
      names === ""
        ? "the snapshot has no file archives"
        : `the snapshot has no file archive of that name; it has ${names}`
    return Effect.fail(storeError("NoSuchArchive", `${Snapshot.format(manifest.snapshot)} ${wanted}`, detail))
  })
