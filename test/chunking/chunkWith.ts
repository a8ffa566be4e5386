/** Runs a chunker over bytes that arrive in steps, keeping the chunk in progress in the scanner's region. */
import { makeDynamicChunker } from "../../src/chunking/DynamicChunker.ts"
import { makeScanner } from "../../src/chunking/makeScanner.ts"
import type { Scanner, ScannerKind } from "../../src/chunking/Scanner.ts"

export const scannerKinds: ReadonlyArray<ScannerKind> = ["javascript", "wasm-simd"]

/** A scanner of exactly this kind over a copy of `bytes`. */
export const scannerOver = (bytes: Uint8Array, kind: ScannerKind, shared = false): Scanner => {
  const scanner = makeScanner(bytes.length, { shared, prefer: kind })
  if (scanner.kind !== kind) throw new Error(`this host has no ${kind} scanner`)
  scanner.bytes.set(bytes, scanner.dataOffset)
  return scanner
}

interface Chunker {
  next(start: number, available: number, isEnd: boolean): number
}

/** Sizes of the chunks of the first `sizeBytes` data bytes, `stepBytes` arriving at a time. */
export const chunkSizes = (
  scanner: Scanner,
  chunker: Chunker,
  sizeBytes: number,
  stepBytes: number
): Array<number> => {
  const sizes: Array<number> = []
  let start = 0
  let arrived = 0
  const drain = (isEnd: boolean): void => {
    for (;;) {
      const length = chunker.next(scanner.dataOffset + start, arrived - start, isEnd)
      if (length === 0) return
      sizes.push(length)
      start += length
    }
  }
  while (arrived < sizeBytes) {
    arrived = Math.min(sizeBytes, arrived + stepBytes)
    drain(false)
  }
  drain(true)
  return sizes
}

export const dynamicSizes = (
  scanner: Scanner,
  averageBytes: number,
  sizeBytes: number,
  stepBytes: number
): Array<number> => chunkSizes(scanner, makeDynamicChunker(scanner, averageBytes), sizeBytes, stepBytes)
