/** FolderChecks: the checks of a store in a folder, which the test can look into by itself. */
import { openDatastore } from "../../src/promises.ts"
import * as Checks from "./Checks.ts"
import type { Setup } from "./Setup.ts"
import * as StoreFolder from "./StoreFolder.ts"

/** What the program lists, compared with the folders. */
export const list = ({ program, sources }: Setup): Promise<Checks.Listed> =>
  Checks.list(program, sources, () => {
    const groups = sources.map(({ group }) => group)
    return StoreFolder.snapshotFolders(program.store, groups)
  })

/** Nothing is missing, and nothing is old enough to go. */
export const gcThatKeepsAll = ({ program }: Setup, mark: "set" | "atime"): Promise<Checks.Problems> =>
  Checks.gcThatKeepsAll(program, ["--mark", mark])

/** Nothing is missing, and no needless chunk, temporary file or lease stays. */
export const gcThatSweeps = ({ program }: Setup): Promise<Checks.Problems> => {
  const { store } = program
  StoreFolder.age(store)
  return Checks.gcThatSweeps(program, ["--mark", "set"], () => {
    const chunks = StoreFolder.chunkFiles(store)
    const temporary = chunks.filter(StoreFolder.isTemporary)
    return {
      chunks,
      outliving: [
        ...temporary.map((name) => `${name}: a temporary file that outlives gc`),
        ...StoreFolder.leases(store).map((name) => `${name}: a lease that outlives gc`)
      ]
    }
  })
}

/** Restores everything that is listed as finished, and compares. */
export const restoreAll = async (
  { folder, keyFile, program }: Setup,
  listed: Checks.Listed,
  records: ReadonlyMap<string, Checks.Content>
): Promise<Checks.Restored> => {
  await using datastore = await openDatastore(program.store, { key: { file: keyFile } })
  return await Checks.restoreAll(folder, listed, records, (...where) => datastore.restore(...where))
}
