import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  closeSync,
  constants,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { SourceError } from "../../src/backup/ByteSource.ts"
import { openDirectory } from "../../src/backup/DirectorySource.ts"
import { MODE_TYPE } from "../../src/model/FileMetadata.ts"
import * as Posix from "../../src/platform/Posix.ts"
import { bytesOf } from "../format/pxar/goldens.ts"
import {
  backUp,
  countDescriptors,
  entriesOf,
  pathsOf,
  textAt,
  withDescriptor,
  withFolder,
  write
} from "./directory/trees.ts"

/** Data at the beginning, in the middle and nowhere else. */
const writeSparse = (path: string, sizeBytes: number): void => {
  const fd = openSync(path, "w")
  writeSync(fd, "beginning", 0)
  writeSync(fd, "middle", sizeBytes / 2)
  ftruncateSync(fd, sizeBytes)
  closeSync(fd)
}

const buildMixed = (root: string): void => {
  write(root, {
    "a/b/c/file": "content\n".repeat(600),
    "a/empty": "",
    "a/b/x": "x",
    "links/first": "linked",
    z: "last"
  })
  linkSync(join(root, "links/first"), join(root, "a/hard"))
  symlinkSync("a/b", join(root, "sym"))
  mkdirSync(join(root, "nothing/inside"), { recursive: true })
  writeSparse(join(root, "sparse"), 32 * 1024)
}

describe("DirectorySource", () => {
  it.effect("gives the same bytes however the reads are cut", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        buildMixed(root)
        const unified = yield* backUp(root, {}, () => 1024 * 1024)
        const split = yield* backUp(root, { version: 2 }, () => 1024 * 1024)
        let turn = 0
        const sizes = [1, 7, 16, 17, 100, 4096, 3, 65536]
        for (const targetBytes of [() => 1, () => 57, () => 4096, () => sizes[turn++ % sizes.length] ?? 1]) {
          assert.deepStrictEqual(yield* backUp(root, {}, targetBytes), unified)
          assert.deepStrictEqual(yield* backUp(root, { version: 2 }, targetBytes), split)
        }
      })
    )
  )

  it.effect("stores content, kinds and names, and counts them", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        buildMixed(root)
        const { statistics, stream, warnings } = yield* backUp(root)
        const entries = entriesOf(stream)
        assert.deepStrictEqual(pathsOf(entries), [
          ..."a a/b a/b/c a/b/c/file a/b/x a/empty a/hard links links/first".split(" "),
          ..."nothing nothing/inside sparse sym z".split(" ")
        ])
        assert.strictEqual(textAt(entries, "a/b/c/file"), "content\n".repeat(600))
        assert.strictEqual(textAt(entries, "a/hard"), "linked")
        const sparse = entries.get("sparse")?.content
        const zeros = (length: number): string => "\0".repeat(length)
        assert.strictEqual(
          Buffer.from(sparse ?? []).toString("latin1"),
          `beginning${zeros(16384 - 9)}middle${zeros(16384 - 6)}`
        )
        const expected = {
          files: 6,
          directories: 7,
          others: 1,
          hardlinks: 1,
          warnings: 0,
          reusedFiles: 0,
          reusedBytes: 0
        }
        assert.deepStrictEqual(statistics, { ...expected, contentBytes: 4800 + 32 * 1024 + 1 + 6 + 4 })
        assert.deepStrictEqual(warnings, [])
      })
    )
  )

  it.effect("points hard links at the first name, in whatever directory", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        write(root, { "z/data": "once" })
        for (const name of ["m", "z/zz"]) linkSync(join(root, "z/data"), join(root, name))
        const entries = entriesOf((yield* backUp(root)).stream)
        const first = entries.get("m")?.event
        assert.strictEqual(textAt(entries, "m"), "once")
        for (const name of ["z/data", "z/zz"]) {
          const entry = entries.get(name)?.event.entry
          assert.strictEqual(entry?.kind, "hardlink")
          if (entry?.kind !== "hardlink") continue
          assert.strictEqual(entry.targetFileOffset, first?.fileOffset)
          assert.strictEqual(Buffer.from(entry.targetPath).toString(), "m")
        }
        const without = entriesOf((yield* backUp(root, { excludes: ["/m"] })).stream)
        assert.strictEqual(textAt(without, "z/data"), "once", "an excluded name carries nothing")
      })
    )
  )

  it.effect("keeps names and link targets that are no text, and times before 1970", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        const name = Buffer.from("n\xff\xfe", "latin1")
        withDescriptor(root, (fd) => {
          closeSync(Posix.openAt(fd, name, constants.O_CREAT | constants.O_WRONLY, 0o640))
          Posix.symlinkAt(Buffer.from("to\x80", "latin1"), fd, bytesOf("link"))
          Posix.makeNodeAt(fd, bytesOf("fifo"), MODE_TYPE.fifo | 0o600, { major: 0, minor: 0 })
          Posix.setTimesAt(fd, name, -2, 999_999_999)
        })
        const entries = entriesOf((yield* backUp(root)).stream)
        const file = entries.get("n\xff\xfe")?.event.entry
        assert.isTrue(file?.kind === "file")
        if (file?.kind === "file") {
          const { mtimeNanos, mtimeSeconds } = file.metadata
          assert.deepStrictEqual([mtimeSeconds, mtimeNanos], [-2, 999_999_999])
        }
        const link = entries.get("link")?.event.entry
        assert.strictEqual(link?.kind === "symlink" && Buffer.from(link.target).toString("latin1"), "to\x80")
        assert.strictEqual(entries.get("fifo")?.event.entry.kind, "fifo")
      })
    )
  )

  it.effect("reads a root that is given as a symbolic link or as bytes", () =>
    withFolder((folder) =>
      Effect.gen(function* () {
        const root = join(folder, "root")
        write(root, { f: "f" })
        symlinkSync("root", join(folder, "link"))
        const { stream } = yield* backUp(root)
        assert.deepStrictEqual((yield* backUp(join(folder, "link"))).stream, stream)
        const source = openDirectory({ path: Buffer.from(root), version: 1, excludes: [] })
        const count = yield* Effect.scoped(Effect.flatMap(source, ({ read }) => read(new Uint8Array(1))))
        assert.strictEqual(count, 1)
      })
    )
  )

  it.effect("fails when there is no directory to read, or a pattern is none", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        write(root, { file: "" })
        for (const [path, excludes, message] of [
          [join(root, "missing"), [], "missing: cannot be read as a directory: no such directory"],
          [join(root, "file"), [], "file: cannot be read as a directory: it is not a directory"],
          ["/proc", [], "/proc: is part of a virtual file system"],
          [root, ["[a"], '--exclude: bad path pattern "[a": expected a ] for every [']
        ] as const) {
          const error = yield* Effect.flip(backUp(path, { excludes }))
          assert.instanceOf(error, SourceError)
          assert.isTrue(error.message.endsWith(message), error.message)
        }
      })
    )
  )

  it.effect("goes on where a long way of entries adds nothing to the payload stream", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        for (let index = 0; index < 1500; index++) mkdirSync(join(root, `d${index}`))
        const { archive, stream } = yield* backUp(root, { version: 2 })
        assert.strictEqual(entriesOf(archive, stream).size, 1501)
        assert.strictEqual(stream.length, 32)
      })
    )
  )

  it.effect("closes what it opened, wherever reading ended", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        buildMixed(root)
        yield* backUp(root)
        const before = countDescriptors()
        for (const readBytes of [0, 1, 300, 1000, 1_000_000]) {
          yield* Effect.scoped(
            Effect.flatMap(openDirectory({ path: root, version: 1, excludes: [] }), (source) =>
              source.read(new Uint8Array(readBytes))
            )
          )
          assert.strictEqual(countDescriptors(), before)
        }
      })
    )
  )

  it.effect("tells how fast it reads many small files", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        for (let index = 0; index < 1000; index++) {
          if (index % 100 === 0) mkdirSync(join(root, `d${index}`))
          writeFileSync(join(root, `d${index - (index % 100)}`, `f${index}`), "small".repeat(100))
        }
        const start = performance.now()
        const { statistics } = yield* backUp(root)
        assert.strictEqual(statistics.files, 1000)
        console.info(`1000 small files in ${Math.round(performance.now() - start)} ms`)
      })
    )
  )
})
