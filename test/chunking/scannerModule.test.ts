import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { buildScannerSource } from "../../scripts/buildScanner.ts"

describe("scannerModule", () => {
  it("is what the generator makes", async () => {
    const committed = readFileSync(new URL("../../src/chunking/scannerModule.ts", import.meta.url), "utf8")
    assert.strictEqual(committed, await buildScannerSource())
  })
})
