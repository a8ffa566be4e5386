/**
 * FileRows: chunk files of the cache folder with what was said of them, in 48 bytes each: after another host's
 * collection there may be very many whose objects are gone.
 */
import * as Digest from "../../model/Digest.ts"

export interface FileRow {
  readonly digest: Digest.Digest
  readonly sizeBytes: number
  readonly mtimeSeconds: number
  readonly atimeSeconds: number
}

const capacityMin = 64
const numbersPerRow = 3

export class FileRows {
  #digests = new Uint8Array(capacityMin * Digest.lengthBytes)
  #numbers = new Float64Array(capacityMin * numbersPerRow)
  #count = 0

  get count(): number {
    return this.#count
  }

  /** 32 bytes each, in the order in which they came. */
  get digests(): Uint8Array {
    return this.#digests.subarray(0, this.#count * Digest.lengthBytes)
  }

  add(digestBytes: Uint8Array, { sizeBytes, mtimeSeconds, atimeSeconds }: Omit<FileRow, "digest">): void {
    if (this.#count * Digest.lengthBytes === this.#digests.length) this.#grow()
    this.#digests.set(digestBytes, this.#count * Digest.lengthBytes)
    this.#numbers.set([sizeBytes, mtimeSeconds, atimeSeconds], this.#count * numbersPerRow)
    this.#count += 1
  }

  at(position: number): FileRow {
    const first = position * numbersPerRow
    return {
      digest: Digest.fromBytes(this.#digests, position * Digest.lengthBytes),
      sizeBytes: this.#numbers[first] ?? 0,
      mtimeSeconds: this.#numbers[first + 1] ?? 0,
      atimeSeconds: this.#numbers[first + 2] ?? 0
    }
  }

  *rows(): IterableIterator<FileRow> {
    for (let position = 0; position < this.#count; position++) yield this.at(position)
  }

  #grow(): void {
    const digests = new Uint8Array(this.#digests.length * 2)
    digests.set(this.#digests)
    const numbers = new Float64Array(this.#numbers.length * 2)
    numbers.set(this.#numbers)
    this.#digests = digests
    this.#numbers = numbers
  }
}
