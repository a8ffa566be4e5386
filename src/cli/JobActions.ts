/** JobActions: what the commands of `granary job` do with the configuration. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Fields from "../config/Fields.ts"
import * as JobConfig from "../config/JobConfig.ts"
import * as Sections from "../config/Sections.ts"
import * as NodeFileLocks from "../platform/NodeFileLocks.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import * as GroupFilter from "../sync/GroupFilter.ts"
import { configFolder } from "./ConfigFlag.ts"
import { section } from "./DatastoreText.ts"
import { parseInput, UsageError } from "./Failure.ts"
import * as Format from "./Format.ts"
import { print } from "./Output.ts"
import { root } from "./Root.ts"
import * as Schedules from "./Schedules.ts"

export type JobKind = "sync" | "verify" | "prune"

interface Texts {
  readonly [key: string]: string | ReadonlyArray<string>
}

const machine = Layer.merge(NodeFiles.layer, NodeFileLocks.layer)

type JobFields = Fields.Fields & { readonly store: Fields.Field<string> }

/** What can be done with the jobs of a kind, whichever keys it has: those that it has not it refuses by itself. */
const jobsOf = <F extends JobFields>(kind: Sections.Kind<F>) => ({
  create: (folder: string, id: string, texts: Texts) =>
    JobConfig.create(kind, folder, id, texts as Sections.Texts<F>),
  update: (folder: string, id: string, texts: Texts) =>
    JobConfig.update(kind, folder, id, texts as Sections.Texts<F>),
  remove: (folder: string, id: string) => JobConfig.remove(kind, folder, id),
  json: (folder: string, id: string) =>
    Effect.map(JobConfig.get(kind, folder, id), (entry) => Sections.toJson(kind, entry)),
  allJson: (folder: string) =>
    Effect.map(JobConfig.list(kind, folder), ({ entries }) =>
      entries.map((entry) => Sections.toJson(kind, entry))
    )
})

/** By the name that its command has. */
const jobs = {
  sync: jobsOf(JobConfig.sync),
  verify: jobsOf(JobConfig.verify),
  prune: jobsOf(JobConfig.prune)
}

/** What the configuration takes as it stands, because Proxmox Backup Server knows more ways to write it. */
const check = (texts: Texts) =>
  parseInput(() => {
    Schedules.check(texts)
    const filters = texts["group-filter"]
    if (Array.isArray(filters)) for (const filter of filters) GroupFilter.parse(String(filter))
  }, Schedules.hint)

/** With the namespace that the shared flag names, if it names one. */
const withNamespace = (texts: Texts) =>
  Effect.map(root, ({ ns }): Texts => (ns === "" ? texts : { ...texts, ns }))

const shown = (kind: JobKind, id: string) =>
  Effect.flatMap(configFolder, (folder) => jobs[kind].json(folder, id))

export const create = (kind: JobKind, id: string, texts: Texts) =>
  Effect.gen(function* () {
    yield* check(texts)
    yield* jobs[kind].create(yield* configFolder, id, yield* withNamespace(texts))
    const json = yield* shown(kind, id)
    const next =
      texts["schedule"] === undefined
        ? `run it with: granary job ${kind} run ${id}`
        : "nothing runs it yet: see granary job timers"
    yield* print({ json, text: `made ${kind} job ${id}\n${next}` })
  }).pipe(Effect.provide(machine))

const nothingToChange = (kind: JobKind): UsageError =>
  new UsageError({ detail: "nothing to change was given", hint: `see: granary job ${kind} update --help` })

export const update = (kind: JobKind, id: string, texts: Texts) =>
  Effect.gen(function* () {
    const all = yield* withNamespace(texts)
    if (Object.keys(all).length === 0) return yield* nothingToChange(kind)
    yield* check(all)
    yield* jobs[kind].update(yield* configFolder, id, all)
    yield* print({ json: yield* shown(kind, id), text: `changed ${kind} job ${id}` })
  }).pipe(Effect.provide(machine))

const header = ["job", "store", "schedule", "further settings"]

const isShown = (key: string): boolean => ["id", "store", "schedule"].includes(key)

const row = (json: Readonly<Record<string, unknown>>): ReadonlyArray<string> => {
  const further = Object.entries(json).filter(([key]) => !isShown(key))
  return [
    String(json["id"]),
    String(json["store"]),
    String(json["schedule"] ?? ""),
    further
      .map(([key, value]) => `${key} ${Array.isArray(value) ? value.join(" ") : String(value)}`)
      .join(", ")
  ].map(Format.name)
}

export const list = (kind: JobKind) =>
  Effect.gen(function* () {
    const json = yield* jobs[kind].allJson(yield* configFolder)
    yield* print({ json, text: json.length === 0 ? `no ${kind} jobs` : Format.table(header, json.map(row)) })
  }).pipe(Effect.provide(machine))

export const show = (kind: JobKind, id: string) =>
  Effect.flatMap(shown(kind, id), (json) => print({ json, text: section(json) })).pipe(
    Effect.provide(machine)
  )

export const remove = (kind: JobKind, id: string) =>
  Effect.gen(function* () {
    yield* jobs[kind].remove(yield* configFolder, id)
    yield* print({ json: { id, removed: true }, text: `removed ${kind} job ${id}` })
  }).pipe(Effect.provide(machine))

/** What carries jobs out takes longer to load than what changes them. */
export const run = (kind: JobKind, id: string, isDryRun: boolean) =>
  Effect.gen(function* () {
    if (kind === "sync") {
      const { runJob } = yield* Effect.promise(() => import("./SyncRequests.ts"))
      return yield* runJob(id, isDryRun)
    }
    const Runs = yield* Effect.promise(() => import("./JobRuns.ts"))
    return yield* kind === "verify" ? Runs.verify(id, isDryRun) : Runs.prune(id, isDryRun)
  })
