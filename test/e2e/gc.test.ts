/** `granary gc` as a program: what it prints, what it removes, how it exits. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import {
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { randomBytes } from "node:crypto"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { granary } from "./cli.ts"

const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "granary-gc-"))
const store = join(folder, "store")
const source = join(folder, "source")
const run = (...args: ReadonlyArray<string>) => granary([...args, "--repository", store])

beforeAll(async () => {
  mkdirSync(source)
  writeFileSync(join(source, "a"), randomBytes(300_000))
  assert.strictEqual((await granary(["init", store])).code, 0)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const chunkFiles = (): ReadonlyArray<string> =>
  readdirSync(join(store, ".chunks"), { recursive: true, encoding: "utf8" })
    .map((name) => join(store, ".chunks", name))
    .filter((path) => statSync(path).isFile())

const age = (): void => chunkFiles().forEach((path) => lutimesSync(path, 1_700_000_000, 1_700_000_000))

const snapshotIn = (id: string): string =>
  readdirSync(join(store, "host", id)).find((name) => name.endsWith("Z")) ?? ""

const backUp = (id: string) => run("backup", "--backup-id", id, `root.pxar:${source}`)

describe("granary gc", () => {
  it("removes what was forgotten, keeps the rest, and says so in text and JSON", async () => {
    assert.strictEqual((await backUp("first")).code, 0)
    writeFileSync(join(source, "a"), randomBytes(200_000))
    assert.strictEqual((await backUp("second")).code, 0)
    const time = snapshotIn("first")
    assert.strictEqual((await run("forget", `host/first/${time}`)).code, 0)
    age()
    const before = chunkFiles().length
    const dry = await run("gc", "--dry-run", "--output", "json")
    assert.strictEqual(dry.code, 0)
    assert.strictEqual(chunkFiles().length, before)
    assert.isFalse(existsSync(join(store, ".gc-status")))
    const foreseen = JSON.parse(dry.text) as Record<string, unknown>
    const real = await run("gc")
    assert.strictEqual(real.code, 0, real.errors)
    assert.include(real.text, `removed: ${String(foreseen["removed-chunks"])} chunk`)
    assert.strictEqual(chunkFiles().length, before - Number(foreseen["removed-chunks"]))
    assert.isAbove(Number(foreseen["removed-chunks"]), 0)
    assert.strictEqual((await run("verify")).code, 0)
  })

  it("missing chunks end it with code 1, and the next backup stores everything again", async () => {
    const lost = chunkFiles().toSorted((left, right) => statSync(right).size - statSync(left).size)[0]!
    rmSync(lost)
    const ended = await run("gc", "--output", "json")
    assert.strictEqual(ended.code, 1)
    const { "missing-chunks": missing } = JSON.parse(ended.text) as {
      "missing-chunks": ReadonlyArray<{ digest: string; snapshots: ReadonlyArray<string> }>
    }
    assert.deepStrictEqual(
      missing.map(({ digest }) => digest),
      [lost.slice(-64)]
    )
    assert.match(missing[0]?.snapshots[0] ?? "", /^host\/second\//)
    assert.strictEqual((await backUp("second")).code, 0)
    assert.strictEqual((await run("gc")).code, 0)
  })

  it("a damaged index ends it with code 1 and one line that names it; a wrong cutoff is a usage error", async () => {
    const time = snapshotIn("second")
    writeFileSync(join(store, "host/second", time, "root.pxar.didx"), "x")
    const ended = await run("gc")
    assert.strictEqual(ended.code, 1)
    assert.match(ended.errors.trim(), /^error: .*root\.pxar\.didx.*damaged.*$/)
    assert.strictEqual((await run("gc", "--cutoff", "0")).code, 2)
    assert.strictEqual((await run("gc", "--mark", "other")).code, 2)
  })
})
