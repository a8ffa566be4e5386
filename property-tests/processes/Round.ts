/**
 * Round: several processes at once on the one store, some of them killed, and then, when nobody is at work any more, a
 * look at everything. A round that finds anything wrong throws, with all that is needed to repeat it.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import * as Actor from "./Actor.ts"
import * as Checks from "./Checks.ts"
import * as Random from "./Random.ts"
import * as RoundPlan from "./RoundPlan.ts"
import type { Setup } from "./Setup.ts"
import { contentOf, digestOf } from "./Sources.ts"
import * as StoreFolder from "./StoreFolder.ts"

/** What the test knows, and what it has counted. */
export interface World {
  readonly setup: Setup
  readonly seed: number
  /** What every snapshot that was ever seen must hold. */
  readonly records: Map<string, Checks.Content>
  listed: Checks.Listed
  readonly totals: Totals
}

export interface Totals {
  rounds: number
  processes: number
  killed: number
  done: number
  warned: number
  refused: number
  snapshotsMade: number
  /** Of them by a process that was killed before it could say so. */
  madeUnsaid: number
  snapshotsRestored: number
  archivesRestored: number
  restoresCompared: number
  chunksCollected: number
  leftoversNamed: number
  /** What crashes left outside of the chunk folders, seen after each round: it goes with its snapshot or group. */
  strayTemporaries: number
}

export const begin = (setup: Setup, seed: number): World => ({
  setup,
  seed,
  records: new Map(),
  listed: { finished: new Map(), unfinished: [], problems: [] },
  totals: {
    rounds: 0,
    processes: 0,
    killed: 0,
    done: 0,
    warned: 0,
    refused: 0,
    snapshotsMade: 0,
    madeUnsaid: 0,
    snapshotsRestored: 0,
    archivesRestored: 0,
    restoresCompared: 0,
    chunksCollected: 0,
    leftoversNamed: 0,
    strayTemporaries: 0
  }
})

const groupOf = (snapshot: string): string => snapshot.split("/").slice(0, 2).join("/")

const judge = (ended: Actor.Ended): Checks.Problems =>
  Actor.verdictOf(ended) === undefined ? [`a promise broken: ${Actor.describe(ended)}`] : []

const count = ({ totals }: World, all: ReadonlyArray<Actor.Ended>): void => {
  totals.processes += all.length
  for (const ended of all) {
    const verdict = Actor.verdictOf(ended)
    if (verdict !== undefined) totals[verdict] += 1
    if (ended.actor.kind !== "gc" || ended.code !== 0) continue
    const { "removed-chunks": removed } = JSON.parse(ended.standardOutput) as { "removed-chunks": number }
    totals.chunksCollected += removed
  }
}

const acknowledgedBy = (ended: Actor.Ended): ReadonlyArray<string> =>
  ended.actor.kind === "backup" && ended.code === 0
    ? [(JSON.parse(ended.standardOutput) as { snapshot: string }).snapshot]
    : []

/** A snapshot that is gone was named to be forgotten, or had two newer ones when something pruned. */
const accountForVanished = (
  before: Checks.Listed,
  after: Checks.Listed,
  all: ReadonlyArray<Actor.Ended>
): Checks.Problems => {
  const promised = new Set([...before.finished.keys(), ...all.flatMap(acknowledgedBy)])
  const everything = new Set([...promised, ...after.finished.keys()])
  const forgotten = new Set(
    all.filter(({ actor }) => actor.kind === "forget").map(({ actor }) => actor.subject)
  )
  const hasPruned = all.some(({ actor }) => actor.kind === "prune")
  const newerThan = (name: string): number =>
    [...everything].filter((other) => groupOf(other) === groupOf(name) && other > name).length
  return [...promised]
    .filter((name) => !after.finished.has(name))
    .filter((name) => !forgotten.has(name) && !forgotten.has(groupOf(name)))
    .filter((name) => !(hasPruned && newerThan(name) >= 2))
    .map((name) => `${name}: gone, and nobody asked for that`)
}

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
      const expected = left.filter((name) => groupOf(name) === ended.actor.subject)
      world.totals.leftoversNamed += expected.filter((name) => told.has(name)).length
      return expected.filter((name) => !told.has(name)).map((name) => `${name}: a leftover not told of`)
    })
}

/** What a process restored in the thick of it is as it was backed up. */
const compareRestored = (world: World, all: ReadonlyArray<Actor.Ended>): Checks.Problems =>
  all
    .filter(({ actor, code }) => actor.kind === "restore" && code === 0)
    .flatMap(({ actor: { parameters } }) => {
      const [, snapshot = "", archive = "", target = ""] = parameters
      world.totals.restoresCompared += 1
      return digestOf(target) === world.records.get(snapshot)?.get(archive)
        ? []
        : [`${snapshot} ${archive}: something else was restored beside others`]
    })

/** Nothing in the sources has changed since the round began: what is new holds what they hold. */
const record = (
  world: World,
  after: Checks.Listed,
  contents: ReadonlyMap<string, Checks.Content>,
  all: ReadonlyArray<Actor.Ended>
): void => {
  const acknowledged = new Set(all.flatMap(acknowledgedBy))
  for (const name of after.finished.keys()) {
    if (world.listed.finished.has(name)) continue
    world.records.set(name, contents.get(groupOf(name)) ?? new Map())
    world.totals.snapshotsMade += 1
    if (!acknowledged.has(name)) world.totals.madeUnsaid += 1
  }
}

const lookAtEverything = async (world: World, round: number): Promise<Checks.Problems> => {
  const { listed, records, setup, totals } = world
  const isSweeping = round % 6 === 5
  const swept = isSweeping
    ? await Checks.gcThatSweeps(setup)
    : await Checks.gcThatKeepsAll(setup, round % 2 === 0 ? "atime" : "set")
  const verified = await Checks.verifyAll(setup, listed)
  const restored = await Checks.restoreAll(setup, listed, records)
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
  const random = Random.make(seed, round)
  const scratch = path.join(setup.folder, "scratch")
  fs.mkdirSync(scratch)
  for (const source of setup.sources) source.mutate(random)
  const contents = new Map(setup.sources.map((source) => [source.group, contentOf(source)]))
  StoreFolder.age(setup.program.store)

  const all = await runActors(world, random, scratch)
  count(world, all)
  const after = await Checks.list(setup)
  const problems = [
    ...all.flatMap(judge),
    ...after.problems,
    ...accountForVanished(world.listed, after, all),
    ...leftoversUnnamed(world, after, all),
    ...compareRestored(world, all)
  ]
  record(world, after, contents, all)
  world.listed = after
  problems.push(...(await lookAtEverything(world, round)))
  totals.rounds += 1
  const log = all.map((ended) => `    ${Actor.describe(ended)}`)
  if (problems.length > 0) {
    const title = `seed ${seed}, round ${round}, in ${setup.folder}:`
    throw new Error([title, ...problems.map((line) => `  ${line}`), "  the round:", ...log].join("\n"))
  }
  fs.rmSync(scratch, { recursive: true })
  return log
}
