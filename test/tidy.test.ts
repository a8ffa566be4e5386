/**
 * The house rules of docs/design.md, checked on every file of the repository, and each rule on a small file that breaks
 * it: a rule that cannot fail would say nothing.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { readdirSync, readFileSync, statSync } from "node:fs"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import * as Layers from "./tidy/Layers.ts"
import * as rules from "./tidy/rules.ts"
import * as SourceFile from "./tidy/SourceFile.ts"

const root = path.resolve(import.meta.dirname, "..")

const isText = (file: string): boolean =>
  /\.(?:ts|mjs|json|md|ya?ml|txt)$|(?:^|\/)(?:\.\w+rc|run|LICENSE|\.gitignore)$/.test(file)

/** Not part of the repository, though they may lie in its folder. */
const ignored: ReadonlyArray<string> = [".git", "node_modules", "dist", "coverage", "granary-demo"]

const filesBelow = (folder: string): ReadonlyArray<string> =>
  readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map((name) =>
    path.join(folder, name)
  )

const repositoryFiles = (): ReadonlyArray<rules.TextFile> =>
  readdirSync(root, { withFileTypes: true })
    .filter(({ name }) => !ignored.includes(name))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(entry.name) : [entry.name]))
    .filter((file) => isText(file) && statSync(path.join(root, file)).isFile())
    .map((file) => ({ path: file, text: readFileSync(path.join(root, file), "utf8") }))

const texts = repositoryFiles()
const everywhere = texts
  .filter(({ path: file }) => file.endsWith(".ts"))
  .map((file) => SourceFile.parse(file.path, file.text))
const documented = everywhere.filter(({ path: file }) => /^(?:src|scripts|examples)\//.test(file))
const sources = everywhere.filter(({ path: file }) => file.startsWith("src/"))

/** A file that keeps every rule but the one that `code` breaks. */
const sample = (file: string, code: string) =>
  SourceFile.parse(file, `/** A sample for a rule. */\n${code}\n`)

const manyLines = (count: number) => "void 0\n".repeat(count)

interface Case {
  readonly name: string
  readonly rule: rules.Rule
  readonly files: ReadonlyArray<SourceFile.SourceFile>
  readonly broken: ReadonlyArray<ReadonlyArray<SourceFile.SourceFile>>
  /** Near misses: they look alike and are fine. */
  readonly fine?: ReadonlyArray<ReadonlyArray<SourceFile.SourceFile>>
}

const cases: ReadonlyArray<Case> = [
  {
    name: "imports go from upper layers to lower ones",
    rule: Layers.layering,
    files: sources,
    broken: [
      [sample("src/model/A.ts", `import { b } from "../format/B.ts"`)],
      [sample("src/format/A.ts", `import type { B } from "../chunking/B.ts"`)],
      [sample("src/store/A.ts", `export * from "../cli/B.ts"`)],
      [sample("src/verify/A.ts", `const b = await import("../restore/B.ts")`)],
      [sample("src/cli/A.ts", `import { b } from "../testing/B.ts"`)],
      [sample("src/cli/A.ts", `import { b } from "../promises.ts"`)],
      [sample("src/cli/A.ts", `import { b } from "../../test/B.ts"`)],
      [sample("src/elsewhere/A.ts", `import { b } from "../model/B.ts"`)]
    ],
    fine: [
      [sample("src/format/pxar/A.ts", `import { b } from "../../model/B.ts"`)],
      [sample("src/promises.ts", `import { b } from "./store/B.ts"`)]
    ]
  },
  {
    name: "imports have no cycles, types included",
    rule: Layers.cycles,
    files: sources,
    broken: [
      [
        sample("src/model/A.ts", `import { b } from "./B.ts"`),
        sample("src/model/B.ts", `import type { C } from "./C.ts"`),
        sample("src/model/C.ts", `export * from "./A.ts"`)
      ]
    ],
    fine: [
      [
        sample("src/model/A.ts", `import "./B.ts"\nimport "./C.ts"`),
        sample("src/model/B.ts", `import "./C.ts"`),
        sample("src/model/C.ts", "")
      ]
    ]
  },
  {
    name: "the barrel only exports",
    rule: rules.barrel,
    files: sources,
    broken: [[sample("src/index.ts", "export const a = 1")], [sample("src/index.ts", `import "./a.ts"`)]]
  },
  {
    name: "a file begins with a paragraph that says what it is",
    rule: rules.header,
    files: documented,
    broken: [
      [SourceFile.parse("src/model/A.ts", "export const a = 1\n")],
      [SourceFile.parse("src/model/A.ts", "/** Words. */\n")],
      [SourceFile.parse("src/model/A.ts", `import "./B.ts"\n/** Comes too late to be a header. */\n`)]
    ],
    fine: [[SourceFile.parse("src/cli/bin.ts", "#!/usr/bin/env node\n// Starts the program.\n")]]
  },
  {
    name: "files are at most 400 lines long",
    rule: rules.fileSize,
    files: everywhere,
    broken: [[sample("src/model/A.ts", manyLines(400))]]
  },
  {
    name: "functions are at most 70 lines long, not counting functions inside them",
    rule: rules.functionSize,
    files: sources,
    broken: [
      [sample("src/model/A.ts", `const a = () => {\n${manyLines(70)}}`)],
      [sample("src/model/A.ts", `class A {\n  a() {\n${manyLines(70)}}\n}`)],
      [sample("src/model/A.ts", `const a = () => {\nconst b = function* () {\n${manyLines(70)}}\n}`)]
    ],
    fine: [
      [sample("src/model/A.ts", `const a = () => {\nconst b = () => {\n${manyLines(60)}}\n${manyLines(60)}}`)]
    ]
  },
  {
    name: "lines are at most 120 columns wide",
    rule: rules.lineWidth,
    files: documented,
    broken: [[sample("src/model/A.ts", `const a = "${"a".repeat(120)}"`)]]
  },
  {
    name: "time, chance, the process and the console are left to those who own them",
    rule: rules.globals,
    files: sources,
    broken: [
      [sample("src/store/A.ts", "Date.now()")],
      [sample("src/store/A.ts", "const roll = Math.random")],
      [sample("src/store/A.ts", "new Date()")],
      [sample("src/store/A.ts", "globalThis.setTimeout(() => 1, 1)")],
      [sample("src/store/A.ts", "setInterval(() => 1, 1)")],
      [sample("src/platform/A.ts", "process.exit(1)")],
      [sample("src/platform/A.ts", `console.log("a")`)],
      [sample("src/cli/A.ts", "setTimeout(() => 1, 1)")]
    ],
    fine: [
      [sample("src/platform/A.ts", "setTimeout(Date.now, 1)")],
      [sample("src/cli/A.ts", "process.exit(new Date(1).getDate())")]
    ]
  },
  {
    name: "stores touch the machine through ports",
    rule: rules.machineImports,
    files: sources,
    broken: [
      [sample("src/store/A.ts", `import * as fs from "node:fs/promises"`)],
      [sample("src/verify/A.ts", `import { Worker } from "node:worker_threads"`)]
    ],
    fine: [[sample("src/store/A.ts", `import { hash } from "node:crypto"`)]]
  },
  {
    name: "imports name Effect's modules, and our own by file",
    rule: rules.importForm,
    files: sources,
    broken: [
      [sample("src/model/A.ts", `import { Effect } from "effect"`)],
      [sample("src/model/A.ts", `import { NodeStream } from "@effect/platform-node"`)],
      [sample("src/model/A.ts", `import { b } from "./B"`)],
      [sample("src/model/A.ts", `import { b } from "./B.js"`)]
    ]
  },
  {
    name: "types are never switched off",
    rule: rules.typesHeld,
    files: everywhere,
    broken: [
      [sample("test/A.ts", "const a: any = 1")],
      [sample("test/A.ts", "const a = b as unknown as Array<any>")],
      [sample("test/A.ts", `// ${"@ts"}-ignore\nconst a = 1`)]
    ]
  },
  {
    name: "nothing is left for later or left out",
    rule: rules.leftovers,
    files: everywhere,
    broken: [
      [sample("test/A.ts", `describe.only("a", () => {})`)],
      [sample("test/A.ts", `it.effect.only("a", () => b)`)],
      [sample("test/A.ts", `// ${"TO"}DO: the rest`)]
    ]
  }
]

describe("house rules", () => {
  it("are checked on something", () => {
    assert.isAbove(sources.length, 50)
    assert.isAbove(everywhere.length, sources.length)
  })

  for (const { name, rule, files, broken, fine = [] } of cases) {
    it(name, () => {
      assert.deepStrictEqual(rule(files), [])
      broken.forEach((sampleFiles, index) => {
        assert.isNotEmpty(rule(sampleFiles), `broken sample ${index} is let through`)
      })
      for (const sampleFiles of fine) assert.deepStrictEqual(rule(sampleFiles), [])
    })
  }

  it("no file knows the machine it was written on", () => {
    assert.deepStrictEqual(rules.machinePaths(texts, `${root}/`), [])
    const check = (file: string, text: string) => rules.machinePaths([{ path: file, text }], "/srv/checkout/")
    assert.isNotEmpty(check("docs/a.md", "see /srv/checkout/src"))
    assert.isNotEmpty(check("package-lock.json", `"resolved": "https://example.org/a.tgz"`))
    assert.isNotEmpty(check(".npmrc", "registry=https://example.org"))
    assert.isEmpty(check("package-lock.json", `"version": "1.0.0"`))
  })
})

/** Imports modules one by one and says nothing, unless one of them leaves a trace: then its name is thrown. */
const importer = `
  const traces = () => JSON.stringify([
    process.eventNames().map(String).toSorted(),
    Object.getOwnPropertyNames(globalThis).toSorted(),
    process.getActiveResourcesInfo().filter((name) => !/^(?:Pipe|TTY|FS)/.test(name)).toSorted()
  ])
  const report = (module, problem) => {
    process.exitCode = 1
    process.stderr.write(module + ": " + problem + "\\n")
  }
  for (const module of process.argv.slice(1)) {
    const before = traces()
    await import(module).catch((error) => report(module, String(error)))
    const after = traces()
    if (after !== before) report(module, "leaves traces: " + before + " became " + after)
  }`

const importAll = (modules: ReadonlyArray<string>): string =>
  execFileSync(
    process.execPath,
    ["--conditions=development", "--no-warnings", "--input-type=module", "--eval", importer, ...modules],
    { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 50_000 }
  )

const moduleOf = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`

describe("importing a module", () => {
  // The program itself is the one file that does something when it is loaded.
  const modules = sources.map((file) => file.path).filter((file) => file !== "src/cli/bin.ts")

  it("prints nothing, starts nothing and changes nothing", () => {
    assert.strictEqual(importAll(modules.map((file) => pathToFileURL(path.join(root, file)).href)), "")
  })

  it("is caught at printing, starting and changing", () => {
    assert.strictEqual(importAll([moduleOf("console.log('hello')")]), "hello\n")
    assert.throws(() => importAll([moduleOf("setTimeout(() => {}, 10)")]), /leaves traces/)
    assert.throws(() => importAll([moduleOf("process.on('exit', () => {})")]), /leaves traces/)
    assert.throws(() => importAll([moduleOf("globalThis.granary = 1")]), /leaves traces/)
    assert.throws(() => importAll([moduleOf("throw new Error('broken')")]), /broken/)
  })
})
