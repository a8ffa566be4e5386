/**
 * Datastores that the reference implementation wrote: a small one in `test/golden`, and the full one in a folder beside
 * the repository where somebody has it. Tests work on copies, for they lock, damage and change them.
 */
import { describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import { scratchFolder } from "../platform/scratch.ts"

const repository = resolve(import.meta.dirname, "../..")

const folders = [
  { title: "small golden datastore", path: join(repository, "test/golden") },
  { title: "full golden datastore", path: resolve(repository, "../shared/fixtures") }
]

/** One snapshot as the reference implementation describes it. */
export interface GoldenSnapshot {
  readonly ns: string
  readonly dir: string
  readonly finished: boolean
  readonly protected: boolean
  readonly owner: string
  readonly files: ReadonlyArray<string>
  readonly manifest: { readonly signature: string | null; readonly unprotected: object }
}

export interface GoldenStore {
  readonly path: string
  readonly snapshots: ReadonlyArray<GoldenSnapshot>
}

/** The key of the encrypted and signed snapshots. */
export const goldenKey = CryptConfig.fromKey(Uint8Array.from({ length: 32 }, (_, index) => index))

const load = (path: string): GoldenStore => ({
  path: join(path, "datastore"),
  snapshots: JSON.parse(readFileSync(join(path, "datastore.snapshots.json"), "utf8"))
})

export const smallGoldenStore = load(join(repository, "test/golden"))

const makeWritable = (folder: string): void => {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) makeWritable(path)
    else chmodSync(path, 0o644)
  }
}

/** A copy that a test may do with as it likes. */
export const copyOf = (store: GoldenStore) =>
  Effect.map(scratchFolder, (folder) => {
    const copy = join(folder, "golden")
    cpSync(store.path, copy, { recursive: true })
    makeWritable(copy)
    return copy
  })

/** Declares the same tests over both datastores. */
export const describeGoldenStores = (subject: string, tests: (store: GoldenStore) => void): void => {
  for (const { title, path } of folders) {
    const isThere = existsSync(join(path, "datastore.snapshots.json"))
    describe.skipIf(!isThere)(`${subject}: ${title}`, () =>
      tests(isThere ? load(path) : { path: "", snapshots: [] })
    )
  }
}
