/**
 * DigestPages: the digests of a fixed index in the making, by position, in any order. Memory is taken in small pages
 * where something is written, never by what a client says how large its image is.
 */
import * as Digest from "../../model/Digest.ts"

const digestsPerPage = 64

export const pageBytes = digestsPerPage * Digest.lengthBytes

export class DigestPages {
  readonly #pages = new Map<number, Uint8Array>()

  /** What the pages take. */
  get memoryBytes(): number {
    return this.#pages.size * pageBytes
  }

  set(position: number, digestBytes: Uint8Array): void {
    const number = Math.floor(position / digestsPerPage)
    let page = this.#pages.get(number)
    if (page === undefined) {
      page = new Uint8Array(pageBytes)
      this.#pages.set(number, page)
    }
    page.set(digestBytes, (position % digestsPerPage) * Digest.lengthBytes)
  }

  /** Undefined where nothing was set. */
  get(position: number): Uint8Array | undefined {
    const page = this.#pages.get(Math.floor(position / digestsPerPage))
    const start = (position % digestsPerPage) * Digest.lengthBytes
    const found = page?.subarray(start, start + Digest.lengthBytes)
    return found?.some((byte) => byte !== 0) === true ? found : undefined
  }
}
