/**
 * Makes the fastest scanner this host can run, over fresh memory. The same boundaries come out of either
 * kind.
 */
import { JavaScriptScanner } from "./JavaScriptScanner.ts"
import type { Scanner, ScannerKind } from "./Scanner.ts"
import { dataOffset } from "./scannerLayout.ts"
import { isWasmScannerSupported, WasmScanner } from "./WasmScanner.ts"
import { webAssembly } from "./WebAssemblyApi.ts"

export interface ScannerOptions {
  /** Back the region by shared memory, so that workers can read `scanner.bytes` in place. */
  readonly shared: boolean
  /** `"javascript"` does without WebAssembly; the default takes it where it is to be had. */
  readonly prefer?: ScannerKind
}

const pageSizeBytes = 65_536

/** A scanner whose data region, from `dataOffset` on, has at least `memoryBytes` bytes. */
export const makeScanner = (memoryBytes: number, options: ScannerOptions): Scanner => {
  const { shared } = options
  if (options.prefer === "javascript" || webAssembly === undefined || !isWasmScannerSupported(shared)) {
    return new JavaScriptScanner(
      new Uint8Array(shared ? new SharedArrayBuffer(memoryBytes) : new ArrayBuffer(memoryBytes))
    )
  }
  const pages = Math.ceil((dataOffset + memoryBytes) / pageSizeBytes)
  return new WasmScanner(new webAssembly.Memory({ initial: pages, maximum: pages, shared }))
}
