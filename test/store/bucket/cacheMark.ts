/** What `granary init` leaves in a cache folder, for folders in memory that are made without it. */
import type { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"

/** Makes the folder the cache of the datastore `store`; its bucket is told by the title. */
export const markAsCache = (disk: MemoryDisk, base: string, title: string): void => {
  const text = JSON.stringify({ store: "store", bucket: title, id: "", state: "ready" })
  disk.append(disk.create(`${base}/.granary-bucket`, 0o644, 0), Buffer.from(text), 0)
}
