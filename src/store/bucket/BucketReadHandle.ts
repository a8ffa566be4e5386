/**
 * BucketReadHandle: an object that is read at any offset, by requests for ranges.
 *
 * Who reads a file in small pieces would wait for the server each time; so a request asks for a block of 1 MiB at
 * least, and the last block is kept.
 *
 * Invariant: what is answered are the bytes of the object at that offset, or the reading fails; fewer than wanted only
 * at its end.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ObjectKey } from "../../objectstore/ObjectKey.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import type { ReadHandle } from "../../platform/Files.ts"
import { asFilesError } from "./bucketFailures.ts"
import type { StoreBucket } from "./StoreBucket.ts"

const blockMinBytes = 1024 * 1024

interface Block {
  readonly offset: number
  readonly bytes: Uint8Array
}

const nothing: Block = { offset: 0, bytes: new Uint8Array(0) }

const holds = (block: Block, offset: number, end: number): boolean =>
  block.offset <= offset && end <= block.offset + block.bytes.length

/** Opens an object for reading; `path` is what errors name. */
export const openObject = (
  { objects }: StoreBucket,
  key: ObjectKey,
  path: string
): Effect.Effect<ReadHandle, ObjectStoreError, Scope.Scope> =>
  Effect.gen(function* () {
    const { sizeBytes } = yield* objects.head(key)
    let last = yield* Effect.acquireRelease(Effect.succeed(nothing), () =>
      Effect.sync(() => void (last = nothing))
    )

    const blockAt = (offset: number, end: number): Effect.Effect<Block, ObjectStoreError> => {
      if (holds(last, offset, end)) return Effect.succeed(last)
      const lengthBytes = Math.min(sizeBytes, Math.max(end, offset + blockMinBytes)) - offset
      return Effect.map(objects.getRange(key, { offset, lengthBytes }), (bytes) => (last = { offset, bytes }))
    }

    const readAt = (offset: number, target: Uint8Array) =>
      Effect.suspend(() => {
        const end = Math.min(sizeBytes, offset + target.length)
        if (end <= offset) return Effect.succeed(0)
        return Effect.map(blockAt(offset, end), (block) => {
          const found = block.bytes.subarray(offset - block.offset, end - block.offset)
          target.set(found)
          return found.length
        })
      }).pipe(Effect.mapError((error) => asFilesError("read", path, error)))

    return { sizeBytes, readAt }
  })
