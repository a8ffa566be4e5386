/**
 * StoreFolder: the datastore of the stress test as a folder, looked at and made older without the program under test.
 */
import * as fs from "node:fs"
import * as path from "node:path"

const ageSeconds = 36 * 3600

/** A cutoff, in minutes, that the chunks which were made older do not reach. */
export const keepsAllMinutes = 2880

const chunkFolder = (store: string): string => path.join(store, ".chunks")

/** Everything that lies in the chunk folders; paths relative to `.chunks`. */
export const chunkFiles = (store: string): ReadonlyArray<string> =>
  fs
    .readdirSync(chunkFolder(store))
    .flatMap((folder) =>
      fs.readdirSync(path.join(chunkFolder(store), folder)).map((name) => `${folder}/${name}`)
    )

export const isTemporary = (name: string): boolean => name.includes(".tmp_")

/**
 * Makes every chunk file look as if nobody had used it for a day and a half: from now on only those stay in a garbage
 * collection that somebody needs, or touches.
 */
export const age = (store: string): void => {
  const seconds = Math.floor(Date.now() / 1000) - ageSeconds
  for (const name of chunkFiles(store)) fs.utimesSync(path.join(chunkFolder(store), name), seconds, seconds)
}

/** A snapshot's folder as it stands. */
export interface SnapshotFolder {
  /** `host/alpha/2026-11-21T10:00:00Z` */
  readonly name: string
  readonly hasManifest: boolean
}

const childrenOf = (folder: string): ReadonlyArray<string> =>
  fs.existsSync(folder) ? fs.readdirSync(folder) : []

export const snapshotFolders = (
  store: string,
  groups: ReadonlyArray<string>
): ReadonlyArray<SnapshotFolder> =>
  groups.flatMap((group) =>
    childrenOf(path.join(store, group))
      .filter((name) => /^\d{4}-/.test(name))
      .map((name) => ({
        name: `${group}/${name}`,
        hasManifest: fs.existsSync(path.join(store, group, name, "index.json.blob"))
      }))
  )

/** Leases of writers that have ended or died. */
export const leases = (store: string): ReadonlyArray<string> =>
  childrenOf(path.join(store, ".granary-writers"))

/** Temporary files outside of the chunk folders; paths relative to the store. */
export const temporaryFiles = (store: string, groups: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...childrenOf(store).filter(isTemporary),
  ...groups.flatMap((group) =>
    fs.existsSync(path.join(store, group))
      ? fs
          .readdirSync(path.join(store, group), { recursive: true, encoding: "utf8" })
          .filter(isTemporary)
          .map((name) => `${group}/${name}`)
      : []
  )
]
