/**
 * Failure: what goes wrong, as the user sees it: one line `error: WHAT: WHY (HINT)` or one JSON object, and an
 * exit code.
 *
 * Exit codes: 0 done, 1 failed, 2 usage, 3 done with warnings, 130 interrupted.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { InvalidName } from "../model/InvalidName.ts"

export const exitCodes = { done: 0, failed: 1, usage: 2, warnings: 3, interrupted: 130 } as const

/** The command line itself is wrong. */
export class UsageError extends Data.TaggedError("UsageError")<{
  readonly detail: string
  readonly hint: string
}> {
  override get message(): string {
    return this.detail
  }
}

/** A command that was carried out but did not come to a good end, such as a verification that found faults. */
export class CommandFailed extends Data.TaggedError("CommandFailed")<{
  readonly detail: string
  readonly hint: string
}> {
  override get message(): string {
    return this.detail
  }
}

/** Set by commands that finish with warnings. */
export interface ExitStatus {
  code: number
  /** An interrupt is the end that was meant. */
  isEndedByInterrupt?: boolean
}

export const ExitStatus = Context.Reference<ExitStatus>("granary/cli/ExitStatus", {
  defaultValue: () => ({ code: exitCodes.done })
})

/** The command is done, but not without warnings. */
export const doneWithWarnings: Effect.Effect<void> = Effect.map(ExitStatus, (status) => {
  status.code = exitCodes.warnings
})

/** Parses what the user typed; a name that breaks the rules is a usage error. */
export const parseInput = <A>(parse: () => A, hint = "see --help"): Effect.Effect<A, UsageError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(parse())
    } catch (error) {
      if (error instanceof InvalidName) return Effect.fail(new UsageError({ detail: error.message, hint }))
      return Effect.die(error)
    }
  })

/** For what goes on until somebody ends it: an interrupt is no failure then. */
export const runsUntilStopped: Effect.Effect<never> = Effect.flatMap(ExitStatus, (status) => {
  status.isEndedByInterrupt = true
  return Effect.never
})

export interface Described {
  readonly tag: string
  readonly message: string
  readonly hint: string
  readonly exitCode: number
}

const textOf = (error: object, key: "message" | "hint" | "_tag"): string => {
  const value = key in error ? (error as Record<string, unknown>)[key] : undefined
  return typeof value === "string" ? value : ""
}

/** What was asked for cannot be meant. */
const usageTags = new Set(["UsageError", "InvalidName", "S3SettingsError", "PriceTableError"])

/** What to tell about any failure. */
export const describe = (error: unknown): Described => {
  if (typeof error !== "object" || error === null) {
    return { tag: "Unknown", message: String(error), hint: "", exitCode: exitCodes.failed }
  }
  const tag = textOf(error, "_tag") || "Unexpected"
  return {
    tag,
    message: textOf(error, "message") || tag,
    hint: textOf(error, "hint"),
    exitCode: usageTags.has(tag) ? exitCodes.usage : exitCodes.failed
  }
}

const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, "; ").trim()

export const render = (failure: Described, output: "text" | "json"): string => {
  const message = oneLine(failure.message)
  const hint = oneLine(failure.hint)
  if (output === "json") return JSON.stringify({ error: { tag: failure.tag, message, hint } })
  return hint === "" ? `error: ${message}` : `error: ${message} (${hint})`
}
