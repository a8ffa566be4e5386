/**
 * What every implementation of Files must do: one test for each obligation written in the port, and one for each error
 * that an ordinary misuse brings.
 *
 * Some obligations speak of things that the port itself cannot make (symbolic links, fifos, old times). They come
 * through the `FilesSubject`; where it lacks one, the test is shown as skipped.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Files, FilesError, type FilesReason } from "../../src/platform/Files.ts"

export interface FilesSubject {
  /** An empty folder. */
  readonly folder: Effect.Effect<string, never, Files | Scope.Scope>
  readonly makeSymlink?: (target: string, path: string) => Effect.Effect<void>
  readonly makeFifo?: (path: string) => Effect.Effect<void>
  /** Sets access and modification time to whole seconds. */
  readonly setTimes?: (path: string, seconds: number) => Effect.Effect<void>
}

const text = (content: string): Uint8Array => Buffer.from(content)

/** The reason an operation fails for; success is a failure of the test. */
export const reasonOf = <A, R>(effect: Effect.Effect<A, FilesError, R>): Effect.Effect<FilesReason, A, R> =>
  Effect.map(Effect.flip(effect), ({ reason }) => reason)

const permissions = 0o777

type Run = (
  name: string,
  test: (files: Files["Service"], folder: string) => Effect.Effect<void, unknown, Scope.Scope>
) => void

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
    describe("interruption", () => interruptionTests(run))
    describe("links", () => linkTests(given(subject.makeSymlink !== undefined), subject))
    describe("fifos", () => fifoTests(given(subject.makeFifo !== undefined), subject))
    describe("times", () => timeTests(given(subject.setTimes !== undefined), subject))
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

const interruptionTests = (run: Run): void => {
  run("an interrupted operation happens as a whole or not at all", (files, folder) =>
    Effect.gen(function* () {
      const content = new Uint8Array(200_000).fill(7)
      for (let turn = 0; turn < 20; turn++) {
        const path = `${folder}/${turn}`
        const fiber = yield* Effect.forkChild(files.replaceFile(path, [content]), { startImmediately: true })
        for (let pause = 0; pause < turn % 4; pause++) yield* Effect.promise(() => Promise.resolve())
        yield* Fiber.interrupt(fiber)
        const names = (yield* files.readDirectory(folder)).map(({ name }) => name)
        assert.isTrue(names.every((name) => !name.includes(".tmp_")))
        if (names.includes(String(turn)))
          assert.strictEqual((yield* files.stat(path)).sizeBytes, content.length)
      }
    })
  )
}

const linkTests = (run: Run, { makeSymlink = () => Effect.void }: FilesSubject): void => {
  run("stat and readDirectory describe the link itself", (files, folder) =>
    Effect.gen(function* () {
      yield* makeSymlink(`${folder}/nowhere`, `${folder}/link`)
      assert.strictEqual((yield* files.stat(`${folder}/link`)).kind, "symlink")
      assert.deepStrictEqual(yield* files.readDirectory(folder), [{ name: "link", kind: "symlink" }])
    })
  )

  run("createFile and makeDirectory refuse the name of a dangling link", (files, folder) =>
    Effect.gen(function* () {
      yield* makeSymlink(`${folder}/nowhere`, `${folder}/link`)
      assert.strictEqual(yield* reasonOf(files.createFile(`${folder}/link`, text("x"))), "AlreadyExists")
      assert.strictEqual(yield* reasonOf(files.makeDirectory(`${folder}/link`)), "AlreadyExists")
      assert.strictEqual(yield* reasonOf(files.stat(`${folder}/nowhere`)), "NotFound")
    })
  )

  run("replaceFile and unlink deal with the link, not with what it points to", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/file`, text("stays"))
      yield* makeSymlink(`${folder}/file`, `${folder}/one`)
      yield* makeSymlink(`${folder}/file`, `${folder}/two`)
      yield* files.replaceFile(`${folder}/one`, [text("new")])
      yield* files.unlink(`${folder}/two`)
      assert.strictEqual((yield* files.stat(`${folder}/one`)).kind, "file")
      assert.strictEqual(Buffer.from(yield* files.readFile(`${folder}/file`, 99)).toString(), "stays")
    })
  )
}

const fifoTests = (run: Run, { makeFifo = () => Effect.void }: FilesSubject): void => {
  run("reading a fifo never waits for a writer", (files, folder) =>
    Effect.gen(function* () {
      yield* makeFifo(`${folder}/fifo`)
      assert.strictEqual((yield* files.readFile(`${folder}/fifo`, 99)).length, 0)
      assert.strictEqual((yield* files.stat(`${folder}/fifo`)).kind, "other")
    })
  )
}

const longAgo = 1_000_000_000

const timeTests = (run: Run, { setTimes = () => Effect.void, makeSymlink }: FilesSubject): void => {
  run("touch moves the access time to now and leaves the modification time alone", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, text("x"))
      const before = yield* files.stat(`${folder}/a`)
      yield* setTimes(`${folder}/a`, longAgo)
      assert.isTrue(yield* files.touch(`${folder}/a`))
      const after = yield* files.stat(`${folder}/a`)
      assert.strictEqual(after.mtimeSeconds, longAgo)
      assert.isAtLeast(after.atimeSeconds, before.mtimeSeconds)
    })
  )

  run("touch answers false for what is missing", (files, folder) =>
    Effect.gen(function* () {
      assert.isFalse(yield* files.touch(`${folder}/a`))
      assert.isFalse(yield* files.touch(`${folder}/x/a`))
    })
  )

  run("touch never follows a link", (files, folder) =>
    Effect.gen(function* () {
      if (makeSymlink === undefined) return
      yield* files.createFile(`${folder}/a`, text("x"))
      yield* setTimes(`${folder}/a`, longAgo)
      yield* makeSymlink(`${folder}/a`, `${folder}/link`)
      yield* makeSymlink(`${folder}/nowhere`, `${folder}/dangling`)
      assert.isTrue(yield* files.touch(`${folder}/link`))
      assert.isTrue(yield* files.touch(`${folder}/dangling`))
      assert.strictEqual((yield* files.stat(`${folder}/a`)).atimeSeconds, longAgo)
    })
  )
}
