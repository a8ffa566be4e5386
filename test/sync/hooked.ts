/** A source that counts what is asked of it, and fails where a test wants it to. */
import * as Effect from "effect/Effect"
import type * as Digest from "../../src/model/Digest.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import type { SyncError } from "../../src/sync/SyncError.ts"
import type { SyncSource } from "../../src/sync/SyncSource.ts"

export interface Hooks {
  /** Before a chunk is read; what it fails with is what reading fails with. */
  readonly chunk?: (digest: Digest.Digest, snapshot: string) => Effect.Effect<void, SyncError>
  /** Before a file is read, `index.json.blob` included. */
  readonly file?: (name: string, snapshot: string) => Effect.Effect<void, SyncError>
  /** Before a snapshot is opened. */
  readonly open?: (snapshot: string) => Effect.Effect<void, SyncError>
}

export const hooked =
  ({ chunk = () => Effect.void, file = () => Effect.void, open = () => Effect.void }: Hooks) =>
  (source: SyncSource["Service"]): SyncSource["Service"] => ({
    ...source,
    openSnapshot: (namespace, snapshot) => {
      const name = Snapshot.format(snapshot)
      return Effect.map(Effect.andThen(open(name), source.openSnapshot(namespace, snapshot)), (opened) => ({
        ...opened,
        manifest: Effect.andThen(file("index.json.blob", name), opened.manifest),
        file: (archive) => Effect.andThen(file(archive.file, name), opened.file(archive)),
        chunk: (digest) => Effect.andThen(chunk(digest, name), opened.chunk(digest))
      }))
    }
  })

/** Counts the chunks that are read. */
export const counting = () => {
  const read: Array<Digest.Digest> = []
  const around = hooked({ chunk: (digest) => Effect.sync(() => void read.push(digest)) })
  return { read, around }
}
