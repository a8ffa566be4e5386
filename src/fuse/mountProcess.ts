/**
 * mountProcess: starts the process of a mount, and is what others know of it: when it is ready, when it has ended, and
 * how to end it.
 *
 * A mount has a process of its own because whoever touches a mount that he serves himself by a synchronous call waits
 * for himself, and cannot even be killed then. Invariant: the process ends with the scope, unless it was told to stay.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import type { DriverName, Unmounted } from "./Driver.ts"
import { mountError, type MountError } from "./MountError.ts"
import { type FromMount, type MountOptions, requestOf, type ToMount } from "./MountRequest.ts"
import { processMarker } from "./processMarker.ts"

export interface MountHandle {
  /** Its real path. */
  readonly mountpoint: string
  readonly driver: DriverName
  readonly pid: number
  /** Waits until nothing is mounted any more, whoever ended it; fails when the process was killed. */
  readonly ended: Effect.Effect<Unmounted, MountError>
  /** Ends the mount, and is done by the scope's end too. */
  readonly unmount: Effect.Effect<Unmounted, MountError>
  /**
   * The mount is to outlive this process, and the scope: it ends by `granary unmount`, or by a signal to its process.
   */
  readonly leave: Effect.Effect<void>
}

const program = (): string =>
  fileURLToPath(
    new URL(import.meta.url.endsWith(".ts") ? "./mountProgram.ts" : "./mountProgram.js", import.meta.url)
  )

/**
 * What a mount makes lives either for a moment or for long: a small place for new things costs it no time and saves 50
 * MiB.
 */
const memoryOption = "--max-semi-space-size=4"

/** Of this process's own options those that say how modules are found; a debugger's port, for one, is not for two. */
const nodeOptions = (): ReadonlyArray<string> => [
  ...process.execArgv.filter((option) => /^--(?:conditions|experimental-strip-types)\b/.test(option)),
  memoryOption,
  "--disable-warning=ExperimentalWarning"
]

const openLog = (logFile: string | undefined): number | "inherit" | "ignore" => {
  if (logFile === undefined) return "inherit"
  return logFile === "none" ? "ignore" : fs.openSync(logFile, "a", 0o600)
}

const spawn = ({ logFile }: MountOptions): childProcess.ChildProcess => {
  const log = openLog(logFile)
  try {
    return childProcess.spawn(process.execPath, [...nodeOptions(), program(), processMarker], {
      stdio: ["ignore", "ignore", log, "ipc"],
      serialization: "advanced",
      // An interrupt at the terminal is for whoever has asked, who ends the mount in order.
      detached: true
    })
  } finally {
    if (typeof log === "number") fs.closeSync(log)
  }
}

interface Talk {
  readonly child: childProcess.ChildProcess
  readonly ready: Deferred.Deferred<Extract<FromMount, { kind: "ready" }>, MountError>
  readonly ended: Deferred.Deferred<Unmounted, MountError>
  readonly isLeft: { value: boolean }
}

const send = ({ child }: Talk, message: ToMount): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (!child.connected) return resume(Effect.void)
    child.send(message, () => resume(Effect.void))
  })

const listen = ({ child, ended, ready }: Talk, mountpoint: string): void => {
  const fail = (error: MountError): void => {
    Deferred.doneUnsafe(ready, Effect.fail(error))
    Deferred.doneUnsafe(ended, Effect.fail(error))
  }
  child.on("message", (message: FromMount) => {
    if (message.kind === "ready") Deferred.doneUnsafe(ready, Effect.succeed(message))
    else if (message.kind === "ended") Deferred.doneUnsafe(ended, Effect.succeed(message.outcome))
    else fail(mountError(message.reason, message.mountpoint, message.detail, message.hint))
  })
  const hint = "see its log"
  child.on("error", (error) => fail(mountError("Failed", mountpoint, String(error), hint)))
  child.on("exit", (code, signal) => {
    const detail = `the process of the mount has ended: ${signal ?? `code ${code}`}`
    fail(mountError("Failed", mountpoint, detail, hint))
  })
}

/** An unmount tries for two seconds before it detaches. */
const endWithin = "20 seconds"

const kill = ({ child }: Talk): Effect.Effect<void> => Effect.sync(() => void child.kill("SIGKILL"))

const stop = (talk: Talk): Effect.Effect<Unmounted, MountError> =>
  send(talk, { kind: "unmount" }).pipe(
    Effect.andThen(Deferred.await(talk.ended)),
    Effect.timeoutOrElse({
      duration: endWithin,
      orElse: () =>
        Effect.andThen(kill(talk), mountError("Failed", "mount", "its process did not end", "it was killed"))
    })
  )

const acquire = (options: MountOptions): Effect.Effect<Talk, MountError> =>
  Effect.gen(function* () {
    const ready = yield* Deferred.make<Extract<FromMount, { kind: "ready" }>, MountError>()
    const ended = yield* Deferred.make<Unmounted, MountError>()
    const child = yield* Effect.try({
      try: () => spawn(options),
      catch: (error) => mountError("Failed", options.mountpoint, String(error), "choose another log file")
    })
    const talk = { child, ready, ended, isLeft: { value: false } }
    listen(talk, options.mountpoint)
    yield* send(talk, { kind: "mount", request: requestOf(options) })
    return talk
  })

const leave = (talk: Talk): Effect.Effect<void> =>
  Effect.gen(function* () {
    yield* send(talk, { kind: "stay" })
    talk.isLeft.value = true
    if (talk.child.connected) talk.child.disconnect()
    talk.child.unref()
  })

/** Mounts until the scope ends, and answers when the mount is ready. */
export const mount = (options: MountOptions): Effect.Effect<MountHandle, MountError, Scope.Scope> =>
  Effect.gen(function* () {
    const talk = yield* Effect.acquireRelease(acquire(options), (started) =>
      started.isLeft.value ? Effect.void : Effect.ignore(stop(started))
    )
    const { driver, mountpoint } = yield* Deferred.await(talk.ready)
    return {
      driver,
      mountpoint,
      pid: talk.child.pid ?? 0,
      ended: Deferred.await(talk.ended),
      unmount: stop(talk),
      leave: leave(talk)
    }
  })
