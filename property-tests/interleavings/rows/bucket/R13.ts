/**
 * R13 in a bucket: an eviction empties a cache file that a reader has open. It replaces the file by an empty one: who has
 * it open reads on what it was.
 */
import * as Effect from "effect/Effect"
import * as DataBlob from "../../../../src/format/DataBlob.ts"
import { Files } from "../../../../src/platform/Files.ts"
import { storeError } from "../../../../src/store/StoreError.ts"
import type { Row } from "../../harness/Row.ts"
import { pathOfChunk } from "../../harness/World.ts"
import { inPlace } from "../R13.ts"
import { cached, evictionCase } from "./eviction.ts"

const expected = DataBlob.encode(Buffer.from(cached), { compress: false })

/** Opens the cache file, and reads it when it has content. */
const readOpen = Effect.scoped(
  Effect.gen(function* () {
    const files = yield* Files
    const path = pathOfChunk(cached)
    const handle = yield* files.openRead(path)
    if (handle.sizeBytes === 0) return
    const content = Buffer.alloc(handle.sizeBytes)
    const count = yield* handle.readAt(0, content)
    if (count === expected.length && content.equals(expected)) return
    return yield* storeError("Damaged", path, "what was open was emptied")
  })
)

const evicted = evictionCase({
  name: "a cache file is evicted while a reader has it open",
  reader: readOpen,
  guard: "replacing whole files (evicting)",
  mutation: { ...inPlace, processes: ["writer"] }
})

export const R13: Row = { id: "R13", title: "evicted files are replaced", cases: [evicted] }
