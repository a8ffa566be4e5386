/**
 * JobTimerActions: everything in the configuration that has a schedule, told to the scheduler of the machine: units for
 * systemd, or lines for cron.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import * as JobConfig from "../config/JobConfig.ts"
import { makeFolders } from "../config/ConfigFolder.ts"
import { Files } from "../platform/Files.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import * as Retention from "../model/Retention.ts"
import { configFolder } from "./ConfigFlag.ts"
import { parseInput } from "./Failure.ts"
import * as Format from "./Format.ts"
import * as JobTimers from "./JobTimers.ts"
import { print } from "./Output.ts"
import * as Schedules from "./Schedules.ts"

export interface Input {
  readonly cron: boolean
  readonly program: Option.Option<string>
  readonly to: Option.Option<string>
}

const timed = (
  name: string,
  description: string,
  args: ReadonlyArray<string>,
  schedule: string | undefined
): ReadonlyArray<JobTimers.TimedJob> =>
  schedule === undefined ? [] : [{ name, description, args, schedule }]

const syncTimers = ({ id, values }: JobConfig.SyncJob) => {
  const { remote, schedule, store } = values
  const [verb, other] = [values["sync-direction"] ?? "pull", values["remote-store"] ?? ""]
  const description = verb === "push" ? `push ${store} to ${other}` : `pull ${other} into ${store}`
  // Another server's jobs are for Proxmox Backup Server.
  return remote === undefined ? timed(`sync-${id}`, description, ["sync", "run", id], schedule) : []
}

const verifyTimers = ({ id, values }: JobConfig.VerifyJob) =>
  timed(`verify-${id}`, `verify ${values.store}`, ["job", "verify", "run", id], values.schedule)

const pruneTimers = ({ id, values }: JobConfig.PruneJob) =>
  values.disable === true
    ? []
    : timed(`prune-${id}`, `prune ${values.store}`, ["job", "prune", "run", id], values.schedule)

/** What a datastore's own section says: garbage collection, and pruning as older servers had it there. */
const datastoreTimers = ({ id, values }: DatastoreConfig.DatastoreEntry) => {
  const keeps = Retention.rules.flatMap((rule) => {
    const count = values[`keep-${rule}`]
    return count === undefined ? [] : [`--keep-${rule}`, String(count)]
  })
  const prune = ["prune", "-r", id, ...keeps]
  return [
    ...timed(`gc-${id}`, `collect garbage in ${id}`, ["gc", "-r", id], values["gc-schedule"]),
    ...(keeps.length === 0
      ? []
      : timed(`prune-datastore-${id}`, `prune ${id}`, prune, values["prune-schedule"]))
  ]
}

const allTimers = Effect.gen(function* () {
  const folder = yield* configFolder
  const syncs = yield* JobConfig.list(JobConfig.sync, folder)
  const verifies = yield* JobConfig.list(JobConfig.verify, folder)
  const prunes = yield* JobConfig.list(JobConfig.prune, folder)
  const datastores = yield* DatastoreConfig.list(folder)
  return [
    ...syncs.entries.flatMap(syncTimers),
    ...verifies.entries.flatMap(verifyTimers),
    ...prunes.entries.flatMap(pruneTimers),
    ...datastores.entries.flatMap(datastoreTimers)
  ]
})

/** By full paths: a scheduler's programs have no folder to begin with, and few variables. */
const programOf = ({ program }: Input) =>
  Effect.map(configFolder, (folder): JobTimers.Program => {
    const own = [process.execPath, path.resolve(process.argv[1] ?? "granary")]
    const words = Option.isNone(program)
      ? own
      : [program.value.includes("/") ? path.resolve(program.value) : program.value]
    return { words, further: ["--config-dir", path.resolve(folder)] }
  })

const unitMode = 0o644

const write = (folder: string, units: ReadonlyArray<JobTimers.UnitFile>) =>
  Effect.gen(function* () {
    const files = yield* Files
    yield* makeFolders(folder, 0o755)
    for (const { content, name } of units) {
      const target = path.join(folder, name)
      yield* files.replaceFile(target, [Buffer.from(content)], { mode: unitMode, sync: true })
    }
  })

const enableHint = (units: ReadonlyArray<JobTimers.UnitFile>): string => {
  const names = units.map(({ name }) => name).filter((name) => name.endsWith(".timer"))
  return `start them with: systemctl daemon-reload && systemctl enable --now ${names.join(" ")}`
}

const tellUnits = (units: ReadonlyArray<JobTimers.UnitFile>, to: Option.Option<string>) =>
  Effect.gen(function* () {
    if (Option.isSome(to)) {
      const folder = path.resolve(to.value)
      yield* write(folder, units)
      const names = units.map(({ name }) => path.join(folder, name))
      const text = `wrote ${Format.counted(units.length, "unit")} into ${folder}\n${enableHint(units)}`
      return yield* print({ json: names.map((name) => ({ file: name })), text })
    }
    const text = units.map(({ content, name }) => `# ${name}\n${content}`).join("\n")
    yield* print({ json: units.map(({ content, name }) => ({ name, content })), text })
  })

const nothing = "# nothing in the configuration has a schedule"

export const timers = (input: Input) =>
  Effect.gen(function* () {
    const jobs = yield* allTimers
    const program = yield* programOf(input)
    if (jobs.length === 0) return yield* print({ json: [], text: nothing })
    if (!input.cron) {
      const units = yield* parseInput(
        () => jobs.flatMap((job) => JobTimers.units(job, program)),
        Schedules.hint
      )
      return yield* tellUnits(units, input.to)
    }
    const lines = yield* parseInput(() => jobs.map((job) => JobTimers.cronLine(job, program)), Schedules.hint)
    yield* print({
      json: jobs.map(({ name }, index) => ({ name, line: lines[index] })),
      text: lines.join("\n")
    })
  }).pipe(Effect.provide(NodeFiles.layer))
