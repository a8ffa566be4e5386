/**
 * Tries the package as users get it: packs it, installs the tarball into an empty folder, imports every export,
 * compiles a small program against its types, and runs the command line.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { outputOf, quickTemporaryFolder, root, runCommand } from "./runCommand.ts"

const manifest: {
  readonly name: string
  readonly version: string
  readonly exports: Readonly<Record<string, { readonly default: string } | string | null>>
  readonly devDependencies: Readonly<Record<string, string>>
} = createRequire(import.meta.url)("../package.json")

const folder = mkdtempSync(path.join(quickTemporaryFolder, "granary-smoke-"))

const step = (title: string): void => console.log(`--- ${title}`)

const check = (isTrue: boolean, problem: string): void => {
  if (!isTrue) throw new Error(problem)
}

const install = (): void => {
  step("pack and install")
  runCommand("npm", ["pack", "--silent", "--pack-destination", folder])
  const tarball = `./${manifest.name}-${manifest.version}.tgz`
  writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true, type: "module" }))
  const effect = `effect@${manifest.devDependencies["effect"]}`
  const options = ["--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
  runCommand("npm", ["install", ...options, tarball, effect], { folder })
}

/** What a pattern such as `./model/*` stands for, as far as it is not taken back by a null. */
const expand = (pattern: string, target: string): ReadonlyArray<string> => {
  const [before = "", after = ""] = target.split("*")
  const base = path.join(folder, "node_modules", manifest.name, before)
  return readdirSync(base, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(after))
    .map((file) => pattern.replace("*", file.slice(0, -after.length)))
}

const isInternal = (subpath: string): boolean =>
  Object.entries(manifest.exports).some(
    ([key, target]) =>
      target === null && (key.endsWith("*") ? subpath.startsWith(key.slice(0, -1)) : subpath === key)
  )

const publicModules = (): ReadonlyArray<string> =>
  Object.entries(manifest.exports)
    .flatMap(([key, target]) => {
      if (typeof target !== "object" || target === null) return []
      return key.includes("*") ? expand(key, target.default) : [key]
    })
    .filter((subpath) => !isInternal(subpath))
    .map((subpath) => manifest.name + subpath.slice(1))

const importAll = (): void => {
  const modules = publicModules()
  step(`import ${modules.length} modules`)
  check(modules.length > 50, "most modules are missing")
  const lines = modules.map((module, index) => `import * as module${index} from ${JSON.stringify(module)}`)
  const names = modules.map((_, index) => `module${index}`).join(", ")
  const program = `${lines.join("\n")}\nexport const count: number = [${names}].length\n`
  writeFileSync(path.join(folder, "all.ts"), program)
  writeFileSync(path.join(folder, "all.mjs"), program.replace(": number", ""))
  const printed = outputOf("node", ["all.mjs"], { folder })
  check(printed === "", `importing prints ${printed}`)
  const internal = `import("${manifest.name}/platform/chunkWorker").then(() => process.exit(1), () => 0)`
  runCommand("node", ["--eval", internal], { folder })
}

const consumer = `
import * as Effect from "effect/Effect"
import * as Datastore from "granary/datastore/Datastore"
import { openDatastore, type SnapshotDescription } from "granary/promises"
import { Digest } from "granary"

export const names = async (path: string): Promise<ReadonlyArray<string>> => {
  await using datastore = await openDatastore(path)
  const found: Array<SnapshotDescription> = []
  for await (const snapshot of datastore.snapshots()) found.push(snapshot)
  return found.map(({ name }) => name)
}

export const base = Effect.map(Datastore.Datastore, ({ layout }): string => layout.base)

export const digest: Digest.Digest = Digest.parse("00".repeat(32))

// @ts-expect-error a datastore is opened by its path
export const wrong = openDatastore(1)
`

const compile = (): void => {
  step("compile a program")
  writeFileSync(path.join(folder, "consumer.ts"), consumer)
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    module: "NodeNext",
    target: "ES2023",
    lib: ["ES2024", "ESNext.Disposable"],
    types: ["node"],
    typeRoots: [path.join(root, "node_modules/@types")],
    skipLibCheck: true,
    noEmit: true
  }
  writeFileSync(
    path.join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions, files: ["consumer.ts", "all.ts"] })
  )
  runCommand("tsc", ["--project", folder])
}

const runProgram = (): void => {
  step("run the command line")
  const granary = path.join(folder, "node_modules/.bin/granary")
  const run = (...parameters: ReadonlyArray<string>): string =>
    outputOf(granary, parameters, { folder, environment: { GRANARY_REPOSITORY: path.join(folder, "store") } })
  check(run("--version").includes(manifest.version), "--version says something else")
  check(run("--help").includes("backup"), "--help does not know backup")
  mkdirSync(path.join(folder, "source"))
  writeFileSync(path.join(folder, "source/hello.txt"), "hello, world")
  run("init", path.join(folder, "store"))
  run("backup", "root.pxar:source", "app.conf:source/hello.txt", "--backup-id", "smoke")
  check(run("snapshots").includes("host/smoke/"), "the snapshot is not listed")
  run("restore", "host/smoke", "root.pxar", "restored")
  const restored = readFileSync(path.join(folder, "restored/hello.txt"), "utf8")
  check(restored === "hello, world", "something else was restored")
  run("verify")
}

try {
  install()
  importAll()
  compile()
  runProgram()
  step("the package works")
} finally {
  rmSync(folder, { recursive: true, force: true })
}
