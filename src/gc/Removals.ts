/**
 * Removals: the files that a sweep is about to remove, in the order of their folders, in about 40 bytes each: millions
 * of them must not cost millions of objects.
 */
import * as Digest from "../model/Digest.ts"

/** A chunk, a condemned copy of one with its number, or a temporary file of a writer that did not live to remove it. */
export type RemovalKind =
  | { readonly kind: "chunk" }
  | { readonly kind: "bad"; readonly number: number }
  | { readonly kind: "temporary"; readonly suffix: string }

export interface Removal {
  readonly digest: Digest.Digest
  readonly fileName: string
  readonly kind: RemovalKind["kind"]
  /** Of a condemned chunk; otherwise 0. */
  readonly number: number
  readonly sizeBytes: number
}

const capacityMin = 1024
const chunkCode = 0
const firstBadCode = 1
const temporaryCode = 11

export class Removals {
  #digests = new Uint8Array(capacityMin * Digest.lengthBytes)
  #sizes = new Float64Array(capacityMin)
  #codes = new Uint8Array(capacityMin)
  /** By position; there are few. */
  readonly #suffixes = new Map<number, string>()
  #count = 0

  get count(): number {
    return this.#count
  }

  add(digestBytes: Uint8Array, kind: RemovalKind, sizeBytes: number): void {
    if (this.#count === this.#codes.length) this.#grow()
    const at = this.#count++
    this.#digests.set(digestBytes, at * Digest.lengthBytes)
    this.#sizes[at] = sizeBytes
    this.#codes[at] =
      kind.kind === "chunk" ? chunkCode : kind.kind === "bad" ? firstBadCode + kind.number : temporaryCode
    if (kind.kind === "temporary") this.#suffixes.set(at, kind.suffix)
  }

  at(position: number): Removal {
    const digest = Digest.fromBytes(this.#digests, position * Digest.lengthBytes)
    const code = this.#codes[position] ?? chunkCode
    const sizeBytes = this.#sizes[position] ?? 0
    if (code === chunkCode) return { digest, fileName: digest, kind: "chunk", number: 0, sizeBytes }
    if (code === temporaryCode) {
      const suffix = this.#suffixes.get(position) ?? ""
      return { digest, fileName: `${digest}${suffix}`, kind: "temporary", number: 0, sizeBytes }
    }
    const number = code - firstBadCode
    return { digest, fileName: `${digest}.${number}.bad`, kind: "bad", number, sizeBytes }
  }

  /** Those from one position up to before another one, or up to the end. */
  range(from: number, end: number): ReadonlyArray<Removal> {
    const length = Math.min(this.#count, end) - from
    return Array.from({ length }, (_, index) => this.at(from + index))
  }

  #grow(): void {
    const capacity = this.#codes.length * 2
    const digests = new Uint8Array(capacity * Digest.lengthBytes)
    digests.set(this.#digests)
    const sizes = new Float64Array(capacity)
    sizes.set(this.#sizes)
    const codes = new Uint8Array(capacity)
    codes.set(this.#codes)
    this.#digests = digests
    this.#sizes = sizes
    this.#codes = codes
  }
}
