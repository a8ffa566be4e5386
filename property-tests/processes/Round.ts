/**
 * Round: several processes at once on the one store, some of them killed, and then, when nobody is at work any more, a
 * look at everything. A round that finds anything wrong throws, with all that is needed to repeat it.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Accounts from "./Accounts.ts"
import * as Actor from "./Actor.ts"
import * as Checks from "./Checks.ts"
import * as FolderChecks from "./FolderChecks.ts"
import * as Random from "./Random.ts"
import * as RoundPlan from "./RoundPlan.ts"
import type { Setup } from "./Setup.ts"
import * as StoreFolder from "./StoreFolder.ts"

/** What the test knows, and what it has counted. */
export interface World extends Accounts.Account {
  readonly setup: Setup
  readonly totals: Totals
}

export interface Totals extends Accounts.Totals {
  /** Of the snapshots those that were made by a process which was killed before it could say so. */
  madeUnsaid: number
  snapshotsRestored: number
  restoresCompared: number
  leftoversNamed: number
  /** What crashes left outside of the chunk folders, seen after each round: it goes with its snapshot or group. */
  strayTemporaries: number
}

export const begin = (setup: Setup, seed: number): World => ({
  ...Accounts.begin(seed),
  setup,
  totals: {
    ...Accounts.noTotals,
    madeUnsaid: 0,
    snapshotsRestored: 0,
    restoresCompared: 0,
    leftoversNamed: 0,
    strayTemporaries: 0
  }
})

/** Every backup tells what interrupted ones have left in its group. */
const leftoversUnnamed = (
  world: World,
  after: Checks.Listed,
  all: ReadonlyArray<Actor.Ended>
): Checks.Problems => {
  const left = world.listed.unfinished.filter((name) => after.unfinished.includes(name))
  return all
    .filter(({ actor, code }) => actor.kind === "backup" && code === 0)
    .flatMap((ended) => {
      const told = new Set(Actor.toldLines(ended).map(({ subject }) => subject))
      const expected = left.filter((name) => Accounts.groupOf(name) === ended.actor.subject)
      world.totals.leftoversNamed += expected.filter((name) => told.has(name)).length
      return expected.filter((name) => !told.has(name)).map((name) => `${name}: a leftover not told of`)
    })
}

const lookAtEverything = async (world: World, round: number): Promise<Checks.Problems> => {
  const { listed, records, setup, totals } = world
  const isSweeping = round % 6 === 5
  const swept = isSweeping
    ? await FolderChecks.gcThatSweeps(setup)
    : await FolderChecks.gcThatKeepsAll(setup, round % 2 === 0 ? "atime" : "set")
  const verified = await Checks.verifyAll(setup.program, setup.keyFile, listed)
  const restored = await FolderChecks.restoreAll(setup, listed, records)
  totals.snapshotsRestored += listed.finished.size
  totals.archivesRestored += restored.archives
  const groups = setup.sources.map(({ group }) => group)
  totals.strayTemporaries += StoreFolder.temporaryFiles(setup.program.store, groups).length
  return [...swept, ...verified, ...restored.problems]
}

const runActors = async (world: World, random: Random.Random, scratch: string) => {
  const { keyFile, program, sources } = world.setup
  const { finished } = world.listed
  const restoreTarget = (number: number): string => path.join(scratch, String(number))
  const actors = RoundPlan.plan({ random, sources, finished, keyFile, restoreTarget })
  return await Promise.all(actors.map((actor) => Actor.run(program, actor)))
}

/** Answers the log of the round. */
export const run = async (world: World, round: number): Promise<ReadonlyArray<string>> => {
  const { seed, setup, totals } = world
  const { folder } = setup
  const random = Random.make(seed, round)
  const scratch = path.join(folder, "scratch")
  fs.mkdirSync(scratch)
  const contents = Accounts.mutate(setup.sources, random)
  StoreFolder.age(setup.program.store)

  const all = await runActors(world, random, scratch)
  const judged = all.flatMap((ended) => Accounts.count(world, ended, Actor.verdictOf(ended)))
  const after = await FolderChecks.list(setup)
  const restored = Accounts.compareRestored(world, all)
  totals.restoresCompared += restored.compared
  const problems = [
    ...judged,
    ...after.problems,
    ...Accounts.accountForVanished(world, after, all),
    ...leftoversUnnamed(world, after, all),
    ...restored.problems
  ]
  const acknowledged = new Set(Accounts.acknowledgedBy(all))
  const made = Accounts.record(world, after, contents)
  totals.madeUnsaid += made.filter((name) => !acknowledged.has(name)).length
  problems.push(...(await lookAtEverything(world, round)))
  const log = all.map((ended) => `    ${Actor.describe(ended)}`)
  Accounts.close(world, { round, folder, problems, log })
  fs.rmSync(scratch, { recursive: true })
  return log
}
