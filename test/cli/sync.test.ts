/** `granary sync`: what it copies, what it tells, and how it ends. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails, chunkFiles, type Ended, fastFolder, type Folder, makeStore } from "../e2e/cli.ts"
import { commandsIn } from "./inProcess.ts"

let folder: Folder
let source: string

const { inFolder, run, succeed } = commandsIn(() => folder)

const day = (number: number): string => `2026-11-${String(number).padStart(2, "0")}T10:00:00Z`

const backUp = (
  store: string,
  id: string,
  number: number,
  ...rest: ReadonlyArray<string>
): Promise<Ended> => {
  writeFileSync(inFolder("disk"), Buffer.alloc(10_000, `${id} ${number}`))
  const archives = [`disk.img:${inFolder("disk")}`, `note.conf:${inFolder("note")}`]
  return succeed("backup", "-r", store, "--backup-id", id, "--backup-time", day(number), ...rest, ...archives)
}

beforeAll(async () => {
  folder = fastFolder()
  writeFileSync(inFolder("note"), "a note")
  source = makeStore(folder.path, "source")
  await backUp(source, "a", 1)
  await backUp(source, "a", 2)
  await backUp(source, "b", 3)
})
afterAll(() => folder.remove())

let targets = 0
const newTarget = (): string => makeStore(folder.path, `target${targets++}`)

const namesIn = (store: string, group: string): ReadonlyArray<string> =>
  existsSync(path.join(store, group))
    ? readdirSync(path.join(store, group))
        .filter((name) => /^\d/.test(name))
        .toSorted()
    : []

interface Summary {
  readonly groups: ReadonlyArray<Record<string, unknown>>
  readonly removed: Record<string, number>
  readonly chunks: number
  readonly bytes: number
  readonly [key: string]: unknown
}

const sync = async (...args: ReadonlyArray<string>): Promise<Summary> => {
  const { text } = await succeed("sync", ...args, "--output", "json")
  return JSON.parse(text)
}

describe("granary sync", () => {
  it("copies what is not there, and tells it by group and in total", async () => {
    const target = newTarget()
    const first = await sync("pull", "--from", source, "--to", target)
    const promised = ["group", "state", "snapshots", "chunks", "bytes", "error"]
    const [a, b] = first.groups
    assert.containsAllKeys(a!, promised)
    assert.deepInclude(a!, { group: "host/a", state: "done", snapshots: 2, chunks: 2, error: null })
    assert.deepInclude(b!, { group: "host/b", state: "done", snapshots: 1, chunks: 1 })
    assert.deepStrictEqual(first.removed, { groups: 0, snapshots: 0, namespaces: 0 })
    assert.strictEqual(first.chunks, 3)
    assert.isAbove(first.bytes, 0)
    assert.property(first, "duration-seconds")
    assert.lengthOf(chunkFiles(target), 3)
    await succeed("verify", "-r", target)

    const again = await succeed("sync", "pull", "--from", source, "--to", target)
    assert.match(again.errors, /^host\/a\/2026-11-02T10:00:00Z: is up to date$/m)
    assert.match(again.text, /^host\/a +done +0 +1 +1 +0 +0 +0 B +-$/m)
    assert.match(again.text, /^pulled 0 snapshots in 2 groups: 0 chunks, 0 B in /m)
  })

  it("pushes by the rules of a push", async () => {
    const target = newTarget()
    const pushed = await sync("push", "--from", source, "--to", target, "--transfer-last", "1")
    assert.strictEqual(pushed["direction"], "push")
    assert.deepStrictEqual(namesIn(target, "host/a"), [day(2)])
    const again = await sync("push", "--from", source, "--to", target)
    assert.deepInclude(again.groups[0]!, { snapshots: 0, "checked-snapshots": 0 })
  })

  it("takes the groups, namespaces and snapshots that it is told to", async () => {
    const target = newTarget()
    const filters = ["--group-filter", "type:host", "--group-filter", "exclude:regex:/b$"]
    await sync("pull", "--from", source, "--to", target, ...filters, "--to-ns", "copies")
    assert.deepStrictEqual(namesIn(target, "ns/copies/host/a"), [day(1), day(2)])
    assert.deepStrictEqual(namesIn(target, "ns/copies/host/b"), [])
    const verified = await sync("pull", "--from", source, "--to", newTarget(), "--verified-only")
    assert.strictEqual(verified.chunks, 0)
    const encrypted = await sync("pull", "--from", source, "--to", newTarget(), "--encrypted-only")
    assert.strictEqual(encrypted.chunks, 0)
    const limits = [
      "--parallel-groups",
      "4",
      "--worker-threads",
      "4",
      "--rate-in",
      "1GiB",
      "--rate-out",
      "1GiB"
    ]
    const fast = await sync("pull", "--from", source, "--to", newTarget(), ...limits, "--burst-in", "1MiB")
    assert.strictEqual(fast.chunks, 3)
  })

  it("removes what has vanished when it is told to, and says what it would do before", async () => {
    const target = newTarget()
    await sync("pull", "--from", source, "--to", target)
    await backUp(target, "a", 5)
    await backUp(target, "c", 6)
    const wanted = ["pull", "--from", source, "--to", target, "--remove-vanished"]
    const before = readdirSync(target, { recursive: true }).length
    const plan = (await sync(...wanted, "--dry-run")) as unknown as Record<string, unknown>
    assert.deepInclude(plan, { "dry-run": true, "removed-snapshots": 2, chunks: 0, "missing-chunks": 0 })
    const { text } = await succeed("sync", ...wanted, "--dry-run")
    assert.match(text, /^ {2}2026-11-05T10:00:00Z {2}remove: vanished$/m)
    assert.match(text, /^host\/c \(vanished\)$/m)
    assert.match(text, /would copy or check .*remove 2$/m)
    assert.strictEqual(readdirSync(target, { recursive: true }).length, before)

    const done = await sync(...wanted)
    assert.deepStrictEqual(done.removed, { groups: 1, snapshots: 2, namespaces: 0 })
    assert.deepStrictEqual(namesIn(target, "host/a"), [day(1), day(2)])
    assert.isFalse(existsSync(path.join(target, "host/c")))
  })

  it("says what a plan would transfer", async () => {
    const target = newTarget()
    const { text } = await succeed("sync", "pull", "--from", source, "--to", target, "--plan")
    assert.match(text, /^ {2}2026-11-01T10:00:00Z {2}copy {2}1 chunk, 9\.77 KiB to transfer$/m)
    assert.match(text, /^would copy or check 3 snapshots in 2 groups: 3 chunks of 3, /m)
    assert.deepStrictEqual(namesIn(target, "host/a"), [])
  })

  it("goes on when a group fails, and ends with 3", async () => {
    const target = newTarget()
    await backUp(target, "a", 1, "--owner", "somebody@pbs")
    const ended = await run("sync", "pull", "--from", source, "--to", target)
    assert.strictEqual(ended.code, 3, ended.errors)
    assert.match(ended.text, /^host\/a +failed/m)
    assert.match(ended.text, /^failed: host\/a: .*somebody@pbs/m)
    assert.match(ended.text, /^pulled 1 snapshot in 2 groups, of which 1 failed/m)
    assert.match(ended.errors, /^error: .*host\/a.*somebody@pbs/m)
    assert.deepStrictEqual(namesIn(target, "host/b"), [day(3)])
    const json = await run("sync", "pull", "--from", source, "--to", target, "--output", "json")
    assert.strictEqual(json.code, 3)
    const { groups }: Summary = JSON.parse(json.text)
    assert.match(String(groups[0]!["error"]), /somebody@pbs/)
    const lines = json.errors.trim().split("\n")
    const events = lines.map((line): Record<string, unknown> => JSON.parse(line))
    assert.includeMembers(
      events.map(({ type }) => type),
      ["log", "progress"]
    )
    const failed = events.find(({ level }) => level === "error")
    assert.deepInclude(failed!, { type: "log", group: "host/a" })
  })

  it("refuses what makes no sense with one clear line", async () => {
    const pull = (...rest: ReadonlyArray<string>) => run("sync", "pull", ...rest)
    const target = newTarget()
    const ends = ["--from", source, "--to", target]
    assertFails(await pull("--from", source, "--to", source), 1, /source and target are the same datastore/)
    assertFails(await pull("--from", "nowhere", "--to", target), 1, /nowhere: there is no such datastore/)
    assertFails(await pull("--from", source), 2, /--to/)
    assertFails(await pull(...ends, "--group-filter", "vm"), 2, /bad group filter "vm"/)
    assertFails(await pull(...ends, "--rate-in", "fast"), 2, /bad size "fast"/)
    assertFails(await pull(...ends, "--burst-in", "1MiB"), 2, /a burst is for a rate/)
    const threads = ["--parallel-groups", "2", "--worker-threads", "3"]
    assertFails(await pull(...ends, ...threads), 2, /the same thing, and differ/)
    assertFails(
      await pull(...ends, "--parallel-groups", "33"),
      1,
      /parallel-groups is a whole number from 1 to 32/
    )
    assertFails(await pull(...ends, "--transfer-last", "0"), 1, /transfer-last is a whole number from 1 on/)
    assertFails(await pull(...ends, "--decrypt"), 2, /--decrypt needs a key/)
    assertFails(await pull(...ends, "--ns", "none"), 1, /none/)
    assertFails(await run("sync", "push", ...ends, "--resync-corrupt"), 2, /resync-corrupt/)
    rmSync(target, { recursive: true })
    assertFails(await pull(...ends), 1, /not a datastore|no datastore|does not exist/)
  })
})

describe("granary sync run", () => {
  it("runs a job as it is configured, between datastores by their names", async () => {
    const target = newTarget()
    await succeed("datastore", "create", "here", source, "--reuse")
    await succeed("datastore", "create", "there", target, "--reuse")
    const ends = ["--store", "here", "--remote-store", "there", "--sync-direction", "push"]
    const more = ["--transfer-last", "1", "--remote-ns", "copies", "--group-filter", "group:host/a"]
    await succeed("job", "sync", "create", "nightly", ...ends, ...more)
    const { text } = await succeed("sync", "run", "nightly", "--dry-run")
    assert.match(text, /would copy or check 1 snapshot in 1 group/)
    await succeed("sync", "run", "nightly")
    assert.deepStrictEqual(namesIn(target, "ns/copies/host/a"), [day(2)])

    await succeed("datastore", "maintenance", "there", "read-only")
    assertFails(await run("sync", "run", "nightly"), 1, /there: read-only maintenance mode/)
    await succeed("sync", "run", "nightly", "--dry-run")
    await succeed("datastore", "maintenance", "there", "none")
    assertFails(await run("sync", "run", "nightyl"), 1, /nightyl: .*did you mean nightly\?/)

    await succeed("job", "sync", "update", "nightly", "--remote", "pbs1")
    assertFails(await run("sync", "run", "nightly"), 1, /pbs1: there is no such remote/)
    await succeed("job", "sync", "update", "nightly", "--delete", "remote", "--active-encryption-key", "k-1")
    assertFails(await run("sync", "run", "nightly"), 2, /sync job nightly needs a key \(.*k-1/)
  })
})
