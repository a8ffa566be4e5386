/** Reading ahead: everyone gets the content of its file, in the order of asking, whatever the sizes are. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { ReadAhead, ringBytes } from "../../src/platform/ReadAhead.ts"

const MIB = 1024 * 1024

/** Every block of every file differs from all others. */
const contentOf = (number: number, sizeBytes: number): Buffer => {
  const content = Buffer.alloc(sizeBytes, number)
  for (let at = 0; at + 8 <= sizeBytes; at += 1024) content.writeDoubleLE(number * 1e9 + at, at)
  return content
}

interface Outcome {
  readonly number: number
  readonly result: "right" | "wrong" | "too large" | string
}

interface Wanted {
  readonly path: string
  readonly expected: Buffer
}

/** Asks for all at once; each looks at its content only in its turn. */
const readAll = (
  ahead: ReadAhead,
  files: ReadonlyArray<Wanted>,
  maxSizeBytes = 128 * MIB
): Promise<ReadonlyArray<Outcome>> =>
  new Promise((resolve) => {
    const outcomes: Array<Outcome> = []
    for (const [number, file] of files.entries()) {
      ahead.read({
        path: file.path,
        maxSizeBytes,
        use: (content) => {
          outcomes.push({ number, result: resultOf(content, file.expected) })
          if (outcomes.length === files.length) resolve(outcomes)
        }
      })
    }
  })

const resultOf = (content: () => Uint8Array | undefined, expected: Buffer): string => {
  try {
    const bytes = content()
    if (bytes === undefined) return "too large"
    const isRight = expected.equals(bytes)
    // It belongs to its user now: nobody else may be surprised by this.
    bytes.fill(0xff)
    return isRight ? "right" : "wrong"
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error)
  }
}

const write = (folder: string, sizes: ReadonlyArray<number>): ReadonlyArray<Wanted> =>
  sizes.map((sizeBytes, number) => {
    const file = { path: path.join(folder, `file-${number}`), expected: contentOf(number, sizeBytes) }
    fs.writeFileSync(file.path, file.expected)
    return file
  })

const scratch = async (parent: string, use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = fs.mkdtempSync(path.join(parent, "granary-ahead-"))
  try {
    await use(folder)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

const ofAllKinds: ReadonlyArray<number> = [
  0,
  1,
  5 * MIB,
  4096,
  300_000,
  7 * MIB + 13,
  5 * MIB,
  9 * MIB - 1,
  256 * 1024,
  16 * MIB + 7,
  3 * MIB,
  0,
  19 * MIB,
  1,
  MIB + 1,
  ringBytes,
  2 * MIB,
  6 * MIB
]

const allRight = (count: number): ReadonlyArray<Outcome> =>
  Array.from({ length: count }, (_, number) => ({ number, result: "right" }))

const folders = [tmpdir(), "/dev/shm"].filter((folder) => fs.existsSync(folder))

for (const parent of folders) {
  describe(`ReadAhead in ${parent}`, () => {
    it("goes round its memory with files of all sizes, and keeps their order", async () => {
      await scratch(parent, async (folder) => {
        const files = write(folder, ofAllKinds)
        const ahead = new ReadAhead()
        assert.deepStrictEqual(await readAll(ahead, files), allRight(files.length))
        const again = files.toReversed()
        assert.deepStrictEqual(await readAll(ahead, again), allRight(files.length))
      })
    })

    it("reads what is larger than all of its memory, between others", async () => {
      await scratch(parent, async (folder) => {
        const files = write(folder, [MIB, ringBytes + 1, 2 * MIB, ringBytes, ringBytes + 3 * MIB, 10])
        assert.deepStrictEqual(await readAll(new ReadAhead(), files), allRight(files.length))
      })
    })

    it("tells what cannot be read in its turn, and goes on with the others", async () => {
      await scratch(parent, async (folder) => {
        const large = { path: path.join(folder, "large"), expected: contentOf(7, 3 * MIB) }
        fs.writeFileSync(large.path, large.expected)
        const missing = { path: path.join(folder, "missing"), expected: Buffer.alloc(0) }
        const directory = { path: folder, expected: Buffer.alloc(0) }
        const others = [missing, large, directory]
        const last = write(folder, [2 * MIB])
        const outcomes = await readAll(new ReadAhead(), [...others, ...last], 2 * MIB)
        assert.deepStrictEqual(outcomes, [
          { number: 0, result: "ENOENT" },
          { number: 1, result: "too large" },
          { number: 2, result: "EISDIR" },
          { number: 3, result: "right" }
        ])
      })
    })
  })
}
