/** PlanFlag: `--plan`, and `--dry-run` for those who know it by that name. */
import * as Flag from "effect/cli/Flag"

/** `what` is what the plan says and leaves undone. */
export const planFlag = (what: string) =>
  Flag.Boolean("plan").pipe(
    Flag.withAlias("dry-run"),
    Flag.withDescription(`${what}; of a store in a bucket also the requests and bytes that takes`),
    Flag.withDefault(false)
  )
