/**
 * Granary without Effect: a datastore whose methods give promises and async iterables, and can be stopped by a signal.
 */
import { createDatastore, StoreError } from "granary/promises"
import { mkdtempDisposable } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"

const source = path.resolve(import.meta.dirname, "../src")

await using folder = await mkdtempDisposable(path.join(tmpdir(), "granary-example-"))
await using datastore = await createDatastore(path.join(folder.path, "store"))

const { snapshot, newBytes, storedBytes } = await datastore.backup(
  { "root.pxar": source, "settings.conf": new TextEncoder().encode("color = green\n") },
  {
    group: "host/laptop",
    signal: AbortSignal.timeout(60_000),
    onProgress: (event) => {
      if (event.type === "warning") console.warn(`${event.subject}: ${event.message}`)
    }
  }
)
console.log(`${snapshot}: ${newBytes} bytes new, ${storedBytes} stored`)

for await (const { name, archives } of datastore.snapshots()) {
  console.log(name, archives.map((archive) => archive.name).join(" "))
}

for await (const entry of datastore.list(snapshot, "root.pxar", "model")) {
  console.log(`  ${entry.kind.padEnd(9)} ${String(entry.sizeBytes).padStart(6)} ${entry.path}`)
}

const decoder = new TextDecoder()
for await (const bytes of datastore.readArchive(snapshot, "settings.conf")) console.log(decoder.decode(bytes))

const restored = await datastore.restore("host/laptop", "root.pxar", path.join(folder.path, "restored"))
console.log(`${restored.files} files restored, ${restored.warnings} warnings`)

const { isSound, chunks } = await datastore.verify()
console.log(`${chunks} chunks are ${isSound ? "sound" : "damaged"}`)

await datastore.forget(snapshot)
await datastore.files(snapshot).catch((error: unknown) => {
  if (!(error instanceof StoreError)) throw error
  console.log(`${error.reason}: ${error.message}`)
})
