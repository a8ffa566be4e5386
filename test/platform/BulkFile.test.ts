/** Chunk files past the page cache: whatever the size, the file holds exactly what was written. */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import * as BulkFile from "../../src/platform/BulkFile.ts"

const KiB = 1024
const sizes = [
  0,
  1,
  4096,
  255 * KiB,
  256 * KiB - 12,
  256 * KiB - 11,
  300_001,
  1024 * KiB - 12,
  5 * 1024 * KiB + 7
]

const header = Buffer.from("header bytes")

/** Bytes of which every block differs. */
const content = (sizeBytes: number): Uint8Array =>
  Uint8Array.from({ length: sizeBytes }, (_, index) => (index * 31 + (index >>> 9) * 7) & 0xff)

const folders = [tmpdir(), "/dev/shm", "."].filter((folder) => fs.existsSync(folder))

const within = async (parent: string, use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = fs.mkdtempSync(path.join(parent, "granary-bulk-"))
  try {
    await use(folder)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

const readOpened = (file: string, opened: BulkFile.Opened | undefined): Promise<Uint8Array> => {
  if (opened === undefined) throw new Error(`${file} is too large`)
  const memory = BulkFile.alignedMemory(BulkFile.rounded(opened.sizeBytes))
  return new Promise((resolve, reject) => {
    BulkFile.readOpened(file, opened, memory, (read) => {
      try {
        resolve(read())
      } catch (error) {
        reject(error)
      }
    })
  })
}

/** Writes with room that nobody else uses. */
const write = (
  file: string,
  body: Uint8Array,
  options: { readonly sync?: boolean; readonly hasMargins?: boolean } = {}
): Promise<void> => {
  const room = BulkFile.alignedMemory
  return BulkFile.write({ path: file, header, body, sync: false, hasMargins: false, room, ...options })
}

const codeOf = (writing: Promise<void>): Promise<unknown> =>
  writing.then(
    () => undefined,
    (error: unknown) => (error instanceof Error && "code" in error ? error.code : error)
  )

for (const parent of folders) {
  describe(`BulkFile in ${parent}`, () => {
    it("writes and reads files of every size exactly", async () => {
      await within(parent, async (folder) => {
        for (const size of sizes) {
          const file = path.join(folder, String(size))
          const body = content(size)
          await write(file, body, { sync: size % 2 === 0 })
          const expected = Buffer.concat([header, body])
          assert.isTrue(fs.readFileSync(file).equals(expected), `content of ${size} bytes`)
          assert.strictEqual(fs.statSync(file).mode & 0o777, 0o644)
          assert.isUndefined(BulkFile.openWhole(file, expected.length - 1))
        }
      })
    })

    it("writes in place where the margins allow it, and leaves the body alone", async () => {
      await within(parent, async (folder) => {
        for (const size of [400_000, 512 * KiB - 12, 512 * KiB - 11]) {
          for (const start of [4096 + 12, 4096 + 13, 12, 0]) {
            const memory = new Uint8Array(new SharedArrayBuffer(1024 * KiB)).fill(7)
            const body = memory.subarray(start, start + size)
            body.set(content(size))
            const file = path.join(folder, `${size}-${start}`)
            await write(file, body, { hasMargins: true })
            assert.isTrue(fs.readFileSync(file).equals(Buffer.concat([header, content(size)])))
            assert.deepStrictEqual(Buffer.from(body).compare(content(size)), 0)
            assert.strictEqual(memory[start + size + 4096], 7)
          }
        }
      })
    })

    it("reads files of every size exactly, also what is still in the cache", async () => {
      await within(parent, async (folder) => {
        for (const size of sizes) {
          const file = path.join(folder, String(size))
          fs.writeFileSync(file, content(size))
          const opened = BulkFile.openWhole(file, size)
          assert.strictEqual(opened?.sizeBytes, size)
          assert.isTrue(Buffer.from(content(size)).equals(await readOpened(file, opened)), `${size} bytes`)
        }
      })
    })

    it("reads a file that was cut off since it was opened up to its end", async () => {
      await within(parent, async (folder) => {
        const file = path.join(folder, "file")
        fs.writeFileSync(file, content(900_001))
        const opened = BulkFile.openWhole(file, 1 << 20)
        fs.truncateSync(file, 700_003)
        assert.isTrue(Buffer.from(content(700_003)).equals(await readOpened(file, opened)))
      })
    })

    it("never overwrites, and leaves nothing behind when it cannot write", async () => {
      await within(parent, async (folder) => {
        const file = path.join(folder, "file")
        fs.writeFileSync(file, "kept")
        assert.strictEqual(await codeOf(write(file, content(300_000))), "EEXIST")
        assert.strictEqual(fs.readFileSync(file, "utf8"), "kept")
        const missing = path.join(folder, "none", "file")
        assert.strictEqual(await codeOf(write(missing, content(300_000))), "ENOENT")
        assert.deepStrictEqual(fs.readdirSync(folder), ["file"])
      })
    })
  })
}
