/**
 * ChunkSelection: the different chunks that planned snapshots name, in the order of their digests, and a random sample
 * of them. Indexes that cannot be read are left out: the verification itself says what is wrong with them.
 *
 * Invariant: the same digests, percentage and seed give the same sample, so that a verification can be repeated.
 */
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import type { Datastore } from "../datastore/Datastore.ts"
import { type ChunkIndex, headerSizeBytes } from "../format/ChunkIndex.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"
import type { Namespace } from "../model/Namespace.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import type { StoredSize } from "../store/bucket/StoredSizes.ts"

export interface ChunkSelection {
  /** 32 bytes each in one row, ascending, none twice. */
  readonly digests: Uint8Array
  readonly count: number
  /** Of their content, before it was compressed. */
  readonly sizeBytes: number
  /** Of the chunks as they are stored, at most. */
  readonly storedBytes: number
  /** Of the index files that name them. */
  readonly indexBytes: number
  readonly sample: Sample | undefined
}

export interface Sample {
  readonly percent: number
  readonly seed: string
  /** As those of the selection. */
  readonly digests: Uint8Array
  readonly count: number
  readonly sizeBytes: number
  readonly storedBytes: number
}

export interface SampleOptions {
  readonly percent: number
  readonly seed: string
}

interface NamedFiles {
  readonly namespace: Namespace
  readonly snapshot: Snapshot.Snapshot
  readonly files: ReadonlyArray<string>
}

const { lengthBytes } = Digest

/** The digests in ascending order. */
export const sorted = (digests: Uint8Array): Uint8Array => {
  const buffer = Buffer.from(digests.buffer, digests.byteOffset, digests.byteLength)
  const count = digests.length / lengthBytes
  const heads = Uint32Array.from({ length: count }, (_, number) => buffer.readUInt32BE(number * lengthBytes))
  const order = Uint32Array.from({ length: count }, (_, number) => number).sort((left, right) => {
    const [leftHead, rightHead] = [heads[left] ?? 0, heads[right] ?? 0]
    if (leftHead !== rightHead) return leftHead - rightHead
    const [from, to] = [left * lengthBytes, right * lengthBytes]
    return buffer.compare(buffer, to, to + lengthBytes, from, from + lengthBytes)
  })
  return rowOf(digests, order)
}

const rowOf = (digests: Uint8Array, numbers: ArrayLike<number>): Uint8Array => {
  const row = new Uint8Array(numbers.length * lengthBytes)
  for (let place = 0; place < numbers.length; place++) {
    const from = (numbers[place] ?? 0) * lengthBytes
    row.set(digests.subarray(from, from + lengthBytes), place * lengthBytes)
  }
  return row
}

const drawBytes = 6

/** Whole numbers from 0 to below a limit, evenly: 48 bits each out of a hash that counts. */
const randomFrom = (seed: string): ((limit: number) => number) => {
  let block = Buffer.alloc(0)
  let at = 0
  let blocks = 0
  return (limit) => {
    if (at + drawBytes > block.length) {
      block = Buffer.from(hash("sha256", `${seed} ${blocks++}`, "buffer"))
      at = 0
    }
    const drawn = block.readUIntBE(at, drawBytes)
    at += drawBytes
    return Math.floor((drawn / 2 ** (8 * drawBytes)) * limit)
  }
}

/** So many different numbers below `total`, ascending, every choice as likely as any other (Floyd's algorithm). */
export const pick = (total: number, count: number, seed: string): ReadonlyArray<number> => {
  const random = randomFrom(seed)
  const isPicked = new Uint8Array(total)
  for (let last = total - count; last < total; last++) {
    const drawn = random(last + 1)
    isPicked[isPicked[drawn] === 1 ? last : drawn] = 1
  }
  const picked: Array<number> = []
  for (let number = 0; number < total; number++) if (isPicked[number] === 1) picked.push(number)
  return picked
}

/** At least one chunk, where there are any. */
const countOf = (total: number, percent: number): number =>
  Math.min(total, Math.ceil((total * percent) / 100))

/** Of the content of the chunks, and of the chunks as they are stored. */
const sizesOf = (digests: Uint8Array, sizes: DigestTable, storedSize: StoredSize) => {
  let sizeBytes = 0
  let storedBytes = 0
  for (let at = 0; at < digests.length; at += lengthBytes) {
    const dataBytes = sizes.get(digests, at) ?? 0
    sizeBytes += dataBytes
    storedBytes += storedSize(digests, at, dataBytes)
  }
  return { sizeBytes, storedBytes }
}

const addAll = (sizes: DigestTable, index: ChunkIndex): void => {
  for (let chunk = 0; chunk < index.count; chunk++) {
    sizes.set(index.entries, index.digestOffset(chunk), index.end(chunk) - index.start(chunk))
  }
}

export const make = (
  { snapshotFiles }: Pick<Datastore["Service"], "snapshotFiles">,
  snapshots: ReadonlyArray<NamedFiles>,
  options: SampleOptions | undefined,
  storedSize: StoredSize
): Effect.Effect<ChunkSelection> =>
  Effect.gen(function* () {
    const sizes = new DigestTable()
    let indexBytes = 0
    for (const { namespace, snapshot, files } of snapshots) {
      for (const name of files) {
        const archive = ArchiveName.fromFile(name)
        if (archive.kind === "blob") continue
        const index = yield* Effect.result(snapshotFiles.index(namespace, snapshot, archive))
        if (index._tag === "Success") {
          addAll(sizes, index.success)
          indexBytes += headerSizeBytes + index.success.entries.length
        }
        yield* Effect.yieldNow
      }
    }
    const digests = sorted(sizes.toBytes())
    const count = digests.length / lengthBytes
    const selection = { digests, count, indexBytes, ...sizesOf(digests, sizes, storedSize) }
    if (options === undefined) return { ...selection, sample: undefined }
    const sampleDigests = rowOf(digests, pick(count, countOf(count, options.percent), options.seed))
    const sample = {
      ...options,
      digests: sampleDigests,
      count: sampleDigests.length / lengthBytes,
      ...sizesOf(sampleDigests, sizes, storedSize)
    }
    return { ...selection, sample }
  })
