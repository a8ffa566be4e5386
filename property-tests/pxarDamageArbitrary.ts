/**
 * Damages bytes the way crafted and broken files do: flips, cuts, overwritten numbers, moved and repeated
 * pieces.
 */
import * as fc from "fast-check"

const NUMBERS: ReadonlyArray<bigint> = [
  0n,
  1n,
  15n,
  16n,
  24n,
  40n,
  255n,
  4097n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n
]

type Damage = (bytes: Uint8Array) => Uint8Array

const place = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })

const flip = fc.tuple(place, fc.integer({ min: 1, max: 255 })).map(([where, mask]): Damage => (bytes) => {
  const damaged = bytes.slice()
  const at = Math.floor(where * bytes.length)
  damaged[at] = (damaged[at] ?? 0) ^ mask
  return damaged
})

const cut = place.map(
  (where): Damage =>
    (bytes) =>
      bytes.slice(0, Math.floor(where * bytes.length))
)

/** Overwrites eight bytes with a telling number, or with one near the number that stands there. */
const overwrite = fc.tuple(
  place,
  fc.oneof(fc.constantFrom(...NUMBERS), fc.bigInt({ min: 0n, max: 2000n })),
  fc.boolean()
)

const overwritten = overwrite.map(([where, value, relative]): Damage => (bytes) => {
  const damaged = bytes.slice()
  if (bytes.length < 8) return damaged
  const view = new DataView(damaged.buffer)
  const at = Math.floor(where * (bytes.length - 7))
  const old = relative ? view.getBigUint64(at, true) - 1000n : 0n
  view.setBigUint64(at, BigInt.asUintN(64, old + value), true)
  return damaged
})

const spliced = fc.tuple(place, place, place, place).map(([from, length, to, removed]): Damage => (bytes) => {
  const start = Math.floor(from * bytes.length)
  const piece = bytes.subarray(start, start + Math.floor(length * 200))
  const at = Math.floor(to * bytes.length)
  const rest = bytes.subarray(at + Math.floor(removed * 200))
  return new Uint8Array(Buffer.concat([bytes.subarray(0, at), piece, rest]))
})

/** One to four damages, one after the other. */
export const damageArbitrary: fc.Arbitrary<Damage> = fc
  .array(fc.oneof(flip, overwritten, overwritten, cut, spliced), { minLength: 1, maxLength: 4 })
  .map((damages) => (bytes) => damages.reduce((damaged, damage) => damage(damaged), bytes))
