/**
 * DatastoreActions: what the commands of `granary datastore` do with the configuration, and with the datastores that it
 * names.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import * as DatastoreConfig from "../config/DatastoreConfig.ts"
import * as JobConfig from "../config/JobConfig.ts"
import * as Sections from "../config/Sections.ts"
import * as Datastores from "../datastores/Datastores.ts"
import type { DatastoresError } from "../datastores/DatastoresError.ts"
import * as NodePlatform from "../platform/NodePlatform.ts"
import { Progress } from "../platform/Progress.ts"
import { configFolder } from "./ConfigFlag.ts"
import * as ConfiguredRepository from "./ConfiguredRepository.ts"
import * as DatastoreCreation from "./DatastoreCreation.ts"
import * as DatastoreText from "./DatastoreText.ts"
import { doneWithWarnings, parseInput, UsageError } from "./Failure.ts"
import { print } from "./Output.ts"
import { root } from "./Root.ts"
import * as Schedules from "./Schedules.ts"

type Texts = DatastoreConfig.DatastoreTexts

const machine = NodePlatform.layer

const checkSchedules = (texts: Texts) => parseInput(() => Schedules.check(texts), Schedules.hint)

const entryJson = (entry: DatastoreConfig.DatastoreEntry) => Sections.toJson(DatastoreConfig.kind, entry)

export const create = (
  name: string,
  folder: string,
  texts: Texts,
  options: DatastoreCreation.CreationOptions
) =>
  Effect.gen(function* () {
    yield* checkSchedules(texts)
    const config = yield* configFolder
    const given = { path: path.resolve(folder), ...texts }
    const made = yield* DatastoreCreation.make(config, name, given, options)
    const entry = yield* DatastoreConfig.get(config, name)
    yield* print({ json: { ...entryJson(entry), ...made.json }, text: made.text })
  }).pipe(Effect.provide(machine))

export const list = Effect.gen(function* () {
  const { entries } = yield* DatastoreConfig.list(yield* configFolder)
  yield* print({ json: entries.map(entryJson), text: DatastoreText.list(entries) })
}).pipe(Effect.provide(machine))

export const show = (name: string) =>
  Effect.gen(function* () {
    const json = entryJson(yield* DatastoreConfig.get(yield* configFolder, name))
    yield* print({ json, text: DatastoreText.section(json) })
  }).pipe(Effect.provide(machine))

const nothingToChange = new UsageError({
  detail: "nothing to change was given",
  hint: "see: granary datastore update --help"
})

export const update = (name: string, texts: Texts) =>
  Effect.gen(function* () {
    if (Object.keys(texts).length === 0) return yield* nothingToChange
    yield* checkSchedules(texts)
    const config = yield* configFolder
    yield* DatastoreConfig.update(config, name, texts)
    const json = entryJson(yield* DatastoreConfig.get(config, name))
    yield* print({ json, text: `changed datastore ${name}` })
  }).pipe(Effect.provide(machine))

export interface RemovalOptions {
  readonly keepData: boolean
  readonly destroyData: boolean
  readonly wait: Option.Option<number>
}

const bothGiven = new UsageError({
  detail: "--keep-data and --destroy-data contradict each other",
  hint: "give one of them"
})

const negativeWait = new UsageError({ detail: "--wait is from 0 on", hint: "write a number of seconds" })

const refuseUnasked = (name: string, folder: string): UsageError =>
  new UsageError({
    detail: `this would remove datastore ${name} in ${folder} with all of its backups`,
    hint: "say --yes if that is what you want"
  })

const removalOf = ({ destroyData, keepData, wait }: RemovalOptions) =>
  Effect.gen(function* () {
    if (keepData && destroyData) return yield* bothGiven
    if (Option.isSome(wait) && wait.value < 0) return yield* negativeWait
    return { destroyData, ...(Option.isSome(wait) ? { waitSeconds: wait.value } : {}) }
  })

/** Jobs stay: who removes a datastore to make it anew wants them back. */
const warnOfJobs = (jobs: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    if (jobs.length === 0) return
    const report = yield* Progress
    const message = `it is gone, and these need it: ${jobs.join(", ")}`
    report({ type: "warning", subject: "datastore", message })
    yield* doneWithWarnings
  })

export const remove = (name: string, options: RemovalOptions) =>
  Effect.gen(function* () {
    const removal = yield* removalOf(options)
    const config = yield* configFolder
    const entry = yield* DatastoreConfig.get(config, name)
    const folder = DatastoreConfig.folderOf(entry)
    if (removal.destroyData && !(yield* root).yes) return yield* refuseUnasked(name, folder)
    const jobs = yield* JobConfig.namesOn(config, name)
    const datastores = yield* ConfiguredRepository.datastores(name)
    yield* datastores.remove(name, removal)
    const data = removal.destroyData ? "and all of its backups" : `; its data stays in ${folder}`
    yield* print({
      json: { name, removed: true, "destroyed-data": removal.destroyData },
      text: `removed datastore ${name}${removal.destroyData ? " " : ""}${data}`
    })
    yield* warnOfJobs(jobs)
  }).pipe(Effect.scoped, Effect.provide(machine))

/** Of the configured datastores; no bucket is asked. */
const withDatastores = <A, E, R>(
  use: (datastores: Datastores.Datastores["Service"]) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const folder = yield* configFolder
    return yield* use(yield* Datastores.make({ folder }))
  }).pipe(Effect.scoped, Effect.provide(machine))

const isBeingDeleted = ({ reason }: DatastoresError): boolean => reason === "InMaintenance"

/** One of many that cannot be looked at hides the others from nobody. */
const statusOrProblem = (datastores: Datastores.Datastores["Service"], name: string) =>
  datastores
    .status(name)
    .pipe(
      Effect.catchTag("DatastoresError", (error) =>
        isBeingDeleted(error) ? Effect.succeed({ name, problem: error.message }) : Effect.fail(error)
      )
    )

const allStatuses = (datastores: Datastores.Datastores["Service"]) =>
  Effect.flatMap(datastores.list, (entries) =>
    Effect.forEach(entries, ({ id }) => statusOrProblem(datastores, id))
  )

export const status = (name: Option.Option<string>) =>
  withDatastores((datastores) =>
    Effect.gen(function* () {
      if (Option.isSome(name)) {
        const one = yield* datastores.status(name.value)
        return yield* print({ json: DatastoreText.statusJson(one), text: DatastoreText.status(one) })
      }
      const all = yield* allStatuses(datastores)
      yield* print({ json: all.map(DatastoreText.statusJson), text: DatastoreText.statuses(all) })
    })
  )

const noType = new UsageError({
  detail: "--message is for a mode",
  hint: "granary datastore maintenance NAME read-only --message TEXT"
})

export const maintenance = (
  name: string,
  type: Option.Option<"read-only" | "offline" | "none">,
  message: Option.Option<string>
) =>
  withDatastores((datastores) =>
    Effect.gen(function* () {
      const wanted = Option.getOrUndefined(type)
      if (Option.isSome(message) && (wanted === undefined || wanted === "none")) return yield* noType
      const mode =
        wanted === undefined || wanted === "none"
          ? undefined
          : { type: wanted, message: Option.getOrUndefined(message) }
      if (wanted !== undefined) yield* datastores.setMaintenance(name, mode)
      const entry = yield* DatastoreConfig.get(datastores.folder, name)
      const active = yield* datastores.activeOperations(name)
      yield* print({
        json: { ...entryJson(entry), "active-operations": active },
        text: DatastoreText.maintenance(name, DatastoreConfig.maintenanceOf(entry), active)
      })
    })
  )
