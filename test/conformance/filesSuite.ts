/**
 * What every implementation of Files must do: one test for each obligation written in the port, and one for each error
 * that an ordinary misuse brings.
 *
 * Some obligations speak of things that the port itself cannot make (symbolic links, fifos, old times). They come
 * through the `FilesSubject`; where it lacks one, the test is shown as skipped.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { Files, FilesError } from "../../src/platform/Files.ts"
import * as special from "./filesSpecial.ts"
import { type FilesSubject, reasonOf, type Run, text } from "./filesSubject.ts"

export type { FilesSubject }
export { reasonOf }

const permissions = 0o777

export const filesSuite = (name: string, layer: Layer.Layer<Files>, subject: FilesSubject): void => {
  const given =
    (condition: boolean): Run =>
    (title, test) =>
      it.live.skipIf(!condition)(title, () =>
        Effect.gen(function* () {
          yield* test(yield* Files, yield* subject.folder)
        }).pipe(Effect.provide(layer))
      )
  const run = given(true)

  describe(`${name} as Files`, () => {
    describe("reading", () => readingTests(run))
    describe("writing", () => writingTests(run))
    describe("folders and names", () => nameTests(run))
    describe("wholeness", () => special.wholenessTests(run))
    describe("interruption", () => special.interruptionTests(run))
    describe("links", () => special.linkTests(given(subject.makeSymlink !== undefined), subject))
    describe("fifos", () => special.fifoTests(given(subject.makeFifo !== undefined), subject))
    describe("times", () => special.timeTests(given(subject.setTimes !== undefined), subject))
    describe("large files", () => special.largeTests(given(subject.makeLarge !== undefined), subject))
    describe("power losses", () => special.powerTests(given(subject.losePower !== undefined), subject))
  })
}

const readingTests = (run: Run): void => {
  run("readFile answers the whole content", (files, folder) =>
    Effect.gen(function* () {
      const content = Uint8Array.from({ length: 300_000 }, (_, index) => index % 251)
      yield* files.createFile(`${folder}/a`, content)
      assert.deepStrictEqual(Buffer.from(yield* files.readFile(`${folder}/a`, 300_000)), Buffer.from(content))
    })
  )

  run("readFile fails with TooLarge for one byte more than asked for", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, text("12345"))
      assert.strictEqual(yield* reasonOf(files.readFile(`${folder}/a`, 4)), "TooLarge")
      assert.strictEqual((yield* files.readFile(`${folder}/a`, 5)).length, 5)
    })
  )

  run("reading what is missing fails with NotFound", (files, folder) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(files.readFile(`${folder}/a`, 9)), "NotFound")
      assert.strictEqual(yield* reasonOf(files.stat(`${folder}/a`)), "NotFound")
      assert.strictEqual(yield* reasonOf(files.readDirectory(`${folder}/a`)), "NotFound")
      assert.strictEqual(yield* reasonOf(Effect.scoped(files.openRead(`${folder}/a`))), "NotFound")
    })
  )

  run("a folder cannot be read as a file, nor a file as a folder", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, text("x"))
      assert.strictEqual(yield* reasonOf(files.readFile(folder, 2 ** 20)), "IsADirectory")
      assert.strictEqual(yield* reasonOf(files.readDirectory(`${folder}/a`)), "NotADirectory")
      assert.strictEqual(yield* reasonOf(files.readFile(`${folder}/a/b`, 9)), "NotADirectory")
    })
  )

  run("openRead reads at any offset, and less only at the end", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, text("0123456789"))
      const handle = yield* files.openRead(`${folder}/a`)
      assert.strictEqual(handle.sizeBytes, 10)
      const target = new Uint8Array(4)
      assert.strictEqual(yield* handle.readAt(3, target), 4)
      assert.strictEqual(Buffer.from(target).toString(), "3456")
      assert.strictEqual(yield* handle.readAt(8, target), 2)
      assert.strictEqual(Buffer.from(target.subarray(0, 2)).toString(), "89")
      assert.strictEqual(yield* handle.readAt(10, target), 0)
    })
  )

  run("statFileSystem tells the room there is", (files, folder) =>
    Effect.gen(function* () {
      const stat = yield* files.statFileSystem(folder)
      assert.isAbove(stat.totalBytes, 0)
      assert.isAtMost(stat.availableBytes, stat.totalBytes)
    })
  )
}

const writingTests = (run: Run): void => {
  run("createFile fails with AlreadyExists and leaves what is there", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, text("first"))
      assert.strictEqual(yield* reasonOf(files.createFile(`${folder}/a`, text("second"))), "AlreadyExists")
      assert.strictEqual(Buffer.from(yield* files.readFile(`${folder}/a`, 99)).toString(), "first")
    })
  )

  run("permission bits are exact, and 0644 by default", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, text("x"))
      yield* files.createFile(`${folder}/b`, text("x"), { mode: 0o666 })
      yield* files.replaceFile(`${folder}/c`, [text("x")])
      yield* files.replaceFile(`${folder}/b`, [text("x")], { mode: 0o600 })
      yield* files.makeDirectory(`${folder}/d`, 0o777)
      yield* files.makeDirectories(`${folder}/d`, ["0", "1"], 0o770)
      const modes = yield* Effect.forEach(["a", "b", "c", "d", "d/0", "d/1"], (entry) =>
        Effect.map(files.stat(`${folder}/${entry}`), ({ mode }) => mode & permissions)
      )
      assert.deepStrictEqual(modes, [0o644, 0o600, 0o644, 0o777, 0o770, 0o770])
    })
  )

  run("replaceFile joins the parts, and leaves nothing else in the folder", (files, folder) =>
    Effect.gen(function* () {
      yield* files.replaceFile(`${folder}/a.blob`, [text("old")], { sync: true })
      yield* files.replaceFile(`${folder}/a.blob`, [text("new "), text(""), text("content")], { sync: true })
      assert.strictEqual(Buffer.from(yield* files.readFile(`${folder}/a.blob`, 99)).toString(), "new content")
      assert.deepStrictEqual(
        (yield* files.readDirectory(folder)).map(({ name }) => name),
        ["a.blob"]
      )
    })
  )

  run("replaceFile that cannot rename leaves the old thing and no temporary file", (files, folder) =>
    Effect.gen(function* () {
      yield* files.makeDirectory(`${folder}/a`)
      yield* files.createFile(`${folder}/a/b`, text("x"))
      assert.include(
        ["IsADirectory", "NotEmpty"],
        yield* reasonOf(files.replaceFile(`${folder}/a`, [text("y")]))
      )
      assert.deepStrictEqual(
        (yield* files.readDirectory(folder)).map(({ name }) => name),
        ["a"]
      )
    })
  )

  run("writing into a folder that is missing fails with NotFound", (files, folder) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(files.createFile(`${folder}/x/a`, text("y"))), "NotFound")
      assert.strictEqual(yield* reasonOf(files.replaceFile(`${folder}/x/a`, [text("y")])), "NotFound")
      assert.strictEqual(yield* reasonOf(files.makeDirectory(`${folder}/x/a`)), "NotFound")
      assert.strictEqual(yield* reasonOf(files.makeDirectories(`${folder}/x`, ["a"], 0o750)), "NotFound")
    })
  )

  run("temporaryName is a free name beside the file, without its extension", (files, folder) =>
    Effect.gen(function* () {
      const names = yield* Effect.forEach(Array.from({ length: 50 }), () =>
        files.temporaryName(`${folder}/index.json.blob`)
      )
      for (const path of names) assert.match(path.slice(folder.length), /^\/index\.json\.tmp_[A-Za-z0-9]{6}$/)
      assert.strictEqual(new Set(names).size, 50)
      const bare = yield* files.temporaryName(`${folder}.d/0a1b`)
      assert.match(bare.slice(folder.length), /^\.d\/0a1b\.tmp_[A-Za-z0-9]{6}$/)
    })
  )

  run("flushing succeeds on what is there and fails on what is not", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, text("x"), { sync: true })
      yield* files.syncDirectory(folder)
      yield* files.syncFileSystem(folder)
      assert.strictEqual(yield* reasonOf(files.syncDirectory(`${folder}/missing`)), "NotFound")
      assert.strictEqual(yield* reasonOf(files.syncDirectory(`${folder}/a`)), "NotADirectory")
    })
  )
}

const nameTests = (run: Run): void => {
  run("makeDirectory fails with AlreadyExists for whatever has the name", (files, folder) =>
    Effect.gen(function* () {
      yield* files.makeDirectory(`${folder}/a`)
      yield* files.createFile(`${folder}/b`, text(""))
      assert.strictEqual(yield* reasonOf(files.makeDirectory(`${folder}/a`)), "AlreadyExists")
      assert.strictEqual(yield* reasonOf(files.makeDirectory(`${folder}/b`)), "AlreadyExists")
      assert.strictEqual(yield* reasonOf(files.makeDirectories(folder, ["c", "b"], 0o750)), "AlreadyExists")
    })
  )

  run("readDirectory tells names and kinds, and nothing of what lies deeper", (files, folder) =>
    Effect.gen(function* () {
      yield* files.makeDirectories(folder, ["d", "e"], 0o755)
      yield* files.createFile(`${folder}/d/inner`, text(""))
      yield* files.createFile(`${folder}/f`, text(""))
      const entries = yield* files.readDirectory(folder)
      assert.deepStrictEqual(
        entries
          .toSorted((left, right) => (left.name < right.name ? -1 : 1))
          .map(({ name, kind }) => [name, kind]),
        [
          ["d", "directory"],
          ["e", "directory"],
          ["f", "file"]
        ]
      )
    })
  )

  run("statDirectory tells of every name what stat tells", (files, folder) =>
    Effect.gen(function* () {
      yield* files.makeDirectory(`${folder}/d`)
      yield* files.createFile(`${folder}/d/inner`, text(""))
      yield* files.createFile(`${folder}/f`, text("12345"))
      const children = yield* files.statDirectory(folder)
      assert.deepStrictEqual(children.map(({ name }) => name).toSorted(), ["d", "f"])
      for (const { name, ...rest } of children) {
        const { inode: _inode, mode: _mode, ...stat } = yield* files.stat(`${folder}/${name}`)
        assert.deepStrictEqual(rest, stat)
      }
      assert.strictEqual(yield* reasonOf(files.statDirectory(`${folder}/g`)), "NotFound")
      assert.strictEqual(yield* reasonOf(files.statDirectory(`${folder}/f`)), "NotADirectory")
    })
  )

  run("statEach tells kind and size of every name in their order, and what is missing", (files, folder) =>
    Effect.gen(function* () {
      yield* files.makeDirectory(`${folder}/d`)
      yield* files.createFile(`${folder}/d/inner`, text("12345"))
      yield* files.createFile(`${folder}/empty`, text(""))
      const paths = ["d/inner", "gone", "d", "empty", "gone/x", "d/inner"].map((name) => `${folder}/${name}`)
      const stats = yield* files.statEach(paths)
      assert.deepStrictEqual(stats[0], { kind: "file", sizeBytes: 5 })
      assert.deepStrictEqual(stats[5], stats[0])
      assert.strictEqual(stats[2]?.kind, "directory")
      assert.deepStrictEqual(stats[3], { kind: "file", sizeBytes: 0 })
      assert.deepStrictEqual([stats[1], stats[4], stats.length], [undefined, undefined, 6])
      assert.deepStrictEqual(yield* files.statEach([]), [])
      const below = yield* Effect.flip(files.statEach([`${folder}/d`, `${folder}/empty/x`]))
      assert.deepInclude(below, { reason: "NotADirectory", path: `${folder}/empty/x` })
    })
  )

  run("unlink and removeDirectory keep apart what is missing, full, or of the other kind", (files, folder) =>
    Effect.gen(function* () {
      yield* files.makeDirectory(`${folder}/d`)
      yield* files.createFile(`${folder}/d/f`, text(""))
      assert.strictEqual(yield* reasonOf(files.unlink(`${folder}/x`)), "NotFound")
      assert.strictEqual(yield* reasonOf(files.removeDirectory(`${folder}/x`)), "NotFound")
      assert.strictEqual(yield* reasonOf(files.removeDirectory(`${folder}/d`)), "NotEmpty")
      assert.strictEqual(yield* reasonOf(files.removeDirectory(`${folder}/d/f`)), "NotADirectory")
      assert.include(["IsADirectory", "PermissionDenied"], yield* reasonOf(files.unlink(`${folder}/d`)))
      yield* files.unlink(`${folder}/d/f`)
      yield* files.removeDirectory(`${folder}/d`)
      assert.deepStrictEqual(yield* files.readDirectory(folder), [])
    })
  )

  run("rename takes the place of a file, and of an empty folder only", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, text("a"))
      yield* files.createFile(`${folder}/b`, text("b"))
      const { inode } = yield* files.stat(`${folder}/a`)
      yield* files.rename(`${folder}/a`, `${folder}/b`)
      assert.strictEqual((yield* files.stat(`${folder}/b`)).inode, inode)
      assert.strictEqual(yield* reasonOf(files.stat(`${folder}/a`)), "NotFound")
      assert.strictEqual(yield* reasonOf(files.rename(`${folder}/a`, `${folder}/b`)), "NotFound")
      yield* files.makeDirectories(folder, ["d", "e"], 0o755)
      yield* files.rename(`${folder}/d`, `${folder}/e`)
      yield* files.makeDirectory(`${folder}/d`)
      yield* files.createFile(`${folder}/e/f`, text(""))
      assert.strictEqual(yield* reasonOf(files.rename(`${folder}/d`, `${folder}/e`)), "NotEmpty")
    })
  )

  run("an error names operation, path and hint", (files, folder) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(files.unlink(`${folder}/x`))
      assert.instanceOf(error, FilesError)
      assert.strictEqual(error.path, `${folder}/x`)
      assert.include(error.message, `cannot remove ${folder}/x: no such file`)
      assert.notStrictEqual(error.hint, "")
    })
  )
}
