import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import type { SourceError } from "../../src/backup/ByteSource.ts"
import { type DirectorySource, openDirectory } from "../../src/backup/DirectorySource.ts"
import {
  entriesOf,
  isRoot,
  setTimes,
  type Stored,
  textAt,
  warningsOf,
  withFolder
} from "./directory/trees.ts"

interface Outcome {
  readonly entries: Map<string, Stored>
  readonly warnings: ReadonlyArray<string>
}

/** Reads bytes until the walk stands at `path`, then lets `change` happen, and reads the rest. */
const backUpWithChange = (
  root: string,
  path: string,
  change: () => void,
  furtherBytes = 0
): Effect.Effect<Outcome, SourceError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const source = yield* openDirectory({ path: root, version: 1, excludes: [] })
      const pieces: Array<Uint8Array> = []
      const readSome = Effect.fnUntraced(function* (source: DirectorySource, countBytes: number) {
        const target = new Uint8Array(countBytes)
        const count = yield* source.read(target)
        pieces.push(target.slice(0, count))
        return count
      })
      while (Buffer.from(source.current).toString() !== path) {
        assert.strictEqual(yield* readSome(source, 1), 1, `the walk comes to ${path}`)
      }
      if (furtherBytes > 0) yield* readSome(source, furtherBytes)
      change()
      while ((yield* readSome(source, 1000)) > 0);
      return { entries: entriesOf(Buffer.concat(pieces)), warnings: warningsOf(source) }
    })
  )

const HEADER_BYTES = 200

describe("DirectorySource on files that change while they are read", () => {
  const original = "0123456789".repeat(5000)

  const withFile = (
    change: (path: string) => void,
    check: (text: string, warnings: ReadonlyArray<string>) => void
  ) =>
    withFolder((root) =>
      Effect.gen(function* () {
        const path = join(root, "file")
        writeFileSync(path, original)
        setTimes(path, 1, 1)
        writeFileSync(join(root, "next"), "untouched")
        const { entries, warnings } = yield* backUpWithChange(root, "file", () => change(path), 20_000)
        assert.strictEqual(textAt(entries, "next"), "untouched")
        check(textAt(entries, "file") ?? "", warnings)
      })
    )

  it.effect("pads a file that shrinks with zeros", () =>
    withFile(
      (path) => truncateSync(path, 30_000),
      (text, warnings) => {
        assert.strictEqual(text, original.slice(0, 30_000) + "\0".repeat(20_000))
        assert.deepStrictEqual(warnings, ["file: it shrank while it was read: the rest is stored as zeros"])
      }
    )
  )

  it.effect("cuts a file that grows", () =>
    withFile(
      (path) => appendFileSync(path, "more"),
      (text, warnings) => {
        assert.strictEqual(text, original)
        assert.deepStrictEqual(warnings, [
          "file: it grew while it was read: only the first 50000 bytes are stored"
        ])
      }
    )
  )

  it.effect("tells of a file that was written to", () =>
    withFile(
      (path) => writeFileSync(path, "x".repeat(50_000)),
      (text, warnings) => {
        assert.strictEqual(text.length, 50_000)
        assert.isTrue(text.endsWith("xxx") && text.startsWith("012"))
        assert.deepStrictEqual(warnings, ["file: it changed while it was read"])
      }
    )
  )

  it.effect("reads on in a file whose name is gone", () =>
    withFile(unlinkSync, (text, warnings) => {
      assert.strictEqual(text, original)
      assert.deepStrictEqual(warnings, [])
    })
  )

  it.effect("tells nothing of a file that stays as it is", () =>
    withFile(
      () => undefined,
      (text, warnings) => {
        assert.strictEqual(text, original)
        assert.deepStrictEqual(warnings, [])
      }
    )
  )
})

describe("DirectorySource on entries that are not what the directory said", () => {
  const withTree = (
    change: (root: string) => void,
    check: (entries: Map<string, Stored>, warnings: ReadonlyArray<string>) => void
  ) =>
    withFolder((root) =>
      Effect.gen(function* () {
        // Long enough that the walk rests at it, after it listed the directory and before it came to the others.
        writeFileSync(join(root, "a"), "a".repeat(HEADER_BYTES))
        mkdirSync(join(root, "directory"))
        writeFileSync(join(root, "directory", "child"), "child")
        writeFileSync(join(root, "file"), "file")
        symlinkSync("file", join(root, "symlink"))
        writeFileSync(join(root, "z"), "end")
        const { entries, warnings } = yield* backUpWithChange(root, "a", () => change(root))
        assert.strictEqual(textAt(entries, "z"), "end")
        check(entries, warnings)
      })
    )

  it.effect("passes over what vanished", () =>
    withTree(
      (root) => {
        for (const name of ["directory", "file", "symlink"]) rmSync(join(root, name), { recursive: true })
      },
      (entries, warnings) => {
        assert.deepStrictEqual([...entries.keys()], ["", "a", "z"])
        const expected = ["directory", "file", "symlink"].map((name) => `${name}: it vanished`)
        assert.deepStrictEqual(warnings, expected)
      }
    )
  )

  it.effect("passes over what was replaced by something of another kind", () =>
    withTree(
      (root) => {
        rmSync(join(root, "directory"), { recursive: true })
        writeFileSync(join(root, "directory"), "")
        unlinkSync(join(root, "file"))
        mkdirSync(join(root, "file"))
        unlinkSync(join(root, "symlink"))
        writeFileSync(join(root, "symlink"), "")
      },
      (entries, warnings) => {
        const replaced = "it was left out: something else took its place while the directory was read"
        assert.deepStrictEqual([...entries.keys()], ["", "a", "z"])
        assert.deepStrictEqual(warnings, [
          "directory: it was left out: it cannot be read (ENOTDIR)",
          `file: ${replaced}`,
          `symlink: ${replaced}`
        ])
      }
    )
  )

  it.effect("does not follow a link that took the place of a file or directory", () =>
    withTree(
      (root) => {
        for (const [name, target] of [
          ["directory", "."],
          ["file", "z"]
        ] as const) {
          rmSync(join(root, name), { recursive: true })
          symlinkSync(target, join(root, name))
        }
      },
      (entries, warnings) => {
        assert.deepStrictEqual([...entries.keys()], ["", "a", "symlink", "z"])
        assert.deepStrictEqual(warnings, [
          "directory: it was left out: it cannot be read (ENOTDIR)",
          "file: it was left out: it cannot be read (ELOOP)"
        ])
      }
    )
  )

  it.effect("stays in a directory that is moved away", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        mkdirSync(join(root, "d"))
        writeFileSync(join(root, "d", "a"), "a".repeat(HEADER_BYTES))
        writeFileSync(join(root, "d", "b"), "b")
        writeFileSync(join(root, "d", "c"), "c")
        const { entries, warnings } = yield* backUpWithChange(root, "d/a", () => {
          unlinkSync(join(root, "d", "c"))
          mkdirSync(join(root, "e"))
          for (const name of readdirSync(join(root, "d"))) rmSync(join(root, "d", name))
          rmdirSync(join(root, "d"))
          mkdirSync(join(root, "d"))
          writeFileSync(join(root, "d", "b"), "of another directory")
        })
        assert.deepStrictEqual([...entries.keys()], ["", "d", "d/a"])
        assert.deepStrictEqual(warnings, ["d/b: it vanished", "d/c: it vanished"])
      })
    )
  )
})

const NOBODY = 65534

/** Runs a program with the rights of somebody who owns nothing. */
const asNobody = <A, E>(program: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  isRoot
    ? Effect.acquireUseRelease(
        Effect.sync(() => process.seteuid?.(NOBODY)),
        () => program,
        () => Effect.sync(() => process.seteuid?.(0))
      )
    : program

describe("DirectorySource without permissions", () => {
  it.effect("leaves out files and the content of directories that may not be read", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        chmodSync(root, 0o755)
        mkdirSync(join(root, "closed"))
        writeFileSync(join(root, "closed", "child"), "")
        writeFileSync(join(root, "open"), "readable")
        writeFileSync(join(root, "secret"), "hidden")
        mkdirSync(join(root, "unsearchable"))
        writeFileSync(join(root, "unsearchable", "child"), "")
        writeFileSync(join(root, "unsearchable", ".pxarexclude"), "x\n")
        chmodSync(join(root, "closed"), 0o000)
        chmodSync(join(root, "secret"), 0o000)
        chmodSync(join(root, "unsearchable"), 0o744)
        if (!isRoot) chmodSync(join(root, "unsearchable"), 0o444)
        const outcome = yield* asNobody(backUpWithChange(root, "", () => undefined))
        chmodSync(join(root, "closed"), 0o700)
        chmodSync(join(root, "unsearchable"), 0o700)
        assert.deepStrictEqual([...outcome.entries.keys()], ["", "closed", "open", "unsearchable"])
        assert.strictEqual(textAt(outcome.entries, "open"), "readable")
        assert.deepStrictEqual(outcome.warnings, [
          "closed: it is stored without its content: it cannot be opened (EACCES)",
          "secret: it was left out: it cannot be read (EACCES)",
          "unsearchable/.pxarexclude: it was not heeded: it cannot be read (EACCES)",
          "unsearchable/.pxarexclude: it was left out: it cannot be read (EACCES)",
          "unsearchable/child: it was left out: it cannot be read (EACCES)"
        ])
      })
    )
  )
})
