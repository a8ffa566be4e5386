/**
 * R20: names of archives come out of manifests that anybody may have written. One that is a path leads out of the
 * snapshot's folder; one whose file was never stored promises what nobody can restore. So a name is a value that was
 * checked before anything is done with it, and a session proves every file that it names before it finishes.
 */
import * as Effect from "effect/Effect"
import { hash } from "node:crypto"
import * as DataBlob from "../../../src/format/DataBlob.ts"
import type { Manifest } from "../../../src/format/Manifest.ts"
import * as ArchiveName from "../../../src/model/ArchiveName.ts"
import { parse as parseDigest } from "../../../src/model/Digest.ts"
import * as Namespace from "../../../src/model/Namespace.ts"
import * as Snapshot from "../../../src/model/Snapshot.ts"
import * as SnapshotReader from "../../../src/restore/SnapshotReader.ts"
import type { MemoryDisk, Scenario } from "../../../src/testing.ts"
import { backUp, begin, group, snapshotAt } from "../harness/actors.ts"
import type { Mutation } from "../harness/Mutation.ts"
import type { Case, Row } from "../harness/Row.ts"
import { stage } from "../harness/stage.ts"
import { basePath } from "../harness/StoreView.ts"
import { digestOfText, prepare, startMillis, timeBefore, World } from "../harness/World.ts"

const secret = "nobody outside may read this"
const secretBlob = DataBlob.encode(Buffer.from(secret), { compress: false })
export const secretPath = `${basePath}/secret.conf.blob`
/** From a snapshot's folder to the secret. */
export const escapingName = "../../../secret.conf.blob"

export const crafted = snapshotAt(timeBefore(1))
const folder = `${basePath}/${Snapshot.toPath(Namespace.root, crafted)}`

const fileLine = (filename: string) => ({
  filename,
  "crypt-mode": "none",
  size: secretBlob.length,
  csum: hash("sha256", secretBlob, "hex")
})

/** A manifest as anybody can write it. */
const craftedManifest = (filenames: ReadonlyArray<string>): Uint8Array => {
  const raw = {
    "backup-id": group.id,
    "backup-time": crafted.time,
    "backup-type": group.type,
    files: filenames.map(fileLine),
    signature: null,
    unprotected: {}
  }
  return DataBlob.encode(Buffer.from(JSON.stringify(raw)), { compress: true })
}

const plain = prepare({
  contents: ["base"],
  setUp: Effect.andThen(
    backUp(undefined, { time: timeBefore(0), contents: ["base"] }),
    backUp(undefined, { time: crafted.time, contents: ["base"] })
  ),
  damage: (disk) => {
    disk.create(secretPath, 0o644, 0)
    disk.put(secretPath, secretBlob)
  }
})

/** The store with these names in the manifest of its newest snapshot. */
export const storeWith = (filenames: ReadonlyArray<string>): MemoryDisk => {
  const disk = plain.fork()
  disk.put(`${folder}/${ArchiveName.manifestFile}`, craftedManifest(filenames))
  return disk
}

/** Reads every file that the manifest names, as restoring all of a snapshot does. */
export const readAll = Effect.scoped(
  Effect.gen(function* () {
    const reader = yield* SnapshotReader.open({ namespace: Namespace.root, snapshot: crafted })
    return yield* Effect.forEach(reader.manifest.files, (file) =>
      Effect.map(reader.blob(file), (bytes) => Buffer.from(bytes).toString())
    )
  })
)

/** Names are taken as they come. */
const uncheckedNames: Mutation = {
  datastore: (store) => ({
    ...store,
    snapshotFiles: {
      ...store.snapshotFiles,
      manifest: (namespace, snapshot) =>
        Effect.map(
          store.snapshotFiles.read(namespace, snapshot, ArchiveName.manifestFile),
          (blob): Manifest => {
            const raw = JSON.parse(Buffer.from(DataBlob.decode(blob)).toString())
            const files = (raw.files as ReadonlyArray<ReturnType<typeof fileLine>>).map((line) => ({
              filename: line.filename,
              cryptMode: "none" as const,
              sizeBytes: line.size,
              csum: parseDigest(line.csum)
            }))
            return { snapshot, files, unprotected: {}, signature: null, raw }
          }
        )
    }
  })
}

const escaping = storeWith([escapingName])

const craftedNames: Case = {
  name: "a manifest names a file outside of its snapshot, and all of it is restored",
  make: (mutation) => (): Scenario => {
    const world = new World(escaping.fork(), { mutation })
    let read: ReadonlyArray<string> = []
    const work = readAll.pipe(
      Effect.tap((contents) => Effect.sync(() => (read = contents))),
      Effect.catchTag("StoreError", (error) =>
        error.reason === "Damaged" ? Effect.void : Effect.fail(error)
      )
    )
    return {
      program: world.process("reader")(work),
      check: () => !read.includes(secret) || "what lies outside of the snapshot was handed out"
    }
  },
  preemptions: { daily: 0, full: 0 },
  dailySeededRuns: 2,
  mutants: [
    {
      guard: "checking names of archives",
      mutation: uncheckedNames,
      by: { strategy: "exhaustive", preemptions: 0 },
      maxRuns: 1
    }
  ]
}

const ghost = "ghost.conf.blob"

/** An archive that is named and whose file never comes: its upload failed, and nobody cared. */
const promising = (world: World) =>
  Effect.scoped(
    Effect.gen(function* () {
      const time = startMillis / 1000
      const session = yield* begin({ time, contents: ["base"] }, world.mutation)
      yield* session.addFile({
        filename: ghost,
        cryptMode: "none",
        sizeBytes: 1,
        csum: digestOfText("ghost")
      })
      yield* session.finish
    })
  ).pipe(
    Effect.catchIf(
      (error) => error._tag === "StoreError" && error.reason === "Refused",
      () => Effect.void
    )
  )

/** As if every file that is named were there. */
const unprovenFiles: Mutation = {
  datastore: (store) => ({
    ...store,
    snapshotFiles: {
      ...store.snapshotFiles,
      stored: (namespace, snapshot) =>
        Effect.map(store.snapshotFiles.stored(namespace, snapshot), (stored) => new Set([...stored, ghost]))
    }
  })
}

const unstoredFile: Case = {
  name: "a session names an archive that it never stored, and finishes",
  make: stage({ disk: plain, program: (world) => world.process("writer")(promising(world)) }),
  preemptions: { daily: 0, full: 0 },
  dailySeededRuns: 2,
  mutants: [
    {
      guard: "proving every file before the manifest is written",
      mutation: unprovenFiles,
      by: { strategy: "exhaustive", preemptions: 0 },
      maxRuns: 1
    }
  ]
}

export const R20: Row = {
  id: "R20",
  title: "names that manifests give",
  cases: [craftedNames, unstoredFile]
}
