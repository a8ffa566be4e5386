/**
 * IndexTree: every index file below a datastore's folder, also where Proxmox Backup Server would not put one, and the
 * temporary files that lie beside them and in the datastore's folder itself.
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
  /** Files that were to replace others, of programs at work or dead. */
  readonly temporaries: ReadonlyArray<string>
}

/** Of ours and of Proxmox Backup Server's; its archives in the making, `.tmp_didx`, have another form. */
const temporaryPattern = /.\.tmp_[A-Za-z0-9]{6}$/

/** Where a file system puts what it found by repairing itself; only root may look inside. */
const isLostAndFound = (path: string, depth: number): boolean => depth <= 1 && path.endsWith("/lost+found")

export const walk = (layout: StoreLayout): Effect.Effect<IndexTree, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const paths = new Set<string>()
    const links: Array<string> = []
    const temporaries: Array<string> = []
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
        const child = `${path}/${name}`
        if (kind === "file" && temporaryPattern.test(name)) temporaries.push(child)
        if (name.startsWith(".")) continue
        if (kind === "directory") pending.push({ path: child, depth: depth + 1 })
        else if (isIndexName(name) && kind !== "other") paths.add(child)
        else if (kind === "symlink") links.push(child)
      }
    }
    return { paths, links, temporaries }
  })
