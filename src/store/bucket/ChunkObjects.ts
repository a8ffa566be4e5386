/**
 * ChunkObjects: the bucket's chunks and condemned chunks in the order of their digests, a folder at a time: one
 * request for each page of the listing, and never more than a page and a folder in memory.
 *
 * Keys that are neither are foreign: counted, and otherwise as if they were not there.
 */
import * as Effect from "effect/Effect"
import * as Digest from "../../model/Digest.ts"
import type { ListedObject } from "../../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import type { StoreBucket } from "./StoreBucket.ts"

export interface ChunkObject {
  readonly digest: Digest.Digest
  /** Of a condemned chunk. */
  readonly number: number | undefined
  readonly sizeBytes: number
  readonly lastModifiedSeconds: number
}

/** Empty objects are no chunks, as empty files are none. */
export const isWhole = ({ number, sizeBytes }: ChunkObject): boolean => number === undefined && sizeBytes > 0

export class ChunkObjects {
  readonly #bucket: StoreBucket
  #page: ReadonlyArray<ChunkObject> = []
  #at = 0
  #after: string | undefined
  #isLast = false
  #pages = 0
  #foreign = 0
  #count = 0

  constructor(bucket: StoreBucket) {
    this.#bucket = bucket
  }

  /** Requests made. */
  get pages(): number {
    return this.#pages
  }

  get foreign(): number {
    return this.#foreign
  }

  /** Chunks and condemned chunks that were handed over. */
  get count(): number {
    return this.#count
  }

  /** The folder of the next object, such as `00ff`; undefined when there is none. */
  readonly folder: Effect.Effect<string | undefined, ObjectStoreError> = Effect.suspend(() => {
    const next = this.#page[this.#at]
    if (next !== undefined) return Effect.succeed(Digest.prefix(next.digest))
    return this.#isLast ? Effect.succeed(undefined) : Effect.andThen(this.#load, this.folder)
  })

  /** The objects that come next, as long as they are of this folder. */
  take(folder: string): Effect.Effect<ReadonlyArray<ChunkObject>, ObjectStoreError> {
    return Effect.gen({ self: this }, function* () {
      const taken: Array<ChunkObject> = []
      while ((yield* this.folder) === folder) {
        for (let next = this.#page[this.#at]; next !== undefined; next = this.#page[++this.#at]) {
          if (Digest.prefix(next.digest) !== folder) break
          taken.push(next)
        }
      }
      this.#count += taken.length
      return taken
    })
  }

  readonly #load: Effect.Effect<void, ObjectStoreError> = Effect.suspend(() => {
    const { objects, prefix } = this.#bucket
    const after = this.#after === undefined ? {} : { after: this.#after }
    return Effect.map(objects.list({ prefix: StoreKeys.chunksPrefix(prefix), ...after }), (page) => {
      const found = page.objects.flatMap((listed) => this.#read(listed))
      this.#pages += 1
      this.#foreign += page.foreignKeys.length + page.objects.length - found.length
      this.#page = found
      this.#at = 0
      this.#after = page.next
      this.#isLast = page.next === undefined
    })
  })

  #read({ key, sizeBytes, lastModifiedSeconds }: ListedObject): ReadonlyArray<ChunkObject> {
    const object = StoreKeys.read(this.#bucket.prefix, key)
    if (object?.kind !== "chunk" && object?.kind !== "bad chunk") return []
    const number = object.kind === "chunk" ? undefined : object.number
    return [{ digest: object.digest, number, sizeBytes, lastModifiedSeconds }]
  }
}
