/** What tests of reading from a server share: a server with some snapshots, and its datastore as a client has it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Datastore from "../../src/datastore/Datastore.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import type * as Remote from "../../src/remote/Remote.ts"
import * as RemoteReading from "../../src/remote/RemoteReading.ts"
import * as scene from "../server/scene.ts"
import { platform } from "../store/stores.ts"
import { connect } from "./backups.ts"
import * as net from "./net.ts"

export const time = 1_750_000_000

export const snapshot = Snapshot.parse("host/a/2025-06-15T15:06:40Z")

export const image = ArchiveName.fromFile("disk.img.fidx")
export const files = ArchiveName.fromFile("root.pxar.didx")

export interface Reading {
  readonly made: scene.Scene
  /** What everything the client sends goes through. */
  readonly line: net.Line
  readonly remote: Remote.Remote
  readonly store: Datastore.Datastore["Service"]
}

/** A server with the snapshot, read over a line that can be cut. */
export const reading: Effect.Effect<Reading, unknown, Scope.Scope> = Effect.gen(function* () {
  const made = yield* scene.make
  yield* Effect.promise(() => scene.backUp(made, "a", time))
  const line = yield* net.line(made.port)
  const remote = yield* connect(made, { port: line.port })
  const store = yield* Effect.provide(RemoteReading.open(remote, { freshSeconds: 0.05 }), platform)
  return { made, line, remote, store }
})

export const indexOf = (
  { snapshotFiles }: Pick<Datastore.Datastore["Service"], "snapshotFiles">,
  archive = image
) => snapshotFiles.index(Namespace.root, snapshot, archive)

/** Every chunk of an archive, decoded. */
export const readAll = ({ chunks, snapshotFiles }: Datastore.Datastore["Service"], archive = image) =>
  Effect.gen(function* () {
    const index = yield* indexOf({ snapshotFiles }, archive)
    const numbers = Array.from({ length: index.count }, (_, number) => number)
    return yield* Effect.forEach(
      numbers,
      (number) => chunks.read({ digest: index.digest(number), sizeBytes: undefined, crypt: undefined }),
      { concurrency: 8 }
    )
  })

/** What the archive's chunks were when they were backed up. */
export const expectedOf = (archive = image): ReadonlyArray<Uint8Array> =>
  scene
    .sampleArchives()
    .find(({ name }) => name === archive.file)
    ?.chunks.map(({ data }) => data) ?? []
