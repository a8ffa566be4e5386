/** Restores of parts of an archive. */
import { chmodSync, existsSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { parse } from "../../src/model/PathPattern.ts"
import { extract } from "../../src/restore/Extractor.ts"
import {
  ArchiveBuilder,
  type ArchiveBytes,
  piecesOf,
  restore,
  textOf,
  withFolder
} from "./extract/support.ts"

const names = ["a", "etc", "etc/hosts", "etc/ssh", "etc/ssh/key", "home", "home/me", "home/me/f", "z"]

const archive = (version: 1 | 2 = 1): ArchiveBytes => {
  const builder = new ArchiveBuilder(version)
  const offset = builder.file("a", "content")
  builder.directory(
    "etc",
    (etc) => {
      etc.file("hosts", "hosts")
      etc.directory("ssh", (ssh) => void ssh.file("key", "key"), { mtimeSeconds: 5 })
    },
    { mtimeSeconds: 4 }
  )
  builder.directory("home", (home) => {
    home.directory("me", (me) => void me.file("f", "f"))
  })
  return builder.hardlink("z", "a", offset).finish()
}

const restoredNames = (folder: string): ReadonlyArray<string> =>
  names.filter((name) => existsSync(join(folder, name)))

const patterns = (...lines: ReadonlyArray<string>) => lines.map((line) => parse(line))

describe("parts of an archive", () => {
  it("has the folders above with their metadata, and the target as it was", () =>
    withFolder(async (folder) => {
      chmodSync(folder, 0o705)
      const { summary } = await restore(archive(), folder, { includes: patterns("/etc/ssh/key") })
      assert.deepStrictEqual(restoredNames(folder), ["etc", "etc/ssh", "etc/ssh/key"])
      assert.strictEqual(summary.directories, 2)
      assert.strictEqual(statSync(join(folder, "etc")).mtimeMs, 4123.456789)
      assert.strictEqual(statSync(join(folder, "etc/ssh")).mtimeMs, 5123.456789)
      assert.strictEqual(statSync(folder).mode & 0o777, 0o705)
    }))

  it("includes what lies below an included folder, and leaves out what is excluded", () =>
    withFolder(async (folder) => {
      const cases: ReadonlyArray<readonly [Array<string>, Array<string>, Array<string>]> = [
        [["/etc"], [], ["etc", "etc/hosts", "etc/ssh", "etc/ssh/key"]],
        [["/etc"], ["ssh"], ["etc", "etc/hosts"]],
        [["/etc", "!/etc/hosts"], [], ["etc", "etc/ssh", "etc/ssh/key"]],
        [[], ["/etc", "me"], ["a", "home", "z"]],
        [["f"], [], ["home", "home/me", "home/me/f"]],
        [["nothing"], [], []],
        [["ssh/"], ["key"], ["etc", "etc/ssh"]]
      ]
      for (const [index, [includes, excludes, expected]] of cases.entries()) {
        const target = join(folder, String(index))
        const options = { includes: patterns(...includes), excludes: patterns(...excludes) }
        const { warnings } = await restore(archive(), target, options)
        assert.deepStrictEqual(restoredNames(target), expected)
        assert.deepStrictEqual(warnings, [])
      }
    }))

  for (const version of [1, 2] as const) {
    it(`restores a hard link without its target from version ${version} by reading again`, () =>
      withFolder(async (folder) => {
        const builder = new ArchiveBuilder(version)
        const offset = builder.file("a", "x".repeat(3_000_000))
        builder.hardlink("y", "a", offset).hardlink("z", "a", offset)
        const includes = patterns("y", "z")
        const { summary, warnings } = await restore(builder.finish(), folder, {
          includes,
          hasRandomAccess: true
        })
        assert.deepStrictEqual(warnings, [])
        assert.deepStrictEqual([summary.files, summary.hardlinks], [1, 1])
        assert.strictEqual(readFileSync(join(folder, "y"), "utf8"), "x".repeat(3_000_000))
        assert.strictEqual(statSync(join(folder, "z")).nlink, 2)
        assert.isFalse(existsSync(join(folder, "a")))
      }))
  }

  it("warns of a hard link without its target when it cannot read again", () =>
    withFolder(async (folder) => {
      const { warnings } = await restore(archive(), folder, { includes: patterns("z") })
      assert.deepStrictEqual(
        warnings.map(({ kind, path }) => `${kind} ${textOf(path)}`),
        ["hardlink z"]
      )
      assert.match(warnings[0]?.message ?? "", /another name of a,/)
    }))

  it("does not fetch the contents of what is left out", () =>
    withFolder(async (folder) => {
      const builder = new ArchiveBuilder()
      builder.file("large", new Uint8Array(10_000_000))
      builder.file("small", "small")
      const { archive: bytes } = builder.finish()
      const source = piecesOf(bytes, 64 * 1024)
      const includes = patterns("small")
      const options = { source, target: folder, includes, excludes: [], overwrite: "never" as const }
      const summary = await Effect.runPromise(extract(options))
      assert.strictEqual(summary.files, 1)
      assert.isAbove(source.skippedBytes, 9_900_000)
      assert.strictEqual(readFileSync(join(folder, "small"), "utf8"), "small")
    }))
})
