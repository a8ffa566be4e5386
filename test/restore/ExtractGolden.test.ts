/** Restores the archives of the reference implementation and compares with what they came from. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { zstdDecompressSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { type Aspect, compareTrees, describeDifference } from "../../src/restore/compareTrees.ts"
import { type ArchiveBytes, isRoot, restore, withFolder } from "./extract/support.ts"

const fixtures = "../shared/fixtures"
const golden = "test/golden/pxar"

const differencesOf = (
  left: string,
  right: string,
  isOfInterest: (aspect: Aspect) => boolean = () => true
): ReadonlyArray<string> =>
  [...compareTrees(left, right)].filter(({ aspect }) => isOfInterest(aspect)).map(describeDifference)

const sha256 = (path: Uint8Array): string =>
  createHash("sha256")
    .update(readFileSync(Buffer.from(path)))
    .digest("hex")

const tinyMix = (version: 1 | 2): ArchiveBytes =>
  version === 1
    ? { archive: readFileSync(`${golden}/tiny-mix.v1.pxar`), payload: undefined }
    : {
        archive: readFileSync(`${golden}/tiny-mix.v2.mpxar`),
        payload: readFileSync(`${golden}/tiny-mix.v2.ppxar`)
      }

describe("small golden archives", () => {
  it("restores both versions to the same tree", () =>
    withFolder(async (folder) => {
      for (const version of [1, 2] as const) {
        const { summary } = await restore(tinyMix(version), join(folder, `v${version}`), {
          overwrite: "never"
        })
        assert.strictEqual(summary.hardlinks, 1)
        assert.strictEqual(summary.symlinks, 1)
      }
      assert.strictEqual(readFileSync(join(folder, "v1/d/f"), "utf8"), "data")
      assert.strictEqual(readFileSync(join(folder, "v1/z-hard"), "utf8"), "data")
      assert.deepStrictEqual(differencesOf(join(folder, "v1"), join(folder, "v2")), [])
    }))
})

const hasTar = ((): boolean => {
  try {
    execFileSync("tar", ["--zstd", "--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

const tree = (version: 1 | 2): ArchiveBytes =>
  version === 1
    ? { archive: zstdDecompressSync(readFileSync(`${fixtures}/pxar/tree.v1.pxar.zst`)), payload: undefined }
    : {
        archive: readFileSync(`${fixtures}/pxar/tree.v2.mpxar`),
        payload: zstdDecompressSync(readFileSync(`${fixtures}/pxar/tree.v2.ppxar.zst`))
      }

describe.skipIf(!existsSync(fixtures))("the sample tree", () => {
  it("is the same from both versions, in small pieces and in large ones", () =>
    withFolder(async (folder) => {
      await restore(tree(1), join(folder, "v1"))
      await restore(tree(2), join(folder, "v2"), { pieceBytes: 4 * 1024 * 1024 })
      assert.deepStrictEqual(differencesOf(join(folder, "v1"), join(folder, "v2")), [])
      await restore(tree(2), join(folder, "small"), { pieceBytes: 777 })
      assert.deepStrictEqual(differencesOf(join(folder, "v1"), join(folder, "small")), [])
    }))

  it.skipIf(!isRoot || !hasTar)("is the tree that it was made from", () =>
    withFolder(async (folder) => {
      const tarFile = `${process.cwd()}/${fixtures}/input/tree.tar.zst`
      execFileSync("tar", ["--zstd", "--xattrs", "--xattrs-include=*", "--acls", "-xpf", tarFile], {
        cwd: folder,
        stdio: "ignore"
      })
      const { warnings } = await restore(tree(1), join(folder, "restored"))
      const [flags, others] = [
        differencesOf(join(folder, "tree"), join(folder, "restored"), (aspect) => aspect === "flags"),
        differencesOf(join(folder, "tree"), join(folder, "restored"), (aspect) => aspect !== "flags")
      ]
      // What the archive leaves out, and what tar cannot hold.
      assert.deepStrictEqual(others, [
        "excl/a.tmp: presence: there / missing",
        "excl/sub/b.tmp: presence: there / missing",
        "excl/sub/skipme: presence: there / missing",
        "special/socket: presence: missing / there"
      ])
      const areFlagsRefused = warnings.length === 1 && warnings[0]?.message.startsWith("flags ")
      if (areFlagsRefused) return
      assert.deepStrictEqual(warnings, [])
      assert.deepStrictEqual(flags, [
        "flags/append: flags: 0 / 20",
        "flags/immutable: flags: 0 / 10",
        "flags/noatime: flags: 0 / 80",
        "flags/nodump: flags: 0 / 40",
        "flags/sync: flags: 0 / 8"
      ])
    })
  )

  it("has the contents that the reference reads", () =>
    withFolder(async (folder) => {
      const { summary } = await restore(tree(1), folder)
      const lines = readFileSync(`${fixtures}/pxar/tree.v1.entries.jsonl`, "utf8").trim().split("\n")
      let files = 0
      for (const line of lines) {
        const entry: unknown = JSON.parse(line)
        if (typeof entry !== "object" || entry === null) continue
        if (!("content_sha256" in entry) || !("path_hex" in entry)) continue
        const path = Buffer.from(String(entry.path_hex), "hex")
        const found = sha256(Buffer.concat([Buffer.from(folder), path]))
        assert.strictEqual(found, entry.content_sha256, path.toString())
        files++
      }
      assert.strictEqual(summary.files, files)
    }))
})
