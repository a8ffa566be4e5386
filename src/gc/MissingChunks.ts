/**
 * MissingChunks: chunks that indexes need and the store lacks, and which snapshots that makes unusable.
 *
 * The sweep finds them without effort: marks that met no file. Each is looked at once more, for it may have been
 * stored anew since (a condemned chunk, for example). Only when something is missing the indexes are read a second
 * time, to find out whose it is. Their snapshots are marked as failed, so that no backup builds on them; the next one
 * stores everything.
 */
import * as Effect from "effect/Effect"
import { Datastore } from "../datastore/Datastore.ts"
import type { ChunkIndex } from "../format/ChunkIndex.ts"
import * as ManifestNotes from "../format/ManifestNotes.ts"
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import type { Files } from "../platform/Files.ts"
import type { StoreError } from "../store/StoreError.ts"
import { snapshotPath } from "../store/StoreLayout.ts"
import * as IndexFile from "./IndexFile.ts"
import { forEachStretch } from "./Marks.ts"
import type { StorageError } from "../store/StorageError.ts"

type Failure = StorageError | StoreError

export interface MissingPlace {
  readonly namespace: Namespace.Namespace
  readonly snapshot: Snapshot.Snapshot
  /** File name of the archive. */
  readonly archive: string
}

export interface MissingChunk {
  readonly digest: Digest.Digest
  readonly places: ReadonlyArray<MissingPlace>
}

/** An archive that cannot be restored as a whole. */
export interface BrokenArchive extends MissingPlace {
  /** Different chunks of it that are missing. */
  readonly chunks: number
}

export interface MissingChunks {
  readonly count: number
  /**
   * The first ten thousand, by digest; those that only unfinished snapshots and strays name have no place. What only
   * snapshots need that the store has no more (another host has removed them) is not missing.
   */
  readonly chunks: ReadonlyArray<MissingChunk>
  readonly archives: ReadonlyArray<BrokenArchive>
  /** Chunks that could not be looked at. */
  readonly errors: ReadonlyArray<string>
}

export const nothingMissing: MissingChunks = { count: 0, chunks: [], archives: [], errors: [] }

const listedMax = 10_000

/** Those of the digests that are really absent. */
const confirm = (digests: Uint8Array, errors: Array<string>) =>
  Effect.gen(function* () {
    const { presence } = yield* Datastore
    const row = (number: number) =>
      digests.subarray(number * Digest.lengthBytes, (number + 1) * Digest.lengthBytes)
    const all = yield* Effect.result(presence.findAbsent(digests))
    if (all._tag === "Success") return all.success.map(row)
    // One that cannot be looked at must not hide the others.
    const absent: Array<Uint8Array> = []
    for (let number = 0; number < digests.length / Digest.lengthBytes; number++) {
      const one = yield* Effect.result(presence.findAbsent(row(number)))
      if (one._tag === "Failure") errors.push(one.failure.message)
      else if (one.success.length > 0) absent.push(row(number))
    }
    return absent
  })

/** An index that is not in the folder. */
export interface ElsewhereIndex {
  readonly place: MissingPlace
  /** Undefined when it is gone or damaged. */
  readonly read: Effect.Effect<ChunkIndex | undefined, Failure>
}

export interface LocateOptions {
  /** Of a snapshot in the folder: whether the store has it. Default: yes. */
  readonly isThere?: (place: Omit<MissingPlace, "archive">) => boolean
  /** Default: none. */
  readonly elsewhere?: ReadonlyArray<ElsewhereIndex>
}

interface Search extends LocateOptions {
  /** Number of each missing digest. */
  readonly numbers: DigestTable
  readonly places: Array<Array<MissingPlace>>
  readonly archives: Array<BrokenArchive>
  /** Numbers of digests that something in the store needs, and of those that removed snapshots were seen to need. */
  readonly needed: Set<number>
  readonly excused: Set<number>
}

const readOrNothing = (path: string) =>
  IndexFile.read(path).pipe(Effect.catchTag("StoreError", () => Effect.succeed(undefined)))

/** The numbers of the missing digests that an index names. */
const numbersIn = ({ numbers }: Search, index: ChunkIndex | undefined) =>
  Effect.gen(function* () {
    const found = new Set<number>()
    if (index === undefined) return found
    yield* forEachStretch(index, (offset, stride, count) => {
      for (let entry = 0; entry < count; entry++) {
        const number = numbers.get(index.entries, offset + entry * stride)
        if (number !== undefined) found.add(number)
      }
    })
    return found
  })

const searchIndex = (search: Search, index: ChunkIndex | undefined, place: MissingPlace) =>
  Effect.map(numbersIn(search, index), (found) => {
    if (found.size === 0) return
    search.archives.push({ ...place, chunks: found.size })
    for (const number of found) {
      search.needed.add(number)
      search.places[number]?.push(place)
    }
  })

const isGone = (error: Failure): boolean =>
  error._tag === "StoreError" && (error.reason === "NoSuchGroup" || error.reason === "NoSuchNamespace")

const searchGroups = (search: Search) =>
  Effect.gen(function* () {
    const { hierarchy, layout } = yield* Datastore
    for (const namespace of yield* hierarchy.namespaces(Namespace.root)) {
      const groups = yield* hierarchy.groups(namespace).pipe(Effect.catchIf(isGone, () => Effect.succeed([])))
      for (const group of groups) {
        const entries = yield* hierarchy
          .snapshots(namespace, group)
          .pipe(Effect.catchIf(isGone, () => Effect.succeed([])))
        for (const { files, finished, snapshot } of entries) {
          if (!finished) continue
          const isThere = search.isThere?.({ namespace, snapshot }) ?? true
          for (const archive of files.filter(IndexFile.isIndexName)) {
            const index = yield* readOrNothing(`${snapshotPath(layout, namespace, snapshot)}/${archive}`)
            if (isThere) yield* searchIndex(search, index, { namespace, snapshot, archive })
            else for (const number of yield* numbersIn(search, index)) search.excused.add(number)
          }
        }
      }
    }
  })

/** Whose the chunks are that are absent. */
export const locate = (
  digests: ReadonlyArray<Uint8Array>,
  options: LocateOptions = {}
): Effect.Effect<MissingChunks, Failure, Datastore | Files> =>
  Effect.gen(function* () {
    if (digests.length === 0) return nothingMissing
    const absent = digests.toSorted((left, right) => Buffer.compare(left, right))
    const numbers = new DigestTable(absent.length)
    absent.forEach((bytes, number) => numbers.set(bytes, 0, number))
    const found = { archives: [], needed: new Set<number>(), excused: new Set<number>() }
    const places = absent.slice(0, listedMax).map(() => [])
    const search: Search = { ...options, ...found, numbers, places }
    yield* searchGroups(search)
    for (const { place, read } of options.elsewhere ?? []) yield* searchIndex(search, yield* read, place)
    const { archives, excused, needed } = search
    const isMissing = (number: number): boolean => needed.has(number) || !excused.has(number)
    const chunks = search.places.flatMap((inPlaces, number): ReadonlyArray<MissingChunk> => {
      const bytes = absent[number]
      return bytes === undefined || !isMissing(number)
        ? []
        : [{ digest: Digest.fromBytes(bytes), places: inPlaces }]
    })
    const count = absent.reduce((sum, _, number) => sum + (isMissing(number) ? 1 : 0), 0)
    return { count, chunks, archives, errors: [] }
  })

/** `notFound` are marked digests that the sweep did not meet, 32 bytes each. */
export const find = (notFound: Uint8Array): Effect.Effect<MissingChunks, Failure, Datastore | Files> =>
  Effect.gen(function* () {
    if (notFound.length === 0) return nothingMissing
    const errors: Array<string> = []
    const located = yield* locate(yield* confirm(notFound, errors))
    return { ...located, errors }
  })

/** The snapshots to which the archives belong, each once. */
export const snapshotsOf = (archives: ReadonlyArray<BrokenArchive>): ReadonlyArray<MissingPlace> => [
  ...new Map(archives.map((place) => [Snapshot.toPath(place.namespace, place.snapshot), place])).values()
]

/** Marks snapshots as failed; answers warnings about those that could not be marked. */
export const condemn = (
  archives: ReadonlyArray<BrokenArchive>,
  upid: string
): Effect.Effect<ReadonlyArray<string>, never, Datastore> =>
  Effect.gen(function* () {
    const { snapshotFiles } = yield* Datastore
    const results = yield* Effect.forEach(snapshotsOf(archives), ({ namespace, snapshot }) =>
      snapshotFiles
        .updateManifest(namespace, snapshot, (manifest) =>
          ManifestNotes.withVerifyState(manifest, { state: "failed", upid })
        )
        .pipe(
          Effect.as([]),
          Effect.catch((error) =>
            // Forgotten in the meantime: nobody will build on it.
            Effect.succeed(
              error._tag === "StoreError" &&
                (error.reason === "NoSuchSnapshot" || error.reason === "Unfinished")
                ? []
                : [`${Snapshot.format(snapshot)} could not be marked as failed: ${error.message}`]
            )
          )
        )
    )
    return results.flat()
  })
