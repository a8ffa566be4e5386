import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import {
  closeSync,
  constants,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
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
import { bytesOf, decodeAll } from "../format/pxar/goldens.ts"
import {
  backUp,
  entriesOf,
  isRoot,
  setTimes,
  type Stored,
  textAt,
  withDescriptor,
  withFolder
} from "./directory/trees.ts"

const write = (root: string, files: Record<string, string>): void => {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(root, path, ".."), { recursive: true })
    writeFileSync(join(root, path), content)
  }
}

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

const pathsOf = (entries: Map<string, Stored>): Array<string> =>
  [...entries.keys()].filter((path) => path !== "")

const openDescriptors = (): number => readdirSync("/proc/self/fd").length

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
        const expected = { files: 6, directories: 7, others: 1, hardlinks: 1, warnings: 0 }
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
          [join(root, "missing"), [], "missing: cannot be read as a directory (ENOENT)"],
          [join(root, "file"), [], "file: cannot be read as a directory (ENOTDIR)"],
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

  it.effect("closes what it opened, wherever reading ended", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        buildMixed(root)
        yield* backUp(root)
        const before = openDescriptors()
        for (const readBytes of [0, 1, 300, 1000, 1_000_000]) {
          yield* Effect.scoped(
            Effect.flatMap(openDirectory({ path: root, version: 1, excludes: [] }), (source) =>
              source.read(new Uint8Array(readBytes))
            )
          )
          assert.strictEqual(openDescriptors(), before)
        }
      })
    )
  )

  it.effect("tells how fast it reads many small files", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        for (let index = 0; index < 4000; index++) {
          if (index % 100 === 0) mkdirSync(join(root, `d${index}`))
          writeFileSync(join(root, `d${index - (index % 100)}`, `f${index}`), "small".repeat(100))
        }
        const start = performance.now()
        const { statistics } = yield* backUp(root)
        assert.strictEqual(statistics.files, 4000)
        console.info(`4000 small files in ${Math.round(performance.now() - start)} ms`)
      })
    )
  )
})

describe("DirectorySource with excludes", () => {
  const files = {
    ".pxarexclude": "# comment\n\n  *.tmp  \r\n/top\n!keep.tmp\n[broken\ncache/\n",
    "x.tmp": "",
    "keep.tmp": "",
    top: "",
    "sub/.pxarexclude": "!y.tmp\n/here\ndeep/er\n",
    "sub/top": "",
    "sub/y.tmp": "",
    "sub/z.tmp": "",
    "sub/here": "",
    "sub/below/here": "",
    "sub/below/y.tmp": "",
    "sub/deep/er": "",
    "sub/more/deep/er": "",
    "other/y.tmp": "",
    "other/here": "",
    "other/deep/er": "",
    "cache/file": "",
    "other/cache": ""
  }

  it.effect("heeds exclude files in their directories and below", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        write(root, files)
        const { stream, warnings } = yield* backUp(root)
        const kept = pathsOf(entriesOf(stream)).filter((path) => !lstatSync(join(root, path)).isDirectory())
        assert.deepStrictEqual(kept, [
          ...".pxarexclude keep.tmp other/cache other/deep/er other/here".split(" "),
          ..."sub/.pxarexclude sub/below/here sub/below/y.tmp sub/top sub/y.tmp".split(" ")
        ])
        assert.deepStrictEqual(warnings, [
          '.pxarexclude: bad path pattern "[broken": expected a ] for every [; the line was ignored'
        ])
      })
    )
  )

  it.effect("applies patterns of the command line first and records them", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        write(root, { "a/x": "", "a/y": "", b: "", ".pxarexclude-cli": "of an earlier restore" })
        write(root, { "a/.pxarexclude": "!x\n" })
        const excludes = ["x", "/b", "nothing//"]
        const entries = entriesOf((yield* backUp(root, { excludes })).stream)
        assert.deepStrictEqual(pathsOf(entries), ["a", "a/.pxarexclude", "a/x", "a/y", ".pxarexclude-cli"])
        assert.strictEqual(textAt(entries, ".pxarexclude-cli"), "x\n/b\nnothing/\n")
        const { archive, stream } = yield* backUp(root, { excludes, version: 2 })
        assert.deepStrictEqual(pathsOf(entriesOf(archive, stream)), ["a", "a/.pxarexclude", "a/x", "a/y"])
        const prelude = decodeAll(archive).find(({ kind }) => kind === "prelude")
        assert.strictEqual(
          prelude?.kind === "prelude" && Buffer.from(prelude.bytes).toString(),
          '{"exclude-patterns":"x\\n/b\\nnothing/\\n"}'
        )
      })
    )
  )

  it.effect("follows an exclude file that is a link, but opens nothing except files", () =>
    withFolder((folder) =>
      Effect.gen(function* () {
        write(folder, { shared: "*.o\n", "root/linked/a.o": "", "root/fifo/a.o": "", "root/folder/a.o": "" })
        symlinkSync("../../shared", join(folder, "root/linked/.pxarexclude"))
        mkdirSync(join(folder, "root/folder/.pxarexclude"))
        withDescriptor(join(folder, "root/fifo"), (fd) =>
          Posix.makeNodeAt(fd, bytesOf(".pxarexclude"), MODE_TYPE.fifo | 0o600, { major: 0, minor: 0 })
        )
        const entries = entriesOf((yield* backUp(join(folder, "root"))).stream)
        const objects = pathsOf(entries).filter((path) => path.endsWith(".o"))
        assert.deepStrictEqual(objects, ["fifo/a.o", "folder/a.o"])
      })
    )
  )

  it.effect("ignores an exclude file that is too large", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        write(root, { "a.o": "", ".pxarexclude": "*.o\n".repeat(300_000) })
        const { stream, warnings } = yield* backUp(root)
        assert.isTrue(entriesOf(stream).has("a.o"))
        assert.deepStrictEqual(warnings, [
          ".pxarexclude: its 1200000 bytes of patterns were ignored: only 1048576 are allowed"
        ])
      })
    )
  )
})

/** Makes directories inside each other, deeper than a path could name. */
const makeDeep = (root: string, name: string, levels: number): void => {
  let fd = openSync(root, constants.O_DIRECTORY)
  for (let level = 0; level < levels; level++) {
    Posix.makeDirectoryAt(fd, bytesOf(name), 0o755)
    const child = Posix.openAt(fd, bytesOf(name), constants.O_DIRECTORY)
    closeSync(fd)
    fd = child
  }
  const file = Posix.openAt(fd, bytesOf("bottom"), constants.O_CREAT | constants.O_WRONLY, 0o644)
  writeSync(file, "reached")
  closeSync(file)
  closeSync(fd)
}

describe("DirectorySource on deep trees", () => {
  it.effect("reads below the longest path that the system takes", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        const name = "a-name-of-some-length"
        makeDeep(root, name, 400)
        const { statistics, stream, warnings } = yield* backUp(root)
        assert.strictEqual(textAt(entriesOf(stream), `${`${name}/`.repeat(400)}bottom`), "reached")
        assert.strictEqual(statistics.directories, 401)
        assert.deepStrictEqual(warnings, [])
      })
    )
  )

  it.effect("stores directories empty that are too deep", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        makeDeep(root, "d", 1010)
        const { statistics, stream, warnings } = yield* backUp(root)
        assert.strictEqual(statistics.directories, 1001)
        assert.strictEqual(pathsOf(entriesOf(stream)).length, 1000)
        const path = "d/".repeat(1000).slice(0, -1)
        assert.deepStrictEqual(warnings, [
          `${path}: it is stored without its content: it is more than 1000 levels deep`
        ])
      })
    )
  )

  it.effect("fails rather than leave out a tree for want of descriptors", () =>
    withFolder((root) =>
      Effect.sync(() => {
        makeDeep(root, "d", 200)
        const module = new URL("../../src/backup/DirectorySource.ts", import.meta.url).href
        const program = `
          const Effect = await import("effect/Effect")
          const { openDirectory } = await import(${JSON.stringify(module)})
          const source = openDirectory({ path: ${JSON.stringify(root)}, version: 1, excludes: [] })
          const read = Effect.scoped(Effect.flatMap(source, ({ read }) => read(new Uint8Array(1e6))))
          console.log((await Effect.runPromise(Effect.flip(read))).message)`
        const { stdout } = spawnSync(
          "sh",
          ["-c", 'ulimit -n 100; exec "$0" --input-type=module -e "$1"', process.execPath, program],
          { encoding: "utf8", cwd: new URL("../..", import.meta.url).pathname }
        )
        assert.match(stdout, /^(d\/)+d: cannot be opened \(EMFILE\)$/m)
      })
    )
  )
})

const SHARED_MEMORY = "/dev/shm"
const hasSharedMemory = (): boolean => {
  try {
    return (
      statSync(SHARED_MEMORY).dev !== statSync("/dev").dev &&
      statSync("/dev/pts").dev !== statSync("/dev").dev
    )
  } catch {
    return false
  }
}

describe.skipIf(!hasSharedMemory() || !isRoot)(
  "DirectorySource and other file systems (/dev and /dev/shm)",
  () => {
    it.effect("enters them only when told to, and virtual ones never", () =>
      Effect.acquireUseRelease(
        Effect.sync(() => mkdtempSync(join(SHARED_MEMORY, "granary-source-"))),
        (folder) =>
          Effect.gen(function* () {
            writeFileSync(join(folder, "inside"), "memory")
            setTimes(folder, 1, 1)
            const name = folder.slice(SHARED_MEMORY.length + 1)
            const excludes = ["*", "!/shm", "!/pts", `!/shm/${name}`, "!inside", "!/pts/*"]
            const apart = entriesOf((yield* backUp("/dev", { excludes })).stream)
            assert.deepStrictEqual(pathsOf(apart), ["pts", "shm", ".pxarexclude-cli"])
            const { stream } = yield* backUp("/dev", { excludes, crossFileSystems: true })
            const together = entriesOf(stream)
            assert.strictEqual(textAt(together, `shm/${name}/inside`), "memory")
            assert.deepStrictEqual(
              pathsOf(together).filter((path) => path.startsWith("pts")),
              ["pts"]
            )
          }),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
    )
  }
)
