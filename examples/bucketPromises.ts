/**
 * A datastore in an S3 bucket without Effect: made and used with a cache folder, taken over by another machine, and
 * read on a machine that has nothing but the bucket's address and keys.
 */
import { createDatastore, FilesError, openDatastore, refreshDatastore, StoreError } from "granary/promises"
import { mkdtempDisposable } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { startS3Server } from "./support/s3Server.ts"

const source = path.resolve(import.meta.dirname, "../src/model")

await using folder = await mkdtempDisposable(path.join(tmpdir(), "granary-example-"))
await using server = await startS3Server()

// Of a real server: { bucket: "backups", endpoint: "minio.example.org:9000", pathStyle: true }, with the keys in
// GRANARY_S3_ACCESS_KEY and GRANARY_S3_SECRET_KEY.
const { s3 } = server
const here = { s3, store: "store", cacheFolder: path.join(folder.path, "here") }
const there = { s3, store: "store", cacheFolder: path.join(folder.path, "there") }

await using datastore = await createDatastore(here, { maxCacheBytes: 100_000_000 })
const signal = AbortSignal.timeout(60_000)
const { snapshot, storedBytes } = await datastore.backup(
  { "root.pxar": source },
  { group: "host/laptop", signal }
)
console.log(`${snapshot}: ${storedBytes} bytes uploaded`)

const { chunksListed, isSound } = await datastore.verify({ depth: "listed" })
console.log(`${chunksListed} chunks are ${isSound ? "as they were uploaded" : "not as they should be"}`)
const { requests, usedChunks } = await datastore.collectGarbage()
console.log(`collected: ${usedChunks} chunks stay, ${JSON.stringify(requests)}`)

await createDatastore(there).catch((error: unknown) => {
  if (!(error instanceof StoreError)) throw error
  console.log(`${error.reason}: ${error.hint}`)
})
await using other = await createDatastore(there, { reuse: true, overwriteInUse: true })
await other.backup(
  { "settings.conf": new TextEncoder().encode("color = green\n") },
  { group: "host/desktop" }
)
const { fetchedFiles, snapshots } = await refreshDatastore(here)
console.log(`refreshed: ${snapshots} snapshots, ${fetchedFiles} files fetched`)
for await (const { name } of datastore.snapshots()) console.log(`  ${name}`)

// No cache folder: nothing is written anywhere.
await using reading = await openDatastore({ s3, store: "store", budget: { getRequests: 1000 } })
const restored = await reading.restore("host/laptop", "root.pxar", path.join(folder.path, "restored"))
console.log(`${restored.files} files restored straight from the bucket`)
const sampled = await reading.verify({ samplePercent: 50 })
console.log(
  `${sampled.sample?.good} of ${sampled.sample?.chunks} chunks read, ${sampled.isSound ? "all good" : "damage"}`
)

await using poor = await openDatastore({ s3, store: "store", budget: { getRequests: 0 } })
await poor.restore("host/laptop", "root.pxar", path.join(folder.path, "none")).catch((error: unknown) => {
  if (!(error instanceof FilesError)) throw error
  console.log(error.message)
})
