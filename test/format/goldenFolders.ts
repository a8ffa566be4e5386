/**
 * Golden bytes of the reference implementation: a few small files in `test/golden`, and the full set in a
 * folder beside the repository where somebody has it. Tests over the full set are shown as skipped where it
 * is absent.
 */
import { describe, it } from "@effect/vitest"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"

const repository = resolve(import.meta.dirname, "../..")

const folders = [
  { title: "small golden files", path: join(repository, "test/golden") },
  { title: "full golden files", path: resolve(repository, "../shared/fixtures") }
]

export class GoldenFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  read(name: string): Buffer {
    return readFileSync(join(this.path, name))
  }

  json(name: string) {
    return JSON.parse(this.read(name).toString())
  }

  /** Names that end so, without that end. */
  stems(ending: string): ReadonlyArray<string> {
    return readdirSync(this.path)
      .filter((name) => name.endsWith(ending))
      .map((name) => name.slice(0, -ending.length))
      .sort()
  }
}

/** The small golden files of an area, always there. */
export const smallGolden = (area: string): GoldenFolder =>
  new GoldenFolder(join(repository, "test/golden", area))

/** Declares the same tests over the small and the full golden files of an area. */
export const describeGolden = (area: string, tests: (golden: GoldenFolder) => void): void => {
  for (const { title, path } of folders) {
    const folder = join(path, area)
    const isThere = existsSync(folder)
    // Tests are named after files, so without the folder there is one skipped test in place of them.
    describe.skipIf(!isThere)(`${title}: ${area}`, () => {
      if (isThere) tests(new GoldenFolder(folder))
      else it("reads and writes every file", () => {})
    })
  }
}
