/** What the examples stand on: a new datastore in a temporary folder that goes away with the program. */
import { Effect, Layer } from "effect"
import * as Datastore from "granary/datastore/Datastore"
import * as NodePlatform from "granary/platform/NodePlatform"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"

/** A real directory to back up: this library's own source. */
export const source = path.resolve(import.meta.dirname, "../../src")

export const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(path.join(tmpdir(), "granary-example-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true }))
)

/** The machine as Granary wants it: files, locks between processes, worker threads. */
export const platform = NodePlatform.layer

/** Creates a datastore and opens it. A program with one of its own needs the last line only. */
export const temporaryDatastore = Layer.unwrap(
  Effect.gen(function* () {
    const folder = path.join(yield* temporaryFolder, "store")
    yield* Datastore.create(folder)
    return Datastore.layer({ path: folder })
  })
).pipe(Layer.provideMerge(platform))
