/**
 * SnapshotContents: files and chunks of snapshots as a server stores them.
 *
 * A server gives out a chunk in a session in which an index that names it was asked for. So of every index that is read
 * is remembered which chunks it names, and a chunk is asked for in a session of a snapshot that has it: of the one that
 * was read last, or, when that is gone, of the first. Small files come without a session where none is open: going
 * through the manifests of many snapshots takes one request for each.
 *
 * Invariant: a chunk counts as missing only when the server says so in a session that may have it.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { type ChunkIndex, headerSizeBytes } from "../format/ChunkIndex.ts"
import * as DynamicIndex from "../format/DynamicIndex.ts"
import * as FixedIndex from "../format/FixedIndex.ts"
import { FormatError } from "../format/FormatError.ts"
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"
import { Entropy } from "../platform/Entropy.ts"
import { largestBlobBytes } from "../platform/chunkContent.ts"
import { indexMaxBytes } from "../store/SnapshotFiles.ts"
import { keyOf, type SnapshotPlace, snapshotParameters } from "./places.ts"
import type { ReaderSession, ReaderSessions } from "./ReaderSessions.ts"
import type { Remote } from "./Remote.ts"
import { isMissing, RemoteError } from "./RemoteError.ts"

export interface SnapshotContents {
  /** The stored bytes of a file. */
  readonly file: (place: SnapshotPlace, name: string) => Effect.Effect<Uint8Array, RemoteError>
  /** The stored blob of a chunk that some index names which was read. */
  readonly chunk: (digest: Digest.Digest) => Effect.Effect<Uint8Array, RemoteError>
}

const isIndex = (name: string): boolean => /\.[fd]idx$/.test(name)

/** An index that was read, and so a way to its chunks. */
interface Source {
  readonly place: SnapshotPlace
  readonly name: string
}

/** Undefined for bytes that are no index: whoever asked for them says what is wrong with them. */
const decoded = (name: string, bytes: Uint8Array): ChunkIndex | undefined => {
  try {
    return name.endsWith(".fidx") ? FixedIndex.decode(bytes) : DynamicIndex.decode(bytes)
  } catch (error) {
    if (error instanceof FormatError) return undefined
    throw error
  }
}

/** Which index leads to a chunk. */
const makeWays = (seed: number) => {
  const sources: Array<Source> = []
  const numbers = new Map<string, number>()
  const first = new DigestTable(0, seed)
  /** Where that is another one. */
  const latest = new DigestTable(0, seed)

  const numberOf = (source: Source): number => {
    const key = `${keyOf(source.place)}/${source.name}`
    const number = numbers.get(key) ?? sources.push(source) - 1
    numbers.set(key, number)
    return number
  }

  return {
    add: (source: Source, index: ChunkIndex): void => {
      const number = numberOf(source)
      for (let chunk = 0; chunk < index.count; chunk++) {
        const at = index.digestOffset(chunk)
        const known = first.get(index.entries, at)
        if (known === undefined) first.set(index.entries, at, number)
        else if (known !== number) latest.set(index.entries, at, number)
      }
    },
    find: (digest: Digest.Digest): ReadonlyArray<Source> => {
      const bytes = Digest.toBytes(digest)
      const found = [latest.get(bytes), first.get(bytes)]
      return found.flatMap((number) => (number === undefined ? [] : (sources[number] ?? [])))
    }
  }
}

const downloadIn = ({ session }: ReaderSession, name: string) =>
  session.bytes("/download", { "file-name": name }, isIndex(name) ? indexMaxBytes : largestBlobBytes)

const turnOf = ({ indexes }: ReaderSession, name: string) => {
  const known = indexes.get(name) ?? { turn: Semaphore.makeUnsafe(1), isThere: false }
  indexes.set(name, known)
  return known
}

/** Asks for the index in the session, unless that was done. */
const ensureIndex = (opened: ReaderSession, name: string): Effect.Effect<void, RemoteError> =>
  Effect.suspend(() => {
    const index = turnOf(opened, name)
    if (index.isThere) return Effect.void
    return index.turn.withPermit(
      Effect.suspend(() => {
        if (index.isThere) return Effect.void
        return Effect.map(downloadIn(opened, name), () => void (index.isThere = true))
      })
    )
  })

const unknownChunk = (server: string, digest: Digest.Digest): RemoteError =>
  new RemoteError({ reason: "Refused", server, detail: `no index that was read names the chunk ${digest}` })

export const make = (remote: Remote, sessions: ReaderSessions): Effect.Effect<SnapshotContents> =>
  Effect.gen(function* () {
    const entropy = yield* Entropy
    const ways = makeWays(Buffer.from(entropy(4)).readUInt32LE())

    const index = (place: SnapshotPlace, name: string) =>
      sessions
        .use(place, (opened) =>
          Effect.tap(downloadIn(opened, name), () =>
            Effect.sync(() => void (turnOf(opened, name).isThere = true))
          )
        )
        .pipe(
          Effect.tap((bytes) =>
            Effect.sync(() => {
              const found = bytes.length < headerSizeBytes ? undefined : decoded(name, bytes)
              if (found !== undefined) ways.add({ place, name }, found)
            })
          )
        )

    const alone = (place: SnapshotPlace, name: string) =>
      remote.bytes(
        `/admin/datastore/${remote.address.store}/download`,
        { ...snapshotParameters(place), "file-name": name },
        largestBlobBytes
      )

    const chunkFrom = ({ name, place }: Source, digest: Digest.Digest) =>
      sessions.use(place, (opened) =>
        Effect.andThen(
          ensureIndex(opened, name),
          opened.session.bytes("/chunk", { digest }, largestBlobBytes)
        )
      )

    const chunk = (digest: Digest.Digest): Effect.Effect<Uint8Array, RemoteError> =>
      Effect.suspend(() => {
        const [source, other] = ways.find(digest)
        if (source === undefined) return Effect.fail(unknownChunk(remote.server, digest))
        const got = chunkFrom(source, digest)
        // The snapshot that was read last may have been removed.
        return other === undefined ? got : Effect.catchIf(got, isMissing, () => chunkFrom(other, digest))
      })

    return {
      file: (place, name) => {
        if (isIndex(name)) return index(place, name)
        return sessions.isOpen(place)
          ? sessions.use(place, (opened) => downloadIn(opened, name))
          : alone(place, name)
      },
      chunk
    }
  })
