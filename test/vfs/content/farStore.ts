/**
 * A store far away, for readers: each chunk takes its time on the test's clock, however many are under way; what was
 * asked for is counted; failures are injected by digest.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import type { ChunkIndex } from "../../../src/format/ChunkIndex.ts"
import type { CryptConfig } from "../../../src/format/CryptConfig.ts"
import * as DynamicIndex from "../../../src/format/DynamicIndex.ts"
import * as FixedIndex from "../../../src/format/FixedIndex.ts"
import * as Digest from "../../../src/model/Digest.ts"
import { ChunkError } from "../../../src/platform/ChunkCodec.ts"
import type { ReadError } from "../../../src/restore/ArchiveReader.ts"
import * as ContentReader from "../../../src/vfs/content/ContentReader.ts"
import * as DecodedChunks from "../../../src/vfs/content/DecodedChunks.ts"
import type { SizedChunk } from "../../../src/vfs/content/Fetches.ts"
import type { ChunkStore, WantedChunk } from "../../../src/store/ChunkStore.ts"

const identity = { uuid: new Uint8Array(16), ctime: 0 }

export const KIB = 1024

export const latencyMillis = 50

/** Of a key that does not matter otherwise. */
export const keyNamed = (fingerprintText: string): CryptConfig => ({ fingerprintText }) as CryptConfig

const digestBytesOf = (data: Uint8Array, crypt?: CryptConfig): Uint8Array =>
  createHash("sha256")
    .update(data)
    .update(crypt?.fingerprintText ?? "")
    .digest()

export const digestOf = (data: Uint8Array, crypt?: CryptConfig): Digest.Digest =>
  Digest.fromBytes(digestBytesOf(data, crypt))

export const wantedOf = (data: Uint8Array, crypt?: CryptConfig): SizedChunk => ({
  digest: digestOf(data, crypt),
  sizeBytes: data.length,
  crypt
})

/** The least that a chunk takes in memory. */
export const pageBytes = 4096

/** Different bytes for each number, none of them zero. */
export const contentOf = (number: number, sizeBytes = pageBytes): Uint8Array => {
  const pattern = Uint8Array.from({ length: 251 }, (_, place) => 1 + ((number * 31 + place) % 251))
  return new Uint8Array(Buffer.alloc(sizeBytes, pattern))
}

export const contentsOf = (count: number, sizeBytes = pageBytes): ReadonlyArray<Uint8Array> =>
  Array.from({ length: count }, (_, number) => contentOf(number, sizeBytes))

export const dynamicOf = (contents: ReadonlyArray<Uint8Array>): ChunkIndex => {
  const builder = new DynamicIndex.DynamicIndexBuilder()
  for (const content of contents) builder.add(builder.sizeBytes + content.length, digestBytesOf(content))
  return DynamicIndex.decode(builder.finish(identity).bytes)
}

export const fixedOf = (
  contents: ReadonlyArray<Uint8Array>,
  chunkSizeBytes: number,
  crypt?: CryptConfig
): ChunkIndex => {
  const builder = new FixedIndex.FixedIndexBuilder({ chunkSizeBytes })
  let end = 0
  for (const content of contents) {
    builder.add(end, content.length, digestBytesOf(content, crypt))
    end += content.length
  }
  return FixedIndex.decode(builder.finish(identity).bytes)
}

export class FarStore {
  readonly chunks: ChunkStore["Service"]
  readonly asked: Array<Digest.Digest> = []
  /** What each digest's reads come to instead, as long as it stays in here. */
  readonly failures = new Map<Digest.Digest, ReadError>()
  underWay = 0
  underWayMax = 0
  bytesUnderWay = 0
  bytesUnderWayMax = 0
  interrupted = 0
  digestsComputed = 0
  /** The time each read takes; Infinity for ever. */
  millis = latencyMillis
  readonly #contents = new Map<string, Uint8Array>()

  constructor(contents: ReadonlyArray<Uint8Array>, parallelism = 12, crypt?: CryptConfig) {
    for (const content of contents) this.#contents.set(digestOf(content, crypt), content)
    this.chunks = {
      read: (wanted: WantedChunk, target?: Uint8Array) => Effect.suspend(() => this.#read(wanted, target)),
      digest: (data: Uint8Array, key: CryptConfig | undefined) =>
        Effect.sync(() => {
          this.digestsComputed += 1
          return digestBytesOf(data, key)
        }),
      parallelism
    } as unknown as ChunkStore["Service"]
  }

  #read(
    { digest, sizeBytes }: WantedChunk,
    target: Uint8Array | undefined
  ): Effect.Effect<Uint8Array, ReadError> {
    const content = this.#contents.get(digest)
    this.asked.push(digest)
    this.underWay += 1
    this.bytesUnderWay += content?.length ?? 0
    this.underWayMax = Math.max(this.underWayMax, this.underWay)
    this.bytesUnderWayMax = Math.max(this.bytesUnderWayMax, this.bytesUnderWay)
    return Effect.gen({ self: this }, function* () {
      yield* this.millis === Infinity ? Effect.never : Effect.sleep(this.millis)
      const failure = this.failures.get(digest)
      if (failure !== undefined) return yield* failure
      if (content === undefined) return yield* new ChunkError({ digest, reason: "Missing", detail: "" })
      if (sizeBytes !== undefined && sizeBytes !== content.length) {
        const detail = `its index says ${sizeBytes} bytes, it holds ${content.length}`
        return yield* new ChunkError({ digest, reason: "Corrupt", detail })
      }
      if (target === undefined) return new Uint8Array(content)
      target.set(content)
      return target.subarray(0, content.length)
    }).pipe(
      Effect.onInterrupt(() => Effect.sync(() => void (this.interrupted += 1))),
      Effect.ensuring(
        Effect.sync(() => {
          this.underWay -= 1
          this.bytesUnderWay -= content?.length ?? 0
        })
      )
    )
  }
}

export const subject = "host/a/2026-11-21T10:00:00Z/root.pxar.didx"

export const readerOf = (store: FarStore, index: ChunkIndex, maxBytes?: number) =>
  Effect.gen(function* () {
    const decoded = yield* DecodedChunks.make(store.chunks, maxBytes === undefined ? {} : { maxBytes })
    return yield* ContentReader.make(decoded, index, undefined, { subject, waitSeconds: 10_000 })
  })

/** Runs a program on the test's clock, and says how long it took there. */
export const timed = <A, E>(program: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const running = yield* Effect.forkChild(program)
    let millis = 0
    for (; running.pollUnsafe() === undefined; millis += latencyMillis) yield* TestClock.adjust(latencyMillis)
    return { value: yield* Fiber.join(running), millis }
  })

/** Reads from one place to another in steps of one size. */
export const readInOrder = (
  reader: ContentReader.ContentReader,
  stepBytes: number,
  from = 0,
  until = reader.sizeBytes
) =>
  Effect.gen(function* () {
    const pieces: Array<Uint8Array> = []
    for (let offset = from; offset < until; offset += stepBytes) {
      pieces.push(yield* reader.read(offset, Math.min(stepBytes, until - offset), until))
    }
    return Buffer.concat(pieces)
  })
