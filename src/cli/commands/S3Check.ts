/**
 * `granary s3 check ENDPOINT-ID/BUCKET`: what a server really does, how fast it is, and whether a datastore is safe in
 * it. What it writes lies below `.granary-probe/` and is removed again.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { CommandFailed, parseInput, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { print } from "../Output.ts"
import { parseBucket } from "../RepositoryName.ts"
import { root } from "../Root.ts"
import type { Finding } from "../S3Examination.ts"

const noPlace = new UsageError({
  detail: "no bucket was named",
  hint: "write granary s3 check ENDPOINT-ID/BUCKET, or name a store with --repository s3:ENDPOINT-ID/BUCKET/STORE"
})

const placeOf = (argument: Option.Option<string>) =>
  Effect.gen(function* () {
    const { repository } = yield* root
    const isInBucket = (text: string): boolean => text.startsWith("s3:")
    const where = Option.orElse(argument, () => Option.filter(repository, isInBucket))
    if (Option.isNone(where)) return yield* noPlace
    return yield* parseInput(() => parseBucket(where.value), noPlace.hint)
  })

const toText = (findings: ReadonlyArray<Finding>): string =>
  Format.table(
    ["check", "", "detail"],
    findings.map(({ check, detail, ok }) => [check, ok ? "ok" : "BAD", Format.name(detail)])
  )

/** Until the first steps are taken, nothing is known of the server. */
const verdict = (bad: ReadonlyArray<string>, firstSteps: ReadonlyArray<string>): CommandFailed =>
  firstSteps.some((check) => bad.includes(check))
    ? new CommandFailed({
        detail: `the bucket could not be checked: ${bad.join(", ")}`,
        hint: "see the details above; what comes after these steps was not tried"
      })
    : new CommandFailed({
        detail: `a datastore is not safe in this bucket: ${bad.join(", ")}`,
        hint: "see the details above; another server, a newer one, or a provider quirk may help"
      })

export const check = Command.make(
  "check",
  {
    bucket: Argument.String("bucket").pipe(
      Argument.withDescription("ENDPOINT-ID/BUCKET; by default that of --repository"),
      Argument.withMetavar("BUCKET"),
      Argument.optional
    )
  },
  (input) =>
    Effect.gen(function* () {
      const place = yield* placeOf(input.bucket)
      const { examine, steps } = yield* Effect.promise(() => import("../S3Examination.ts"))
      const findings = yield* Effect.scoped(examine(place))
      yield* print({ json: findings, text: toText(findings) })
      const bad = findings.filter(({ ok }) => !ok).map((finding) => finding.check)
      if (bad.length > 0) return yield* verdict(bad, steps)
    })
).pipe(
  Command.withDescription("Find out whether a server keeps what a datastore needs, and how fast it is"),
  Command.withExamples([
    { command: "granary s3 check minio/backups", description: "Before a datastore is made in a bucket" }
  ])
)
