/**
 * StoredSizes: how large the objects of chunks are at most, told without asking the server: as they were recorded when
 * this host uploaded them, else as large as their content can become when it is encoded.
 */
import * as Effect from "effect/Effect"
import * as DataBlob from "../../format/DataBlob.ts"
import type { FilesError } from "../../platform/Files.ts"
import { RecordTable } from "./RecordTable.ts"
import type { UploadRecords } from "./UploadRecords.ts"

/** Of the digest at an offset, whose content has that many bytes. */
export type StoredSize = (digests: Uint8Array, offset: number, dataSizeBytes: number) => number

/** Records that cannot be read are as good as none. */
export const load = (records: Pick<UploadRecords, "load"> | undefined): Effect.Effect<StoredSize> => {
  const loading: Effect.Effect<RecordTable, FilesError> =
    records === undefined ? Effect.succeed(new RecordTable()) : records.load
  return loading.pipe(
    Effect.catch(() => Effect.succeed(new RecordTable())),
    Effect.map(
      (table): StoredSize =>
        (digests, offset, dataSizeBytes) =>
          table.sizeBytes(digests, offset) ?? DataBlob.encodedSizeMax(dataSizeBytes)
    )
  )
}
