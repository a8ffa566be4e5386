/**
 * A few rounds of the stress test with real processes. The long mode is `npm run stress -- --rounds 200`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { quickTemporaryFolder } from "../../scripts/runCommand.ts"
import * as Round from "./Round.ts"
import * as Setup from "./Setup.ts"

const rounds = 6
const seed = 3

describe("several processes on one store, some of them killed", () => {
  it(`lose nothing in ${rounds} rounds with seed ${seed}`, { timeout: 180_000 }, async () => {
    const folder = fs.mkdtempSync(path.join(quickTemporaryFolder, "granary-stress-"))
    try {
      const world = Round.begin(Setup.prepare(folder), seed)
      for (let round = 0; round < rounds; round++) await Round.run(world, round)
      const { processes, snapshotsMade, archivesRestored } = world.totals
      assert.isAtLeast(processes, 3 * rounds)
      assert.isAtLeast(snapshotsMade, 1)
      assert.isAtLeast(archivesRestored, 1)
    } finally {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  })
})
