import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { CatalogWriter } from "../../src/format/Catalog.ts"
import { FileFlag, MODE_TYPE } from "../../src/model/FileMetadata.ts"
import * as Posix from "../../src/platform/Posix.ts"
import { bytesOf, decodeAll, describeEvents, loadGolden, type ReferenceLine } from "../format/pxar/goldens.ts"
import { backUp, isRoot, setTimes, withDescriptor, withFolder } from "./directory/trees.ts"

const SECONDS = 1704164645
const NANOS = 678901234

const at = (folder: string, ...names: Array<string>): string => join(folder, ...names)

const file = (path: string, content: string): void => {
  writeFileSync(path, content)
  chmodSync(path, 0o644)
}

const folder = (path: string): void => {
  mkdirSync(path, { recursive: true })
  chmodSync(path, 0o755)
}

const BUILDERS: Record<string, { readonly build: (root: string) => void; readonly paths: Array<string> }> = {
  emptyroot: { build: () => undefined, paths: [] },
  one: { build: (root) => file(at(root, "a.txt"), "hello\n"), paths: ["a.txt"] },
  mix: {
    build: (root) => {
      folder(at(root, "d"))
      file(at(root, "d", "f"), "data")
      withDescriptor(at(root, "d", "f"), (fd) => Posix.setXattr(fd, bytesOf("user.k"), bytesOf("v")))
      linkSync(at(root, "d", "f"), at(root, "z-hard"))
      symlinkSync("d/f", at(root, "sym"))
      file(at(root, "empty"), "")
      file(at(root, ".pxarexclude"), "*.tmp\n")
      file(at(root, "x.tmp"), "never seen")
    },
    paths: ["d/f", "d", "sym", "empty", ".pxarexclude", "x.tmp"]
  }
}

const buildTiny = (name: string, root: string): void => {
  const builder = BUILDERS[name]
  if (builder === undefined) throw new Error(name)
  folder(root)
  builder.build(root)
  for (const path of [...builder.paths, ""]) setTimes(at(root, path), SECONDS, NANOS)
}

const assertSameBytes = (found: Uint8Array, expected: Uint8Array, what: string): void => {
  const length = Math.min(found.length, expected.length)
  let position = 0
  while (position < length && found[position] === expected[position]) position++
  assert.deepStrictEqual(
    { what, length: found.length, firstDifference: position },
    { what, length: expected.length, firstDifference: expected.length }
  )
}

describe.skipIf(!isRoot)(
  "DirectorySource on small trees of the reference (as root, whose files they are)",
  () => {
    for (const [tree, golden, excludes] of [
      ["emptyroot", "tiny-emptyroot", []],
      ["one", "tiny-one", []],
      ["mix", "tiny-mix", []],
      ["mix", "tiny-mix-exclude-cli", ["d/f", "**/*.nothing"]]
    ] as const) {
      it.effect(`makes the same archives of ${golden}`, () =>
        withFolder((temporary) =>
          Effect.gen(function* () {
            const root = at(temporary, "root")
            buildTiny(tree, root)
            const unified = yield* backUp(root, { excludes })
            assertSameBytes(unified.stream, loadGolden(`${golden}.v1`).archive, "archive of version 1")
            const split = yield* backUp(root, { version: 2, excludes })
            const { archive, payload } = loadGolden(`${golden}.v2`)
            assertSameBytes(split.archive, archive, "archive of version 2")
            assertSameBytes(split.stream, payload ?? new Uint8Array(), "payload stream")
            assert.deepStrictEqual([...unified.warnings, ...split.warnings], [])
          })
        )
      )
    }
  }
)

const FIXTURES = new URL("../../../shared/fixtures/", import.meta.url)
const TARBALL = fileURLToPath(new URL("input/tree.tar.zst", FIXTURES))
const hasTools = ["tar", "zstd"].every((tool) => spawnSync(tool, ["--version"]).status === 0)

const INODE_FLAGS: ReadonlyArray<readonly [path: string, inodeFlag: number, fileFlag: number]> = [
  ["noatime", 0x80, FileFlag.noAtime],
  ["immutable", 0x10, FileFlag.immutable],
  ["sync", 0x08, FileFlag.sync],
  ["nodump", 0x40, FileFlag.noDump],
  ["append", 0x20, FileFlag.append]
]

/** Adds what tar could not carry: the socket and the inode flags. False when flags cannot be set here. */
const completeTree = (tree: string): boolean => {
  const special = at(tree, "special")
  const { mtimeNanos, mtimeSeconds } = Posix.statAt(Posix.AT_FDCWD, special)
  withDescriptor(special, (fd) =>
    Posix.makeNodeAt(fd, bytesOf("socket"), MODE_TYPE.socket | 0o755, { major: 0, minor: 0 })
  )
  chmodSync(at(special, "socket"), 0o755)
  setTimes(at(special, "socket"), 1700000377, 377377)
  setTimes(special, mtimeSeconds, mtimeNanos)
  return setFlags(tree, (inodeFlags, wanted) => inodeFlags | wanted)
}

const setFlags = (tree: string, change: (inodeFlags: number, wanted: number) => number): boolean => {
  try {
    for (const [name, wanted] of INODE_FLAGS) {
      withDescriptor(at(tree, "flags", name), (fd) =>
        Posix.setInodeFlags(fd, change(Posix.getInodeFlags(fd), wanted))
      )
    }
    return true
  } catch {
    return false
  }
}

/** What must agree on every file system: attributes in any order, flags only where they could be set. */
const comparable =
  (hasFlags: boolean) =>
  (line: ReferenceLine): object => {
    const { path: _path, ...rest } = { path: "", ...line }
    return {
      ...rest,
      kind: line.kind.slice(0, 400),
      flags: hasFlags ? line.flags : "",
      xattrs: line.xattrs.map(([name, value]) => `${name}=${value}`).toSorted()
    }
  }

describe.skipIf(!isRoot || !hasTools || !existsSync(TARBALL))(
  "DirectorySource on the large tree of the reference (needs the fixtures, root, tar and zstd)",
  () => {
    let temporary = ""
    let tree = ""
    let hasFlags = false

    beforeAll(() => {
      temporary = mkdtempSync(join(tmpdir(), "granary-tree-"))
      tree = at(temporary, "tree")
      const command = `zstd -dc "$0" | tar --xattrs --xattrs-include='*' --acls -xpf - -C "$1" 2>&1`
      execFileSync("sh", ["-c", command, TARBALL, temporary])
      hasFlags = completeTree(tree)
    })

    afterAll(() => {
      setFlags(tree, (inodeFlags, wanted) => inodeFlags & ~wanted)
      rmSync(temporary, { recursive: true, force: true })
    })

    it.effect("stores the same entries", () =>
      Effect.gen(function* () {
        for (const version of [1, 2] as const) {
          const { archive, stream, warnings } = yield* backUp(tree, { version })
          const { lines } = loadGolden(`tree.v${version}`)
          const found =
            version === 1 ? describeEvents(decodeAll(stream)) : describeEvents(decodeAll(archive), stream)
          assert.deepStrictEqual(found.map(comparable(hasFlags)), lines?.map(comparable(hasFlags)))
          assert.deepStrictEqual(warnings, [])
        }
      })
    )

    it.effect("makes the same bytes of the archives, where the file system can hold the tree", (context) =>
      Effect.gen(function* () {
        if (!hasFlags) return context.skip("inode flags cannot be set here")
        const unified = yield* backUp(tree)
        assertSameBytes(unified.stream, loadGolden("tree.v1").archive, "archive of version 1")
        const split = yield* backUp(tree, { version: 2 })
        const golden = loadGolden("tree.v2")
        assertSameBytes(split.archive, golden.archive, "archive of version 2")
        assertSameBytes(split.stream, golden.payload ?? new Uint8Array(), "payload stream")
      })
    )

    it.effect("makes the same catalog and suggests the same places to cut", () =>
      Effect.gen(function* () {
        const writer = new CatalogWriter()
        yield* backUp(tree, { catalog: { writer, name: "root.pxar.didx" } })
        writer.finish()
        assertSameBytes(writer.takeBytes(), readFileSync(new URL("pxar/tree.pcat1", FIXTURES)), "catalog")
        const { suggestions } = yield* backUp(tree, { version: 2 })
        const golden: unknown = JSON.parse(
          readFileSync(new URL("pxar/tree.v2.suggested-boundaries.json", FIXTURES), "utf8")
        )
        assert.deepStrictEqual({ suggested_boundaries: suggestions }, golden)
      })
    )
  }
)
