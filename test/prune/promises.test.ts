/** Pruning and removing groups through the Promise facade. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createDatastore, type Datastore, InvalidName, StoreError } from "../../src/promises.ts"

const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "granary-prune-"))
const source = join(folder, "a.conf")
let store: Datastore

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error
  )

beforeAll(async () => {
  writeFileSync(source, "content")
  store = await createDatastore(join(folder, "store"), { syncLevel: "none", threads: 1 })
  for (const day of [1, 2, 3])
    await store.backup({ "a.conf": source }, { group: "host/a", time: new Date(Date.UTC(2026, 0, day)) })
}, 120_000)
afterAll(async () => {
  await store.close()
  rmSync(folder, { recursive: true })
})

describe("Datastore of promises", () => {
  it("plans, prunes, and removes what is left as a group", async () => {
    const options = { keep: { daily: 2 }, timeZone: "UTC", groups: ["host/a"] }
    const planned = await store.prune({ ...options, dryRun: true })
    assert.deepStrictEqual(
      planned.snapshots.map(({ snapshot, isKept, reason }) => [snapshot, isKept, reason]),
      [
        ["host/a/2026-01-03T00:00:00Z", true, "kept: daily 2026-01-03"],
        ["host/a/2026-01-02T00:00:00Z", true, "kept: daily 2026-01-02"],
        ["host/a/2026-01-01T00:00:00Z", false, "removed: no rule keeps it"]
      ]
    )
    const names = async () => {
      const found: Array<string> = []
      for await (const { name } of store.snapshots()) found.push(name)
      return found
    }
    assert.strictEqual((await names()).length, 3)
    const done = await store.prune(options)
    assert.deepStrictEqual(done, planned)
    assert.deepStrictEqual([done.kept, done.removed, done.warnings], [2, 1, 0])
    assert.deepStrictEqual(await names(), ["host/a/2026-01-03T00:00:00Z", "host/a/2026-01-02T00:00:00Z"])
    assert.deepStrictEqual(await store.forgetGroup("host/a"), {
      removed: ["host/a/2026-01-02T00:00:00Z", "host/a/2026-01-03T00:00:00Z"],
      kept: [],
      isGroupRemoved: true
    })
    assert.deepStrictEqual(await names(), [])
  })

  it("refuses what is wrong", async () => {
    assert.instanceOf(await failureOf(store.prune({ keep: { last: 0.5 } })), InvalidName)
    assert.instanceOf(await failureOf(store.prune({ keep: { last: 1 }, groups: ["a"] })), InvalidName)
    assert.instanceOf(await failureOf(store.prune({ keep: { last: 1 }, groups: ["host/none"] })), StoreError)
    assert.instanceOf(await failureOf(store.forgetGroup("host/none")), StoreError)
  })
})
