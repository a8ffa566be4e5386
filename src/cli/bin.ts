#!/usr/bin/env node
/** The program `granary`. The first interrupt stops the work cleanly, the second one at once. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { exitCodes } from "./Failure.ts"
import { run } from "./main.ts"

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
