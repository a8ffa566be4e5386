/**
 * A few rounds of the stress test with two hosts on a bucket. The long mode is
 * `npm run stress -- --backend s3 --rounds 200`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { quickTemporaryFolder } from "../../../scripts/runCommand.ts"
import * as HostsRound from "./HostsRound.ts"
import * as HostsSetup from "./HostsSetup.ts"

const rounds = 3
const seed = 5

describe("processes of two hosts on one bucket, some of them killed", () => {
  it(`lose nothing in ${rounds} rounds with seed ${seed}`, { timeout: 180_000 }, async () => {
    const folder = fs.mkdtempSync(path.join(quickTemporaryFolder, "granary-hosts-"))
    const setup = await HostsSetup.prepare(folder)
    try {
      const world = HostsRound.begin(setup, seed)
      for (let round = 0; round < rounds; round++) await HostsRound.run(world, round)
      const { archivesRestored, processes, snapshotsMade } = world.totals
      assert.isAtLeast(processes, 3 * rounds)
      assert.isAtLeast(snapshotsMade, 2)
      assert.isAtLeast(archivesRestored, 2)
    } finally {
      await setup.endpoint.end()
      fs.rmSync(folder, { recursive: true, force: true })
    }
  })
})
