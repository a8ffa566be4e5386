/**
 * Chunks are encoded and decoded without threads by the tests of a file, in their own process: threads take longer to
 * start than small stores give them to do. What threads do is the same (`conformance/chunkCodec`).
 *
 * Import it for its effect, before anything that loads `src`. Programs that a test starts are not affected.
 */
import * as Layer from "effect/Layer"
import { vi } from "vitest"

vi.mock(import("../../src/platform/NodeChunkCodec.ts"), async (load) => {
  const { layerInline } = await import("../../src/platform/ChunkCodec.ts")
  const files = await import("../../src/platform/NodeFiles.ts")
  const layer = Layer.provide(layerInline, files.layer)
  return { ...(await load()), layer: () => layer }
})
