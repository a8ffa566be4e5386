/** decodeManifest: the manifest of a snapshot out of bytes that anybody may have sent. */
import * as Effect from "effect/Effect"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Snapshot from "../model/Snapshot.ts"
import { decodeOrDamaged } from "../store/StoreError.ts"
import { type Side, type SyncError, syncError } from "./SyncError.ts"

/** Runs a pure decoder; what it dislikes is corrupt. */
export const decodeOrCorrupt = <A>(
  side: Side,
  archive: string,
  decode: () => A
): Effect.Effect<A, SyncError> =>
  Effect.mapError(decodeOrDamaged(archive, decode), ({ detail }) =>
    syncError("Corrupt", detail, { side, archive })
  )

export const decodeManifest = (
  side: Side,
  snapshot: Snapshot.Snapshot,
  bytes: Uint8Array
): Effect.Effect<Manifest.Manifest, SyncError> =>
  Effect.gen(function* () {
    const archive = ArchiveName.manifestFile
    const manifest = yield* decodeOrCorrupt(side, archive, () => Manifest.decode(bytes))
    if (Snapshot.order(manifest.snapshot, snapshot) === 0) return manifest
    const detail = `this manifest belongs to ${Snapshot.format(manifest.snapshot)}`
    return yield* syncError("Corrupt", detail, { side, archive })
  })
