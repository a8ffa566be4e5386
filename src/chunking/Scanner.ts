/**
 * What finds chunk boundaries: a scanner looks for the first position of a byte region at which the rolling
 * hash of the 64 bytes before it passes the boundary test. Minimum and maximum chunk sizes are no business of
 * a scanner but of the chunkers on top.
 *
 * The hash (buzhash) of a window b0 .. b63 is the xor of rotl(T[b_i], 63 - i). It depends on those 64 bytes
 * alone, which is why a scan may begin anywhere, and it has one property both scanners use: when it is 0 it
 * stays 0 as long as each entering byte equals the byte that leaves, and 0 never passes the test. A window of
 * equal bytes hashes to 0, so runs of zeros are passed over at the speed of a comparison, without changing
 * any boundary.
 *
 * A scanner owns the scratch part of its region: two scanners must not share a memory, and one scanner must
 * not be used from two threads. Reading the region elsewhere while a scan runs is fine.
 */

/** Bytes the hash of a position depends on. */
export const windowSizeBytes = 64

/** Average chunk sizes are powers of two in this range. */
export const averageSizeBytesMin = 256
export const averageSizeBytesMax = 16 * 1024 * 1024

export type ScannerKind = "wasm-simd" | "javascript"

export interface Scanner {
  readonly kind: ScannerKind
  /** The region the scanner sees, often a view over a `WebAssembly.Memory`. */
  readonly bytes: Uint8Array
  /** First offset of `bytes` that callers may use; what lies before is the scanner's own. */
  readonly dataOffset: number
  /**
   * The first cut position c with `from <= c <= to` whose window, bytes c - 64 to c, passes the boundary test
   * of `averageBytes`; -1 if there is none. A cut at c ends the chunk after byte c - 1. The 64 bytes before
   * `from` must lie in the data region.
   */
  findCut(from: number, to: number, averageBytes: number): number
}

/**
 * The mask of the boundary test for an average chunk size: a hash passes when `(hash & mask) >= mask - 2`,
 * that is, when all bits of the mask above the lowest two are set and the lowest two are not both clear.
 */
export const boundaryMask = (averageBytes: number): number => {
  if (
    !Number.isInteger(averageBytes) ||
    averageBytes < averageSizeBytesMin ||
    averageBytes > averageSizeBytesMax ||
    (averageBytes & (averageBytes - 1)) !== 0
  ) {
    throw new RangeError(
      `average chunk size must be a power of two from ${averageSizeBytesMin} to ` +
        `${averageSizeBytesMax} bytes, not ${averageBytes}`
    )
  }
  return averageBytes * 2 - 1
}

/**
 * Throws a `RangeError` unless every byte a scan of `from` to `to` reads lies in the scanner's data region.
 */
export const checkScanRange = (scanner: Scanner, from: number, to: number): void => {
  if (from - windowSizeBytes < scanner.dataOffset || to > scanner.bytes.length) {
    throw new RangeError(
      `a scan from ${from} to ${to} leaves the data region ${scanner.dataOffset} to ${scanner.bytes.length}`
    )
  }
}
