/**
 * main: the command tree, and how a run of it ends: errors become one line and an exit code, an interrupt stops
 * the work cleanly.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Progress } from "../platform/Progress.ts"
import { access } from "./commands/Access.ts"
import { backup } from "./commands/Backup.ts"
import { cat } from "./commands/Cat.ts"
import { datastore } from "./commands/Datastore.ts"
import { demo } from "./commands/Demo.ts"
import { diff } from "./commands/Diff.ts"
import { files } from "./commands/Files.ts"
import { find } from "./commands/Find.ts"
import { forget } from "./commands/Forget.ts"
import { gc } from "./commands/Gc.ts"
import { groups } from "./commands/Groups.ts"
import { init } from "./commands/Init.ts"
import { inspect } from "./commands/Inspect.ts"
import { job } from "./commands/Job.ts"
import { key } from "./commands/Key.ts"
import { ls } from "./commands/Ls.ts"
import { mount } from "./commands/Mount.ts"
import { namespaces } from "./commands/Namespaces.ts"
import { notes } from "./commands/Notes.ts"
import { remote } from "./commands/Remote.ts"
import { protect, unprotect } from "./commands/Protect.ts"
import { prune } from "./commands/Prune.ts"
import { restore } from "./commands/Restore.ts"
import { s3 } from "./commands/S3.ts"
import { s3Refresh } from "./commands/S3Refresh.ts"
import { serve } from "./commands/Serve.ts"
import { serveFiles } from "./commands/ServeFiles.ts"
import { snapshots } from "./commands/Snapshots.ts"
import { sync } from "./commands/Sync.ts"
import { unmount } from "./commands/Unmount.ts"
import { verify } from "./commands/Verify.ts"
import { describe, type Described, ExitStatus, exitCodes, render } from "./Failure.ts"
import * as ProgressBar from "./ProgressBar.ts"
import { root } from "./Root.ts"
import * as Usage from "./StoreUsage.ts"
import { version } from "./version.ts"

export const granary = root.pipe(
  Command.withSubcommands([
    { group: "Back up and restore", commands: [init, backup, restore, verify, demo] },
    { group: "Look inside", commands: [snapshots, groups, namespaces, files, ls, cat, find, diff] },
    { group: "Mount", commands: [mount, unmount, serveFiles] },
    { group: "Care for snapshots", commands: [prune, forget, protect, unprotect, notes, gc] },
    { group: "Many datastores", commands: [sync, datastore, job] },
    { group: "On the network", commands: [serve, access, remote] },
    { group: "Tools", commands: [inspect, key, s3, s3Refresh] }
  ])
)

/** Read before the command line is parsed, so that also its errors come in the right form. */
const outputOf = (args: ReadonlyArray<string>): "text" | "json" => {
  const at = args.indexOf("--output")
  return args.includes("--output=json") || (at >= 0 && args[at + 1] === "json") ? "json" : "text"
}

const standardError = (text: string): void => {
  process.stderr.write(text)
}

/** What is wrong with a command line; undefined when only help was wanted. */
const describeInvocation = (error: CliError.CliError): Described | undefined => {
  if (error._tag !== "ShowHelp") return { ...describe(error), exitCode: exitCodes.usage }
  const [first] = error.errors
  if (first === undefined) return undefined
  const message = first.message
    .replace(/\s+Did you mean this\?\s+/, "; did you mean: ")
    .replaceAll(/\n\s+/g, ", ")
  const hint = `see: ${error.commandPath.join(" ")} --help`
  return { tag: first._tag, message, hint, exitCode: exitCodes.usage }
}

/** Help goes out as it is; a wrong command line gets one line like any other error, not a page of help. */
const presenter = Effect.map(CliOutput.Presenter, (original) => ({
  present: (event: CliOutput.Presenter.Event) =>
    event._tag === "InvalidInvocation" ? Effect.void : original.present(event)
}))

/** Failures of what was carried out to its end: what that has cost is of interest. */
const isOfWorkDone = (cause: Cause.Cause<unknown>): boolean =>
  describe(Cause.squash(cause)).tag === "CommandFailed"

/** What an S3 server was asked for, when the command was carried out. */
const reportUsage = (exit: Exit.Exit<unknown, unknown>, output: "text" | "json"): Effect.Effect<void> =>
  Effect.map(Usage.lastLines(output), (lines) => {
    if (Exit.isFailure(exit) && !isOfWorkDone(exit.cause)) return
    for (const line of lines) standardError(`${line}\n`)
  })

/** Exit code of a failed run; says what went wrong. */
const reportFailure = (cause: Cause.Cause<unknown>, output: "text" | "json"): number => {
  if (Cause.hasInterruptsOnly(cause)) {
    standardError("interrupted: stopped cleanly, nothing half-finished is kept\n")
    return exitCodes.interrupted
  }
  const error = Cause.squash(cause)
  const described = CliError.isCliError(error) ? describeInvocation(error) : describe(error)
  if (described === undefined) return exitCodes.done
  standardError(`${render(described, output)}\n`)
  if (described.tag === "Unexpected" && process.env["GRANARY_DEBUG"] !== undefined)
    standardError(`${Cause.pretty(cause)}\n`)
  return described.exitCode
}

/**
 * Runs one command line; answers the exit code and never fails. Who interrupts it gets no answer, and is told by
 * `onEnd`.
 */
export const run = (
  args: ReadonlyArray<string>,
  onEnd: (code: number) => void = () => undefined
): Effect.Effect<number> => {
  const output = outputOf(args)
  const status: ExitStatus = { code: exitCodes.done }
  const display = ProgressBar.make({
    output,
    isTerminal: process.stderr.isTTY === true,
    columns: process.stderr.columns ?? 80,
    write: standardError
  })
  const command = Command.runWith(granary, { version })(args).pipe(
    Effect.provideServiceEffect(CliOutput.Presenter, presenter),
    Effect.provideService(Progress, display.report),
    Effect.provideService(ExitStatus, status),
    Effect.provide(NodeServices.layer)
  )
  // Only the command itself may be interrupted: how it ended is told in any case.
  return Effect.uninterruptibleMask((interruptibly) =>
    interruptibly(command).pipe(
      Effect.exit,
      Effect.tap((exit) => {
        display.clear()
        return reportUsage(exit, output)
      }),
      Effect.map((exit) => {
        if (Exit.isSuccess(exit)) return status.code
        const isMeant = status.isEndedByInterrupt === true && Cause.hasInterruptsOnly(exit.cause)
        return isMeant ? status.code : reportFailure(exit.cause, output)
      }),
      Effect.tap((code) => Effect.sync(() => onEnd(code))),
      Effect.provideService(Usage.StoreUsage, { meter: undefined })
    )
  )
}
