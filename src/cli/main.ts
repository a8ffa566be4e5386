/**
 * main: the command tree, and how a run of it ends: errors become one line and an exit code, an interrupt stops the work
 * cleanly.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Progress } from "../platform/Progress.ts"
import { backup } from "./commands/Backup.ts"
import { demo } from "./commands/Demo.ts"
import { init } from "./commands/Init.ts"
import { restore } from "./commands/Restore.ts"
import { verify } from "./commands/Verify.ts"
import { describe, ExitStatus, exitCodes, render } from "./Failure.ts"
import * as ProgressBar from "./ProgressBar.ts"
import { root } from "./Root.ts"
import { version } from "./version.ts"

export const granary = root.pipe(Command.withSubcommands([init, backup, restore, verify, demo]))

/** Read before the command line is parsed, so that also its errors come in the right form. */
const outputOf = (args: ReadonlyArray<string>): "text" | "json" => {
  const at = args.indexOf("--output")
  return args.includes("--output=json") || (at >= 0 && args[at + 1] === "json") ? "json" : "text"
}

const standardError = (text: string): void => {
  process.stderr.write(text)
}

/** Exit code of a failed run; says what went wrong. */
const reportFailure = (cause: Cause.Cause<unknown>, output: "text" | "json"): number => {
  if (Cause.hasInterruptsOnly(cause)) {
    standardError("interrupted: stopped cleanly, nothing half-finished is kept\n")
    return exitCodes.interrupted
  }
  const error = Cause.squash(cause)
  if (CliError.isCliError(error)) {
    if (error._tag === "ShowHelp" && error.errors.length === 0) return exitCodes.done
    return exitCodes.usage
  }
  const described = describe(error)
  standardError(`${render(described, output)}\n`)
  if (described.tag === "Unexpected" && process.env["GRANARY_DEBUG"] !== undefined)
    standardError(`${Cause.pretty(cause)}\n`)
  return described.exitCode
}

/** Runs one command line; answers the exit code and never fails. */
export const run = (args: ReadonlyArray<string>): Effect.Effect<number> => {
  const output = outputOf(args)
  const status = { code: exitCodes.done as number }
  const display = ProgressBar.make({
    output,
    isTerminal: process.stderr.isTTY === true,
    columns: process.stderr.columns ?? 80,
    write: standardError
  })
  const command = Command.runWith(granary, { version })(args).pipe(
    Effect.provideService(Progress, display.report),
    Effect.provideService(ExitStatus, status),
    Effect.provide(NodeServices.layer)
  )
  // Only the command itself may be interrupted: how it ended is told in any case.
  return Effect.uninterruptibleMask((restore) =>
    restore(command).pipe(
      Effect.exit,
      Effect.map((exit) => {
        display.clear()
        return Exit.isSuccess(exit) ? status.code : reportFailure(exit.cause, output)
      })
    )
  )
}
