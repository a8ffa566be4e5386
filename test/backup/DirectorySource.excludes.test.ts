import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { lstatSync, mkdirSync, symlinkSync } from "node:fs"
import { join } from "node:path"
import { CatalogWriter, readDirectory, readRoot } from "../../src/format/Catalog.ts"
import { MODE_TYPE } from "../../src/model/FileMetadata.ts"
import * as Posix from "../../src/platform/Posix.ts"
import { bytesOf, decodeAll } from "../format/pxar/goldens.ts"
import { backUp, entriesOf, pathsOf, textAt, withDescriptor, withFolder, write } from "./directory/trees.ts"

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
    "other/cache": "",
    "zone/here": "",
    "zone/y.tmp": "",
    "zone/deep/er": ""
  }

  it.effect("heeds exclude files in their directories and below", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        write(root, files)
        const { stream, warnings } = yield* backUp(root)
        const kept = pathsOf(entriesOf(stream)).filter((path) => !lstatSync(join(root, path)).isDirectory())
        assert.deepStrictEqual(kept, [
          ...".pxarexclude keep.tmp other/cache other/deep/er other/here".split(" "),
          ..."sub/.pxarexclude sub/below/here sub/below/y.tmp sub/top sub/y.tmp".split(" "),
          ..."zone/deep/er zone/here".split(" ")
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
        const writer = new CatalogWriter()
        const catalogTarget = { writer, name: "root.pxar.didx" }
        const entries = entriesOf((yield* backUp(root, { excludes, catalog: catalogTarget })).stream)
        writer.finish()
        const catalog = writer.takeBytes()
        const [archive] = readDirectory(catalog, readRoot(catalog))
        const listed = archive?.kind === "directory" ? [...readDirectory(catalog, archive.directory)] : []
        assert.deepStrictEqual(listed.at(-1), {
          kind: "file",
          name: bytesOf(".pxarexclude-cli"),
          sizeBytes: 14,
          mtimeSeconds: 0
        })
        assert.deepStrictEqual(pathsOf(entries), ["a", "a/.pxarexclude", "a/x", "a/y", ".pxarexclude-cli"])
        assert.strictEqual(textAt(entries, ".pxarexclude-cli"), "x\n/b\nnothing/\n")
        const split = yield* backUp(root, { excludes, version: 2 })
        assert.deepStrictEqual(pathsOf(entriesOf(split.archive, split.stream)), [
          "a",
          "a/.pxarexclude",
          "a/x",
          "a/y"
        ])
        const prelude = decodeAll(split.archive).find(({ kind }) => kind === "prelude")
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

  it.effect("takes as many patterns as an exclude file can hold", () =>
    withFolder((root) =>
      Effect.gen(function* () {
        write(root, { "a.o": "", b: "", ".pxarexclude": `${"x\n".repeat(150_000)}*.o\n` })
        const { stream, warnings } = yield* backUp(root)
        assert.deepStrictEqual(pathsOf(entriesOf(stream)), [".pxarexclude", "b"])
        assert.deepStrictEqual(warnings, [])
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
