/**
 * ChunkListing: goes through the chunk folders of a store and judges every file (see `Judging`). Only regular files
 * with the names that chunks, condemned chunks and temporary files of chunks have are judged; everything else is left
 * alone and counted.
 *
 * Nothing is removed here, and one folder that cannot be read is an error that is counted.
 */
import * as Effect from "effect/Effect"
import { type ChildStat, Files, type FilesError, isNotFound } from "../platform/Files.ts"
import { Progress } from "../platform/Progress.ts"
import type { StoreLayout } from "../store/StoreLayout.ts"
import {
  type ChunkListing,
  digestHexLength,
  type Judging,
  type JudgingInput,
  loadDigest,
  make,
  meaningOf,
  plainChunk,
  settle
} from "./Judging.ts"

export type { ChunkCounts, ChunkListing } from "./Judging.ts"

export interface ListingInput extends JudgingInput {
  readonly layout: StoreLayout
}

const folderPattern = /^[0-9a-f]{4}$/

/** Some milliseconds of work in a usual store. */
export const foldersPerTurn = 64

/** Names of the chunk folders that are there, in order. */
export const chunkFolders = (layout: StoreLayout): Effect.Effect<ReadonlyArray<string>, FilesError, Files> =>
  Effect.gen(function* () {
    const entries = yield* (yield* Files).readDirectory(layout.chunks)
    return entries
      .filter(({ kind, name }) => kind === "directory" && folderPattern.test(name))
      .map(({ name }) => name)
      .toSorted()
  })

const judgeChunk = (state: Judging, child: ChildStat): boolean => {
  const { digestBytes, marks } = state
  const isWhole = child.sizeBytes > 0
  settle(state, child, plainChunk, isWhole ? marks.keepsFound(digestBytes) : marks.keeps(digestBytes))
  return isWhole
}

/** What a condemned chunk is worth depends on whether there is a good one, so these come when all chunks are seen. */
const judgeOthers = (
  state: Judging,
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

const judgeFolder = (state: Judging, folder: string, children: ReadonlyArray<ChildStat>): void => {
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

/** A folder that is gone holds nothing; one that cannot be read is an error like one file that cannot. */
const listFolder = (
  layout: StoreLayout,
  state: Judging,
  files: Files["Service"],
  folder: string
): Effect.Effect<void> =>
  Effect.match(files.statDirectory(`${layout.chunks}/${folder}`), {
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
    const state = make(input)
    const folders = yield* chunkFolders(input.layout)
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
    for (const folder of folders) {
      yield* listFolder(input.layout, state, files, folder)
      if (state.listing.folders % foldersPerTurn !== 0) continue
      progress("running")
      yield* Effect.yieldNow
    }
    progress("ended")
    return state.listing
  })
