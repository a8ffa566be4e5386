/**
 * finishing: the end of a backup. Everything that the manifest names must have come in this session as it is named;
 * then the store's session proves that all chunks are there, flushes, and writes the manifest. From its answer on the
 * snapshot exists, whatever becomes of the connection.
 */
import * as Effect from "effect/Effect"
import type { Manifest } from "../../format/Manifest.ts"
import * as Answer from "../Answer.ts"
import { type ApiError, badRequest } from "../ApiError.ts"
import { route, type Route } from "../Call.ts"
import { told } from "../failures.ts"
import { requireActive, type Upload } from "./Upload.ts"

/** What the manifest says must be what came. */
const requireFiles = ({ files }: Upload, manifest: Manifest): Effect.Effect<void, ApiError> =>
  Effect.suspend(() => {
    for (const { csum, filename, sizeBytes } of manifest.files) {
      const stored = files.get(filename)
      if (stored === undefined) {
        return Effect.fail(
          badRequest(`the manifest names '${filename}', which was not uploaded in this backup`)
        )
      }
      if (stored.csum !== csum || stored.sizeBytes !== sizeBytes) {
        return Effect.fail(
          badRequest(
            `the manifest says '${filename}' has ${sizeBytes} bytes and checksum ${csum}, ` +
              `uploaded were ${stored.sizeBytes} bytes with ${stored.csum}`
          )
        )
      }
    }
    return Effect.void
  })

const publish = (upload: Upload): Effect.Effect<void, ApiError> =>
  Effect.gen(function* () {
    const { files, manifest, session } = upload
    if (manifest === undefined) {
      return yield* badRequest("unable to update manifest blob - no manifest was uploaded")
    }
    yield* requireFiles(upload, manifest)
    for (const [filename, { csum, sizeBytes }] of files) {
      yield* told(session.addFile({ filename, cryptMode: "none", sizeBytes, csum }))
    }
    yield* told(session.finishWith(manifest))
  })

/** `finish`. A failure of its second half is final, as in Proxmox Backup Server. */
export const routeFor = (upload: Upload): Route =>
  route({}, () =>
    Effect.gen(function* () {
      yield* requireActive(upload)
      if (upload.writers.hasOpen) {
        return yield* badRequest("found open index writer - unable to finish backup")
      }
      if (upload.files.size === 0) {
        return yield* badRequest("backup does not contain valid files (file count == 0)")
      }
      upload.state = "finishing"
      yield* upload.inTurn(publish(upload))
      upload.state = "finished"
      return Answer.nothing
    })
  )
