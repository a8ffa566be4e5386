/**
 * The stress test with real processes, in its long mode: backups, garbage collections, prunes, verifications and
 * restores at the same time on one real store, some of them killed, and after every round a look at everything.
 *
 * `npm run stress -- --rounds 200 --seed 1 --folder /mnt/disk/scratch`. `--verbose` tells every command. The folder is
 * removed in the end, unless a round found something.
 */
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import * as Round from "../property-tests/processes/Round.ts"
import * as Setup from "../property-tests/processes/Setup.ts"

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    seed: { type: "string" },
    folder: { type: "string", default: tmpdir() },
    verbose: { type: "boolean", default: false }
  }
})
const rounds = Number(values.rounds)
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
const folder = fs.mkdtempSync(path.join(values.folder, "granary-stress-"))
const roundsPerReport = 10

console.log(`seed ${seed}, ${rounds} rounds in ${folder}`)
const world = Round.begin(Setup.prepare(folder), seed)
for (let round = 0; round < rounds; round++) {
  const log = await Round.run(world, round)
  if (values.verbose) console.log([`round ${round}`, ...log].join("\n"))
  if ((round + 1) % roundsPerReport === 0) console.log(JSON.stringify(world.totals))
}
fs.rmSync(folder, { recursive: true, force: true })
console.log(`nothing was lost in ${rounds} rounds: ${JSON.stringify(world.totals)}`)
