/**
 * ObjectListing: goes through the bucket's chunks and the cache folder's files side by side, and judges both (see
 * `Judging`). An object's time is the latest of what the server says, by our clock, and of the local file's times: who
 * has put it is in the one, who found it there in the other.
 *
 * | bucket | folder | comes to |
 * |---|---|---|
 * | chunk | file, marker or nothing | kept, pending or removed together; no marker is made for one that has none |
 * | nothing, or an empty object | file or marker | `unlisted`: what it says has to be looked into |
 * | condemned chunk | with or without a file | kept while it is all there is, else removed when it is old |
 * | nothing | condemned chunk, temporary, `.using` | the same, in the folder alone |
 *
 * No marker is made here, although the listing shows that the object exists: that would take the guard and another
 * look for each, to spare one request when the chunk is stored again. Nothing is removed either. Objects of a folder
 * that cannot be read stay: nobody knows who uses them.
 */
import * as Effect from "effect/Effect"
import { type ChildStat, Files, isNotFound } from "../../platform/Files.ts"
import { Progress } from "../../platform/Progress.ts"
import type { StorageError } from "../../store/StorageError.ts"
import type { StoreLayout } from "../../store/StoreLayout.ts"
import { chunkFolders, foldersPerTurn } from "../ChunkListing.ts"
import type { GcRules } from "../GcRules.ts"
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
} from "../Judging.ts"
import { type RemovalKind, Removals } from "../Removals.ts"
import { type BucketSite, latestOwnSeconds } from "./BucketSite.ts"
import { type ChunkObject, ChunkObjects, isWhole } from "../../store/bucket/ChunkObjects.ts"
import { FileRows } from "../../store/bucket/FileRows.ts"

export interface ObjectListingInput extends JudgingInput {
  readonly layout: StoreLayout
  readonly site: BucketSite
  readonly rules: GcRules
}

export interface ObjectListing {
  /** What the bucket holds, and may lose; `abandoned` are files of the folder. */
  readonly listing: ChunkListing
  /** Files of the folder that may go and have no object. */
  readonly locals: Removals
  /** Chunk files and markers whose objects the listing lacks. */
  readonly unlisted: FileRows
  /** Requests that the listing took. */
  readonly pages: number
}

interface Pass {
  readonly input: ObjectListingInput
  readonly judging: Judging
  readonly locals: Removals
  readonly unlisted: FileRows
}

/** The names of one digest in the folder. */
interface LocalNames {
  chunk: ChildStat | undefined
  readonly bad: Map<number, ChildStat>
  readonly temporaries: Array<readonly [RemovalKind, ChildStat]>
}

const usingSuffix = ".using"

const meaningHere = (suffix: string): RemovalKind | undefined =>
  suffix === "" ? plainChunk : suffix === usingSuffix ? { kind: "temporary", suffix } : meaningOf(suffix)

/** By digest; everything else is foreign. */
const sortNames = ({ judging }: Pass, folder: string, children: ReadonlyArray<ChildStat>) => {
  const found = new Map<string, LocalNames>()
  for (const child of children) {
    const hex = child.name.slice(0, digestHexLength)
    const meaning = meaningHere(child.name.slice(digestHexLength))
    if (child.kind !== "file" || meaning === undefined || !loadDigest(judging, folder, hex)) {
      judging.listing.foreign += 1
      continue
    }
    const names: LocalNames = found.get(hex) ?? { chunk: undefined, bad: new Map(), temporaries: [] }
    found.set(hex, names)
    if (meaning.kind === "chunk") names.chunk = child
    else if (meaning.kind === "bad") names.bad.set(meaning.number, child)
    else names.temporaries.push([meaning, child])
  }
  return found
}

/** An object as `settle` takes it. */
const described = ({ input }: Pass, object: ChunkObject, local: ChildStat | undefined) => {
  const { rules, site } = input
  const skew = rules.correctsSkew ? site.skew : undefined
  const putSeconds = rules.respectsLastModified ? latestOwnSeconds(skew, object.lastModifiedSeconds) : 0
  const atimeSeconds = Math.max(putSeconds, local?.atimeSeconds ?? 0)
  return {
    sizeBytes: object.sizeBytes,
    atimeSeconds,
    mtimeSeconds: Math.max(putSeconds, local?.mtimeSeconds ?? 0)
  }
}

const judgeDigest = (
  pass: Pass,
  objects: ReadonlyArray<ChunkObject>,
  local: LocalNames | undefined,
  isReadable: boolean
): void => {
  const { judging, locals, unlisted } = pass
  const { digestBytes, marks } = judging
  const chunk = objects.find(({ number }) => number === undefined)
  const isThere = chunk !== undefined && isWhole(chunk)
  const isMarked = isThere ? marks.keepsFound(digestBytes) : marks.keeps(digestBytes)
  if (chunk !== undefined) {
    settle(judging, described(pass, chunk, local?.chunk), plainChunk, isMarked || !isReadable)
  }
  if (!isThere && local?.chunk !== undefined) unlisted.add(digestBytes, local.chunk)
  const isKeptBad = isMarked && !isThere
  for (const object of objects) {
    if (object.number === undefined) continue
    const meaning = { kind: "bad", number: object.number } as const
    const here = local?.bad.get(object.number)
    settle(judging, described(pass, object, here), meaning, isKeptBad || !isReadable)
    local?.bad.delete(object.number)
  }
  for (const [number, child] of local?.bad ?? []) {
    settle(judging, child, { kind: "bad", number }, isKeptBad, locals)
  }
  for (const [meaning, child] of local?.temporaries ?? []) settle(judging, child, meaning, false, locals)
}

const judgeFolder = (
  pass: Pass,
  folder: string,
  objects: ReadonlyArray<ChunkObject>,
  children: ReadonlyArray<ChildStat> | undefined
): void => {
  const { judging } = pass
  const names = sortNames(pass, folder, children ?? [])
  const isReadable = children !== undefined
  for (const [digest, together] of Map.groupBy(objects, (object) => object.digest)) {
    loadDigest(judging, folder, digest)
    judgeDigest(pass, together, names.get(digest), isReadable)
    names.delete(digest)
  }
  for (const [hex, local] of names) {
    loadDigest(judging, folder, hex)
    judgeDigest(pass, [], local, isReadable)
  }
  judging.listing.folders += 1
}

/** Undefined for a folder that cannot be read. */
const listFolder = ({ input, judging }: Pass, files: Files["Service"], folder: string) =>
  files.statDirectory(`${input.layout.chunks}/${folder}`).pipe(
    Effect.catch((error) =>
      Effect.sync((): ReadonlyArray<ChildStat> | undefined => {
        if (isNotFound(error)) return []
        judging.errors.push(error.message)
        return undefined
      })
    )
  )

/** The lesser of two names; undefined is behind all names. */
const first = (left: string | undefined, right: string | undefined): string | undefined =>
  left === undefined || (right !== undefined && right < left) ? right : left

export const run = (input: ObjectListingInput): Effect.Effect<ObjectListing, StorageError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const report = yield* Progress
    const { layout, site } = input
    const pass: Pass = { input, judging: make(input), locals: new Removals(), unlisted: new FileRows() }
    const { listing } = pass.judging
    const objects = new ChunkObjects(site.bucket)
    const progress = (state: "started" | "running" | "ended") =>
      report({
        type: "progress",
        task: "gc-sweep",
        subject: layout.base,
        state,
        unit: "chunks",
        done: objects.count,
        total: undefined,
        counts: { removable: listing.removals.count, requests: objects.pages }
      })
    const folders = yield* chunkFolders(layout)
    progress("started")
    for (let at = 0; ;) {
      const inBucket = yield* objects.folder
      const folder = first(folders[at], inBucket)
      if (folder === undefined) break
      const taken = inBucket === folder ? yield* objects.take(folder) : []
      const children = folders[at] === folder ? yield* listFolder(pass, files, folder) : []
      if (folders[at] === folder) at += 1
      judgeFolder(pass, folder, taken, children)
      if (listing.folders % foldersPerTurn !== 0) continue
      progress("running")
      yield* Effect.yieldNow
    }
    listing.foreign += objects.foreign
    progress("ended")
    return { listing, locals: pass.locals, unlisted: pass.unlisted, pages: objects.pages }
  })
