#!/usr/bin/env node
/**
 * The program `granary`. The first interrupt stops the work cleanly, the second one at once.
 *
 * Code that was compiled once is kept by Node for the next start, so everything else is imported after that is set up.
 */
import { enableCompileCache } from "node:module"

enableCompileCache()
const [Effect, Fiber, { exitCodes }, { run }] = await Promise.all([
  import("effect/Effect"),
  import("effect/Fiber"),
  import("./Failure.ts"),
  import("./main.ts")
])

const fiber = Effect.runFork(run(process.argv.slice(2)))

let isStopping = false
const stop = (): void => {
  if (isStopping) process.exit(exitCodes.interrupted)
  isStopping = true
  Effect.runFork(Fiber.interrupt(fiber))
}
process.on("SIGINT", stop)
process.on("SIGTERM", stop)

fiber.addObserver((exit) => {
  process.exitCode = exit._tag === "Success" ? exit.value : exitCodes.interrupted
  process.off("SIGINT", stop)
  process.off("SIGTERM", stop)
})
