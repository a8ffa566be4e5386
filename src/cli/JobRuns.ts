/** JobRuns: runs the verify and prune jobs of the configuration, as the commands of these names do. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as JobConfig from "../config/JobConfig.ts"
import * as Datastore from "../datastore/Datastore.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Retention from "../model/Retention.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import * as PrunePlan from "../prune/PrunePlan.ts"
import * as VerifyPlan from "../verify/VerifyPlan.ts"
import { carryOut as carryOutPrune } from "./commands/Prune.ts"
import { carryOut as carryOutVerify } from "./commands/Verify.ts"
import { configFolder } from "./ConfigFlag.ts"
import type { OpenOptions } from "./OpenOptions.ts"
import { machineFor, openPlace } from "./Repository.ts"

/** A job's datastore is known by its name, whatever folders lie about. */
const inStore = <A, E, R>(name: string, options: OpenOptions, work: Effect.Effect<A, E, R>) => {
  const store = Layer.effect(Datastore.Datastore, openPlace({ kind: "name", name }, options))
  return Effect.provide(work, Layer.provideMerge(store, machineFor(options, {})))
}

const depthOf = (depth: number | undefined) => (depth === undefined ? {} : { depthMax: depth })

export const verify = (id: string, isPlan: boolean) =>
  Effect.gen(function* () {
    const config = yield* configFolder
    const { values } = yield* Effect.provide(JobConfig.get(JobConfig.verify, config, id), NodeFiles.layer)
    const outdated = values["outdated-after"]
    const plan = VerifyPlan.make({
      namespace: values.ns ?? Namespace.root,
      ignoreVerified: values["ignore-verified"] ?? true,
      ...depthOf(values["max-depth"]),
      ...(outdated === undefined ? {} : { outdatedAfterDays: outdated })
    })
    yield* inStore(values.store ?? "", { plans: isPlan }, carryOutVerify(plan, { isPlan }))
  })

const retentionOf = (values: JobConfig.PruneJob["values"]): Retention.Retention => {
  const retention: { [Rule in Retention.RetentionRule]?: number } = {}
  for (const rule of Retention.rules) {
    const count = values[`keep-${rule}`]
    if (count !== undefined) retention[rule] = count
  }
  return retention
}

export const prune = (id: string, isDryRun: boolean) =>
  Effect.gen(function* () {
    const config = yield* configFolder
    const { values } = yield* Effect.provide(JobConfig.get(JobConfig.prune, config, id), NodeFiles.layer)
    const plan = PrunePlan.make({
      namespace: values.ns ?? Namespace.root,
      retention: retentionOf(values),
      ...depthOf(values["max-depth"])
    })
    yield* inStore(values.store ?? "", { writes: !isDryRun }, carryOutPrune(plan, { isDryRun }))
  })
