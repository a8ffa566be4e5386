import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { makePayloadChunker } from "../../src/chunking/PayloadChunker.ts"
import { chunkSizes, dynamicSizes, scannerKinds, scannerOver } from "./chunkWith.ts"
import { goldenInputs } from "./inputs.ts"

interface GoldenFile {
  readonly avg: number
  readonly chunks: ReadonlyArray<{ readonly size: number; readonly sha256: string }>
  readonly input_sha256: string
  readonly step: number
  readonly suggested: ReadonlyArray<number> | null
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

/** Inputs take longer to make than to chunk, and several files share one. */
const inputs = new Map<string, Uint8Array>()

const inputOf = (fileName: string, golden: GoldenFile): Uint8Array => {
  const [first = "", second = ""] = fileName.split(".")
  const name = first === "suggested" ? second : first
  const input = inputs.get(name) ?? goldenInputs[name]?.()
  if (input === undefined) throw new Error(`no input for ${fileName}`)
  inputs.set(name, input)
  assert.strictEqual(sha256(input), golden.input_sha256)
  return input
}

const checkFile = (folder: string, fileName: string): void => {
  const golden: GoldenFile = JSON.parse(readFileSync(`${folder}/${fileName}`, "utf8"))
  const input = inputOf(fileName, golden)
  const expected = golden.chunks.map((chunk) => chunk.size)
  let offset = 0
  for (const chunk of golden.chunks) {
    assert.strictEqual(sha256(input.subarray(offset, offset + chunk.size)), chunk.sha256)
    offset += chunk.size
  }
  for (const kind of scannerKinds) {
    const scanner = scannerOver(input, kind)
    if (golden.suggested !== null) {
      const chunker = makePayloadChunker(scanner, golden.avg)
      for (const offset of golden.suggested) chunker.suggest(offset)
      assert.deepStrictEqual(chunkSizes(scanner, chunker, input.length, golden.step), expected, kind)
      continue
    }
    const smallest = input.length > 1 << 20 ? 65_537 : 17
    for (const step of [Math.max(1, input.length), 1 << 20, 65_537, smallest]) {
      assert.deepStrictEqual(
        dynamicSizes(scanner, golden.avg, input.length, step),
        expected,
        `${kind} by ${step}`
      )
    }
  }
}

const checkFolder = (folder: string): void => {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : []
  it("has files", () => assert.isAbove(files.length, 10))
  for (const file of files) it(file, () => checkFile(folder, file))
}

describe("chunk boundaries of the reference implementation", () => {
  checkFolder(new URL("../golden/chunker", import.meta.url).pathname)
})

const allFixtures = new URL("../../../shared/fixtures/chunker", import.meta.url).pathname

describe.skipIf(!existsSync(allFixtures))(
  "chunk boundaries of the reference implementation, all files",
  () => {
    checkFolder(allFixtures)
  }
)
