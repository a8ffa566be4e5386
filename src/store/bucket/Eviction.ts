/**
 * Eviction: goes through the chunk folders of a cache folder, counts what is there, and turns the chunks that have to
 * go into markers.
 *
 * Two passes: the first counts by age, the second looks again and evicts. So memory does not grow with the number of
 * chunks, and what was used in between is seen. A chunk becomes a marker by a rename under its digest's guard, where it
 * is looked at once more: who has it open reads on, and who used it in the meantime keeps it.
 *
 * Invariant: nothing but regular files with content and a digest for a name, in the folder of that digest, is counted
 * or changed. What fails for one folder or chunk is counted, and the next one follows.
 */
import * as Effect from "effect/Effect"
import * as Digest from "../../model/Digest.ts"
import { type ChildStat, type Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import type { DigestGuards } from "../DigestGuards.ts"
import { chunkPath, type StoreLayout } from "../StoreLayout.ts"
import { Census, type ChunkTimes, type Selection } from "./ChunkRecency.ts"

export interface Tally {
  chunks: number
  bytes: number
  readonly errors: Array<string>
}

const folderPattern = /^[0-9a-f]{4}$/

/** Some milliseconds of work in a usual store. */
const foldersPerTurn = 64

/** Each eviction is a few short waits for the disk. */
const evictionsAtOnce = 4

const errorsMax = 100

const note = (errors: Array<string>, error: FilesError): void => {
  if (errors.length < errorsMax && !isNotFound(error)) errors.push(error.message)
}

interface FoundChunk extends ChunkTimes {
  readonly digest: Digest.Digest
  readonly sizeBytes: number
}

const chunksOf = (folder: string, children: ReadonlyArray<ChildStat>): ReadonlyArray<FoundChunk> =>
  children.flatMap(({ name, kind, sizeBytes, mtimeSeconds, atimeSeconds }) =>
    kind === "file" && sizeBytes > 0 && Digest.isDigest(name) && Digest.prefix(name) === folder
      ? [{ digest: name, sizeBytes, mtimeSeconds, atimeSeconds }]
      : []
  )

/** Goes through all chunks with content, some folders at a time; other fibers have their turn in between. */
const visit = (
  files: Files["Service"],
  layout: StoreLayout,
  errors: Array<string>,
  use: (chunks: ReadonlyArray<FoundChunk>) => Effect.Effect<void>
): Effect.Effect<void, FilesError> =>
  Effect.gen(function* () {
    const entries = yield* files.readDirectory(layout.chunks)
    const folders = entries.flatMap(({ name, kind }) =>
      kind === "directory" && folderPattern.test(name) ? [name] : []
    )
    for (let from = 0; from < folders.length; from += foldersPerTurn) {
      const found: Array<FoundChunk> = []
      for (const folder of folders.slice(from, from + foldersPerTurn)) {
        const listed = yield* Effect.result(files.statDirectory(`${layout.chunks}/${folder}`))
        if (listed._tag === "Failure") note(errors, listed.failure)
        else found.push(...chunksOf(folder, listed.success))
      }
      yield* use(found)
      yield* Effect.yieldNow
    }
  })

/** Counts everything, by age. */
export const count = (
  files: Files["Service"],
  layout: StoreLayout,
  nowSeconds: number,
  errors: Array<string>
): Effect.Effect<Census, FilesError> =>
  Effect.suspend(() => {
    const census = new Census(nowSeconds)
    return Effect.as(
      visit(files, layout, errors, (chunks) =>
        Effect.sync(() => {
          for (const chunk of chunks) census.add(chunk, chunk.sizeBytes)
        })
      ),
      census
    )
  })

export interface EvictionInput {
  readonly files: Files["Service"]
  readonly layout: StoreLayout
  readonly guards: DigestGuards["Service"]
  readonly census: Census
  readonly selection: Selection
  /** Counts what was evicted, also when this is interrupted. */
  readonly tally: Tally
}

/** Makes a marker of a chunk that is still as it was judged. */
const evictOne = (input: EvictionInput, digest: Digest.Digest): Effect.Effect<void> => {
  const { files, layout, guards, census, selection, tally } = input
  const path = chunkPath(layout, digest)
  return guards
    .guard(digest)(
      Effect.gen(function* () {
        const stat = yield* files.stat(path)
        if (stat.kind !== "file" || stat.sizeBytes === 0) return
        if (census.judge(selection, stat) === "stays") return
        yield* files.replaceFile(path, [], { mode: stat.mode & 0o777 })
        tally.chunks += 1
        tally.bytes += stat.sizeBytes
      }).pipe(Effect.uninterruptible)
    )
    .pipe(Effect.catch((error) => Effect.sync(() => note(tally.errors, error))))
}

/** Evicts what was selected. */
export const run = (input: EvictionInput): Effect.Effect<void, FilesError> =>
  Effect.suspend(() => {
    const { census, files, layout, selection, tally } = input
    let wantedBytes = selection.bytesFrom
    const choose = (chunks: ReadonlyArray<FoundChunk>): ReadonlyArray<FoundChunk> =>
      chunks.filter((chunk) => {
        const judged = census.judge(selection, chunk)
        if (judged !== "goes while wanted") return judged === "goes"
        if (wantedBytes <= 0) return false
        wantedBytes -= chunk.sizeBytes
        return true
      })
    return visit(files, layout, tally.errors, (chunks) =>
      Effect.forEach(choose(chunks), ({ digest }) => evictOne(input, digest), {
        concurrency: evictionsAtOnce,
        discard: true
      })
    )
  })
