/** What the program says when it is called wrongly, or asked for what is not there: one line, a hint, an exit code. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails, fastFolder, granary, makeStore, succeed } from "./cli.ts"

const folder = fastFolder()
const source = path.join(folder.path, "source")
let store = ""

beforeAll(async () => {
  mkdirSync(source)
  writeFileSync(path.join(source, "file"), "content")
  store = makeStore(folder.path)
  await succeed(["backup", "-r", store, "--backup-id", "a", `a.pxar:${source}`])
})
afterAll(folder.remove)

interface Case {
  readonly name: string
  readonly args: () => ReadonlyArray<string>
  readonly code: number
  readonly line: RegExp
}

const backup = (...rest: ReadonlyArray<string>) => ["backup", "-r", store, "--backup-id", "bad", ...rest]
const restore = (...rest: ReadonlyArray<string>) => [
  "restore",
  "-r",
  store,
  ...rest,
  path.join(folder.path, "out")
]

const cases: ReadonlyArray<Case> = [
  {
    name: "no repository",
    args: () => ["snapshots"],
    code: 2,
    line: /no datastore was named.*--repository/
  },
  {
    name: "a missing repository",
    args: () => ["snapshots", "-r", path.join(folder.path, "none")],
    code: 1,
    line: /none: .*not a datastore.*granary init/
  },
  {
    name: "a folder that is no datastore",
    args: () => ["backup", "-r", source, `a.pxar:${source}`],
    code: 1,
    line: /source: .*not a datastore/
  },
  { name: "an unknown command", args: () => ["frobnicate"], code: 2, line: /frobnicate.*--help/ },
  { name: "an unknown flag", args: () => backup("--frob", "a.pxar:/tmp"), code: 2, line: /--frob.*--help/ },
  {
    name: "a missing argument",
    args: () => ["restore", "-r", store, "host/a"],
    code: 2,
    line: /archive.*--help/
  },
  { name: "nothing to back up", args: () => backup(), code: 2, line: /archive/ },
  { name: "a source without a name", args: () => backup(source), code: 2, line: /NAME:SOURCE.*NAME\.pxar/ },
  {
    name: "an unknown kind of archive",
    args: () => backup(`a.zip:${source}`),
    code: 2,
    line: /a\.zip.*\.pxar/
  },
  { name: "a bad archive name", args: () => backup(`a b.pxar:${source}`), code: 2, line: /a b\.pxar/ },
  {
    name: "an archive name that escapes",
    args: () => backup(`../a.pxar:${source}`),
    code: 2,
    line: /\.\.\/a/
  },
  {
    name: "an archive with the manifest's name",
    args: () => backup(`index.json:${source}/file`),
    code: 2,
    line: /index\.json/
  },
  {
    name: "an archive named twice",
    args: () => backup(`a.pxar:${source}`, `a.pxar:${source}`),
    code: 1,
    line: /a\.pxar.*twice/
  },
  {
    name: "a bad backup id",
    args: () => ["backup", "-r", store, "--backup-id", "../x", `a.pxar:${source}`],
    code: 2,
    line: /backup id "\.\.\/x".*--backup-id/
  },
  {
    name: "a bad namespace",
    args: () => ["snapshots", "-r", store, "--ns", "a//b"],
    code: 2,
    line: /a\/\/b/
  },
  {
    name: "a missing namespace",
    args: () => ["snapshots", "-r", store, "--ns", "no/such"],
    code: 1,
    line: /no\/such: .*no such namespace/
  },
  {
    name: "a bad backup time",
    args: () => backup("--backup-time", "yesterday", `a.pxar:${source}`),
    code: 2,
    line: /yesterday/
  },
  {
    name: "a bad exclude pattern",
    args: () => backup("--exclude", "[", `a.pxar:${source}`),
    code: 2,
    line: /"\["/
  },
  {
    name: "a missing directory",
    args: () => backup("a.pxar:/no/such/source"),
    code: 1,
    line: /\/no\/such\/source: .*no such/i
  },
  {
    name: "a file where a directory is wanted",
    args: () => backup(`a.pxar:${source}/file`),
    code: 1,
    line: /source\/file: .*directory/
  },
  {
    name: "a missing image",
    args: () => backup("a.img:/no/such/image"),
    code: 1,
    line: /\/no\/such\/image: .*no such/
  },
  {
    name: "a directory as an image",
    args: () => backup(`a.img:${source}`),
    code: 1,
    line: /source: .*directory/
  },
  {
    name: "a missing file",
    args: () => backup("a.conf:/no/such/file"),
    code: 1,
    line: /\/no\/such\/file: .*no such file/
  },
  {
    name: "a missing group",
    args: () => restore("host/none", "a.pxar"),
    code: 1,
    line: /host\/none: .*no such.*granary snapshots/
  },
  {
    name: "a missing snapshot",
    args: () => restore("host/a/2020-01-01T00:00:00Z", "a.pxar"),
    code: 1,
    line: /host\/a\/2020-01-01T00:00:00Z: .*no such snapshot/
  },
  { name: "a bad snapshot", args: () => restore("nonsense", "a.pxar"), code: 2, line: /nonsense/ },
  { name: "a missing archive", args: () => restore("host/a", "b.pxar"), code: 1, line: /b\.pxar.*a\.pxar/ },
  {
    name: "a missing path in an archive",
    args: () => ["cat", "-r", store, "host/a", "a.pxar", "nothing/here"],
    code: 1,
    line: /nothing\/here/
  },
  {
    name: "a key that is needed",
    args: () => backup("--crypt-mode", "encrypt", `a.pxar:${source}`),
    code: 2,
    line: /--keyfile/
  },
  {
    name: "a missing key file",
    args: () => backup("--keyfile", "/no/such/key", `a.pxar:${source}`),
    code: 1,
    line: /\/no\/such\/key/
  },
  {
    name: "a file that is no key",
    args: () => backup("--keyfile", path.join(source, "file"), `a.pxar:${source}`),
    code: 1,
    line: /source\/file: .*not a key file.*key create/
  },
  { name: "init on a datastore", args: () => ["init", store], code: 1, line: /store: .*datastore already/ },
  {
    name: "init in a folder that is not empty",
    args: () => ["init", source],
    code: 1,
    line: /source: .*not empty/
  },
  {
    name: "init below a missing folder",
    args: () => ["init", "/no/such/parent/store"],
    code: 1,
    line: /\/no\/such/
  }
]

describe("wrong calls", () => {
  it.each(cases)("$name", async ({ args, code, line }) => {
    assertFails(await granary(args()), code, line)
    assert.isFalse(existsSync(path.join(store, "host/bad")), "no trace of a backup that did not start")
  })

  it("are JSON objects with --output json", async () => {
    for (const args of [["frobnicate"], ["restore", "-r", store, "host/none", "a.pxar", "-"]]) {
      const ended = await granary([...args, "--output", "json"])
      assert.notStrictEqual(ended.code, 0)
      const lines = ended.errors.trim().split("\n")
      assert.strictEqual(lines.length, 1, ended.errors)
      const { error } = JSON.parse(lines[0]!)
      assert.hasAllKeys(error, ["tag", "message", "hint"])
      assert.isNotEmpty(error.hint)
      assert.strictEqual(ended.text, "", "nothing on standard output")
    }
  })
})

describe("help", () => {
  it("comes on standard output with exit code 0", async () => {
    const all = await succeed(["--help"])
    assert.include(all.text, "Deduplicating backups")
    const one = await succeed(["backup", "--help"])
    assert.include(one.text, "home.pxar:/home")
    assert.strictEqual(all.errors + one.errors, "")
  })

  it("tells the version", async () => {
    assert.match((await succeed(["--version"])).text, /\d+\.\d+\.\d+/)
  })
})
