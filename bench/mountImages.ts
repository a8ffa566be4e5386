/**
 * Images for mounts of datastores far away: a fixed index of chunks of any size that Proxmox Backup Server's client
 * makes (`--chunk-size`), stored through a session of the library.
 */
import * as Effect from "effect/Effect"
import * as ArchiveWriter from "../src/backup/ArchiveWriter.ts"
import * as BackupSession from "../src/backup/BackupSession.ts"
import * as Datastore from "../src/datastore/Datastore.ts"
import * as ArchiveName from "../src/model/ArchiveName.ts"
import * as AuthId from "../src/model/AuthId.ts"
import * as BackupGroup from "../src/model/BackupGroup.ts"
import * as Namespace from "../src/model/Namespace.ts"
import * as NodePlatform from "../src/platform/NodePlatform.ts"
import { makeNoise } from "./SeededData.ts"

export interface ImageShape {
  readonly chunkBytes: number
  readonly chunks: number
  /** Of each chunk: what does not compress, and so is what it takes in the store. */
  readonly noiseBytes: number
}

export const imageName = "disk.img"

const chunksOf = function* ({ chunkBytes, chunks, noiseBytes }: ImageShape, seed: string) {
  const noise = makeNoise(seed)
  const chunk = Buffer.alloc(chunkBytes, "the same words again and again, ")
  for (let number = 0; number < chunks; number++) {
    noise(chunk.subarray(0, noiseBytes))
    yield chunk
  }
}

/** Stores an image as the only archive of a new snapshot of the host. */
export const storeImage = (folder: string, id: string, shape: ImageShape): Promise<void> =>
  Effect.gen(function* () {
    const { chunkBytes } = shape
    const session = yield* BackupSession.open({
      namespace: Namespace.root,
      group: BackupGroup.make("host", id),
      owner: AuthId.parse("root@pam")
    })
    const writer = yield* ArchiveWriter.open(session, ArchiveName.fromClient(imageName), {
      kind: "fixed",
      chunkBytes,
      sizeBytes: chunkBytes * shape.chunks
    })
    for (const chunk of chunksOf(shape, id)) yield* writer.ingest.write(chunk)
    yield* writer.finish
    yield* session.finish
  }).pipe(
    Effect.scoped,
    Effect.provide(Datastore.layer({ path: folder })),
    Effect.scoped,
    Effect.provide(NodePlatform.layer),
    Effect.runPromise
  )
