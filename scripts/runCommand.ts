/**
 * runCommand: how the scripts of this folder call other programs: by the names of this repository's own tools first,
 * loud, and with the end of the script when one of them fails.
 */
import { execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"

export const root = path.resolve(import.meta.dirname, "..")

const memory = "/dev/shm"

/** A new datastore has 65,536 folders: in memory they cost next to nothing. */
export const quickTemporaryFolder = existsSync(memory) ? memory : tmpdir()

const ownTools = path.join(root, "node_modules/.bin")

export interface CommandOptions {
  readonly folder?: string
  readonly environment?: Readonly<Record<string, string>>
}

const optionsOf = ({ folder = root, environment = {} }: CommandOptions) => ({
  cwd: folder,
  encoding: "utf8" as const,
  env: { ...process.env, PATH: `${ownTools}:${process.env["PATH"] ?? ""}`, ...environment }
})

/** Runs a program that speaks for itself. */
export const runCommand = (
  command: string,
  parameters: ReadonlyArray<string>,
  options: CommandOptions = {}
): void => {
  execFileSync(command, parameters, { ...optionsOf(options), stdio: "inherit" })
}

/** Runs a program and answers what it prints on standard output. */
export const outputOf = (
  command: string,
  parameters: ReadonlyArray<string>,
  options: CommandOptions = {}
): string =>
  execFileSync(command, parameters, { ...optionsOf(options), stdio: ["ignore", "pipe", "inherit"] })
