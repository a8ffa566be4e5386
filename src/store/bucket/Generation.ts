/**
 * Generation: which removals the markers of a cache folder know of.
 *
 * Whoever removes chunks from the bucket makes the markers of other hosts wrong. So there are two random texts in the
 * bucket: `generation`, replaced by every collection before its first deletion, and `condemned`, replaced by whoever is
 * about to set corrupt chunks aside. A folder remembers in `.granary-generation` which texts its markers go with. When
 * they are the same, every marker is true; when not, the markers must be checked before they are relied on.
 *
 * While this host collects, what the folder remembers bears the name of the machine's current start as well: removals
 * in the folder may not be on the disk yet, and after a power loss its markers count as unchecked.
 */
import * as Effect from "effect/Effect"
import * as ObjectKey from "../../objectstore/ObjectKey.ts"
import { isNotFound as isNoObject, type ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import { randomHex } from "../../platform/Entropy.ts"
import { Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import { Host } from "../../platform/Host.ts"
import type { StoreLayout } from "../StoreLayout.ts"
import * as StoreBucket from "./StoreBucket.ts"

/** Empty texts for what is not there. */
export interface Generation {
  readonly collected: string
  readonly condemned: string
}

export interface FolderGeneration extends Generation {
  /** The start of the machine in which this host began to remove; undefined when everything is on the disk. */
  readonly boot: string | undefined
}

type Part = "generation" | "condemned"

const textMaxBytes = 4096
const textBytes = 16

const keyOf = (bucket: StoreBucket.StoreBucket, part: Part): ObjectKey.ObjectKey =>
  ObjectKey.join(StoreBucket.granaryPrefix(bucket), part)

const newText = randomHex(textBytes)

const readPart = (bucket: StoreBucket.StoreBucket, part: Part) =>
  bucket.objects.get(keyOf(bucket, part), textMaxBytes).pipe(
    Effect.map((body) => Buffer.from(body).toString()),
    Effect.catchIf(isNoObject, () => Effect.succeed(""))
  )

const replacePart = (bucket: StoreBucket.StoreBucket, part: Part): Effect.Effect<string, ObjectStoreError> =>
  Effect.flatMap(newText, (text) =>
    Effect.as(bucket.objects.put(keyOf(bucket, part), Buffer.from(text)), text)
  )

/** What the bucket says now. */
export const current = (bucket: StoreBucket.StoreBucket): Effect.Effect<Generation, ObjectStoreError> =>
  Effect.all(
    { collected: readPart(bucket, "generation"), condemned: readPart(bucket, "condemned") },
    { concurrency: "unbounded" }
  )

/**
 * Like `current`, but a bucket without a generation gets one: so a bucket that was emptied and filled anew is another
 * generation, even if nobody has ever collected in it.
 */
export const ensure = (bucket: StoreBucket.StoreBucket): Effect.Effect<Generation, ObjectStoreError> =>
  Effect.gen(function* () {
    const found = yield* current(bucket)
    if (found.collected !== "") return found
    yield* bucket.objects.putIfAbsent(keyOf(bucket, "generation"), Buffer.from(yield* newText))
    return yield* current(bucket)
  })

/** From now on the markers of all hosts count as unchecked. */
export const replaceCollected = (bucket: StoreBucket.StoreBucket): Effect.Effect<string, ObjectStoreError> =>
  replacePart(bucket, "generation")

/** From now on the markers of all hosts count as unchecked. */
export const replaceCondemned = (bucket: StoreBucket.StoreBucket): Effect.Effect<string, ObjectStoreError> =>
  replacePart(bucket, "condemned")

const decode = (text: string): FolderGeneration | undefined => {
  try {
    const { generation, condemned, boot } = JSON.parse(text) as Record<string, unknown>
    if (typeof generation !== "string" || typeof condemned !== "string") return undefined
    return { collected: generation, condemned, boot: typeof boot === "string" ? boot : undefined }
  } catch {
    return undefined
  }
}

/** What the folder remembers; undefined when nothing, or nothing that can be understood. */
export const ofFolder = (
  layout: StoreLayout
): Effect.Effect<FolderGeneration | undefined, FilesError, Files> =>
  Effect.flatMap(Files, (files) =>
    files.readFile(layout.generation, textMaxBytes).pipe(
      Effect.map((bytes) => decode(Buffer.from(bytes).toString())),
      Effect.catchIf(
        (error) => isNotFound(error) || error.reason === "TooLarge",
        () => Effect.succeed(undefined)
      )
    )
  )

/** Whether the folder's markers may be relied on. */
export const isKnown = (folder: FolderGeneration | undefined, bucket: Generation): Effect.Effect<boolean> =>
  Effect.map(Host, ({ bootId }) => {
    const isSame = folder?.collected === bucket.collected && folder.condemned === bucket.condemned
    return isSame && (folder.boot === undefined || (folder.boot !== "" && folder.boot === bootId))
  })

/** Everything that was removed from the folder before is on the disk before this is. */
export const remember = (
  layout: StoreLayout,
  { collected, condemned }: Generation,
  boot?: string
): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    if (boot === undefined) yield* files.syncFileSystem(layout.base)
    const text = JSON.stringify({ generation: collected, condemned, boot })
    yield* files.replaceFile(layout.generation, [Buffer.from(text)], { sync: true })
  })
