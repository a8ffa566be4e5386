/**
 * HostsRound: processes of two hosts at once on one store in a bucket, some of them killed, and then, when nobody is at
 * work any more, a look at everything by a machine that knows only the bucket. A round that finds anything wrong
 * throws, with all that is needed to repeat it.
 *
 * Between rounds a day and a half goes by, on the server and in both folders: so chunks are old, and those who were
 * killed are dead for the other host too (30 minutes after their last sign of life).
 *
 * Two things are left to one host in a round, for `docs/s3.md` leaves them open between hosts: the backups of a group,
 * which could be of the same second, and what changes or removes manifests (prune, forget, verify).
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { storeError } from "../../../src/store/StoreError.ts"
import * as Actor from "../Actor.ts"
import type { Content, Listed, Problems } from "../Checks.ts"
import * as Random from "../Random.ts"
import * as RoundPlan from "../RoundPlan.ts"
import { contentOf, digestOf } from "../Sources.ts"
import * as StoreFolder from "../StoreFolder.ts"
import * as HostsChecks from "./HostsChecks.ts"
import type { HostsSetup } from "./HostsSetup.ts"

export interface World {
  readonly setup: HostsSetup
  readonly seed: number
  /** What every snapshot that was ever seen must hold. */
  readonly records: Map<string, Content>
  listed: Listed
  /** Hosts whose folder says that it has to be refreshed first. */
  readonly incomplete: Set<number>
  readonly totals: Totals
}

export interface Totals {
  rounds: number
  processes: number
  killed: number
  done: number
  warned: number
  refused: number
  refreshed: number
  snapshotsMade: number
  archivesRestored: number
  chunksCollected: number
}

export const begin = (setup: HostsSetup, seed: number): World => ({
  setup,
  seed,
  records: new Map(),
  listed: { finished: new Map(), unfinished: [], problems: [] },
  incomplete: new Set(),
  totals: {
    rounds: 0,
    processes: 0,
    killed: 0,
    done: 0,
    warned: 0,
    refused: 0,
    refreshed: 0,
    snapshotsMade: 0,
    archivesRestored: 0,
    chunksCollected: 0
  }
})

const agingSeconds = 36 * 3600

const lots: ReadonlyArray<Actor.ActorKind> = [...RoundPlan.defaultLots, "refresh", "refresh"]

interface Ended extends Actor.Ended {
  readonly host: number
}

const groupOf = (snapshot: string): string => snapshot.split("/").slice(0, 2).join("/")

/** Whose backups of a group are in this round, and who tends to manifests. */
const assign = ({ setup }: World, random: Random.Random) => {
  const hostOfGroup = new Map(setup.sources.map(({ group }) => [group, random.between(0, 2)]))
  const keeper = random.between(0, 2)
  return ({ kind, subject = "" }: Actor.Actor): number => {
    if (kind === "backup") return hostOfGroup.get(subject) ?? 0
    return kind === "gc" || kind === "restore" || kind === "refresh" ? random.between(0, 2) : keeper
  }
}

const runActors = async (world: World, random: Random.Random, scratch: string) => {
  const { hosts, keyFile, sources } = world.setup
  const { finished } = world.listed
  const restoreTarget = (number: number): string => path.join(scratch, String(number))
  const input = { random, sources, finished, keyFile, restoreTarget, lots, canMarkByTimes: false }
  const actors = RoundPlan.plan(input)
  const hostOf = assign(world, random)
  return await Promise.all(
    actors.map(async (actor): Promise<Ended> => {
      const host = hostOf(actor)
      return { ...(await Actor.run(hosts[host === 0 ? 0 : 1].program, actor)), host }
    })
  )
}

const needsRefreshHint = storeError("NeedsRefresh", "", "").hint

/** What the folder does not know yet, or still believes in, fails these; what is in the bucket is looked at later. */
const isAboutTheGone = ({ actor }: Ended, after: Listed): boolean =>
  actor.kind === "restore" && !after.finished.has(actor.parameters[1] ?? "")

interface Verified {
  readonly snapshot: string
  readonly state: string
}

/** A verification may fail over snapshots that only its folder still has; the others are sound. */
const failsOverTheGone = ({ actor, standardOutput }: Ended, after: Listed): boolean =>
  actor.kind === "verify" &&
  (JSON.parse(standardOutput || "[]") as ReadonlyArray<Verified>).every(
    ({ snapshot, state }) => state === "ok" || state === "skipped" || !after.finished.has(snapshot)
  )

const verdictOf = (world: World, ended: Ended, after: Listed) => {
  const plain = Actor.verdictOf(ended)
  if (plain !== undefined || ended.wasKilled) return plain
  const error = Actor.toldError(ended)
  const isRefused =
    (error?.hint === needsRefreshHint && world.incomplete.has(ended.host)) ||
    (error !== undefined && (isAboutTheGone(ended, after) || failsOverTheGone(ended, after)))
  return isRefused ? "refused" : undefined
}

const judge = (world: World, all: ReadonlyArray<Ended>, after: Listed): Problems =>
  all.flatMap((ended) => {
    const verdict = verdictOf(world, ended, after)
    world.totals.processes += 1
    if (verdict === undefined) return [`a promise broken: ${Actor.describe(ended)}`]
    world.totals[verdict] += 1
    if (ended.actor.kind === "gc" && ended.code === 0) {
      const { "removed-chunks": removed } = JSON.parse(ended.standardOutput) as { "removed-chunks": number }
      world.totals.chunksCollected += removed
    }
    return []
  })

const acknowledgedBy = (ended: Ended): ReadonlyArray<string> =>
  ended.actor.kind === "backup" && ended.code === 0
    ? [(JSON.parse(ended.standardOutput) as { snapshot: string }).snapshot]
    : []

/**
 * A snapshot that is gone was named to be forgotten, or had two newer ones when something pruned; a folder may count
 * some of them that another host has forgotten meanwhile.
 */
const accountForVanished = (world: World, after: Listed, all: ReadonlyArray<Ended>): Problems => {
  const promised = new Set([...world.listed.finished.keys(), ...all.flatMap(acknowledgedBy)])
  const everything = new Set([...world.records.keys(), ...promised, ...after.finished.keys()])
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

/** What a process restored in the thick of it is as it was backed up. */
const compareRestored = (world: World, all: ReadonlyArray<Ended>): Problems =>
  all
    .filter(({ actor, code }) => actor.kind === "restore" && code === 0)
    .flatMap(({ actor: { parameters } }) => {
      const [, snapshot = "", archive = "", target = ""] = parameters
      return digestOf(target) === world.records.get(snapshot)?.get(archive)
        ? []
        : [`${snapshot} ${archive}: something else was restored beside others`]
    })

const record = (world: World, after: Listed, contents: ReadonlyMap<string, Content>): void => {
  for (const name of after.finished.keys()) {
    if (world.listed.finished.has(name)) continue
    world.records.set(name, contents.get(groupOf(name)) ?? new Map())
    world.totals.snapshotsMade += 1
  }
}

const letTimePass = async ({ endpoint, hosts }: HostsSetup): Promise<void> => {
  await endpoint.age(agingSeconds)
  for (const { folder } of hosts) StoreFolder.age(folder)
}

/** A refresh makes a folder whole again, whatever was killed in it. */
const refresh = async (world: World, random: Random.Random): Promise<Problems> => {
  const problems: Array<string> = []
  for (const [number, { program }] of world.setup.hosts.entries()) {
    if (!world.incomplete.has(number) && random.chance(0.5)) continue
    problems.push(...(await HostsChecks.runAlone(program, "refresh", ["s3-refresh"])).problems)
    world.incomplete.delete(number)
    world.totals.refreshed += 1
  }
  return problems
}

const lookAtEverything = async (world: World, random: Random.Random): Promise<Problems> => {
  const { listed, records, setup, totals } = world
  const verified = await HostsChecks.verifyAll(setup, listed)
  const restored = await HostsChecks.restoreAll(setup, listed, records)
  totals.archivesRestored += restored.archives
  // The dead are dead for the other host too, before it collects.
  await letTimePass(setup)
  const refreshed = await refresh(world, random)
  const host = setup.hosts[random.between(0, 2) === 0 ? 0 : 1]
  const isSweeping = totals.rounds % 2 === 1
  const swept = await (isSweeping ? HostsChecks.gcThatSweeps(setup, host) : HostsChecks.gcThatKeepsAll(host))
  return [...verified, ...restored.problems, ...refreshed, ...swept]
}

/** Answers the log of the round. */
export const run = async (world: World, round: number): Promise<ReadonlyArray<string>> => {
  const { seed, setup, totals } = world
  const random = Random.make(seed, round)
  const scratch = path.join(setup.folder, "scratch")
  fs.mkdirSync(scratch)
  for (const source of setup.sources) source.mutate(random)
  const contents = new Map(setup.sources.map((source) => [source.group, contentOf(source)]))

  const all = await runActors(world, random, scratch)
  for (const { actor, host } of all) if (actor.kind === "refresh") world.incomplete.add(host)
  const after = await HostsChecks.list(setup)
  const problems = [
    ...judge(world, all, after),
    ...after.problems,
    ...accountForVanished(world, after, all),
    ...compareRestored(world, all)
  ]
  record(world, after, contents)
  world.listed = after
  problems.push(...(await lookAtEverything(world, random)))
  totals.rounds += 1
  const log = all.map((ended) => `    host ${ended.host} ${Actor.describe(ended)}`)
  if (problems.length > 0) {
    const title = `seed ${seed}, round ${round}, in ${setup.folder}:`
    throw new Error([title, ...problems.map((line) => `  ${line}`), "  the round:", ...log].join("\n"))
  }
  fs.rmSync(scratch, { recursive: true })
  return log
}
