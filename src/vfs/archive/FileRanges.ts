/**
 * FileRanges: where the contents of an archive's files are, by where the files begin: of those that were read lately,
 * and of those that were listed lately, for who lists a directory often reads the files in it next.
 *
 * What a listing says of a content is not proven: at the place that an entry names must be a PAYLOAD item of the right
 * size, which is looked at when the content is read. Invariant: not more than twice `generationMax` are remembered.
 */
import type { ContentRange } from "../../format/pxar/Accessor.ts"
import * as Items from "../../format/pxar/Items.ts"

export interface FileRange extends ContentRange {
  isProven: boolean
}

const generationMax = 16_384

/** Whether that is the header of a content of that size. */
export const isHeaderOf = (bytes: Uint8Array, sizeBytes: number): boolean => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return (
    view.getUint32(0, true) === Items.PAYLOAD.low &&
    view.getUint32(4, true) === Items.PAYLOAD.high &&
    view.getUint32(12, true) * 0x1_0000_0000 + view.getUint32(8, true) === sizeBytes + Items.HEADER_BYTES
  )
}

export class FileRanges {
  /** What is neither used nor found anew while the young ones become too many is forgotten. */
  #young = new Map<number, FileRange>()
  #old = new Map<number, FileRange>()

  get(fileOffset: number): FileRange | undefined {
    const young = this.#young.get(fileOffset)
    if (young !== undefined) return young
    const old = this.#old.get(fileOffset)
    if (old !== undefined) this.set(fileOffset, old)
    return old
  }

  set(fileOffset: number, range: FileRange): void {
    if (this.#young.size >= generationMax) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(fileOffset, range)
  }
}
