/** Datastores for tests: a folder with `.chunks` and only those of its 65,536 folders that a test needs. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import type * as Digest from "../../src/model/Digest.ts"
import * as ChunkCodec from "../../src/platform/ChunkCodec.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { chunkPath, layoutOf, type StoreLayout } from "../../src/store/StoreLayout.ts"
import { scratchFolder } from "../platform/scratch.ts"
import * as HookedFiles from "./HookedFiles.ts"

/** What a store needs of the machine, with hooks around its files. */
export const hookedPlatform = (hooks: HookedFiles.Hooks) =>
  // Fresh: inside of a test that runs on `platform` the codec would be the one over its files.
  Layer.provideMerge(
    Layer.fresh(ChunkCodec.layerInline),
    Layer.merge(HookedFiles.layer(NodeFiles.layer, hooks), NodeFileLocks.layer)
  )

export const platform = Layer.provideMerge(
  ChunkCodec.layerInline,
  Layer.merge(NodeFiles.layer, NodeFileLocks.layer)
)

/** Makes the folder a chunk goes into. */
export const prepareFor = (layout: StoreLayout, ...digests: ReadonlyArray<Digest.Digest>): void => {
  for (const digest of digests)
    mkdirSync(dirname(chunkPath(layout, digest)), { recursive: true, mode: 0o750 })
}

export const newLayout = (...digests: ReadonlyArray<Digest.Digest>) =>
  Effect.map(scratchFolder, (folder) => {
    const layout = layoutOf(folder)
    mkdirSync(layout.chunks, { mode: 0o750 })
    writeFileSync(layout.processLock, "")
    prepareFor(layout, ...digests)
    return layout
  })

/** File names in the folder of a chunk. */
export const namesBeside = (layout: StoreLayout, digest: Digest.Digest): ReadonlyArray<string> =>
  readdirSync(dirname(chunkPath(layout, digest))).toSorted()
