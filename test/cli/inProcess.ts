/**
 * The command line run within the process of the tests: what a run prints and how it ends, for some hundredths of the
 * time that a process takes to start. Whoever imports this gets stores with few folders (`store/fewFolders`) and no
 * threads (`platform/noThreads`) as well.
 *
 * Invariant: a run sees the environment that it is given and no other, and one runs at a time, for all of them share
 * the process's outputs.
 */
// oxlint-disable-next-line import/no-unassigned-import -- what it does to other modules is what is wanted
import "../platform/noThreads.ts"
// oxlint-disable-next-line import/no-unassigned-import -- what it does to other modules is what is wanted
import "../store/fewFolders.ts"
import { assert } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import { syncBuiltinESMExports } from "node:module"
import * as path from "node:path"
import { run } from "../../src/cli/main.ts"
import type { Ended } from "../e2e/cli.ts"

// As the program is started elsewhere.
process.env["TZ"] = "UTC"

/** The module itself, whose functions can be exchanged. */
const fs = process.getBuiltinModule("node:fs")

/** Catches what is written meanwhile; answers it, and lets go. */
const catchOutputs = (): (() => { readonly output: Buffer; readonly errors: string }) => {
  const output: Array<Buffer> = []
  const errors: Array<Buffer> = []
  const writeSync = fs.writeSync
  const writeError = process.stderr.write
  const bytesOf = (content: unknown): Buffer =>
    typeof content === "string" ? Buffer.from(content) : Buffer.from(content as Uint8Array)
  fs.writeSync = ((descriptor: number, content: unknown, ...rest: ReadonlyArray<never>) => {
    if (descriptor !== 1) return Reflect.apply(writeSync, fs, [descriptor, content, ...rest])
    return output.push(bytesOf(content)) && bytesOf(content).length
  }) as typeof writeSync
  process.stderr.write = ((content: unknown) => errors.push(bytesOf(content)) > 0) as typeof writeError
  syncBuiltinESMExports()
  return () => {
    fs.writeSync = writeSync
    process.stderr.write = writeError
    syncBuiltinESMExports()
    return { output: Buffer.concat(output), errors: Buffer.concat(errors).toString() }
  }
}

let isRunning = false

/** Runs one command line with this environment. */
export const granaryHere = async (
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>>
): Promise<Ended> => {
  assert.isFalse(isRunning, "one run at a time")
  isRunning = true
  const release = catchOutputs()
  let ended: ReturnType<typeof release> | undefined
  try {
    const provider = ConfigProvider.fromEnv({ env: environment })
    const code = await Effect.runPromise(
      Effect.provideService(run(args), ConfigProvider.ConfigProvider, provider)
    )
    ended = release()
    return { code, ...ended, text: ended.output.toString() }
  } finally {
    isRunning = false
    if (ended === undefined) release()
  }
}

/** Command lines of somebody whose home, and configuration, are in this folder. */
export const commandsIn = (folder: () => { readonly path: string }) => {
  const inFolder = (name: string): string => path.join(folder().path, name)
  const run = (...args: ReadonlyArray<string>): Promise<Ended> =>
    granaryHere(args, { HOME: folder().path, XDG_CONFIG_HOME: inFolder("config") })
  const succeed = async (...args: ReadonlyArray<string>): Promise<Ended> => {
    const ended = await run(...args)
    assert.strictEqual(ended.code, 0, `granary ${args.join(" ")}: ${ended.errors}`)
    return ended
  }
  return { inFolder, run, succeed }
}
