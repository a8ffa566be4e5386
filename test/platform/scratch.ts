/**
 * Folders for tests: made under the system's temporary folder, gone when the test's scope closes, whatever permissions
 * a test left in them.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { chmodSync, existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const makeWritable = (folder: string): void => {
  chmodSync(folder, 0o700)
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (lstatSync(path).isDirectory()) makeWritable(path)
  }
}

const folderIn = (parent: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(parent, "granary-test-"))),
    (folder) =>
      Effect.sync(() => {
        try {
          rmSync(folder, { recursive: true, force: true })
        } catch {
          makeWritable(folder)
          rmSync(folder, { recursive: true, force: true })
        }
      })
  )

/** An empty folder of one's own. */
export const scratchFolder: Effect.Effect<string, never, Scope.Scope> = folderIn(tmpdir())

/** The same for very many entries: in memory where the system has a place for that, for disks take long over them. */
export const wideFolder: Effect.Effect<string, never, Scope.Scope> = folderIn(
  existsSync("/dev/shm") ? "/dev/shm" : tmpdir()
)

/** Names in a folder and below it, relative to it, sorted; folders end in a slash. */
export const listing = (folder: string, prefix = ""): ReadonlyArray<string> =>
  readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) =>
      entry.isDirectory()
        ? [`${prefix}${entry.name}/`, ...listing(join(folder, entry.name), `${prefix}${entry.name}/`)]
        : [`${prefix}${entry.name}`]
    )
    .toSorted()
