/** `granary sync` with what cannot be done: one clear line each, and nothing that was good is touched. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails, chunkFiles, type Ended, makeStore } from "../e2e/cli.ts"
import { day, makeScene, namesIn } from "./syncScene.ts"

const scene = makeScene()
const { backUp, inFolder, run, succeed } = scene
let source: string
const mounts: Array<string> = []

/** False where that is not allowed. */
const mount = (folder: string, ...args: ReadonlyArray<string>): boolean => {
  mkdirSync(folder, { recursive: true })
  if (spawnSync("mount", [...args, folder]).status !== 0) return false
  mounts.push(folder)
  return true
}

beforeAll(async () => {
  source = makeStore(scene.folder.path, "source")
  await backUp(source, "a", 1)
  await backUp(source, "b", 2)
})
afterAll(() => {
  for (const folder of mounts) spawnSync("umount", ["-l", folder])
  scene.folder.remove()
})

let stores = 0
const newStore = (): string => makeStore(scene.folder.path, `store${stores++}`)
const pull = (from: string, to: string, ...rest: ReadonlyArray<string>): Promise<Ended> =>
  run("sync", "pull", "--from", from, "--to", to, ...rest)

describe("granary sync refuses", () => {
  it("one store on both ends, whichever path leads to it", async () => {
    assertFails(await pull(source, source), 1, /source and target are the same datastore, [^;,]+source \(/)
    assertFails(
      await pull(source, source, "--to-ns", "copies"),
      1,
      /the same datastore, .*source; the root and namespace copies overlap, too/
    )
    const link = inFolder("link")
    symlinkSync(source, link)
    assertFails(await pull(link, source, "--to-ns", "copies"), 1, /the same datastore/)
    assertFails(await pull(source, link), 1, /the same datastore/)
    const bound = inFolder("bound")
    if (mount(bound, "--bind", source)) assertFails(await pull(bound, source), 1, /same datastore.*bound/)
    const copy = inFolder("copy")
    cpSync(source, copy, { recursive: true })
    assert.strictEqual((await pull(source, copy)).code, 0, "a copy is another store")
  })

  it("namespaces that lead too deep", async () => {
    const deep = "1/2/3/4/5/6/7"
    assertFails(
      await pull(source, newStore(), "--to-ns", deep, "--max-depth", "1"),
      1,
      /max-depth 1 below 1\/2\/3\/4\/5\/6\/7 is deeper than 7 namespaces/
    )
    const nested = newStore()
    await backUp(nested, "a", 1)
    mkdirSync(path.join(nested, "ns/x/ns/y"), { recursive: true })
    const target = newStore()
    const ended = await pull(nested, target, "--to-ns", "1/2/3/4/5/6")
    assertFails(ended, 1, /namespace x\/y cannot be put below 1\/2\/3\/4\/5\/6/)
    assert.deepStrictEqual(namesIn(target, "ns"), [])
  })

  it("a store in maintenance, as source and as target", async () => {
    const target = newStore()
    await succeed("datastore", "create", "here", source, "--reuse")
    await succeed("datastore", "create", "there", target, "--reuse")
    await succeed("datastore", "maintenance", "there", "read-only")
    assertFails(await pull("here", "there"), 1, /there: read-only maintenance mode/)
    await succeed("datastore", "maintenance", "there", "none")
    await succeed("datastore", "maintenance", "here", "offline")
    assertFails(await pull("here", "there"), 1, /here: offline maintenance mode/)
    await succeed("datastore", "maintenance", "here", "read-only")
    assert.strictEqual((await pull("here", "there")).code, 0, "reading is allowed")
    await succeed("datastore", "maintenance", "here", "none")
  })
})

/** What was told of a group in the end. */
const failureOf = ({ code, text }: Ended, group: string): string => {
  assert.strictEqual(code, 3, text)
  const line = text.split("\n").find((one) => one.startsWith(`failed: ${group}: `))
  assert.isDefined(line, text)
  return line ?? ""
}

describe("granary sync tells by group", () => {
  it("what is corrupt on the source, and keeps the target's good copy", async () => {
    const damaged = inFolder("damaged")
    cpSync(source, damaged, { recursive: true })
    const target = newStore()
    assert.strictEqual((await pull(damaged, target)).code, 0)
    const [good] = chunkFiles(target)
    const before = readFileSync(good!)
    const chunk = path.join(damaged, path.relative(target, good!))
    writeFileSync(chunk, Buffer.concat([before.subarray(0, -1), Buffer.from([before.at(-1)! ^ 1])]))
    assert.strictEqual((await pull(damaged, target)).code, 0, "nobody asks for it")
    assert.isTrue(readFileSync(good!).equals(before))

    const empty = newStore()
    const ended = await pull(damaged, empty)
    const group = ended.text.includes("failed: host/a") ? "host/a" : "host/b"
    assert.match(
      failureOf(ended, group),
      /chunk [0-9a-f]{64}: .*\(verify the source; another copy may be good\)$/
    )
    assert.lengthOf(chunkFiles(empty), 1)
    assert.lengthOf([...namesIn(empty, "host/a"), ...namesIn(empty, "host/b")], 1, "the other one is there")

    cpSync(source, damaged, { recursive: true })
    writeFileSync(path.join(damaged, "host/a", day(1), "index.json.blob"), "no manifest")
    assert.match(failureOf(await pull(damaged, target), "host/a"), /index\.json\.blob|manifest|blob/)
    await succeed("verify", "-r", target)
    assert.deepStrictEqual(namesIn(target, "host/a"), [day(1)])
  })

  it("a target that has no room left, or takes no changes", async (context) => {
    const small = inFolder("small")
    if (!mount(small, "-t", "tmpfs", "-o", "size=256k", "tmpfs")) return context.skip()
    const large = newStore()
    const noise = Buffer.alloc(1_000_000)
    let state = 1
    for (let at = 0; at < noise.length; at += 4) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
      noise.writeInt32LE(state, at)
    }
    writeFileSync(inFolder("noise"), noise)
    const times = ["--backup-id", "large", "--backup-time", day(1)]
    await succeed("backup", "-r", large, ...times, `noise.img:${inFolder("noise")}`)
    await backUp(large, "a", 1)
    const target = makeStore(small)
    const ended = await pull(large, target)
    assert.match(failureOf(ended, "host/large"), /no space left|full/i)
    assert.match(failureOf(ended, "host/large"), /free some space/)
    assert.deepStrictEqual(namesIn(target, "host/a"), [day(1)], "what has room is there")
    assert.deepStrictEqual(namesIn(target, "host/large"), [])

    spawnSync("mount", ["-o", "remount,ro", small])
    assertFails(await pull(large, target), 1, /read-only/i)
    rmSync(inFolder("noise"))
  })
})
