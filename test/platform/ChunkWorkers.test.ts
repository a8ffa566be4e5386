/** ChunkWorkers: threads that die fail the jobs they had, and nothing else. */
import { assert, describe, it } from "@effect/vitest"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ChunkWorkers, countEarly, startEarly, type Task } from "../../src/platform/ChunkWorkers.ts"
import { chunkOf, softData } from "./chunks.ts"

const withPool = async (count: number, test: (pool: ChunkWorkers, folder: string) => Promise<void>) => {
  const pool = new ChunkWorkers(count)
  const folder = mkdtempSync(join(tmpdir(), "granary-test-"))
  try {
    await test(pool, folder)
  } finally {
    await pool.close()
    rmSync(folder, { recursive: true })
  }
}

const stageTask = (path: string): Task => ({
  kind: "stage",
  request: { data: softData(1), temporaryPath: path, compress: true, sync: false }
})

/** A job that no thread survives: it lacks what even its failure would be reported with. */
const poison = JSON.parse('{ "kind": "load" }') as Task

describe("ChunkWorkers", () => {
  it("a thread that dies fails its jobs with a defect, and later jobs work", () =>
    withPool(1, async (pool, folder) => {
      // Answered before the thread dies: an answer that is still on its way then may be lost with it.
      const before = await pool.run(stageTask(join(folder, "before")), undefined)
      assert.strictEqual(before.kind, "staged")
      const results = await Promise.all([
        pool.run(poison, undefined),
        pool.run(stageTask(join(folder, "behind")), undefined)
      ])
      for (const result of results) {
        assert.isTrue(result.kind === "failed" && result.defect !== undefined)
      }
      const later = await pool.run(stageTask(join(folder, "later")), undefined)
      assert.strictEqual(later.kind, "staged")
    }))

  it("threads that were started early are the first that a pool takes", () =>
    withPool(2, async (pool, folder) => {
      startEarly(1)
      assert.strictEqual(countEarly(), 1)
      pool.start()
      assert.strictEqual(countEarly(), 0)
      const results = await Promise.all([
        pool.run(stageTask(join(folder, "one")), undefined),
        pool.run(stageTask(join(folder, "two")), undefined)
      ])
      assert.deepStrictEqual(
        results.map(({ kind }) => kind),
        ["staged", "staged"]
      )
    }))

  it("the jobs of other threads are not touched by it", () =>
    withPool(3, async (pool, folder) => {
      const [poisoned, ...others] = await Promise.all([
        pool.run(poison, undefined),
        pool.run(stageTask(join(folder, "one")), undefined),
        pool.run(stageTask(join(folder, "two")), undefined)
      ])
      assert.strictEqual(poisoned.kind, "failed")
      assert.deepStrictEqual(
        others.map(({ kind }) => kind),
        ["staged", "staged"]
      )
    }))

  it("closing ends jobs that are under way as failed", () =>
    withPool(1, async (pool, folder) => {
      const running = pool.run(stageTask(join(folder, "a")), undefined)
      await pool.close()
      assert.include(["failed", "staged"], (await running).kind)
    }))

  it("what goes wrong in a job comes back with its code", () =>
    withPool(1, async (pool, folder) => {
      const { digest } = chunkOf(softData(1))
      const request = { path: join(folder, "missing"), digest, sizeBytes: undefined }
      assert.deepStrictEqual(await pool.run({ kind: "load", request }, undefined), {
        kind: "failed",
        operation: "read",
        reason: "NotFound",
        code: "ENOENT",
        defect: undefined
      })
    }))
})
