/**
 * SessionFiles: the files of a snapshot in the making, as its manifest will name them, wherever they are stored.
 *
 * Invariant: a name is entered once, and a blob is entered before it is stored; whoever finishes the session proves
 * that what was entered has been stored.
 */
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import type { CryptMode } from "../model/CryptMode.ts"
import * as Digest from "../model/Digest.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"
import type { Session, SessionFailure, SessionOptions } from "./Session.ts"

export type SessionCrypto = Pick<Session, "compress" | "crypt" | "cryptMode">

/** What becomes of content in a session with these options. */
export const cryptoOf = ({ compress = true, key }: SessionOptions): SessionCrypto => {
  const crypt: CryptConfig | undefined = key?.mode === "encrypt" ? key.crypt : undefined
  const cryptMode: CryptMode = key?.mode ?? "none"
  return { compress, crypt, cryptMode }
}

export interface SessionFiles extends Pick<Session, "addFile" | "uploadBlob" | "uploadEncodedBlob"> {
  /** Those entered so far. */
  readonly files: ReadonlyArray<Manifest.ManifestFile>
}

/** `store` puts a blob in its place. */
export const make = (
  { compress, crypt, cryptMode }: SessionCrypto,
  store: (archive: ArchiveName.ArchiveName, blob: Uint8Array) => Effect.Effect<void, SessionFailure>
): SessionFiles => {
  const files: Array<Manifest.ManifestFile> = []

  const addFile = (file: Manifest.ManifestFile): Effect.Effect<void, StoreError> =>
    Effect.suspend(() => {
      if (files.some(({ filename }) => filename === file.filename)) {
        return Effect.fail(storeError("Refused", file.filename, "this archive is named twice in one backup"))
      }
      if (file.filename === ArchiveName.manifestFile) {
        return Effect.fail(storeError("Refused", file.filename, "this is the name of the manifest itself"))
      }
      files.push(file)
      return Effect.void
    })

  const uploadEncodedBlob = (archive: ArchiveName.ArchiveName, blob: Uint8Array) =>
    Effect.gen(function* () {
      const csum = Digest.parse(hash("sha256", blob, "hex"))
      const file = { filename: archive.file, cryptMode, sizeBytes: blob.length, csum }
      yield* addFile(file)
      yield* store(archive, blob)
      return file
    })

  const uploadBlob = (archive: ArchiveName.ArchiveName, data: Uint8Array) =>
    Effect.gen(function* () {
      if (data.length > DataBlob.dataSizeMaxBytes) {
        const detail = `a blob holds at most 128 MiB; this has ${data.length} bytes`
        return yield* storeError("Refused", archive.client, detail)
      }
      const blob = DataBlob.encode(data, { compress, ...(crypt === undefined ? {} : { crypt }) })
      return yield* uploadEncodedBlob(archive, blob)
    })

  return { files, addFile, uploadBlob, uploadEncodedBlob }
}

/** A backup of nothing is none. */
export const requireFiles = ({ files }: SessionFiles, subject: string): Effect.Effect<void, StoreError> =>
  Effect.suspend(() =>
    files.length > 0
      ? Effect.void
      : Effect.fail(storeError("Refused", subject, "a backup needs at least one archive"))
  )

/** The manifest of what was entered, signed where there is a key; `change` comes before the signature. */
export const manifestOf = (
  { files }: SessionFiles,
  snapshot: Snapshot.Snapshot,
  key: SessionOptions["key"],
  change: (manifest: Manifest.Manifest) => Manifest.Manifest = (manifest) => manifest
): Manifest.Manifest => {
  const unsigned = change(Manifest.make(snapshot, files))
  return key === undefined ? unsigned : Manifest.sign(unsigned, key.crypt)
}
