/**
 * IndexTree: every index file below a datastore's folder, also where Proxmox Backup Server would not put one.
 *
 * Names with a leading dot are passed over, links to folders are not followed but told, and what vanishes during the
 * walk is gone. A link with the name of an index counts as one.
 */
import * as Effect from "effect/Effect"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import type { StoreLayout } from "../store/StoreLayout.ts"
import { isIndexName } from "./IndexFile.ts"

export interface IndexTree {
  readonly paths: ReadonlySet<string>
  /** Links that were not followed. */
  readonly links: ReadonlyArray<string>
}

/** Where a file system puts what it found by repairing itself; only root may look inside. */
const isLostAndFound = (path: string, depth: number): boolean => depth <= 1 && path.endsWith("/lost+found")

export const walk = (layout: StoreLayout): Effect.Effect<IndexTree, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const paths = new Set<string>()
    const links: Array<string> = []
    const pending: Array<{ readonly path: string; readonly depth: number }> = [
      { path: layout.base, depth: 0 }
    ]
    for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
      const { path, depth } = folder
      const entries = yield* files.readDirectory(path).pipe(
        Effect.catchIf(
          (error) =>
            (depth > 0 && isNotFound(error)) ||
            (error.reason === "PermissionDenied" && isLostAndFound(path, depth)),
          () => Effect.succeed([])
        )
      )
      for (const { name, kind } of entries) {
        if (name.startsWith(".")) continue
        const child = `${path}/${name}`
        if (kind === "directory") pending.push({ path: child, depth: depth + 1 })
        else if (isIndexName(name) && kind !== "other") paths.add(child)
        else if (kind === "symlink") links.push(child)
      }
    }
    return { paths, links }
  })
