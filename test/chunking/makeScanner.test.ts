import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import { JavaScriptScanner } from "../../src/chunking/JavaScriptScanner.ts"
import { makeScanner } from "../../src/chunking/makeScanner.ts"
import { WasmScanner } from "../../src/chunking/WasmScanner.ts"
import { dynamicSizes } from "./chunkWith.ts"
import { seededBytes } from "./inputs.ts"
import { referenceSizes } from "./referenceChunker.ts"

const sizeBytes = 200_000

/** `makeScanner` as it is on a host whose WebAssembly is this. */
const makeScannerWhere = async (webAssembly: unknown): Promise<typeof makeScanner> => {
  vi.resetModules()
  vi.stubGlobal("WebAssembly", webAssembly)
  return (await import("../../src/chunking/makeScanner.ts")).makeScanner
}

describe("makeScanner", () => {
  afterEach(() => vi.unstubAllGlobals())

  it.each([false, true])("makes a region of the size and sharing asked for (shared: %s)", (shared) => {
    for (const prefer of ["javascript", "wasm-simd"] as const) {
      const scanner = makeScanner(sizeBytes, { shared, prefer })
      assert.strictEqual(scanner.kind, prefer)
      assert.strictEqual(scanner.bytes.buffer instanceof SharedArrayBuffer, shared)
      assert.isAtLeast(scanner.bytes.length - scanner.dataOffset, sizeBytes)
      const data = seededBytes(3, sizeBytes)
      scanner.bytes.set(data, scanner.dataOffset)
      assert.deepStrictEqual(dynamicSizes(scanner, 1_024, sizeBytes, sizeBytes), referenceSizes(data, 1_024))
      assert.deepStrictEqual(scanner.bytes.subarray(scanner.dataOffset, scanner.dataOffset + sizeBytes), data)
    }
    assert.strictEqual(makeScanner(sizeBytes, { shared }).kind, "wasm-simd")
  })

  it("falls back to JavaScript on a host without WebAssembly or without its extensions", async () => {
    for (const webAssembly of [undefined, { validate: () => false }]) {
      const make = await makeScannerWhere(webAssembly)
      for (const shared of [false, true]) {
        const scanner = make(sizeBytes, { shared, prefer: "wasm-simd" })
        assert.strictEqual(scanner.kind, "javascript")
        assert.strictEqual(scanner.bytes.buffer instanceof SharedArrayBuffer, shared)
      }
    }
  })
})

describe("WasmScanner", () => {
  it("switches between averages on one memory", () => {
    const scanner = makeScanner(sizeBytes, { shared: false, prefer: "wasm-simd" })
    const data = seededBytes(17, sizeBytes)
    scanner.bytes.set(data, scanner.dataOffset)
    for (const averageBytes of [256, 65_536, 512, 4_194_304, 256]) {
      const sizes = dynamicSizes(scanner, averageBytes, sizeBytes, sizeBytes)
      assert.deepStrictEqual(sizes, referenceSizes(data, averageBytes))
    }
  })

  it("refuses a memory without room for its tables", () => {
    assert.throws(() => new WasmScanner({ buffer: new ArrayBuffer(100) }), RangeError)
  })
})

describe("JavaScriptScanner", () => {
  it("takes empty and tiny regions", () => {
    const buffer = new ArrayBuffer(8)
    for (let offset = 0; offset <= 8; offset++) {
      const scanner = new JavaScriptScanner(new Uint8Array(buffer, offset))
      assert.throws(() => scanner.findCut(64, 64, 256), RangeError)
    }
  })
})
