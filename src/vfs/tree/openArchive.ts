/** openArchive: puts a file archive of an open snapshot together from its streams, its catalog and its slot. */
import * as Effect from "effect/Effect"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as PxarParts from "../../restore/browse/PxarParts.ts"
import type { Owners } from "../archive/attributesOf.ts"
import { countLinks } from "../archive/countLinks.ts"
import type { Listings } from "../archive/Listings.ts"
import * as PxarArchive from "../archive/PxarArchive.ts"
import { nameOf, type OpenParts } from "./OpenSnapshots.ts"
import type { Slots } from "./Slots.ts"
import { type VfsError, vfsError } from "../VfsError.ts"

export interface OpeningOptions {
  readonly slots: Slots
  readonly listings: Listings
  readonly owners: Owners
}

/** Opens the archive whose entries are stored under that name. */
export const openArchive =
  ({ listings, owners, slots }: OpeningOptions) =>
  ({ content, reader }: OpenParts, filename: string): Effect.Effect<PxarArchive.PxarArchive, VfsError> =>
    Effect.gen(function* () {
      const parts = yield* Effect.mapError(PxarParts.find(reader.manifest, filename), ({ detail, subject }) =>
        vfsError("Gone", subject, detail)
      )
      const subject = `${nameOf(reader)} ${parts.name}`
      const slot = slots.slotOf(reader, parts)
      if (slot === undefined) return yield* vfsError("WrongKind", subject, "there are no inodes left for it")
      const { payload } = parts
      const source = yield* content(filename)
      const hasCatalog = reader.manifest.files.some((file) => file.filename === ArchiveName.catalog.file)
      const catalog = hasCatalog ? content(ArchiveName.catalog.file) : undefined
      return yield* PxarArchive.open({
        slot: slot.number,
        subject,
        source,
        payload:
          payload === undefined
            ? undefined
            : { sizeBytes: payload.sizeBytes, open: content(payload.filename) },
        owners,
        listings,
        linkCounts: (archive) => countLinks({ archive, filename, catalog })
      })
    })
