/**
 * VerifyCosts: what carrying out the plan of a verification takes, if it finds nothing that it has to look at more
 * closely. What making the plan took is not in it.
 */
import type { Datastore } from "../datastore/Datastore.ts"
import { pageSizeMax } from "../objectstore/ObjectStore.ts"
import * as RequestCosts from "../objectstore/RequestCosts.ts"
import type { ChunkSelection } from "./ChunkSelection.ts"

/** The files of a planned snapshot. */
interface PlannedFiles {
  readonly files: ReadonlyArray<string>
  readonly blobBytes: number
  readonly manifestBytes: number
}

export interface ExpectedWork {
  /** Different chunks that snapshots name. */
  readonly chunks: number
  /** Those of them that are read. */
  readonly reads: number
  /** Their content, before it was compressed: more than what is read, but for the few bytes before each chunk. */
  readonly readBytes: number
  /** What is asked of the bucket; undefined for a store in a folder. */
  readonly cost: RequestCosts.Expectation | undefined
}

const pagesOf = (count: number): number => Math.ceil(count / pageSizeMax)

/** What the note of the result adds to a manifest, at most. */
const noteBytes = 1024

const sum = (planned: ReadonlyArray<PlannedFiles>, of: (snapshot: PlannedFiles) => number): number =>
  planned.reduce((total, snapshot) => total + of(snapshot), 0)

interface Reads {
  readonly count: number
  readonly storedBytes: number
}

const costOf = (
  depth: "full" | "listed",
  chunks: ChunkSelection,
  reads: Reads,
  planned: ReadonlyArray<PlannedFiles>,
  hasFolder: boolean
): RequestCosts.Expectation => {
  /** All files of planned snapshots, manifests among them. */
  const fileCount = sum(planned, ({ files }) => files.length + 1)
  const manifestBytes = sum(planned, (snapshot) => snapshot.manifestBytes)
  const fileBytes = manifestBytes + sum(planned, ({ blobBytes }) => blobBytes) + chunks.indexBytes
  const readsFiles = depth === "full" || !hasFolder
  // A result is written into the manifest, which is read again for that.
  const records = depth === "full" && chunks.sample === undefined && hasFolder
  const recorded = records ? planned.length : 0
  return RequestCosts.expectation(
    {
      // Of chunks that only these snapshots name it may be less, of few among many others more.
      list: depth === "listed" ? pagesOf(chunks.count) + (hasFolder ? pagesOf(fileCount) : 0) : 0,
      get: reads.count + (readsFiles ? fileCount : 0) + recorded,
      put: recorded,
      delete: 0,
      sentBytes: records ? manifestBytes + recorded * noteBytes : 0,
      receivedBytes: reads.storedBytes + (readsFiles ? fileBytes : 0) + (records ? manifestBytes : 0)
    },
    { requestsAre: depth === "listed" ? "about" : "exactly", bytesAre: "at most" }
  )
}

export const expectedWork = (
  depth: "full" | "listed",
  chunks: ChunkSelection,
  planned: ReadonlyArray<PlannedFiles>,
  { bucket, records }: Datastore["Service"]
): ExpectedWork => {
  const { sample } = chunks
  const none = { count: 0, sizeBytes: 0, storedBytes: 0 }
  const reads = sample ?? (depth === "full" ? chunks : none)
  const hasFolder = records !== undefined
  return {
    chunks: chunks.count,
    reads: reads.count,
    readBytes: reads.sizeBytes,
    cost: bucket === undefined ? undefined : costOf(depth, chunks, reads, planned, hasFolder)
  }
}
