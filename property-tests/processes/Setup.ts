/**
 * Setup: what the stress test needs before its first round: the program, bundled as users get it, an empty datastore, a
 * key, and things to back up. All of it lies in one folder.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Program } from "./Actor.ts"
import * as Sources from "./Sources.ts"

export interface Setup {
  readonly folder: string
  readonly program: Program
  readonly keyFile: string
  readonly sources: ReadonlyArray<Sources.Source>
}

const root = path.resolve(import.meta.dirname, "../..")

/** In a process of its own: what the bundler uses is given back when it is done. */
export const bundleInto = (folder: string): string => {
  const target = path.join(folder, "dist/program")
  fs.mkdirSync(target, { recursive: true })
  fs.copyFileSync(path.join(root, "package.json"), path.join(folder, "package.json"))
  fs.symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"))
  const code = `import(${JSON.stringify(path.join(root, "scripts/bundle.ts"))}).then(({ bundle }) => bundle(${JSON.stringify(target)}))`
  execFileSync(process.execPath, ["--eval", code], { stdio: ["ignore", "ignore", "inherit"] })
  return path.join(target, "bin.js")
}

export const prepare = (folder: string): Setup => {
  const place = (name: string): string => path.join(folder, name)
  fs.mkdirSync(place("sources"), { recursive: true })
  const program = { file: bundleInto(folder), store: place("store") }
  const granary = (...parameters: ReadonlyArray<string>): void => {
    execFileSync(process.execPath, [program.file, ...parameters], { stdio: ["ignore", "ignore", "inherit"] })
  }
  granary("init", program.store)
  granary("key", "create", place("secret.key"), "--kdf", "none")
  const keyFile = place("secret.key")
  return { folder, program, keyFile, sources: Sources.make(place("sources"), keyFile) }
}
