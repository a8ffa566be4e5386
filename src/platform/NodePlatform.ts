/** Everything a datastore needs of the machine, as Node provides it. */
import * as Layer from "effect/Layer"
import type { ChunkCodec } from "./ChunkCodec.ts"
import type { FileLocks } from "./FileLocks.ts"
import type { Files } from "./Files.ts"
import * as NodeChunkCodec from "./NodeChunkCodec.ts"
import * as NodeFileLocks from "./NodeFileLocks.ts"
import * as NodeFiles from "./NodeFiles.ts"

export type PlatformOptions = NodeChunkCodec.CodecOptions

export const layerWith = (options: PlatformOptions): Layer.Layer<Files | FileLocks | ChunkCodec> =>
  Layer.mergeAll(NodeFiles.layer, NodeFileLocks.layer, NodeChunkCodec.layer(options))

export const layer: Layer.Layer<Files | FileLocks | ChunkCodec> = layerWith({})
