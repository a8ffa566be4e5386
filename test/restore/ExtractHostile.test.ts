/** Archives and folders that try to make the extractor touch what is none of its business. */
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import {
  ArchiveBuilder,
  type ArchiveBytes,
  bytesOf,
  restore,
  restoreFailing,
  textOf,
  withFolder
} from "./extract/support.ts"

const kindsOf = (warnings: ReadonlyArray<{ readonly kind: string; readonly path: Uint8Array }>) =>
  warnings.map(({ kind, path }) => `${kind} ${textOf(path)}`)

/** A folder with a victim beside the target, which must be the same afterwards. */
const besideVictim = (use: (target: string, victim: string) => Promise<void>): Promise<void> =>
  withFolder(async (folder) => {
    const victim = join(folder, "victim")
    mkdirSync(victim)
    writeFileSync(join(victim, "secret"), "untouched")
    await use(join(folder, "target"), victim)
    assert.deepStrictEqual(readdirSync(victim), ["secret"])
    assert.strictEqual(readFileSync(join(victim, "secret"), "utf8"), "untouched")
    assert.strictEqual(lstatSync(join(victim, "secret")).nlink, 1)
  })

const replaceAll = (bytes: Uint8Array, from: string, to: string): Uint8Array => {
  assert.strictEqual(from.length, to.length)
  const text = textOf(bytes)
  assert.include(text, from)
  return Buffer.from(text.replaceAll(from, to), "latin1")
}

describe("hostile archives", () => {
  for (const overwrite of ["never", "always", "newer"] as const) {
    it(`writes nothing through a link that the archive made itself (${overwrite})`, () =>
      besideVictim(async (target, victim) => {
        const archive = new ArchiveBuilder()
          .symlink("x", victim)
          .directory("x", (inside) => void inside.file("secret", "owned", { mtimeSeconds: 4_000_000_000 }))
          .finish()
        const { summary, warnings } = await restore(archive, target, { overwrite })
        assert.deepStrictEqual(kindsOf(warnings), ["duplicate x"])
        assert.strictEqual(summary.files, 0)
        assert.strictEqual(readlinkSync(join(target, "x")), victim)
      }))

    it(`writes nothing through a link with a file's name (${overwrite})`, () =>
      besideVictim(async (target, victim) => {
        const builder = new ArchiveBuilder().symlink("x", join(victim, "secret"))
        builder.file("x", "owned", { mtimeSeconds: 4_000_000_000 })
        const { warnings } = await restore(builder.finish(), target, { overwrite })
        assert.deepStrictEqual(kindsOf(warnings), ["duplicate x"])
      }))

    it(`writes nothing through links that stand in the target at every level (${overwrite})`, () =>
      besideVictim(async (target, victim) => {
        mkdirSync(join(target, "a/b"), { recursive: true })
        symlinkSync(victim, join(target, "a/b/c"))
        symlinkSync(join(victim, "secret"), join(target, "a/b/f"))
        symlinkSync(victim, join(target, "top"))
        const late = { mtimeSeconds: 4_000_000_000 }
        const archive = new ArchiveBuilder()
          .directory("a", (a) => {
            a.directory("b", (b) => {
              b.directory("c", (c) => void c.file("secret", "owned", late), late)
              b.file("f", "owned", late)
            })
          })
          .directory("top", (top) => void top.file("secret", "owned", late), late)
          .finish()
        const { warnings } = await restore(archive, target, { overwrite })
        if (overwrite === "never") {
          assert.deepStrictEqual(kindsOf(warnings), ["exists a/b/c", "exists a/b/f", "exists top"])
        } else {
          assert.deepStrictEqual(warnings, [])
          assert.strictEqual(readFileSync(join(target, "top/secret"), "utf8"), "owned")
          assert.isTrue(lstatSync(join(target, "a/b/c")).isDirectory())
          assert.isTrue(lstatSync(join(target, "a/b/f")).isFile())
        }
      }))
  }

  it("replaces a hard link of a foreign file rather than writing into it", () =>
    withFolder(async (folder) => {
      mkdirSync(join(folder, "target"))
      writeFileSync(join(folder, "outside"), "untouched")
      linkSync(join(folder, "outside"), join(folder, "target/f"))
      const builder = new ArchiveBuilder()
      builder.file("f", "new")
      await restore(builder.finish(), join(folder, "target"), { overwrite: "always" })
      assert.strictEqual(readFileSync(join(folder, "outside"), "utf8"), "untouched")
      assert.strictEqual(readFileSync(join(folder, "target/f"), "utf8"), "new")
    }))

  it("links only to files of this run, whatever path a hard link states", () =>
    besideVictim(async (target, victim) => {
      mkdirSync(target)
      writeFileSync(join(target, "old"), "old")
      const builder = new ArchiveBuilder()
      const offset = builder.file("f", "mine")
      builder.hardlink("g", join(victim, "secret"), offset)
      builder.hardlink("h", "../victim/secret", offset)
      const { summary } = await restore(builder.finish(), target)
      assert.strictEqual(summary.hardlinks, 2)
      assert.strictEqual(readFileSync(join(target, "g"), "utf8"), "mine")
      assert.strictEqual(lstatSync(join(target, "f")).nlink, 3)
    }))

  it("does not link to a file that was there before, nor to anything else than a file", () =>
    withFolder(async (folder) => {
      writeFileSync(join(folder, "f"), "old")
      const builder = new ArchiveBuilder()
      const offset = builder.file("f", "new")
      builder.hardlink("g", "f", offset)
      const position = builder.encoder.archivePosition
      builder.symlink("l", "f")
      builder.hardlink("m", "l", position)
      const archive = builder.finish()
      const { warnings } = await restore(archive, folder)
      assert.deepStrictEqual(kindsOf(warnings), ["exists f", "hardlink g", "hardlink m"])
      assert.strictEqual(lstatSync(join(folder, "f")).nlink, 1)
      // With random access the first is restored with its content; the second remains wrong.
      const again = await restore(archive, folder, { hasRandomAccess: true })
      assert.deepStrictEqual(kindsOf(again.warnings), ["exists f", "exists l", "hardlink m"])
      assert.strictEqual(readFileSync(join(folder, "g"), "utf8"), "new")
      assert.strictEqual(readFileSync(join(folder, "f"), "utf8"), "old")
    }))

  it("restores links to anywhere as they are and does not look behind them", () =>
    besideVictim(async (target, victim) => {
      const archive = new ArchiveBuilder()
        .symlink("absolute", join(victim, "secret"))
        .symlink("dangling", "../../../nowhere")
        .symlink("self", "self")
        .finish()
      const { warnings } = await restore(archive, target)
      assert.deepStrictEqual(warnings, [])
      assert.strictEqual(readlinkSync(join(target, "dangling")), "../../../nowhere")
      assert.strictEqual(readlinkSync(join(target, "self")), "self")
    }))

  for (const name of ["..", "a/", "/b", "./"]) {
    it(`refuses the name ${JSON.stringify(name)}`, () =>
      besideVictim(async (target) => {
        const builder = new ArchiveBuilder()
        const placeholder = "##".slice(0, name.length)
        builder.file(placeholder, "owned")
        const archive = replaceAll(builder.finish().archive, `${placeholder}\0`, `${name}\0`)
        const error = await restoreFailing({ archive, payload: undefined }, target)
        assert.strictEqual(error.reason, "Damaged")
        assert.deepStrictEqual(readdirSync(target), [])
      }))
  }

  it("takes the first of two entries of one name", () =>
    withFolder(async (folder) => {
      const builder = new ArchiveBuilder()
      builder.file("f", "first")
      builder.file("f", "second")
      builder.directory("d", (inside) => void inside.file("1", "1"))
      builder.directory("d", (inside) => void inside.file("2", "2"))
      for (const overwrite of ["never", "always"] as const) {
        const target = join(folder, overwrite)
        const { warnings } = await restore(twice(builder), target, { overwrite })
        assert.deepStrictEqual(kindsOf(warnings), ["duplicate f", "duplicate d"])
        assert.strictEqual(readFileSync(join(target, "f"), "utf8"), "first")
        assert.deepStrictEqual(readdirSync(join(target, "d")), ["1"])
      }
    }))

  it("keeps strange names as they are", () =>
    withFolder(async (folder) => {
      const names = [
        bytesOf("back\\slash"),
        bytesOf("line\nbreak"),
        new Uint8Array([0xff, 0xfe, 0x2e]),
        bytesOf("..."),
        bytesOf(" "),
        bytesOf("-rf"),
        bytesOf("*")
      ]
      const builder = new ArchiveBuilder()
      for (const name of names) builder.file(name, textOf(name))
      const { warnings } = await restore(builder.finish(), folder)
      assert.deepStrictEqual(warnings, [])
      for (const name of names) {
        const path = Buffer.concat([Buffer.from(folder), Buffer.from("/"), name])
        assert.strictEqual(readFileSync(path, "utf8"), textOf(name))
      }
      assert.strictEqual(readdirSync(folder).length, names.length)
    }))

  it("warns of a name that the file system cannot hold and goes on", () =>
    withFolder(async (folder) => {
      const builder = new ArchiveBuilder()
      builder.file("a".repeat(300), "too long")
      builder.directory("b".repeat(300), (inside) => void inside.file("f", "x"))
      builder.file("c", "fine")
      const { warnings } = await restore(builder.finish(), folder)
      assert.deepStrictEqual(
        warnings.map(({ kind }) => kind),
        ["failed", "failed"]
      )
      assert.match(warnings[0]?.message ?? "", /ENAMETOOLONG/)
      assert.deepStrictEqual(readdirSync(folder), ["c"])
    }))

  it("survives any damage with a typed error or a restore inside of the target", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        fc.option(fc.nat()),
        (edits, cut) =>
          besideVictim(async (target, victim) => {
            const archive = Buffer.from(sample(victim).archive)
            for (const [at, byte] of edits) archive[at % archive.length] = byte
            const bytes = archive.subarray(0, cut === null ? archive.length : cut % archive.length)
            try {
              await restore({ archive: bytes, payload: undefined }, target, { overwrite: "always" })
            } catch (error) {
              assert.propertyVal(error, "_tag", "ExtractError")
            }
            assert.deepStrictEqual(existsSync(target) ? [] : [target], [])
          })
      ),
      { numRuns: 150 }
    ))
})

/** Finishes a builder once and gives the same bytes again and again. */
const finished = new WeakMap<ArchiveBuilder, ArchiveBytes>()
const twice = (builder: ArchiveBuilder): ArchiveBytes => {
  const bytes = finished.get(builder) ?? builder.finish()
  finished.set(builder, bytes)
  return bytes
}

const sample = (victim: string): ArchiveBytes => {
  const builder = new ArchiveBuilder()
  const offset = builder.file("a", "content of a")
  return builder
    .directory("d", (inside) => {
      inside.file("f", "x".repeat(100))
      inside.hardlink("h", "a", offset)
      inside.symlink("l", victim)
    })
    .symlink("m", join(victim, "secret"))
    .finish()
}
