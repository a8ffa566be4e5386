/** DigestMap: which digest a digest becomes; for a sync that encrypts or decrypts. 100 to 170 bytes an entry. */
import * as Digest from "../model/Digest.ts"
import { DigestTable } from "../model/DigestTable.ts"

const initialCount = 1024

export class DigestMap {
  readonly #places = new DigestTable()
  #values = new Uint8Array(initialCount * Digest.lengthBytes)

  get(key: Digest.Digest): Digest.Digest | undefined {
    const place = this.#places.get(Digest.toBytes(key))
    return place === undefined ? undefined : Digest.fromBytes(this.#values, place * Digest.lengthBytes)
  }

  set(key: Digest.Digest, value: Digest.Digest): void {
    if (this.get(key) !== undefined) return
    const place = this.#places.size
    if ((place + 1) * Digest.lengthBytes > this.#values.length) {
      const grown = new Uint8Array(this.#values.length * 2)
      grown.set(this.#values)
      this.#values = grown
    }
    this.#places.set(Digest.toBytes(key), 0, place)
    this.#values.set(Digest.toBytes(value), place * Digest.lengthBytes)
  }
}
