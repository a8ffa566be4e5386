/**
 * The conformance suite of Files, second part: what must hold when operations meet, are interrupted, or find something
 * out of the ordinary: links, fifos, old times, files of any size, the end of power.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Files } from "../../src/platform/Files.ts"
import { type FilesSubject, reasonOf, type Run, text } from "./filesSubject.ts"

export const interruptionTests = (run: Run): void => {
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

export const linkTests = (run: Run, { makeSymlink = () => Effect.void }: FilesSubject): void => {
  run("stat and readDirectory describe the link itself", (files, folder) =>
    Effect.gen(function* () {
      yield* makeSymlink(`${folder}/nowhere`, `${folder}/link`)
      assert.strictEqual((yield* files.stat(`${folder}/link`)).kind, "symlink")
      assert.deepStrictEqual(yield* files.readDirectory(folder), [{ name: "link", kind: "symlink" }])
      assert.strictEqual((yield* files.statDirectory(folder))[0]?.kind, "symlink")
      assert.strictEqual((yield* files.statEach([`${folder}/link`]))[0]?.kind, "symlink")
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

export const fifoTests = (run: Run, { makeFifo = () => Effect.void }: FilesSubject): void => {
  run("reading a fifo never waits for a writer", (files, folder) =>
    Effect.gen(function* () {
      yield* makeFifo(`${folder}/fifo`)
      assert.strictEqual((yield* files.readFile(`${folder}/fifo`, 99)).length, 0)
      const handle = yield* files.openRead(`${folder}/fifo`)
      assert.strictEqual(handle.sizeBytes, 0)
      assert.strictEqual((yield* files.stat(`${folder}/fifo`)).kind, "other")
    })
  )
}

export const wholenessTests = (run: Run): void => {
  run("who reads what others replace gets one content or another, and all of it", (files, folder) =>
    Effect.gen(function* () {
      const sizeBytes = 100_000
      const path = `${folder}/a`
      yield* files.createFile(path, new Uint8Array(sizeBytes))
      const replace = (turn: number) => files.replaceFile(path, [new Uint8Array(sizeBytes).fill(turn)])
      const read = Effect.gen(function* () {
        const content = yield* files.readFile(path, sizeBytes)
        assert.strictEqual(content.length, sizeBytes)
        assert.isTrue(content.every((byte) => byte === content[0]))
      })
      const turns = Array.from({ length: 20 }, (_, turn) => turn)
      yield* Effect.forEach(turns, (turn) => Effect.all([replace(turn), read], { concurrency: 2 }), {
        concurrency: 5
      })
    })
  )

  run("of many who make one name, one succeeds", (files, folder) =>
    Effect.gen(function* () {
      const path = `${folder}/a`
      const makers = Array.from({ length: 10 }, (_, number) => {
        const make =
          number % 2 === 0 ? files.createFile(path, text(String(number))) : files.makeDirectory(path)
        return Effect.match(make, { onFailure: ({ reason }) => reason, onSuccess: () => "made" })
      })
      const outcomes = yield* Effect.all(makers, { concurrency: "unbounded" })
      assert.strictEqual(outcomes.filter((outcome) => outcome === "made").length, 1)
      assert.strictEqual(outcomes.filter((outcome) => outcome === "AlreadyExists").length, 9)
    })
  )

  run("content belongs to who gave it, and to who got it, alone", (files, folder) =>
    Effect.gen(function* () {
      const given = text("12345")
      yield* files.createFile(`${folder}/a`, given)
      yield* files.replaceFile(`${folder}/b`, [given])
      given.fill(0)
      for (const path of [`${folder}/a`, `${folder}/b`]) {
        const got = yield* files.readFile(path, 9)
        assert.strictEqual(Buffer.from(got).toString(), "12345")
        got.fill(0)
        assert.strictEqual(Buffer.from(yield* files.readFile(path, 9)).toString(), "12345")
      }
    })
  )

  run(
    "a handle reads what it opened, whatever becomes of the name, until its scope closes",
    (files, folder) =>
      Effect.gen(function* () {
        const target = new Uint8Array(3)
        yield* files.createFile(`${folder}/a`, text("old"))
        const closed = yield* Effect.scoped(
          Effect.gen(function* () {
            const handle = yield* files.openRead(`${folder}/a`)
            yield* files.replaceFile(`${folder}/a`, [text("new")], { sync: true })
            assert.strictEqual(yield* handle.readAt(0, target), 3)
            assert.strictEqual(Buffer.from(target).toString(), "old")
            yield* files.unlink(`${folder}/a`)
            yield* files.syncDirectory(folder)
            assert.strictEqual(yield* handle.readAt(1, target), 2)
            return handle
          })
        )
        assert.strictEqual(yield* reasonOf(closed.readAt(0, target)), "Io")
      })
  )
}

export const largeTests = (run: Run, { makeLarge = () => Effect.void }: FilesSubject): void => {
  run("a file that is far too large is refused before it is read", (files, folder) =>
    Effect.gen(function* () {
      // More than any buffer can hold: who tried to allocate it would fail otherwise.
      yield* makeLarge(`${folder}/a`, 2 ** 43)
      assert.strictEqual(yield* reasonOf(files.readFile(`${folder}/a`, 2 ** 30)), "TooLarge")
      assert.strictEqual((yield* files.stat(`${folder}/a`)).sizeBytes, 2 ** 43)
    })
  )
}

export const powerTests = (run: Run, { losePower = Effect.void }: FilesSubject): void => {
  const contentOf = (files: Files["Service"], path: string) =>
    Effect.map(files.readFile(path, 99), (content) => Buffer.from(content).toString())

  run("flushed files survive with content and name", (files, folder) =>
    Effect.gen(function* () {
      yield* files.syncFileSystem(folder)
      yield* files.createFile(`${folder}/a`, text("created"), { sync: true })
      yield* files.replaceFile(`${folder}/b`, [text("first")], { sync: true })
      yield* files.replaceFile(`${folder}/b`, [text("second")], { sync: true })
      yield* losePower
      assert.strictEqual(yield* contentOf(files, `${folder}/a`), "created")
      assert.strictEqual(yield* contentOf(files, `${folder}/b`), "second")
      assert.strictEqual((yield* files.readDirectory(folder)).length, 2)
    })
  )

  run("a replacement that was not flushed leaves the old content or the new", (files, folder) =>
    Effect.gen(function* () {
      yield* files.replaceFile(`${folder}/a`, [text("old")], { sync: true })
      yield* files.syncFileSystem(folder)
      yield* files.replaceFile(`${folder}/a`, [text("new")])
      yield* losePower
      assert.include(["old", "new"], yield* contentOf(files, `${folder}/a`))
    })
  )

  run("flushing a folder keeps its names, those that came by a rename too", (files, folder) =>
    Effect.gen(function* () {
      yield* files.createFile(`${folder}/a`, text("1"), { sync: true })
      yield* files.createFile(`${folder}/b`, text("2"), { sync: true })
      yield* files.makeDirectories(folder, ["d"], 0o750)
      yield* files.syncFileSystem(folder)
      yield* files.rename(`${folder}/a`, `${folder}/d/a`)
      yield* files.unlink(`${folder}/b`)
      yield* files.syncDirectory(folder)
      yield* losePower
      assert.deepStrictEqual(
        (yield* files.readDirectory(folder)).map(({ name }) => name),
        ["d"]
      )
      assert.strictEqual(yield* contentOf(files, `${folder}/d/a`), "1")
    })
  )

  run("flushing the file system keeps everything", (files, folder) =>
    Effect.gen(function* () {
      yield* files.makeDirectories(folder, ["d", "e"], 0o750)
      yield* files.createFile(`${folder}/d/a`, text("created"))
      yield* files.replaceFile(`${folder}/e/b`, [text("replaced")])
      yield* files.touch(`${folder}/d/a`)
      const { atimeSeconds } = yield* files.stat(`${folder}/d/a`)
      yield* files.syncFileSystem(folder)
      yield* losePower
      assert.strictEqual(yield* contentOf(files, `${folder}/d/a`), "created")
      assert.strictEqual(yield* contentOf(files, `${folder}/e/b`), "replaced")
      assert.strictEqual((yield* files.stat(`${folder}/d/a`)).atimeSeconds, atimeSeconds)
    })
  )
}

const longAgo = 1_000_000_000

export const timeTests = (run: Run, { setTimes = () => Effect.void, makeSymlink }: FilesSubject): void => {
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
