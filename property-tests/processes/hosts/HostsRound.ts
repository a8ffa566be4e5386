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
import * as Accounts from "../Accounts.ts"
import * as Actor from "../Actor.ts"
import * as Checks from "../Checks.ts"
import * as Random from "../Random.ts"
import * as RoundPlan from "../RoundPlan.ts"
import * as StoreFolder from "../StoreFolder.ts"
import * as HostsChecks from "./HostsChecks.ts"
import type { HostsSetup } from "./HostsSetup.ts"

export interface World extends Accounts.Account {
  readonly setup: HostsSetup
  /** Hosts whose folder says that it has to be refreshed first. */
  readonly incomplete: Set<number>
  readonly totals: Totals
}

export interface Totals extends Accounts.Totals {
  refreshed: number
}

export const begin = (setup: HostsSetup, seed: number): World => ({
  ...Accounts.begin(seed),
  setup,
  incomplete: new Set(),
  totals: { ...Accounts.noTotals, refreshed: 0 }
})

const agingSeconds = 36 * 3600

const lots: ReadonlyArray<Actor.ActorKind> = [...RoundPlan.defaultLots, "refresh", "refresh"]

interface Ended extends Actor.Ended {
  readonly host: number
}

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
const isAboutTheGone = ({ actor }: Ended, after: Checks.Listed): boolean =>
  actor.kind === "restore" && !after.finished.has(actor.parameters[1] ?? "")

/** A verification may fail over snapshots that only its folder still has; the others are sound. */
const failsOverTheGone = ({ actor, standardOutput }: Ended, after: Checks.Listed): boolean =>
  actor.kind === "verify" &&
  (JSON.parse(standardOutput || "[]") as ReadonlyArray<Checks.Verified>).every(
    ({ snapshot, state }) => state === "ok" || state === "skipped" || !after.finished.has(snapshot)
  )

const verdictOf = (world: World, ended: Ended, after: Checks.Listed) => {
  const plain = Actor.verdictOf(ended)
  if (plain !== undefined || ended.wasKilled) return plain
  const error = Actor.toldError(ended)
  const isRefused =
    (error?.hint === needsRefreshHint && world.incomplete.has(ended.host)) ||
    (error !== undefined && (isAboutTheGone(ended, after) || failsOverTheGone(ended, after)))
  return isRefused ? "refused" : undefined
}

const letTimePass = async ({ endpoint, hosts }: HostsSetup): Promise<void> => {
  await endpoint.age(agingSeconds)
  for (const { folder } of hosts) StoreFolder.age(folder)
}

/** A refresh makes a folder whole again, whatever was killed in it. */
const refresh = async (world: World, random: Random.Random): Promise<Checks.Problems> => {
  const problems: Array<string> = []
  for (const [number, { program }] of world.setup.hosts.entries()) {
    if (!world.incomplete.has(number) && random.chance(0.5)) continue
    problems.push(...(await Checks.runAlone(program, "refresh", ["s3-refresh"])).problems)
    world.incomplete.delete(number)
    world.totals.refreshed += 1
  }
  return problems
}

const lookAtEverything = async (world: World, random: Random.Random): Promise<Checks.Problems> => {
  const { listed, records, setup, totals } = world
  const verified = await Checks.verifyAll(setup.reader, setup.keyFile, listed)
  const restored = await HostsChecks.restoreAll(setup, listed, records)
  totals.archivesRestored += restored.archives
  // The dead are dead for the other host too, before it collects.
  await letTimePass(setup)
  const refreshed = await refresh(world, random)
  const host = setup.hosts[random.between(0, 2) === 0 ? 0 : 1]
  const isSweeping = totals.rounds % 2 === 1
  const swept = await (isSweeping
    ? HostsChecks.gcThatSweeps(setup, host)
    : Checks.gcThatKeepsAll(host.program))
  return [...verified, ...restored.problems, ...refreshed, ...swept]
}

/** Answers the log of the round. */
export const run = async (world: World, round: number): Promise<ReadonlyArray<string>> => {
  const { incomplete, records, seed, setup } = world
  const { folder } = setup
  const random = Random.make(seed, round)
  const scratch = path.join(folder, "scratch")
  fs.mkdirSync(scratch)
  const contents = Accounts.mutate(setup.sources, random)

  const all = await runActors(world, random, scratch)
  for (const { actor, host } of all) if (actor.kind === "refresh") incomplete.add(host)
  const after = await HostsChecks.list(setup)
  const problems = [
    ...all.flatMap((ended) => Accounts.count(world, ended, verdictOf(world, ended, after))),
    ...after.problems,
    // A folder may still know what another host has forgotten meanwhile.
    ...Accounts.accountForVanished(world, after, all, records.keys()),
    ...Accounts.compareRestored(world, all).problems
  ]
  Accounts.record(world, after, contents)
  problems.push(...(await lookAtEverything(world, random)))
  const log = all.map((ended) => `    host ${ended.host} ${Actor.describe(ended)}`)
  Accounts.close(world, { round, folder, problems, log })
  fs.rmSync(scratch, { recursive: true })
  return log
}
