/**
 * Accounts: what a stress test knows of a store from round to round, whatever the store lies in: what was promised, what
 * each snapshot must hold, and what has been counted. Each account answers what is wrong, one line each.
 *
 * Invariant: `records` only grows, and `listed` is what the program listed after the last round.
 */
import * as Actor from "./Actor.ts"
import type { Content, Listed, Problems } from "./Checks.ts"
import type { Random } from "./Random.ts"
import { contentOf, digestOf, type Source } from "./Sources.ts"

export interface Totals {
  rounds: number
  processes: number
  killed: number
  done: number
  warned: number
  refused: number
  snapshotsMade: number
  archivesRestored: number
  chunksCollected: number
}

export interface Account {
  readonly seed: number
  /** What every snapshot that was ever seen must hold. */
  readonly records: Map<string, Content>
  listed: Listed
  readonly totals: Totals
}

export const noTotals: Totals = {
  rounds: 0,
  processes: 0,
  killed: 0,
  done: 0,
  warned: 0,
  refused: 0,
  snapshotsMade: 0,
  archivesRestored: 0,
  chunksCollected: 0
}

export const begin = (seed: number): Pick<Account, "listed" | "records" | "seed"> => ({
  seed,
  records: new Map(),
  listed: { finished: new Map(), unfinished: [], problems: [] }
})

export const groupOf = (snapshot: string): string => snapshot.split("/").slice(0, 2).join("/")

/** Changes what is backed up, and answers by group what it holds in this round. */
export const mutate = (sources: ReadonlyArray<Source>, random: Random): ReadonlyMap<string, Content> => {
  for (const source of sources) source.mutate(random)
  return new Map(sources.map((source) => [source.group, contentOf(source)]))
}

/** Counts a process with what became of it. */
export const count = (
  { totals }: Account,
  ended: Actor.Ended,
  verdict: ReturnType<typeof Actor.verdictOf>
): Problems => {
  totals.processes += 1
  if (verdict === undefined) return [`a promise broken: ${Actor.describe(ended)}`]
  totals[verdict] += 1
  if (ended.actor.kind === "gc" && ended.code === 0) {
    const { "removed-chunks": removed } = JSON.parse(ended.standardOutput) as { "removed-chunks": number }
    totals.chunksCollected += removed
  }
  return []
}

/** The snapshots that processes said they had made. */
export const acknowledgedBy = (all: ReadonlyArray<Actor.Ended>): ReadonlyArray<string> =>
  all
    .filter(({ actor, code }) => actor.kind === "backup" && code === 0)
    .map(({ standardOutput }) => (JSON.parse(standardOutput) as { snapshot: string }).snapshot)

/**
 * A snapshot that is gone was named to be forgotten, or had two newer ones when something pruned. `believed` are
 * snapshots that are gone since earlier, and that a process may still have counted among the newer ones.
 */
export const accountForVanished = (
  { listed }: Account,
  after: Listed,
  all: ReadonlyArray<Actor.Ended>,
  believed: Iterable<string> = []
): Problems => {
  const promised = new Set([...listed.finished.keys(), ...acknowledgedBy(all)])
  const everything = new Set([...believed, ...promised, ...after.finished.keys()])
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
export const compareRestored = (
  { records }: Account,
  all: ReadonlyArray<Actor.Ended>
): { readonly compared: number; readonly problems: Problems } => {
  const restores = all.filter(({ actor, code }) => actor.kind === "restore" && code === 0)
  const problems = restores.flatMap(({ actor: { parameters } }) => {
    const [, snapshot = "", archive = "", target = ""] = parameters
    return digestOf(target) === records.get(snapshot)?.get(archive)
      ? []
      : [`${snapshot} ${archive}: something else was restored beside others`]
  })
  return { compared: restores.length, problems }
}

/**
 * Nothing in the sources has changed since the round began: what is new holds what they hold. Answers the names of what
 * is new.
 */
export const record = (
  account: Account,
  after: Listed,
  contents: ReadonlyMap<string, Content>
): ReadonlyArray<string> => {
  const made = [...after.finished.keys()].filter((name) => !account.listed.finished.has(name))
  for (const name of made) account.records.set(name, contents.get(groupOf(name)) ?? new Map())
  account.totals.snapshotsMade += made.length
  account.listed = after
  return made
}

interface Ending {
  readonly round: number
  /** Of everything that belongs to the test. */
  readonly folder: string
  readonly problems: Problems
  readonly log: ReadonlyArray<string>
}

/** Throws when anything was wrong, with all that is needed to repeat the round. */
export const close = ({ seed, totals }: Account, { folder, log, problems, round }: Ending): void => {
  totals.rounds += 1
  if (problems.length === 0) return
  const title = `seed ${seed}, round ${round}, in ${folder}:`
  throw new Error([title, ...problems.map((line) => `  ${line}`), "  the round:", ...log].join("\n"))
}
