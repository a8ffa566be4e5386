/**
 * The stress test with real processes, in its long mode: backups, garbage collections, prunes, verifications and
 * restores at the same time on one real store, some of them killed, and after every round a look at everything.
 *
 * `npm run stress -- --rounds 200 --seed 1 --folder /mnt/disk/scratch`. `--verbose` tells every command. With
 * `--backend s3` the store is in a bucket, and the processes belong to two hosts. The folder is removed in the end,
 * unless a round found something.
 */
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { parseArgs } from "node:util"
import * as HostsRound from "../property-tests/processes/hosts/HostsRound.ts"
import * as HostsSetup from "../property-tests/processes/hosts/HostsSetup.ts"
import * as Round from "../property-tests/processes/Round.ts"
import * as Setup from "../property-tests/processes/Setup.ts"

const { values } = parseArgs({
  options: {
    backend: { type: "string", default: "filesystem" },
    rounds: { type: "string", default: "200" },
    seed: { type: "string" },
    folder: { type: "string", default: tmpdir() },
    verbose: { type: "boolean", default: false }
  }
})
if (values.backend !== "filesystem" && values.backend !== "s3") throw new Error("--backend filesystem or s3")
const rounds = Number(values.rounds)
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
const folder = fs.mkdtempSync(path.join(values.folder, "granary-stress-"))
const roundsPerReport = 10

interface Test {
  readonly run: (round: number) => Promise<ReadonlyArray<string>>
  readonly totals: object
  readonly end: () => Promise<void>
}

const onFolder = (): Test => {
  const world = Round.begin(Setup.prepare(folder), seed)
  return { run: (round) => Round.run(world, round), totals: world.totals, end: async () => undefined }
}

const onBucket = async (): Promise<Test> => {
  const setup = await HostsSetup.prepare(folder)
  const world = HostsRound.begin(setup, seed)
  return { run: (round) => HostsRound.run(world, round), totals: world.totals, end: setup.endpoint.end }
}

console.log(`seed ${seed}, ${rounds} rounds in ${folder}`)
const test = values.backend === "s3" ? await onBucket() : onFolder()
try {
  for (let round = 0; round < rounds; round++) {
    const log = await test.run(round)
    if (values.verbose) console.log([`round ${round}`, ...log].join("\n"))
    if ((round + 1) % roundsPerReport === 0) console.log(JSON.stringify(test.totals))
  }
} finally {
  await test.end()
}
fs.rmSync(folder, { recursive: true, force: true })
console.log(`nothing was lost in ${rounds} rounds: ${JSON.stringify(test.totals)}`)
