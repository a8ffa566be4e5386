/**
 * The program of a mount's own process. It is started by `mountProcess`, gets a request over the channel between them,
 * and does nothing when it is loaded in any other way.
 *
 * It ends when nothing is mounted any more. Invariant: it unmounts when its parent goes, unless it was told to stay;
 * and when it is asked to end by SIGINT, SIGTERM or SIGHUP.
 */
import * as module from "node:module"
import type { FromMount, MountRequest, ToMount } from "./MountRequest.ts"
import { processMarker } from "./processMarker.ts"

/** What is left over when all is done, such as a thread that waits in a read, does not keep the process. */
const endWithinMillis = 3000

/** What was compiled until then is kept: the first looks into the mount have come by. */
const keepAfter = "10 seconds"

/** The next mount finds compiled code, and is ready sooner. */
const load = async () => {
  module.enableCompileCache()
  const [Deferred, Effect, Logger, { serve }] = await Promise.all([
    import("effect/Deferred"),
    import("effect/Effect"),
    import("effect/Logger"),
    import("./MountServer.ts")
  ])
  return { Deferred, Effect, Logger, serve }
}

const tell = (message: FromMount): void => {
  // Whoever has asked may be gone.
  if (process.connected) process.send?.(message, undefined, {}, () => undefined)
}

const work = async (request: MountRequest, whenStopped: (stop: () => void) => void): Promise<void> => {
  const { Deferred, Effect, Logger, serve } = await load()
  const stop = Deferred.makeUnsafe<void>()
  whenStopped(() => void Deferred.doneUnsafe(stop, Effect.void))
  let last = ""
  const line = Logger.make(({ date, logLevel, message }) => {
    const text = (Array.isArray(message) ? message : [message]).map(String).join(" ")
    // What was found where bytes are read is told again where the read is answered.
    if (text !== last) process.stderr.write(`${date.toISOString()} ${logLevel.toLowerCase()}: ${text}\n`)
    last = text
  })
  const served = Effect.raceFirst(
    serve(request, stop, tell),
    // A process that ends by itself does that anyway; but a mount may last for weeks, or be killed.
    Effect.andThen(
      Effect.sleep(keepAfter),
      Effect.andThen(Effect.sync(module.flushCompileCache), Effect.never)
    )
  )
  await Effect.runPromise(Effect.provide(served, Logger.layer([line])))
}

const start = (): void => {
  const state = { isStopped: false, stays: false, isStarted: false, stop: () => undefined as void }
  const stop = (): void => {
    state.isStopped = true
    state.stop()
  }
  const whenStopped = (run: () => void): void => {
    state.stop = run
    if (state.isStopped) run()
  }
  const finish = (): void => {
    if (process.connected) process.disconnect()
    const { pid } = process
    void import("../platform/endLater.ts").then(({ endLater }) => endLater(pid, endWithinMillis))
  }
  // A log that cannot be written any more must not end a mount.
  process.stderr.on("error", () => undefined)
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop)
  process.on("disconnect", () => {
    if (!state.stays) stop()
  })
  process.on("message", (message: ToMount) => {
    if (message.kind === "stay") state.stays = true
    if (message.kind === "unmount") stop()
    if (message.kind !== "mount" || state.isStarted) return
    state.isStarted = true
    void work(message.request, whenStopped).finally(finish)
  })
}

if (process.argv[2] === processMarker && process.send !== undefined) start()
