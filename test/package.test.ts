/**
 * What package.json promises: every public module can be imported by name and stands in the barrel, internal ones
 * cannot, and versions are pinned.
 */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import manifest from "../package.json" with { type: "json" }
import * as SourceFile from "./tidy/SourceFile.ts"

const root = path.resolve(import.meta.dirname, "..")

interface LockEntry {
  readonly hasInstallScript?: boolean
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const lock: { readonly packages: Readonly<Record<string, LockEntry>> } = JSON.parse(
  readFileSync(path.join(root, "package-lock.json"), "utf8")
)

const locked = Object.entries(lock.packages).map(([location, entry]) => ({ location, entry }))

/** Modules of `src` without their extension: `model/Digest`. */
const modules = readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.slice(0, -".ts".length))
  .toSorted()

const resolver = `
  const resolve = (name) => {
    try { return import.meta.resolve(name) } catch (error) { return error.code }
  }
  console.log(JSON.stringify(process.argv.slice(1).map(resolve)))`

/** Where Node finds them when they are imported by name from source; the code of the error where it does not. */
const resolveAll = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  const node = ["--conditions=development", "--input-type=module", "--eval", resolver]
  const answer: unknown = JSON.parse(
    execFileSync(process.execPath, [...node, ...names], { cwd: root, encoding: "utf8" })
  )
  assert.isTrue(Array.isArray(answer))
  return Array.isArray(answer) ? answer.map(String) : []
}

const resolved = resolveAll(modules.map((name) => `granary/${name}`))

const publicModules = modules.filter((_, index) => resolved[index]?.startsWith("file:"))

describe("exports", () => {
  it("lead to the modules they name", () => {
    modules.forEach((name, index) => {
      const target = resolved[index] ?? ""
      if (target.startsWith("file:")) {
        assert.strictEqual(fileURLToPath(target), path.join(root, "src", `${name}.ts`))
      } else {
        assert.strictEqual(target, "ERR_PACKAGE_PATH_NOT_EXPORTED", name)
      }
    })
    assert.isAbove(publicModules.length, 50)
  })

  it("keep internals back", () => {
    const kept = modules.filter((name) => !publicModules.includes(name))
    for (const name of ["platform/chunkWorker", "restore/extract/FileWriter", "cli/main", "promises/Runs"]) {
      assert.include(kept, name)
    }
    assert.isEmpty(
      publicModules.filter((name) => /^(?:cli|promises)\/|\/(?:browse|directory|extract)\//.test(name))
    )
  })

  it("name nothing that is not there", () => {
    for (const [subpath, target] of Object.entries(manifest.exports)) {
      const folder = subpath.replace(/^\.\/|\/\*$/g, "")
      if (target === null)
        assert.isTrue(
          modules.some((name) => name === folder || name.startsWith(`${folder}/`)),
          subpath
        )
      else if (typeof target === "object" && !subpath.includes("*")) {
        assert.isTrue(existsSync(path.join(root, target.development)), subpath)
      }
    }
  })

  it("give source, types and JavaScript of one module", () => {
    for (const target of Object.values(manifest.exports)) {
      if (typeof target !== "object" || target === null) continue
      assert.deepStrictEqual(Object.keys(target), ["development", "types", "default"])
      const name = target.development.replace(/^\.\/src\/|\.ts$/g, "")
      assert.strictEqual(target.types, `./dist/${name}.d.ts`)
      assert.strictEqual(target.default, `./dist/${name}.js`)
    }
  })
})

describe("the barrel", () => {
  const barrel = SourceFile.parse("src/index.ts", readFileSync(path.join(root, "src/index.ts"), "utf8"))

  it("holds every public module once", () => {
    const listed = barrel.imports.map(({ specifier }) => specifier.replace(/^\.\/|\.ts$/g, ""))
    const expected = publicModules.filter((name) => name.includes("/"))
    assert.deepStrictEqual(listed.toSorted(), expected, "run: npm run build:barrel")
  })

  it("calls modules by their file's name", () => {
    for (const line of barrel.text.split("\n").filter((text) => text.startsWith("export"))) {
      const [, name, folder, file] = /^export \* as (\w+) from "\.\/(.+)\/(\w+)\.ts"$/.exec(line) ?? []
      assert.strictEqual(name, folder === "format/pxar" ? `Pxar${file}` : file, line)
    }
  })
})

describe("the package", () => {
  it("pins what it is built and shipped with", () => {
    const { dependencies, devDependencies, optionalDependencies } = manifest
    const pinned = { ...dependencies, ...devDependencies, ...optionalDependencies }
    for (const [name, version] of Object.entries(pinned)) assert.match(version, /^\d+\.\d+\.\d+$/, name)
    assert.strictEqual(manifest.peerDependencies.effect, `^${manifest.devDependencies.effect}`)
  })

  it("has a program", () => {
    assert.strictEqual(manifest.bin.granary, "./dist/program/bin.js")
    assert.match(readFileSync(path.join(root, "src/cli/bin.ts"), "utf8"), /^#!\/usr\/bin\/env node\n/)
  })

  it("decides on every install script", () => {
    const withScripts = locked
      .filter(({ entry }) => entry.hasInstallScript === true)
      .map(({ location }) => location.replace(/^.*node_modules\//, ""))
      // Of another system: never installed here.
      .filter((name) => existsSync(path.join(root, "node_modules", name)))
    assert.sameMembers(Object.keys(manifest.allowScripts), withScripts)
  })

  it("is locked for every platform, without which npm ci refuses the lock file", () => {
    const known = new Set(locked.map(({ location }) => location.replace(/^.*node_modules\//, "")))
    const wanted = locked.flatMap(({ entry }) => Object.keys(entry.optionalDependencies ?? {}))
    assert.isNotEmpty(wanted)
    assert.deepStrictEqual(
      wanted.filter((name) => !known.has(name)),
      [],
      "run: npm run lock"
    )
  })
})
