/** What happens to things that are in the target already. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { MODE_TYPE } from "../../src/model/FileMetadata.ts"
import {
  ArchiveBuilder,
  type ArchiveBytes,
  directoryMetadata,
  restore,
  textOf,
  withFolder
} from "./extract/support.ts"

const ARCHIVE_SECONDS = 1_700_000_000

const archive = (): ArchiveBytes => {
  const builder = new ArchiveBuilder(1, directoryMetadata({ mode: MODE_TYPE.directory | 0o700 }))
  builder.directory("d", (d) => void d.file("old", "archive"), { mode: MODE_TYPE.directory | 0o711 })
  builder.file("fresh", "archive")
  builder.file("old", "archive")
  const offset = builder.file("recent", "archive")
  return builder.hardlink("zlink", "recent", offset).finish()
}

/** Everything of the archive but "fresh" and "zlink" exists, older or more recent than in the archive. */
const fill = (folder: string): void => {
  mkdirSync(join(folder, "d"))
  chmodSync(join(folder, "d"), 0o755)
  writeFileSync(join(folder, "d/mine"), "mine")
  for (const name of ["d/old", "old", "recent"]) {
    writeFileSync(join(folder, name), "existing")
    const seconds = ARCHIVE_SECONDS + (name === "recent" ? 1000 : -1000)
    utimesSync(join(folder, name), seconds, seconds)
  }
  utimesSync(join(folder, "d"), ARCHIVE_SECONDS + 1000, ARCHIVE_SECONDS + 1000)
  chmodSync(folder, 0o755)
}

const contentsOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    ["d/mine", "d/old", "fresh", "old", "recent", "zlink"].map((name) => {
      try {
        return [name, readFileSync(join(folder, name), "utf8")]
      } catch {
        return [name, "missing"]
      }
    })
  )

const modeOf = (path: string): number => statSync(path).mode & 0o777

describe("overwriting", () => {
  it("never: what exists stays and is told of", () =>
    withFolder(async (folder) => {
      fill(folder)
      const { summary, warnings } = await restore(archive(), folder, { overwrite: "never" })
      assert.deepStrictEqual(contentsOf(folder), {
        "d/mine": "mine",
        "d/old": "existing",
        fresh: "archive",
        old: "existing",
        recent: "existing",
        zlink: "missing"
      })
      assert.deepStrictEqual(
        warnings.map(({ kind, path }) => `${kind} ${textOf(path)}`),
        ["exists d/old", "exists old", "exists recent", "hardlink zlink"]
      )
      assert.strictEqual(summary.warnings, 4)
      assert.strictEqual(modeOf(join(folder, "d")), 0o755)
      assert.strictEqual(modeOf(folder), 0o755)
    }))

  it("never: an empty folder is as good as none", () =>
    withFolder(async (folder) => {
      chmodSync(folder, 0o755)
      const { summary } = await restore(archive(), folder, { overwrite: "never" })
      assert.strictEqual(summary.warnings, 0)
      assert.strictEqual(modeOf(folder), 0o700)
    }))

  it("never: a second restore changes nothing", () =>
    withFolder(async (folder) => {
      await restore(archive(), folder)
      const before = statSync(join(folder, "d"), { bigint: true })
      const { summary } = await restore(archive(), folder)
      assert.strictEqual(summary.warnings, 5)
      assert.strictEqual(summary.files, 0)
      assert.strictEqual(statSync(join(folder, "d"), { bigint: true }).ctimeNs, before.ctimeNs)
    }))

  it("always: the archive's is what is there afterwards, and other things stay", () =>
    withFolder(async (folder) => {
      fill(folder)
      const { summary, warnings } = await restore(archive(), folder, { overwrite: "always" })
      assert.deepStrictEqual(warnings, [])
      assert.deepStrictEqual(contentsOf(folder), {
        "d/mine": "mine",
        "d/old": "archive",
        fresh: "archive",
        old: "archive",
        recent: "archive",
        zlink: "archive"
      })
      assert.strictEqual(summary.hardlinks, 1)
      assert.strictEqual(summary.directories, 0)
      assert.strictEqual(modeOf(join(folder, "d")), 0o711)
      assert.strictEqual(modeOf(folder), 0o700)
      const again = await restore(archive(), folder, { overwrite: "always" })
      assert.deepStrictEqual(again.warnings, [])
      assert.strictEqual(statSync(join(folder, "recent")).nlink, 2)
    }))

  it("always: a directory is never replaced by something else, the other way round it is", () =>
    withFolder(async (folder) => {
      mkdirSync(join(folder, "file"))
      writeFileSync(join(folder, "directory"), "x")
      symlinkSync("/", join(folder, "linked"))
      const builder = new ArchiveBuilder()
      builder.directory("directory", (d) => void d.file("f", "x"))
      builder.file("file", "x")
      builder.directory("linked", (d) => void d.file("f", "x"))
      const { warnings } = await restore(builder.finish(), folder, { overwrite: "always" })
      assert.deepStrictEqual(
        warnings.map(({ kind, path }) => `${kind} ${textOf(path)}`),
        ["exists file"]
      )
      assert.deepStrictEqual(readdirSync(join(folder, "directory")), ["f"])
      assert.deepStrictEqual(readdirSync(join(folder, "linked")), ["f"])
      assert.isTrue(statSync(join(folder, "file")).isDirectory())
    }))

  it("newer: only what is older than the archive's is replaced", () =>
    withFolder(async (folder) => {
      fill(folder)
      const { summary, warnings } = await restore(archive(), folder, {
        overwrite: "newer",
        hasRandomAccess: true
      })
      assert.deepStrictEqual(warnings, [])
      assert.strictEqual(summary.kept, 1)
      assert.deepStrictEqual(contentsOf(folder), {
        "d/mine": "mine",
        "d/old": "archive",
        fresh: "archive",
        old: "archive",
        recent: "existing",
        zlink: "archive"
      })
      assert.strictEqual(statSync(join(folder, "recent")).nlink, 1)
      assert.strictEqual(modeOf(join(folder, "d")), 0o755)
    }))

  it("newer: decides by nanoseconds", () =>
    withFolder(async (folder) => {
      const at = (content: string, mtimeNanos: number): ArchiveBytes => {
        const builder = new ArchiveBuilder()
        builder.file("f", content, { mtimeNanos })
        return builder.finish()
      }
      const contentAfter = async (content: string, mtimeNanos: number): Promise<string> => {
        await restore(at(content, mtimeNanos), folder, { overwrite: "newer" })
        return readFileSync(join(folder, "f"), "utf8")
      }
      assert.strictEqual(await contentAfter("first", 500), "first")
      assert.strictEqual(await contentAfter("same", 500), "first")
      assert.strictEqual(await contentAfter("older", 499), "first")
      assert.strictEqual(await contentAfter("newer", 501), "newer")
    }))
})
