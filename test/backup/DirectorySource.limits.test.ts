import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { join } from "node:path"
import * as Posix from "../../src/platform/Posix.ts"
import { bytesOf } from "../format/pxar/goldens.ts"
import {
  backUp,
  countDescriptors,
  entriesOf,
  isRoot,
  pathsOf,
  setTimes,
  textAt,
  withFolder
} from "./directory/trees.ts"

/** Makes directories inside each other, deeper than a path could name. */
const makeDeep = (
  root: string,
  name: string,
  levels: number,
  atBottom: (fd: number) => void = () => undefined
): void => {
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
  atBottom(fd)
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

  it.effect("stores a file again under each name when no link could hold its path", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        const name = "a-name-of-some-length"
        makeDeep(root, name, 200, (fd) => Posix.linkAt(fd, bytesOf("bottom"), fd, bytesOf("linked")))
        const { statistics, stream, warnings } = yield* backUp(root)
        const entries = entriesOf(stream)
        for (const last of ["bottom", "linked"]) {
          assert.strictEqual(textAt(entries, `${`${name}/`.repeat(200)}${last}`), "reached")
        }
        assert.deepStrictEqual([statistics.files, statistics.hardlinks, warnings], [2, 0, []])
      })
    )
  )

  it.effect("stores directories empty that are too deep", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        makeDeep(root, "d", 1010)
        const descriptorCount = countDescriptors()
        const { statistics, stream, warnings } = yield* backUp(root)
        assert.strictEqual(statistics.directories, 1001)
        assert.strictEqual(pathsOf(entriesOf(stream)).length, 1000)
        const path = "d/".repeat(1000).slice(0, -1)
        assert.deepStrictEqual(warnings, [
          `${path}: it is stored without its content: it is more than 1000 levels deep`
        ])
        assert.strictEqual(countDescriptors(), descriptorCount)
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
