/** Directories there and back: every kind of file, real trees, parts of them, and what is left out on the way. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import * as path from "node:path"
import { compareTrees, describeDifference } from "../../src/restore/compareTrees.ts"
import { document, fastFolder, granary, isRoot, makeStore, start, succeed, workFolder } from "./cli.ts"
import * as everyKind from "./everyKind.ts"

const folder = workFolder()
const fast = fastFolder()
const inFolder = (...parts: ReadonlyArray<string>): string => path.join(folder.path, ...parts)
let store = ""

beforeAll(async () => {
  store = makeStore(fast.path)
})
afterAll(() => {
  folder.remove()
  fast.remove()
})

const backUp = (id: string, ...rest: ReadonlyArray<string>) =>
  succeed(["backup", "-r", store, "--backup-id", id, ...rest])

const restore = (id: string, archive: string, target: string, ...rest: ReadonlyArray<string>) =>
  succeed(["restore", "-r", store, `host/${id}`, archive, target, ...rest])

const differences = (left: string, right: string): ReadonlyArray<string> =>
  [...compareTrees(left, right)].map(describeDifference)

describe("a file of every kind", () => {
  const source = inFolder("every-kind")
  beforeAll(() => everyKind.make(source))

  it.each(["legacy", "data"])("comes back as it was (change detection %s)", async (detection) => {
    const id = `kinds-${detection}`
    const target = inFolder(id)
    const { errors } = await backUp(id, "--change-detection", detection, `all.pxar:${source}`)
    assert.strictEqual(errors, "", "no warnings")
    await restore(id, "all.pxar", target)
    assert.deepStrictEqual(everyKind.describe(target), everyKind.describe(source))
    assert.deepStrictEqual(differences(source, target), [])
    const { blocks, size } = statSync(path.join(target, "sparse"))
    assert.isBelow(blocks * 512, size / 2, "holes stay holes")
  })

  it("is listed with names that cannot play tricks", async () => {
    await backUp("listed", `all.pxar:${source}`)
    const listed = await succeed(["ls", "-r", store, "host/listed", "all.pxar", "-R"])
    assert.notInclude(listed.text, "\u001b")
    const entries = await document<ReadonlyArray<Record<string, unknown>>>([
      "ls",
      "-r",
      store,
      "host/listed",
      "all.pxar",
      "names"
    ])
    const raw = entries.find((entry) => entry["path-base64"] !== undefined)
    const name = Buffer.from(String(raw?.["path-base64"]), "base64")
    assert.deepStrictEqual([...name.subarray(-3)], [0xff, 0xfe, 0x80])
    const cat = await succeed([
      "cat",
      "-r",
      store,
      "host/listed",
      "all.pxar",
      `base64:${String(raw?.["path-base64"])}`
    ])
    assert.strictEqual(cat.text, "not UTF-8")
  })
})

const realTrees = ["/etc/ssl", "/etc/systemd", "/usr/share/perl5", "/usr/share/zoneinfo"].filter(existsSync)

describe.skipIf(realTrees.length === 0)("trees of this machine", () => {
  it("come back as they are, several of them in one snapshot", async () => {
    const names = realTrees.map((tree) => tree.slice(1).replaceAll("/", "-"))
    await backUp("machine", ...realTrees.map((tree, index) => `${names[index]}.pxar:${tree}`))
    for (const [index, tree] of realTrees.entries()) {
      const target = inFolder(names[index]!)
      await restore("machine", `${names[index]}.pxar`, target)
      assert.deepStrictEqual(differences(tree, target), [])
    }
  })
})

describe("what is left out", () => {
  it("follows --exclude and .pxarexclude files", async () => {
    const source = inFolder("excludes")
    mkdirSync(path.join(source, "cache/keep"), { recursive: true })
    mkdirSync(path.join(source, "src"))
    const names = ["a.tmp", "b.txt", "cache/x", "cache/keep/y", "src/a.o", "src/main.o", "src/code"]
    for (const name of names) writeFileSync(path.join(source, name), name)
    writeFileSync(path.join(source, "src/.pxarexclude"), "# objects\n*.o\n!main.o\n")
    await backUp("excludes", "--exclude", "*.tmp", "--exclude", "/cache/x", `s.pxar:${source}`)
    await restore("excludes", "s.pxar", inFolder("excludes-restored"))
    const found = readdirSync(inFolder("excludes-restored"), { recursive: true, encoding: "utf8" })
    const expected = ["b.txt", "cache", "cache/keep", "cache/keep/y", "src", "src/.pxarexclude", "src/code"]
    assert.sameMembers(
      found.filter((name) => name !== ".pxarexclude-cli"),
      [...expected, "src/main.o"]
    )
  })

  it("is other file systems, unless asked for", async () => {
    const id = "mounts"
    const entries = await backUp(id, "--exclude", "/*/*", "--exclude", "!/dev", "d.pxar:/dev").then(() =>
      document<ReadonlyArray<{ path: string }>>(["ls", "-r", store, `host/${id}`, "d.pxar", "-R"])
    )
    assert.isNotEmpty(entries)
    assert.isFalse(entries.some((entry) => entry.path.includes(fast.path.slice("/dev".length))))
  })
})

describe("files that cannot be read", () => {
  it.skipIf(!isRoot)("are warnings with exit code 3 for another user", async () => {
    const own = fastFolder()
    chmodSync(own.path, 0o777)
    const other = { userId: 65_534 }
    const source = path.join(own.path, "source")
    mkdirSync(path.join(source, "closed"), { recursive: true })
    writeFileSync(path.join(source, "open"), "everybody's")
    writeFileSync(path.join(source, "secret"), "root's", { mode: 0o600 })
    chmodSync(path.join(source, "closed"), 0o700)
    const otherStore = path.join(own.path, "store")
    await succeed(["init", otherStore], other)
    const backup = ["backup", "-r", otherStore, "--backup-id", "other", `s.pxar:${source}`]
    const ended = await granary([...backup, "--output", "json"], other)
    assert.strictEqual(ended.code, 3, ended.errors)
    assert.strictEqual(JSON.parse(ended.text).stats.warnings, 2)
    assert.match(ended.errors, /"warning".*secret/)
    assert.match(ended.errors, /"warning".*closed/)
    const target = path.join(own.path, "target")
    const restored = await granary(["restore", "-r", otherStore, "host/other", "s.pxar", target], other)
    // Owners are root's, and giving files away is root's as well: told once, and the content is there.
    assert.strictEqual(restored.code, 3, restored.errors)
    assert.strictEqual(readFileSync(path.join(target, "open"), "utf8"), "everybody's")
    assert.isFalse(existsSync(path.join(target, "secret")))
    own.remove()
  })

  it("because they change or vanish are warnings with exit code 3", async () => {
    const source = inFolder("changing")
    mkdirSync(source)
    const big = path.join(source, "a-big")
    writeFileSync(big, "")
    truncateSync(big, 4 * 1024 ** 3)
    writeFileSync(path.join(source, "m-stays"), "still here")
    writeFileSync(path.join(source, "z-vanishes"), "soon gone")
    const args = ["backup", "-r", store, "--backup-id", "changing", "--output", "json", `s.pxar:${source}`]
    const running = start(args)
    running.child.stdin?.end()
    running.child.stderr?.on("data", (piece: Buffer) => {
      if (!piece.includes('"running"') || !existsSync(path.join(source, "z-vanishes"))) return
      truncateSync(big, 1000)
      rmSync(path.join(source, "z-vanishes"))
    })
    const ended = await running.ended
    assert.strictEqual(ended.code, 3, ended.errors)
    assert.match(ended.errors, /"warning".*a-big/)
    assert.match(ended.errors, /"warning".*z-vanishes/)
    const cat = await succeed(["cat", "-r", store, "host/changing", "s.pxar", "m-stays"])
    assert.strictEqual(cat.text, "still here")
  })
})

describe("restoring", () => {
  const source = inFolder("parts")
  const beforeSeconds = 1_500_000_000

  beforeAll(async () => {
    mkdirSync(path.join(source, "docs/deep"), { recursive: true })
    mkdirSync(path.join(source, "music"))
    const names = ["docs/a.txt", "docs/b.md", "docs/deep/c.txt", "music/song", "top.txt"]
    for (const name of names) {
      writeFileSync(path.join(source, name), `content of ${name}`)
      utimesSync(path.join(source, name), beforeSeconds, beforeSeconds)
    }
    await backUp("parts", `p.pxar:${source}`)
  })

  const filesIn = (target: string): ReadonlyArray<string> =>
    readdirSync(target, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(target, path.join(entry.parentPath, entry.name)))
      .toSorted()

  it("brings parts back: paths and patterns", async () => {
    await restore("parts", "p.pxar", inFolder("part-1"), "--include", "docs/**", "--exclude", "*.md")
    assert.deepStrictEqual(filesIn(inFolder("part-1")), ["docs/a.txt", "docs/deep/c.txt"])
    await restore("parts", "p.pxar", inFolder("part-2"), "--include", "/music/song")
    assert.deepStrictEqual(filesIn(inFolder("part-2")), ["music/song"])
  })

  it("never overwrites without being told, then always, or only what is older", async () => {
    const target = inFolder("overwrite")
    await restore("parts", "p.pxar", target)
    const changed = path.join(target, "docs/a.txt")
    writeFileSync(changed, "mine")
    const args = ["restore", "-r", store, "host/parts", "p.pxar", target]
    const refused = await granary(args)
    assert.strictEqual(refused.code, 3)
    assert.match(refused.errors, /^warning: docs\/a\.txt: .*exists/m)
    assert.strictEqual(readFileSync(changed, "utf8"), "mine")
    await granary([...args, "--overwrite", "newer"])
    assert.strictEqual(readFileSync(changed, "utf8"), "mine", "it is newer than the backup")
    utimesSync(changed, 1, 1)
    await succeed([...args, "--overwrite", "newer"])
    assert.strictEqual(readFileSync(changed, "utf8"), "content of docs/a.txt")
    writeFileSync(changed, "mine again")
    await succeed([...args, "--overwrite", "always"])
    assert.deepStrictEqual(differences(source, target), [])
  })

  it("does not follow links out of its target", async () => {
    const target = inFolder("linked")
    const outside = inFolder("outside")
    mkdirSync(target)
    mkdirSync(outside)
    symlinkSync(outside, path.join(target, "docs"))
    await granary(["restore", "-r", store, "host/parts", "p.pxar", target])
    await granary(["restore", "-r", store, "host/parts", "p.pxar", target, "--overwrite", "always"])
    assert.deepStrictEqual(readdirSync(outside), [])
  })

  it("finds and compares", async () => {
    const found = await document<ReadonlyArray<{ path: string }>>([
      "find",
      "-r",
      store,
      "host/parts",
      "*.txt"
    ])
    const paths = found.map((entry) => entry.path.replace(/^\//, "")).toSorted()
    assert.deepStrictEqual(paths, ["docs/a.txt", "docs/deep/c.txt", "top.txt"])
    const [first] = await document<ReadonlyArray<{ "backup-time": number }>>([
      "snapshots",
      "-r",
      store,
      "host/parts"
    ])
    const stamp = new Date(first!["backup-time"] * 1000).toISOString().replace(".000", "")
    renameSync(path.join(source, "top.txt"), path.join(source, "renamed.txt"))
    writeFileSync(path.join(source, "music/song"), "another tune")
    await backUp("parts", `p.pxar:${source}`)
    const diff = await document<ReadonlyArray<{ path: string; change: string }>>([
      "diff",
      "-r",
      store,
      `host/parts/${stamp}`,
      "host/parts/latest",
      "p.pxar"
    ])
    const changes = Object.fromEntries(diff.map((each) => [each.path.replace(/^\//, ""), each.change]))
    assert.strictEqual(changes["top.txt"], "removed")
    assert.strictEqual(changes["renamed.txt"], "added")
    assert.strictEqual(changes["music/song"], "modified")
  })
})
