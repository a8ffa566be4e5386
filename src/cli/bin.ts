#!/usr/bin/env node
/**
 * The program `granary`. The first interrupt stops the work cleanly, the second one at once.
 *
 * Everything is imported late: after a look at the version of Node, for on an old one the imports fail with
 * riddles, and after Node was told to keep compiled code for the next start.
 */
import * as module from "node:module"

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`error: Node ${process.versions.node} is too old (install Node 22.19 or later)\n`)
  process.exit(1)
}
module.enableCompileCache()

/** They work on the content of many chunks: their threads get ready while everything else is loaded. */
const workingCommands = ["backup", "restore", "verify"]
const [command = "", ...rest] = process.argv.slice(2)
if (workingCommands.includes(command) && !rest.includes("--help")) {
  const { startEarly } = await import("../platform/ChunkWorkers.ts")
  startEarly()
}

const [Effect, Fiber, { exitCodes }, { run }] = await Promise.all([
  import("effect/Effect"),
  import("effect/Fiber"),
  import("./Failure.ts"),
  import("./main.ts")
])

let code: number = exitCodes.interrupted
const fiber = Effect.runFork(run(process.argv.slice(2), (ended) => (code = ended)))

let isStopping = false
const stop = (): void => {
  if (isStopping) process.exit(exitCodes.interrupted)
  isStopping = true
  Effect.runFork(Fiber.interrupt(fiber))
}
process.on("SIGINT", stop)
process.on("SIGTERM", stop)

fiber.addObserver(() => {
  process.exitCode = code
  process.off("SIGINT", stop)
  process.off("SIGTERM", stop)
})
