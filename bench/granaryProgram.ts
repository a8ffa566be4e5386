/** The program as users install it, made for a benchmark of the sources as they are. */
import { cpSync, mkdirSync, rmSync, symlinkSync } from "node:fs"
import * as path from "node:path"
import { bundle } from "../scripts/bundle.ts"
import { type Argv, run } from "./mountProcesses.ts"

export interface GranaryProgram {
  readonly granary: Argv
  readonly version: string
}

/** Below `folder`. */
export const makeProgram = async (folder: string): Promise<GranaryProgram> => {
  const own = path.join(folder, "package")
  const program = path.join(own, "dist/program")
  rmSync(own, { recursive: true, force: true })
  mkdirSync(program, { recursive: true })
  await bundle(program)
  const root = path.resolve(import.meta.dirname, "..")
  symlinkSync(path.join(root, "node_modules"), path.join(own, "node_modules"))
  cpSync(path.join(root, "package.json"), path.join(own, "package.json"))
  const granary: Argv = [
    process.execPath,
    "--disable-warning=ExperimentalWarning",
    path.join(program, "bin.js")
  ]
  const { output } = await run([...granary, "--version"])
  return { granary, version: output.trim() }
}
