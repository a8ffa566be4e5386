/**
 * WriteBehind: encodes chunks and writes them to files for a worker thread, which hashes and encodes the next ones
 * while threads of the system's pool wait for the disk. A thread that waited itself would leave its processor idle.
 *
 * A chunk that is not written from where it lies gets an aligned room. A thread has two: one that is written from while
 * the other is filled. So memory is bounded, whatever is asked for; who finds both taken waits its turn.
 *
 * Invariant: a room belongs to one chunk until its file is written; the data of a request stays as it is until its
 * promise is settled.
 */
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as DataBlob from "../format/DataBlob.ts"
import { releaseMemory } from "../format/releaseMemory.ts"
import { AlignedRooms, type Room } from "./AlignedRooms.ts"
import * as BulkFile from "./BulkFile.ts"
import { checkBlob, type Verdict } from "./chunkContent.ts"
import type { ReceiveRequest, Staged } from "./ChunkCodec.ts"

export interface StageRequest {
  readonly data: Uint8Array
  readonly temporaryPath: string
  readonly compress: boolean
  readonly crypt: CryptConfig | undefined
  readonly sync: boolean
  /** The memory around the data is free to be used. */
  readonly hasMargins?: boolean
}

const roomsMax = 2

/** A chunk as it is going to be written. */
interface Sealed {
  readonly header: Uint8Array
  readonly body: Uint8Array
  readonly kind: DataBlob.BlobKind
  readonly hasMargins: boolean
}

const headerBytes = DataBlob.headerSize("encrypted")

/** Ciphertext is made where it is written from; a plain body is the data itself, with the margins around it. */
const seal = ({ compress, crypt, data, hasMargins = false }: StageRequest, room: Room): Sealed => {
  if (crypt === undefined) {
    const sealed = DataBlob.encodeParts(data, { compress })
    return { ...sealed, hasMargins: hasMargins && sealed.body === data }
  }
  const target = room.of(headerBytes + data.length).subarray(headerBytes, headerBytes + data.length)
  const sealed = DataBlob.encodeParts(data, { compress, crypt, room: target })
  return { ...sealed, hasMargins: sealed.body.buffer === target.buffer }
}

const write = async (request: StageRequest, room: Room): Promise<Staged> => {
  const { crypt, data, sync, temporaryPath: path } = request
  const { body, hasMargins, header, kind } = seal(request, room)
  const encodedSizeBytes = header.length + body.length
  await BulkFile.write({ path, header, body, sync, hasMargins, room: room.of })
  if (crypt === undefined) releaseMemory(body, data)
  return { encodedSizeBytes, kind }
}

const noHeader = new Uint8Array(0)

/** Nobody else has the blob any more. */
const receive = async (request: ReceiveRequest, room: Room): Promise<Verdict> => {
  const { blob, digest, sizeBytes, sync, temporaryPath: path } = request
  const verdict = checkBlob(blob, { digest, sizeBytes, crypt: undefined })
  if (verdict.state !== "good") return verdict
  await BulkFile.write({ path, header: noHeader, body: blob, sync, hasMargins: false, room: room.of })
  releaseMemory(blob, noHeader)
  return verdict
}

export class WriteBehind {
  readonly #rooms = new AlignedRooms(roomsMax)

  /** Encodes a chunk into a new file; rejects with an errno error of `node:fs`. */
  stage(request: StageRequest): Promise<Staged> {
    return this.#rooms.within((room) => write(request, room))
  }

  /** Judges a blob, and writes it as it is into a new file if it is good. */
  receive(request: ReceiveRequest): Promise<Verdict> {
    return this.#rooms.within((room) => receive(request, room))
  }
}
