/**
 * chunkUploads: a chunk as a client sends it: encoded, with the digest and the size that it claims.
 *
 * Invariant: a chunk that is not encrypted is decoded and hashed before it is stored, so that nobody can put wrong
 * content under a digest; of an encrypted one the form is all that can be looked at. The CRC is made here when it is
 * not right, as Proxmox Backup Server does: clients may leave it out.
 *
 * A chunk comes right into shared memory. In a folder's store the thread that decodes and hashes it writes it as well,
 * and compares the CRC on the way: only one that is refused is looked at here.
 */
import * as Effect from "effect/Effect"
import { countStored } from "../../backup/SessionStatistics.ts"
import * as DataBlob from "../../format/DataBlob.ts"
import { FormatError } from "../../format/FormatError.ts"
import * as Digest from "../../model/Digest.ts"
import { ChunkCodec } from "../../platform/ChunkCodec.ts"
import type { Inserted } from "../../store/ChunkStore.ts"
import { crc32 } from "node:zlib"
import * as Answer from "../Answer.ts"
import { ApiError, badRequest } from "../ApiError.ts"
import { rawRoute, type Route } from "../Call.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"
import * as bodies from "./bodies.ts"
import { requireActive, type Upload } from "./Upload.ts"

const contentMaxBytes = 16 * 1024 * 1024

export const encodedMaxBytes = DataBlob.encodedSizeMax(contentMaxBytes)

const rules = {
  wid: Parameters.integer(1, 256),
  digest: Parameters.digest,
  size: Parameters.integer(1, contentMaxBytes),
  "encoded-size": Parameters.integer(13, encodedMaxBytes)
}

interface Claimed {
  readonly digest: Digest.Digest
  readonly sizeBytes: number
}

/** What is wrong with content that was found to be; worked out once more, because that happens hardly ever. */
const explain = (blob: Uint8Array, { digest, sizeBytes }: Claimed): ApiError => {
  try {
    const data = DataBlob.decode(blob, { maxSizeBytes: contentMaxBytes })
    return data.length === sizeBytes
      ? badRequest("detected chunk with wrong digest.")
      : badRequest(`detected chunk with wrong length (${data.length} != ${sizeBytes})`)
  } catch (error) {
    if (error instanceof FormatError) return badRequest(`chunk ${digest} cannot be decoded: ${error.message}`)
    throw error
  }
}

const crcOffset = 8

/** Gives the blob the checksum that its content has; false when it had it. */
const mendCrc = (blob: Uint8Array, kind: DataBlob.BlobKind): boolean => {
  const crc = crc32(blob.subarray(DataBlob.headerSize(kind)))
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
  if (view.getUint32(crcOffset, true) === crc) return false
  view.setUint32(crcOffset, crc, true)
  return true
}

const isWithoutCrc = (blob: Uint8Array): boolean =>
  blob.subarray(crcOffset, crcOffset + 4).every((byte) => byte === 0)

type Chunks = Upload["session"]["datastore"]["chunks"]

/** Proven and stored by the same thread. The blob lies in shared memory: what was refused of it is still there. */
const storeProving = (
  insertProving: NonNullable<Chunks["insertProving"]>,
  { blob, kind }: Sent,
  claimed: Claimed
): Effect.Effect<Inserted, ApiError> =>
  Effect.gen(function* () {
    if (isWithoutCrc(blob)) mendCrc(blob, kind)
    const refused = Effect.suspend(() => Effect.fail(explain(blob, claimed)))
    const attempt = insertProving({ ...claimed, blob })
    const again = Effect.suspend(() =>
      mendCrc(blob, kind) ? Effect.catchTag(attempt, "ChunkError", () => refused) : refused
    )
    return yield* told(Effect.catchTag(attempt, "ChunkError", () => again))
  })

/** Where blobs are kept elsewhere than in files. */
const storeProven = (
  chunks: Chunks,
  { blob, kind }: Sent,
  claimed: Claimed
): Effect.Effect<Inserted, ApiError, ChunkCodec> =>
  Effect.gen(function* () {
    mendCrc(blob, kind)
    const codec = yield* ChunkCodec
    const verdict = yield* codec.judge(blob, { ...claimed, crypt: undefined })
    if (verdict.state !== "good") return yield* explain(blob, claimed)
    return yield* told(chunks.insertEncoded(claimed.digest, blob))
  })

/** A blob, as far as its first bytes tell. */
interface Sent {
  readonly blob: Uint8Array
  readonly kind: DataBlob.BlobKind
}

/** Proves what can be proven of a chunk, and stores it with its checksum. */
const store = (
  chunks: Chunks,
  blob: Uint8Array,
  claimed: Claimed
): Effect.Effect<Inserted, ApiError, ChunkCodec> => {
  const kind = DataBlob.kindOfMagic(blob)
  if (kind === undefined || blob.length < DataBlob.headerSize(kind)) {
    return Effect.fail(badRequest("unable to parse raw blob - wrong magic"))
  }
  const { insertProving } = chunks
  return insertProving === undefined
    ? storeProven(chunks, { blob, kind }, claimed)
    : storeProving(insertProving, { blob, kind }, claimed)
}

const count = ({ session }: Upload, sizeBytes: number, encodedBytes: number, isDuplicate: boolean): void => {
  const { statistics } = session
  statistics.chunks += 1
  statistics.sizeBytes += sizeBytes
  countStored(statistics, { sizeBytes, encodedBytes, isDuplicate })
}

const tooLarge = new ApiError({ status: 400, message: "uploaded chunk is larger than announced." })

/** `dynamic_chunk` and `fixed_chunk`. */
export const routeFor = (upload: Upload, kind: "dynamic" | "fixed"): Route<ChunkCodec> =>
  rawRoute(rules, (values, call) => {
    const { digest, size: sizeBytes, wid } = values
    const encodedBytes = values["encoded-size"]
    const { chunks } = upload.session.datastore
    const receive = (memory: Uint8Array) =>
      Effect.gen(function* () {
        const cameBytes = yield* bodies.readInto(call.body, memory, tooLarge)
        if (cameBytes !== encodedBytes) return yield* badRequest("uploaded chunk has unexpected size.")
        return yield* store(chunks, memory, { digest, sizeBytes })
      })
    // Nobody knows what else than a folder's store does with a blob: it gets memory that stays its own.
    const received = Effect.suspend(() =>
      chunks.insertProving === undefined
        ? receive(new Uint8Array(encodedBytes))
        : call.admission.lend(encodedBytes, receive)
    )
    const stored = Effect.gen(function* () {
      yield* requireActive(upload)
      const { duplicate } = yield* received
      const writer = upload.writers.get(kind, wid)
      if (writer instanceof ApiError) return yield* writer
      if (writer.isClosed) return yield* badRequest(`${kind} writer '${wid}' already closed`)
      const problem = writer.noteUpload(sizeBytes)
      if (problem !== undefined) return yield* badRequest(`${kind} writer '${wid}' - ${problem}`)
      upload.known.add(Digest.toBytes(digest), sizeBytes)
      count(upload, sizeBytes, encodedBytes, duplicate)
      return Answer.data(digest)
    })
    // Encoded and decoded.
    return call.admission.admit(encodedBytes + sizeBytes)(stored)
  })
