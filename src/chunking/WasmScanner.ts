/**
 * The scanner in WebAssembly with SIMD, about three times as fast as the JavaScript one. It looks at an
 * imported memory, so that workers can share the bytes with it: the first page is the scanner's own, data
 * begins at `dataOffset`. The memory must not grow while the scanner is in use, and belongs to this one
 * scanner.
 *
 * The module's source, and how it works, is in `scripts/buildScanner.ts`.
 */
import { buzhashTable } from "./BuzhashTable.ts"
import { boundaryMask, checkScanRange, type Scanner } from "./Scanner.ts"
import { dataOffset, masksOffset, tablesOffset } from "./scannerLayout.ts"
import { sharedScannerModule, unsharedScannerModule } from "./scannerModule.ts"
import { type WasmMemory, webAssembly } from "./WebAssemblyApi.ts"

/** Positions are unsigned words in the module, so the end of the memory has to be one too. */
const memorySizeBytesMax = 65_535 * 65_536

const rotateRight = (word: number, count: number): number => (word >>> count) | (word << (32 - count))

const decodeModule = (isShared: boolean): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(isShared ? sharedScannerModule : unsharedScannerModule), (digit) =>
    digit.charCodeAt(0)
  )

/** Whether this host runs WebAssembly SIMD and, if asked for, shared memories. */
export const isWasmScannerSupported = (isShared: boolean): boolean =>
  webAssembly !== undefined &&
  (!isShared || typeof SharedArrayBuffer === "function") &&
  webAssembly.validate(decodeModule(isShared))

export class WasmScanner implements Scanner {
  readonly kind = "wasm-simd"
  readonly memory: WasmMemory
  readonly bytes: Uint8Array
  readonly dataOffset: number = dataOffset
  readonly #findCut: (from: number, to: number, mask: number) => number
  #preparedMask = 0

  constructor(memory: WasmMemory) {
    const { buffer } = memory
    if (buffer.byteLength < dataOffset || buffer.byteLength > memorySizeBytesMax) {
      throw new RangeError(
        `a scanner takes a memory of ${dataOffset} to ${memorySizeBytesMax} bytes, not ${buffer.byteLength}`
      )
    }
    if (webAssembly === undefined) throw new Error("this host has no WebAssembly; use the JavaScript scanner")
    this.memory = memory
    this.bytes = new Uint8Array(buffer)
    const isShared = typeof SharedArrayBuffer === "function" && buffer instanceof SharedArrayBuffer
    const module = new webAssembly.Module(decodeModule(isShared))
    this.#findCut = new webAssembly.Instance(module, { granary: { memory } }).exports.findCut
    this.#prepareTables()
  }

  findCut(from: number, to: number, averageBytes: number): number {
    const mask = boundaryMask(averageBytes)
    checkScanRange(this, from, to)
    if (from > to) return -1
    if (mask !== this.#preparedMask) this.#prepareMasks(mask)
    const cut = this.#findCut(from, to, mask)
    return cut === -1 ? -1 : cut >>> 0
  }

  #prepareTables(): void {
    const tables = new Int32Array(this.bytes.buffer, tablesOffset, 32 * 256)
    for (let count = 0; count < 32; count++) {
      tables.set(
        buzhashTable.map((word) => rotateRight(word, count)),
        count * 256
      )
    }
  }

  /** The lowest two bits do not decide alone, so the search for candidates leaves them out. */
  #prepareMasks(mask: number): void {
    const masks = new Int32Array(this.bytes.buffer, masksOffset, 32)
    for (let count = 0; count < 32; count++) masks[count] = rotateRight(mask & ~3, count)
    this.#preparedMask = mask
  }
}
