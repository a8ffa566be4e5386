/**
 * chunkUploads: a chunk as a client sends it: encoded, with the digest and the size that it claims.
 *
 * Invariant: a chunk that is not encrypted is decoded and hashed before it is stored, so that nobody can put wrong
 * content under a digest; of an encrypted one the form is all that can be looked at. The CRC is made here, as Proxmox
 * Backup Server does: clients may leave it out.
 */
import * as Effect from "effect/Effect"
import { countStored } from "../../backup/SessionStatistics.ts"
import * as DataBlob from "../../format/DataBlob.ts"
import { FormatError } from "../../format/FormatError.ts"
import * as Digest from "../../model/Digest.ts"
import { ChunkCodec } from "../../platform/ChunkCodec.ts"
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

/** Gives the blob the checksum that its content has. */
const withCrc = (blob: Uint8Array, kind: DataBlob.BlobKind): Uint8Array => {
  const crc = crc32(blob.subarray(DataBlob.headerSize(kind)))
  const view = new DataView(blob.buffer, blob.byteOffset, blob.byteLength)
  if (view.getUint32(crcOffset, true) !== crc) view.setUint32(crcOffset, crc, true)
  return blob
}

/** Proves what can be proven of a chunk; answers it with its checksum. */
const proven = (sent: Uint8Array, claimed: Claimed): Effect.Effect<Uint8Array, ApiError, ChunkCodec> =>
  Effect.gen(function* () {
    const kind = DataBlob.kindOfMagic(sent)
    if (kind === undefined || sent.length < DataBlob.headerSize(kind)) {
      return yield* badRequest("unable to parse raw blob - wrong magic")
    }
    const blob = withCrc(sent, kind)
    const codec = yield* ChunkCodec
    const { digest, sizeBytes } = claimed
    const verdict = yield* codec.judge(blob, { digest, sizeBytes, crypt: undefined })
    if (verdict.state === "good") return blob
    return yield* explain(blob, claimed)
  })

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
    const stored = Effect.gen(function* () {
      yield* requireActive(upload)
      const sent = yield* bodies.read(call.body, encodedBytes, tooLarge)
      if (sent.length !== encodedBytes) return yield* badRequest("uploaded chunk has unexpected size.")
      const blob = yield* proven(sent, { digest, sizeBytes })
      const { duplicate } = yield* told(upload.session.datastore.chunks.insertEncoded(digest, blob))
      const writer = upload.writers.get(kind, wid)
      if (writer instanceof ApiError) return yield* writer
      if (writer.isClosed) return yield* badRequest(`${kind} writer '${wid}' already closed`)
      const problem = writer.noteUpload(sizeBytes)
      if (problem !== undefined) return yield* badRequest(`${kind} writer '${wid}' - ${problem}`)
      upload.known.add(Digest.toBytes(digest), sizeBytes)
      count(upload, sizeBytes, sent.length, duplicate)
      return Answer.data(digest)
    })
    // Encoded and decoded.
    return call.admission.admit(encodedBytes + sizeBytes)(stored)
  })
