/**
 * RoundPlan: what happens in a round, decided before it begins: by chance that can be repeated, and by what is in the
 * store. Three to five processes, a backup among them, most of them at the same time; nearly half of them are to be
 * killed, unless they end before.
 */
import { groupOf } from "./Accounts.ts"
import type { Actor, ActorKind } from "./Actor.ts"
import type { Random } from "./Random.ts"
import type { Source } from "./Sources.ts"

export interface PlanInput {
  readonly random: Random
  readonly sources: ReadonlyArray<Source>
  /** Finished snapshots by name, with the names of their archives; of each group the newest one first. */
  readonly finished: ReadonlyMap<string, ReadonlyArray<string>>
  readonly keyFile: string
  /** Where the restore number so and so puts what it restores. */
  readonly restoreTarget: (number: number) => string
  /** How often which is done. Default: what a store in a folder knows. */
  readonly lots?: ReadonlyArray<ActorKind>
  /** Whether marks of a collection may be access times: not of a store in a bucket. Default true. */
  readonly canMarkByTimes?: boolean
}

type Command = Pick<Actor, "kind" | "parameters" | "subject">

const delayMaxMillis = 600
/** A process needs this long before it does anything. */
const killFromMillis = 120
/** A collection goes through all folders, and takes longer than the rest. */
const killEndMillis = (kind: ActorKind): number => (kind === "gc" ? 2600 : 1100)
const killProbability = 0.45

/** How often which. */
export const defaultLots: ReadonlyArray<ActorKind> = [
  ...Array.from({ length: 8 }, () => "backup" as const),
  ...Array.from({ length: 4 }, () => "gc" as const),
  "prune",
  "prune",
  "forget",
  "forget",
  "forget",
  "verify",
  "verify",
  "restore",
  "restore"
]

export const backupOf = ({ group, archives, flags }: Source): Command => {
  const [type = "", id = ""] = group.split("/")
  const specs = [...archives].map(([archive, target]) => `${archive}:${target}`)
  const parameters = ["backup", ...specs, "--backup-type", type, "--backup-id", id, ...flags]
  return { kind: "backup", parameters, subject: group }
}

const gc = ({ canMarkByTimes = true, random }: PlanInput): Command => {
  const mark = random.chance(0.5) || !canMarkByTimes ? "set" : "atime"
  return { kind: "gc", parameters: ["gc", "--mark", mark, "--cutoff", "1"], subject: undefined }
}

const verify = (keyFile: string): Command => ({
  kind: "verify",
  parameters: ["verify", "--keyfile", keyFile],
  subject: undefined
})

const refresh: Command = { kind: "refresh", parameters: ["s3-refresh"], subject: undefined }

const prune: Command = { kind: "prune", parameters: ["prune", "--keep-last", "2"], subject: undefined }

/** Half of the time the newest one of a group, which a backup that starts at the same time builds on. */
const forget = ({ finished, random }: PlanInput): Command => {
  const names = [...finished.keys()]
  const newest = names.filter((name, index) => groupOf(names[index - 1] ?? "") !== groupOf(name))
  const [any, first, isNewest, isGroup] = [
    random.pick(names),
    random.pick(newest),
    random.chance(0.5),
    random.chance(0.1)
  ]
  const chosen = isNewest ? first : any
  if (chosen === undefined) return prune
  const subject = isGroup ? groupOf(chosen) : chosen
  return { kind: "forget", parameters: ["forget", subject, "--yes"], subject }
}

const restore = ({ finished, random, keyFile, restoreTarget }: PlanInput, number: number): Command => {
  const [subject, archives] = random.pick([...finished]) ?? []
  const archive = random.pick(archives ?? [])
  if (subject === undefined || archive === undefined) return verify(keyFile)
  const parameters = ["restore", subject, archive, restoreTarget(number), "--keyfile", keyFile]
  return { kind: "restore", parameters, subject: `${subject}/${archive}` }
}

const backup = ({ random, sources }: PlanInput): Command => {
  const source = random.pick(sources)
  if (source === undefined) throw new Error("there is nothing to back up")
  return backupOf(source)
}

const commandOf = (kind: ActorKind, input: PlanInput, number: number): Command => {
  switch (kind) {
    case "backup":
      return backup(input)
    case "gc":
      return gc(input)
    case "prune":
      return prune
    case "forget":
      return forget(input)
    case "verify":
      return verify(input.keyFile)
    case "restore":
      return restore(input, number)
    case "refresh":
      return refresh
  }
}

export const plan = (input: PlanInput): ReadonlyArray<Actor> => {
  const { lots = defaultLots, random } = input
  const count = random.between(3, 6)
  return Array.from({ length: count }, (_, number): Actor => {
    const drawn = random.pick(lots) ?? "backup"
    const kind = number === 0 ? "backup" : number === 1 && random.chance(0.5) ? "gc" : drawn
    const isKilled = random.chance(killProbability)
    const killMillis = random.between(killFromMillis, killEndMillis(kind))
    return {
      ...commandOf(kind, input, number),
      delayMillis: random.between(0, delayMaxMillis),
      killAfterMillis: isKilled ? killMillis : undefined
    }
  })
}
