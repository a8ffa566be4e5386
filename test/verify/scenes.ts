/** A copy of the small golden datastore, opened, and short words for what verification tests do with it. */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as fs from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import type { CryptConfig } from "../../src/format/CryptConfig.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { Files } from "../../src/platform/Files.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"
import { copyOf, smallGoldenStore } from "../datastore/goldenStores.ts"

export const snapshots = {
  encrypted: Snapshot.parse("ct/100/2024-02-29T12:34:56Z"),
  signed: Snapshot.parse("ct/102/2024-02-29T12:34:56Z"),
  plain: Snapshot.parse("ct/103/2024-02-29T12:34:56Z"),
  host: Snapshot.parse("host/v1-plain/2024-01-02T00:00:00Z")
}

export type SnapshotName = keyof typeof snapshots

const rootArchive = ArchiveName.fromFile("root.pxar.didx")

export interface Scene {
  readonly path: string
  readonly store: Datastore.Datastore["Service"]
  /** The file of the first chunk of the snapshot's root archive. */
  readonly chunkFile: (name: SnapshotName) => Effect.Effect<string, unknown>
  readonly file: (name: SnapshotName, fileName: string) => string
  readonly verify: (
    crypt?: CryptConfig,
    options?: Partial<VerifyPlan.VerifyOptions>
  ) => Effect.Effect<Outcome, unknown>
  readonly verifyState: (name: SnapshotName) => Effect.Effect<ManifestNotes.VerifyState | undefined, unknown>
}

/** A summary as texts: the states of snapshots and the errors of files. */
export interface Outcome {
  readonly states: Readonly<Record<string, string>>
  readonly errors: Readonly<Record<string, ReadonlyArray<string>>>
  readonly statistics: Verify.VerifySummary["statistics"]
}

const outcomeOf = ({ snapshots: results, statistics }: Verify.VerifySummary): Outcome => ({
  states: Object.fromEntries(results.map(({ snapshot, state }) => [Snapshot.format(snapshot), state])),
  errors: Object.fromEntries(
    results.flatMap(({ snapshot, files }) =>
      files
        .filter(({ errors }) => errors.length > 0)
        .map(({ filename, errors }) => [`${snapshot.group.id} ${filename}`, errors] as const)
    )
  ),
  statistics
})

const openScene = (path: string) =>
  Effect.gen(function* () {
    const store = yield* Datastore.open({ path })
    const scene: Scene = {
      path,
      store,
      chunkFile: (name) =>
        Effect.map(store.snapshotFiles.index(Namespace.root, snapshots[name], rootArchive), (index) =>
          chunkFileOf(path, index.digest(0))
        ),
      file: (name, fileName) => join(path, Snapshot.format(snapshots[name]), fileName),
      verify: (crypt, options = {}) =>
        Effect.gen(function* () {
          const plan = yield* VerifyPlan.make({ namespace: Namespace.root, ...options })
          return outcomeOf(yield* Verify.run(plan, crypt === undefined ? {} : { crypt }))
        }).pipe(Effect.provideService(Datastore.Datastore, store)),
      verifyState: (name) =>
        Effect.map(store.snapshotFiles.manifest(Namespace.root, snapshots[name]), ManifestNotes.verifyState)
    }
    return scene
  })

export const chunkFileOf = (path: string, digest: Digest.Digest): string =>
  join(path, ".chunks", Digest.prefix(digest), digest)

export const digestOfFile = (chunkFile: string): Digest.Digest =>
  Digest.parse(chunkFile.slice(chunkFile.lastIndexOf("/") + 1))

/** Opens a copy of the golden datastore on a platform. */
export const openCopy = copyOf(smallGoldenStore).pipe(Effect.flatMap(openScene))

/** Opens the same folder again, on another platform. */
export const reopened = <E>(
  scene: Scene,
  layer: Layer.Layer<Datastore.DatastoreRequirements, E>,
  use: (scene: Scene) => Effect.Effect<void, unknown>
) => Effect.scoped(Effect.flatMap(openScene(scene.path), use)).pipe(Effect.provide(layer))

/** Changes one byte of a file. */
export const flip = (path: string, position: number): void => {
  const bytes = fs.readFileSync(path)
  bytes[position] = (bytes[position] ?? 0) ^ 1
  fs.writeFileSync(path, bytes)
}

/** Rewrites a manifest as if its maker had written it so. */
export const rewriteManifest = (
  scene: Scene,
  name: SnapshotName,
  change: (manifest: Manifest.Manifest) => Manifest.Manifest
) => {
  const path = scene.file(name, ArchiveName.manifestFile)
  return Effect.flatMap(Files, (files) =>
    files.replaceFile(path, [Manifest.encode(change(Manifest.decode(fs.readFileSync(path))))])
  )
}
