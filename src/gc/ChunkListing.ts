/**
 * ChunkListing: goes through the chunk folders of a store and judges every file: kept, pending, or to be removed.
 *
 * A file is removed when no mark keeps it and neither its access time nor its modification time reaches the cutoff
 * (the later of the two counts, for a file system may not keep access times up by itself). Younger ones that nobody
 * needs are pending: a later collection will find them old enough. Only regular files with the names that chunks,
 * condemned chunks and temporary files of chunks have are judged; everything else is left alone and counted.
 *
 * Nothing is removed here, and one folder that cannot be read is an error that is counted.
 */
import * as Effect from "effect/Effect"
import * as Digest from "../model/Digest.ts"
import { type ChildStat, Files, type FilesError, isNotFound } from "../platform/Files.ts"
import { Progress } from "../platform/Progress.ts"
import { covers, type Doubt } from "../store/Doubts.ts"
import type { StoreLayout } from "../store/StoreLayout.ts"
import type { Marks } from "./Marks.ts"
import { type RemovalKind, Removals } from "./Removals.ts"

export interface ListingInput {
  readonly layout: StoreLayout
  readonly marks: Marks
  readonly cutoffSeconds: number
  /** Unneeded files that are older than this wait for their removal; younger ones may be in use. */
  readonly writersSeconds: number
  /** What a power loss may have torn. */
  readonly doubts: ReadonlyArray<Doubt>
}

export interface ChunkCounts {
  chunks: number
  bytes: number
}

export interface ChunkListing {
  readonly removals: Removals
  readonly kept: ChunkCounts
  readonly pending: ChunkCounts
  readonly removable: ChunkCounts
  readonly removableBad: number
  /** Condemned chunks that stay. */
  readonly keptBad: number
  /** Temporary files of crashed writers. */
  readonly abandoned: ChunkCounts
  /** Chunks in doubt that stay although no mark keeps them (marks that are access times keep none). */
  readonly doubtful: number
  /** Files that are none of ours. */
  readonly foreign: number
  readonly folders: number
  readonly errors: ReadonlyArray<string>
}

const folderPattern = /^[0-9a-f]{4}$/
const badPattern = /^\.[0-9]\.bad$/
const digestHexLength = 64
const temporaryStart = ".tmp_"

/** Some milliseconds of work in a usual store. */
const foldersPerTurn = 64

const plainChunk: RemovalKind = { kind: "chunk" }

/** What the name of a file says behind the digest; undefined when it is not one of ours. */
const meaningOf = (suffix: string): RemovalKind | undefined => {
  if (badPattern.test(suffix)) return { kind: "bad", number: Number(suffix[1]) }
  return suffix.startsWith(temporaryStart) ? { kind: "temporary", suffix } : undefined
}

interface State extends ListingInput {
  readonly listing: ChunkListing & {
    removableBad: number
    keptBad: number
    doubtful: number
    foreign: number
    folders: number
  }
  readonly errors: Array<string>
  /** The digest that is judged at the moment. */
  readonly digestBytes: Buffer
}

const count = (counts: ChunkCounts, sizeBytes: number): void => {
  counts.chunks += 1
  counts.bytes += sizeBytes
}

/** Counts one file that is old or young, marked or not. */
const settle = (state: State, child: ChildStat, meaning: RemovalKind, isKept: boolean): void => {
  const { digestBytes, listing } = state
  const { sizeBytes } = child
  const timeSeconds = Math.max(child.atimeSeconds, child.mtimeSeconds)
  if (!isKept && timeSeconds < state.cutoffSeconds) {
    listing.removals.add(digestBytes, meaning, sizeBytes)
    if (meaning.kind === "temporary") return count(listing.abandoned, sizeBytes)
    listing.removable.bytes += sizeBytes
    if (meaning.kind === "bad") listing.removableBad += 1
    else listing.removable.chunks += 1
    return
  }
  if (meaning.kind === "temporary") return
  if (!isKept && meaning.kind === "chunk" && covers(state.doubts, child.mtimeSeconds)) listing.doubtful += 1
  const counts = !isKept && timeSeconds < state.writersSeconds ? listing.pending : listing.kept
  counts.bytes += sizeBytes
  if (meaning.kind === "bad") listing.keptBad += 1
  else counts.chunks += 1
}

/** Puts the digest of a name where `settle` finds it; false when the name does not begin with one of this folder. */
const loadDigest = ({ digestBytes }: State, folder: string, hex: string): boolean => {
  if (!Digest.isDigest(hex) || !hex.startsWith(folder)) return false
  digestBytes.write(hex, "hex")
  return true
}

const judgeChunk = (state: State, child: ChildStat): boolean => {
  const { digestBytes, marks } = state
  const isWhole = child.sizeBytes > 0
  settle(state, child, plainChunk, isWhole ? marks.keepsFound(digestBytes) : marks.keeps(digestBytes))
  return isWhole
}

/** What a condemned chunk is worth depends on whether there is a good one, so these come when all chunks are seen. */
const judgeOthers = (
  state: State,
  folder: string,
  others: ReadonlyArray<ChildStat>,
  present: ReadonlySet<string>
): void => {
  for (const child of others) {
    const hex = child.name.slice(0, digestHexLength)
    const meaning = meaningOf(child.name.slice(digestHexLength))
    if (child.kind !== "file" || meaning === undefined || !loadDigest(state, folder, hex)) {
      state.listing.foreign += 1
      continue
    }
    const isKept = meaning.kind === "bad" && !present.has(hex) && state.marks.keeps(state.digestBytes)
    settle(state, child, meaning, isKept)
  }
}

const judgeFolder = (state: State, folder: string, children: ReadonlyArray<ChildStat>): void => {
  const present = new Set<string>()
  const others: Array<ChildStat> = []
  for (const child of children) {
    const { kind, name } = child
    const isChunk = kind === "file" && name.length === digestHexLength && loadDigest(state, folder, name)
    if (!isChunk) others.push(child)
    else if (judgeChunk(state, child)) present.add(name)
  }
  judgeOthers(state, folder, others, present)
}

const emptyListing = (errors: ReadonlyArray<string>): State["listing"] => ({
  removals: new Removals(),
  kept: { chunks: 0, bytes: 0 },
  pending: { chunks: 0, bytes: 0 },
  removable: { chunks: 0, bytes: 0 },
  removableBad: 0,
  keptBad: 0,
  abandoned: { chunks: 0, bytes: 0 },
  doubtful: 0,
  foreign: 0,
  folders: 0,
  errors
})

/** A folder that is gone holds nothing; one that cannot be read is an error like one file that cannot. */
const listFolder = (state: State, files: Files["Service"], folder: string): Effect.Effect<void> =>
  Effect.match(files.statDirectory(`${state.layout.chunks}/${folder}`), {
    onSuccess: (children) => {
      judgeFolder(state, folder, children)
      state.listing.folders += 1
    },
    onFailure: (error) => {
      if (!isNotFound(error)) state.errors.push(error.message)
      state.listing.folders += 1
    }
  })

export const run = (input: ListingInput): Effect.Effect<ChunkListing, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const report = yield* Progress
    const errors: Array<string> = []
    const digestBytes = Buffer.alloc(Digest.lengthBytes)
    const state: State = { ...input, errors, digestBytes, listing: emptyListing(errors) }
    const entries = yield* files.readDirectory(input.layout.chunks)
    const folders = entries.filter(({ kind, name }) => kind === "directory" && folderPattern.test(name))
    const progress = (phase: "started" | "running" | "ended") =>
      report({
        type: "progress",
        task: "gc-sweep",
        subject: input.layout.base,
        state: phase,
        unit: "folders",
        done: state.listing.folders,
        total: folders.length,
        counts: { removable: state.listing.removals.count }
      })
    progress("started")
    for (const { name } of folders.toSorted((left, right) => (left.name < right.name ? -1 : 1))) {
      yield* listFolder(state, files, name)
      if (state.listing.folders % foldersPerTurn !== 0) continue
      progress("running")
      yield* Effect.yieldNow
    }
    progress("ended")
    return state.listing
  })
