/** A backup whose known chunks are gone, on the command line: exit code 1, one clear line or one object, and the way out. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { rmSync } from "node:fs"
import { vi } from "vitest"
import { chunkFiles, newStore, sampleTree } from "../backup/stores.ts"
import { granary, granaryJson } from "./lookRun.ts"

vi.mock("node:fs", async (original) => (await import("./lookCapture.ts")).capturing(await original()))

describe("granary backup with a known chunk that is gone", () => {
  it.live("says which, of which snapshot, and what to do", () =>
    Effect.gen(function* () {
      const store = yield* newStore
      const tree = yield* sampleTree
      const backUp = (time: string, ...flags: ReadonlyArray<string>) => [
        "backup",
        `home.pxar:${tree}`,
        "-r",
        store,
        "--backup-id=box",
        `--backup-time=2026-01-0${time}T00:00:00Z`,
        ...flags
      ]
      assert.strictEqual((yield* granary(backUp("1"))).code, 0)
      const chunk = chunkFiles(store)[0] ?? ""
      rmSync(chunk)
      const failed = yield* granary(backUp("2"))
      assert.strictEqual(failed.code, 1)
      assert.strictEqual(failed.text, "")
      const digest = chunk.slice(-64)
      assert.match(
        failed.errors.trimEnd(),
        new RegExp(
          `^error: host/box/2026-01-02T00:00:00Z: chunk ${digest} of host/box/2026-01-01T00:00:00Z is missing or ` +
            "empty; that snapshot is marked as failed now \\(run the backup again: it will store everything anew\\)$"
        )
      )
      const { json } = yield* granaryJson(["snapshots", "-r", store])
      assert.deepStrictEqual(
        json.map((snapshot: Record<string, { state: string }>) => snapshot["verification"]?.state),
        ["failed"]
      )
      assert.strictEqual((yield* granary(backUp("3"))).code, 0)

      rmSync(chunk)
      const told = yield* granary(backUp("4", "--output", "json"))
      assert.strictEqual(told.code, 1)
      const line = told.errors.trimEnd().split("\n").at(-1) ?? ""
      assert.deepInclude(JSON.parse(line).error, { tag: "KnownChunkMissing" })
      assert.include(JSON.parse(line).error.message, digest)
      assert.strictEqual((yield* granary(backUp("5"))).code, 0)

      rmSync(chunk)
      assert.strictEqual(
        (yield* granary(backUp("6", "--known-chunks", "off"))).code,
        0,
        "it was told not to look"
      )
      const wrong = yield* granary(backUp("7", "--known-chunks", "always"))
      assert.strictEqual(wrong.code, 2)
      assert.strictEqual((yield* granary(["verify", "-r", store])).code, 1)
    })
  )
})
