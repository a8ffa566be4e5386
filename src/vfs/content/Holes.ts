/**
 * Holes: where an archive has nothing but zeros, as its index tells: an image's chunks of zeros are known by their
 * digest, at its end also a shorter one. Nobody has to fetch them. A dynamic index has no holes.
 *
 * Invariant: what a hole reads as is what the store holds under its digest.
 */
import * as Effect from "effect/Effect"
import type { ChunkIndex } from "../../format/ChunkIndex.ts"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import * as DataBlob from "../../format/DataBlob.ts"
import type { Seek } from "../Vfs.ts"
import type { DecodedChunks } from "./DecodedChunks.ts"

export interface Holes {
  /** Before `isHole` may be asked. */
  readonly prepare: Effect.Effect<void>
  readonly isHole: (chunk: number) => boolean
  /** See `ContentReader`. */
  readonly seek: (offset: number, wanted: Seek) => Effect.Effect<number | undefined>
  readonly dataBytes: Effect.Effect<number>
}

/** Chunks that are looked at before others get their turn. */
const chunksPerStep = 65_536

const zeroBlock = new Uint8Array(1024 * 1024)

/** That many zeros, not to be changed. */
export const zeros = (lengthBytes: number): Uint8Array =>
  lengthBytes <= zeroBlock.length ? zeroBlock.subarray(0, lengthBytes) : new Uint8Array(lengthBytes)

const isAt = (entries: Uint8Array, offset: number, digest: Uint8Array): boolean => {
  for (let place = 0; place < digest.length; place++) {
    if (entries[offset + place] !== digest[place]) return false
  }
  return true
}

const noHoles = (index: ChunkIndex): Holes => ({
  prepare: Effect.void,
  isHole: () => false,
  seek: (offset, wanted) =>
    Effect.succeed(
      offset < 0 || offset >= index.sizeBytes ? undefined : wanted === "data" ? offset : index.sizeBytes
    ),
  dataBytes: Effect.succeed(index.sizeBytes)
})

/** The first chunk from `first` on that is what is wanted, or the number of chunks. */
const findFrom = (index: ChunkIndex, isWanted: (chunk: number) => boolean, first: number) =>
  Effect.gen(function* () {
    for (let chunk = first; chunk < index.count; chunk++) {
      if (isWanted(chunk)) return chunk
      if ((chunk - first) % chunksPerStep === chunksPerStep - 1) yield* Effect.yieldNow
    }
    return index.count
  })

export const make = (decoded: DecodedChunks, index: ChunkIndex, crypt: CryptConfig | undefined): Holes => {
  const last = index.count - 1
  // An index may claim any size; there are no chunks of it.
  if (index.kind !== "fixed" || index.end(0) > DataBlob.dataSizeMaxBytes) return noHoles(index)

  let digest = new Uint8Array(0)
  let lastDigest = new Uint8Array(0)
  const prepare = Effect.suspend(() => {
    if (digest.length > 0) return Effect.void
    const wholeAndLast = Effect.zip(
      decoded.digestOfZeros(index.end(0), crypt),
      decoded.digestOfZeros(index.end(last) - index.start(last), crypt)
    )
    return Effect.map(wholeAndLast, ([whole, ending]) => {
      digest = new Uint8Array(whole)
      lastDigest = new Uint8Array(ending)
    })
  })
  const isHole = (chunk: number): boolean =>
    isAt(index.entries, index.digestOffset(chunk), chunk === last ? lastDigest : digest)

  const seek = (offset: number, wanted: Seek) =>
    Effect.gen(function* () {
      const first = index.find(offset)
      if (first < 0) return undefined
      yield* prepare
      const found = yield* findFrom(index, (chunk) => isHole(chunk) === (wanted === "hole"), first)
      if (found < index.count) return Math.max(offset, index.start(found))
      return wanted === "hole" ? index.sizeBytes : undefined
    })

  const count = Effect.gen(function* () {
    yield* prepare
    let sizeBytes = 0
    yield* findFrom(
      index,
      (chunk) => {
        if (!isHole(chunk)) sizeBytes += index.end(chunk) - index.start(chunk)
        return false
      },
      0
    )
    return sizeBytes
  })
  let counted: number | undefined
  const dataBytes = Effect.suspend(() =>
    counted === undefined
      ? Effect.tap(count, (sizeBytes) => Effect.sync(() => void (counted = sizeBytes)))
      : Effect.succeed(counted)
  )

  return { prepare, isHole, seek, dataBytes }
}
