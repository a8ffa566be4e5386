/**
 * SyncRequests: from what was typed, or what the configuration says of a job, to a sync that can be carried out.
 *
 * Invariant: keys change what is copied only when somebody says so: that a key is at hand for backups is no reason.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as JobConfig from "../config/JobConfig.ts"
import * as AuthId from "../model/AuthId.ts"
import * as Namespace from "../model/Namespace.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import * as GroupFilter from "../sync/GroupFilter.ts"
import type { Side } from "../sync/SyncError.ts"
import type { Direction, SyncOptions, TransferRate } from "../sync/SyncOptions.ts"
import { configFolder } from "./ConfigFlag.ts"
import { parseInput, UsageError } from "./Failure.ts"
import { cryptConfig } from "./Keys.ts"
import { namespace, placeOf } from "./Repository.ts"
import * as Sizes from "./Sizes.ts"
import * as SyncAction from "./SyncAction.ts"
import type { SyncPlace } from "./SyncEnd.ts"

export interface Input {
  readonly from: string
  readonly to: string
  readonly toNs: string
  readonly maxDepth: Option.Option<number>
  readonly groupFilter: ReadonlyArray<string>
  readonly transferLast: Option.Option<number>
  readonly removeVanished: boolean
  readonly encryptedOnly: boolean
  readonly verifiedOnly: boolean
  readonly parallelGroups: Option.Option<number>
  readonly workerThreads: Option.Option<number>
  readonly rateIn: Option.Option<string>
  readonly burstIn: Option.Option<string>
  readonly rateOut: Option.Option<string>
  readonly burstOut: Option.Option<string>
  readonly owner: string
  readonly dryRun: boolean
}

const filterHint = "write [include:|exclude:] and type:vm, group:vm/100 or regex:EXPRESSION"

const given = <Key extends string, A>(key: Key, value: A | undefined): { readonly [key in Key]?: A } =>
  (value === undefined ? {} : { [key]: value }) as { readonly [key in Key]?: A }

const rateFrom = (
  key: "rateIn" | "rateOut",
  bytesPerSecond: number | undefined,
  burstBytes: number | undefined
): { readonly rateIn?: TransferRate; readonly rateOut?: TransferRate } =>
  bytesPerSecond === undefined ? {} : { [key]: { bytesPerSecond, ...given("burstBytes", burstBytes) } }

const sizeOf = (text: Option.Option<string>) =>
  Option.isNone(text) ? Effect.succeed(undefined) : parseInput(() => Sizes.parse(text.value))

const burstWithoutRate = new UsageError({
  detail: "a burst is for a rate",
  hint: "give --rate-in or --rate-out as well"
})

const ratesOf = ({ burstIn, burstOut, rateIn, rateOut }: Input) =>
  Effect.gen(function* () {
    if (Option.isSome(burstIn) && Option.isNone(rateIn)) return yield* burstWithoutRate
    if (Option.isSome(burstOut) && Option.isNone(rateOut)) return yield* burstWithoutRate
    return {
      ...rateFrom("rateIn", yield* sizeOf(rateIn), yield* sizeOf(burstIn)),
      ...rateFrom("rateOut", yield* sizeOf(rateOut), yield* sizeOf(burstOut))
    }
  })

const differentThreads = new UsageError({
  detail: "--parallel-groups and --worker-threads are the same thing, and differ",
  hint: "give one of them"
})

const groupsAtOnce = ({ parallelGroups, workerThreads }: Input) => {
  const [groups, threads] = [Option.getOrUndefined(parallelGroups), Option.getOrUndefined(workerThreads)]
  return groups !== undefined && threads !== undefined && groups !== threads
    ? Effect.fail(differentThreads)
    : Effect.succeed(given("parallelGroups", groups ?? threads))
}

const optionsOf = (direction: Direction, input: Input) =>
  Effect.gen(function* () {
    const options: SyncOptions = {
      direction,
      owner: yield* parseInput(() => AuthId.parse(input.owner)),
      sourceNamespace: yield* namespace,
      targetNamespace: yield* parseInput(() => Namespace.parse(input.toNs)),
      groupFilters: yield* parseInput(() => input.groupFilter.map(GroupFilter.parse), filterHint),
      removeVanished: input.removeVanished,
      encryptedOnly: input.encryptedOnly,
      verifiedOnly: input.verifiedOnly,
      ...given("maxDepth", Option.getOrUndefined(input.maxDepth)),
      ...given("transferLast", Option.getOrUndefined(input.transferLast)),
      ...(yield* groupsAtOnce(input)),
      ...(yield* ratesOf(input))
    }
    return options
  })

const keyNeeded = (what: string, hint: string) =>
  Effect.flatMap(cryptConfig, (crypt) =>
    crypt === undefined
      ? Effect.fail(new UsageError({ detail: `${what} needs a key`, hint }))
      : Effect.succeed(crypt)
  )

const keyHint = "name its file with --keyfile"

const carryOut = ({ dryRun: isDryRun, from, to }: Input, options: SyncOptions) =>
  Effect.gen(function* () {
    const places = { from: yield* placeOf(from), to: yield* placeOf(to) }
    yield* SyncAction.run({ ...places, options, isDryRun })
  })

export const pull = (input: Input & { readonly resyncCorrupt: boolean; readonly decrypt: boolean }) =>
  Effect.gen(function* () {
    const options = yield* optionsOf("pull", input)
    const keys = input.decrypt ? { decryptWith: [yield* keyNeeded("--decrypt", keyHint)] } : {}
    const { resyncCorrupt } = input
    yield* carryOut(input, { ...options, resyncCorrupt, ...keys })
  })

export const push = (input: Input & { readonly encrypt: boolean }) =>
  Effect.gen(function* () {
    const options = yield* optionsOf("push", input)
    const key = input.encrypt ? { encryptWith: yield* keyNeeded("--encrypt", keyHint) } : {}
    yield* carryOut(input, { ...options, ...key })
  })

/** A job that names keys gets the one that was given; without one it would copy what it must not. */
const keysOfJob = (id: string, direction: Direction, values: JobConfig.SyncJob["values"]) =>
  Effect.gen(function* () {
    const wanted = direction === "push" ? values["active-encryption-key"] : values["associated-key"]?.[0]
    if (wanted === undefined) return {}
    const crypt = yield* keyNeeded(`sync job ${id}`, `name the file of its key ${wanted} with --keyfile`)
    return direction === "push" ? { encryptWith: crypt } : { decryptWith: [crypt] }
  })

interface JobEnd {
  readonly place: SyncPlace
  readonly ns: Namespace.Namespace
}

/** Of a pull the job's own store is the target, of a push the source. */
const endsOf = (direction: Direction, { values }: JobConfig.SyncJob): Readonly<Record<Side, JobEnd>> => {
  const { remote, "remote-store": store = "" } = values
  const own: JobEnd = {
    place: { kind: "name", name: values.store ?? "" },
    ns: values.ns ?? Namespace.root
  }
  const other: JobEnd = {
    place: remote === undefined ? { kind: "name", name: store } : { kind: "remote store", remote, store },
    ns: values["remote-ns"] ?? Namespace.root
  }
  return direction === "pull" ? { source: other, target: own } : { source: own, target: other }
}

const optionsOfJob = (direction: Direction, job: JobConfig.SyncJob) =>
  Effect.gen(function* () {
    const { values } = job
    const { source, target } = endsOf(direction, job)
    const options: SyncOptions = {
      direction,
      owner: yield* parseInput(() => AuthId.parse(values.owner ?? "root@pam")),
      sourceNamespace: source.ns,
      targetNamespace: target.ns,
      groupFilters: yield* parseInput(
        () => (values["group-filter"] ?? []).map(GroupFilter.parse),
        filterHint
      ),
      removeVanished: values["remove-vanished"] ?? false,
      resyncCorrupt: direction === "pull" && (values["resync-corrupt"] ?? false),
      encryptedOnly: values["encrypted-only"] ?? false,
      verifiedOnly: values["verified-only"] ?? false,
      ...given("maxDepth", values["max-depth"]),
      ...given("transferLast", values["transfer-last"]),
      ...given("parallelGroups", values["worker-threads"]),
      ...rateFrom("rateIn", values["rate-in"], values["burst-in"]),
      ...rateFrom("rateOut", values["rate-out"], values["burst-out"]),
      ...(yield* keysOfJob(job.id, direction, values))
    }
    return options
  })

/** A job's stores are known by their names, whatever folders lie about. */
export const runJob = (id: string, isDryRun: boolean) =>
  Effect.gen(function* () {
    const config = yield* configFolder
    const job = yield* Effect.provide(JobConfig.get(JobConfig.sync, config, id), NodeFiles.layer)
    const direction = job.values["sync-direction"] ?? "pull"
    const { source, target } = endsOf(direction, job)
    const options = yield* optionsOfJob(direction, job)
    yield* SyncAction.run({ from: source.place, to: target.place, options, isDryRun })
  })
