/**
 * blobUploads: small files of a backup, and its manifest, which is looked at and kept for the end.
 */
import * as Effect from "effect/Effect"
import * as DataBlob from "../../format/DataBlob.ts"
import { FormatError } from "../../format/FormatError.ts"
import * as Manifest from "../../format/Manifest.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as Digest from "../../model/Digest.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import { hash } from "node:crypto"
import * as Answer from "../Answer.ts"
import { type ApiError, badRequest } from "../ApiError.ts"
import { rawRoute, type Route } from "../Call.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"
import * as bodies from "./bodies.ts"
import { encodedMaxBytes } from "./chunkUploads.ts"
import { requireActive, type Upload } from "./Upload.ts"

const rules = {
  "file-name": Parameters.fileName,
  "encoded-size": Parameters.integer(12, encodedMaxBytes)
}

/** The header is complete and the checksum fits. */
export const requireBlob = (blob: Uint8Array): Effect.Effect<void, ApiError> =>
  Effect.suspend(() => {
    try {
      DataBlob.verifyCrc(blob)
      return Effect.void
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      const isBlob = DataBlob.kindOfMagic(blob) !== undefined
      return Effect.fail(
        badRequest(isBlob ? "Data blob has wrong CRC checksum." : "unable to parse raw blob - wrong magic")
      )
    }
  })

/** The manifest that a client sends must be one of this very snapshot. */
const takeManifest = (upload: Upload, blob: Uint8Array): Effect.Effect<void, ApiError> =>
  Effect.suspend(() => {
    const { snapshot } = upload.session
    try {
      const manifest = Manifest.decode(blob)
      if (Snapshot.order(manifest.snapshot, snapshot) !== 0) {
        const belongs = Snapshot.format(manifest.snapshot)
        return Effect.fail(
          badRequest(`this manifest belongs to ${belongs}, not to ${Snapshot.format(snapshot)}`)
        )
      }
      upload.manifest = manifest
      return Effect.void
    } catch (error) {
      if (error instanceof FormatError)
        return Effect.fail(badRequest(`unable to parse manifest - ${error.message}`))
      throw error
    }
  })

const store = (upload: Upload, fileName: string, blob: Uint8Array): Effect.Effect<void, ApiError> =>
  Effect.gen(function* () {
    const { datastore, namespace, snapshot } = upload.session
    // Between the old content and the new one nobody can say which of them the manifest will find.
    upload.files.delete(fileName)
    yield* told(datastore.snapshotFiles.write(namespace, snapshot, fileName, blob))
    const csum = Digest.parse(hash("sha256", blob, "hex"))
    upload.files.set(fileName, { sizeBytes: blob.length, csum })
  })

/** `blob`: a name that comes again replaces what came before. */
export const routeFor = (upload: Upload): Route =>
  rawRoute(rules, (values, call) => {
    const fileName = values["file-name"]
    const encodedBytes = values["encoded-size"]
    const stored = Effect.gen(function* () {
      yield* requireActive(upload)
      if (!fileName.endsWith(".blob")) return yield* badRequest(`wrong blob file extension: '${fileName}'`)
      const blob = yield* bodies.read(call.body, encodedMaxBytes)
      if (blob.length !== encodedBytes) {
        return yield* badRequest(`got blob with unexpected length (${blob.length} != ${encodedBytes})`)
      }
      yield* requireBlob(blob)
      const isManifest = fileName === ArchiveName.manifestFile
      yield* upload.inTurn(isManifest ? takeManifest(upload, blob) : store(upload, fileName, blob))
      return Answer.nothing
    })
    return call.admission.admit(encodedMaxBytes)(stored)
  })
