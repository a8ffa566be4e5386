/**
 * CatalogUpload: the catalog of a backup, one for all of its directories, stored as it grows.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { catalogAverageBytes } from "../chunking/DynamicChunker.ts"
import { CatalogWriter } from "../format/Catalog.ts"
import type { ManifestFile } from "../format/Manifest.ts"
import type { ArchiveName } from "../model/ArchiveName.ts"
import * as ArchiveWriter from "./ArchiveWriter.ts"
import type { Session, SessionFailure } from "./Session.ts"

export interface CatalogUpload {
  /** Takes the entries of directory sources. */
  readonly writer: CatalogWriter
  /** Stores what the writer has produced so far. */
  readonly flush: Effect.Effect<void, SessionFailure>
  readonly finish: Effect.Effect<ManifestFile, SessionFailure>
}

export const open = (
  session: Session,
  archive: ArchiveName
): Effect.Effect<CatalogUpload, SessionFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const writer = new CatalogWriter()
    const upload = yield* ArchiveWriter.open(session, archive, {
      kind: "dynamic",
      averageBytes: catalogAverageBytes
    })
    const flush = Effect.suspend(() => upload.ingest.write(writer.takeBytes()))
    const finish = Effect.gen(function* () {
      writer.finish()
      yield* flush
      return yield* upload.finish
    })
    return { writer, flush, finish }
  })
