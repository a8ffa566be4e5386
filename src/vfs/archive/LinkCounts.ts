/**
 * LinkCounts: how many names each file of an archive has.
 *
 * An archive says of a hard link where its target is, and of the target nothing, so whoever wants to know has to look
 * at all entries once. That is done where it is cheap: see `docs/vfs.md` for what is promised where it is not.
 *
 * Invariant: a file with several names never has a count below 2.
 */
import * as Effect from "effect/Effect"
import { fail, FormatError } from "../../format/FormatError.ts"
import * as Items from "../../format/pxar/Items.ts"

export interface LinkCounts {
  /** Of the regular file whose FILENAME item is at that offset. */
  readonly countOf: (fileOffset: number) => number
}

/** Every file has one name. */
export const allSingle: LinkCounts = { countOf: () => 1 }

/** Every file might have another name. */
export const unknown: LinkCounts = { countOf: () => 2 }

/** From the targets of all hard links, in any order, one for each link. */
export const fromTargets = (targets: Float64Array): LinkCounts => {
  if (targets.length === 0) return allSingle
  const sorted = targets.toSorted()
  const placeFrom = (offset: number): number => {
    let [low, high] = [0, sorted.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((sorted[middle] ?? Number.POSITIVE_INFINITY) < offset) low = middle + 1
      else high = middle
    }
    return low
  }
  return { countOf: (fileOffset) => 1 + placeFrom(fileOffset + 1) - placeFrom(fileOffset) }
}

const blockBytes = 1024 * 1024

/** A header, and the distance that the content of a HARDLINK item begins with. */
const headBytes = Items.HEADER_BYTES + 8

/** Collects numbers in a few bytes each. */
class Numbers {
  #values = new Float64Array(1024)
  #count = 0

  push(value: number): void {
    if (this.#count === this.#values.length) {
      const grown = new Float64Array(2 * this.#count)
      grown.set(this.#values)
      this.#values = grown
    }
    this.#values[this.#count++] = value
  }

  get values(): Float64Array {
    return this.#values.subarray(0, this.#count)
  }
}

/** What nearly all items are that belong to no link, each with its low half. */
const passed: ReadonlyArray<Items.Item> = [Items.ENTRY, Items.PAYLOAD_REF, Items.GOODBYE]

/** How long the content of such an item is; undefined for any other, and for one that is not as it should be. */
const passedBytes = (view: DataView, at: number): number | undefined => {
  const low = view.getUint32(at, true)
  for (const item of passed) {
    if (item.low !== low) continue
    const contentBytes = view.getUint32(at + 8, true) - Items.HEADER_BYTES
    const isSound =
      view.getUint32(at + 4, true) === item.high &&
      view.getUint32(at + 12, true) === 0 &&
      contentBytes >= item.minimumBytes &&
      contentBytes <= item.maximumBytes
    return isSound ? contentBytes : undefined
  }
  return undefined
}

/** Hops from item to item. */
class ItemScan {
  readonly targets = new Numbers()
  /** Of the next item. */
  position = 0
  #fileOffset = 0

  /** Takes all items that begin in `bytes`, the first of which is the next item. */
  take(bytes: Uint8Array, sizeBytes: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const start = this.position
    const isLast = start + bytes.length === sizeBytes
    for (
      let at = 0;
      at + (isLast ? Items.HEADER_BYTES : headBytes) <= bytes.length;
      at = this.position - start
    ) {
      const known = passedBytes(view, at)
      if (known !== undefined) {
        this.position += Items.HEADER_BYTES + known
        continue
      }
      const { contentBytes, item } = Items.readHeader(view, at, this.position)
      if (item === Items.FILENAME) this.#fileOffset = this.position
      else if (item === Items.HARDLINK && at + headBytes <= bytes.length) {
        const distance = Number(view.getBigUint64(at + Items.HEADER_BYTES, true))
        this.targets.push(this.#fileOffset - distance)
      }
      this.position += Items.HEADER_BYTES + contentBytes
    }
    if (this.position === start) fail("pxar archive", start, "an item", `${bytes.length} bytes`)
  }
}

/** While the bytes are lent. */
const takeNow = (items: ItemScan, bytes: Uint8Array, sizeBytes: number): Effect.Effect<void, FormatError> => {
  try {
    items.take(bytes, sizeBytes)
    return Effect.void
  } catch (error) {
    return error instanceof FormatError ? Effect.fail(error) : Effect.die(error)
  }
}

/** Lends bytes of the stream to a function that keeps none of them. */
export type LendBytes<E> = <A>(
  offset: number,
  lengthBytes: number,
  use: (bytes: Uint8Array) => A
) => Effect.Effect<A, E>

/** Looks at every item of a stream of `sizeBytes`; contents in between are passed over. */
export const scan = <E>(sizeBytes: number, lend: LendBytes<E>): Effect.Effect<LinkCounts, E | FormatError> =>
  Effect.gen(function* () {
    const items = new ItemScan()
    while (items.position < sizeBytes) {
      const lengthBytes = Math.min(blockBytes, sizeBytes - items.position)
      yield* Effect.flatten(lend(items.position, lengthBytes, (bytes) => takeNow(items, bytes, sizeBytes)))
      yield* Effect.yieldNow
    }
    return fromTargets(items.targets.values)
  })
