/** Datastores and backups of small directories into them. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as Backup from "../../src/backup/Backup.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import type { Snapshot } from "../../src/model/Snapshot.ts"
import { Progress, type ProgressEvent } from "../../src/platform/Progress.ts"
import { compareTrees, describeDifference } from "../../src/restore/compareTrees.ts"
import * as Restore from "../../src/restore/Restore.ts"
import * as SnapshotReader from "../../src/restore/SnapshotReader.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"
import { scratchFolder, wideFolder } from "../platform/scratch.ts"
import { emptyStore } from "../store/emptyStore.ts"
import { platform } from "../store/stores.ts"
import { setTimes } from "./directory/trees.ts"

export const group = BackupGroup.make("host", "test")
export const owner = AuthId.parse("root@pam")

/** An empty datastore. */
export const newStore = Effect.map(wideFolder, (folder) => emptyStore(join(folder, "store")))

/** Runs with the datastore in `base` open. */
export const inStore =
  (base: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(Effect.scoped(effect), Layer.provideMerge(Datastore.layer({ path: base }), platform))

/** The content of an archive, restored from the open datastore. */
export const restoreFile = (snapshot: Snapshot, archive: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const target = join(yield* scratchFolder, "restored")
      const reader = yield* SnapshotReader.open({ namespace: Namespace.root, snapshot })
      yield* Restore.run(reader, { archive, target })
      return readFileSync(target)
    })
  )

/** Bytes that no other seed gives, and that do not compress. */
export const noise = (seed: string, sizeBytes: number): Buffer =>
  Random.createCipheriv("aes-128-ctr", Random.hash("md5", seed, "buffer"), Buffer.alloc(16)).update(
    Buffer.alloc(sizeBytes)
  )

/** Writes a file with a time of its own. */
export const writeAt = (path: string, content: Uint8Array | string, seconds: number): void => {
  mkdirSync(join(path, ".."), { recursive: true })
  writeFileSync(path, content)
  setTimes(path, seconds, 7)
}

/** A directory of 40 files and 4 MiB. */
export const sampleTree = Effect.map(scratchFolder, (root) => {
  for (let index = 10; index < 50; index++) {
    writeAt(join(root, `d${index % 4}`, `file${index}`), noise(`file ${index}`, index * 3500), 1_600_000_000)
  }
  return root
})

let clock = 1_700_000_000

export interface Ran {
  readonly summary: Backup.BackupSummary
  readonly warnings: ReadonlyArray<string>
  readonly events: ReadonlyArray<ProgressEvent>
}

/** Backs up `root` as `root.pxar`, an hour after the backup before. */
export const backUp = (root: string, options: Partial<Backup.BackupOptions> = {}) =>
  Effect.gen(function* () {
    const events: Array<ProgressEvent> = []
    const summary = yield* Backup.run({
      namespace: Namespace.root,
      group,
      owner,
      time: (clock += 3600),
      archives: [{ kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: root }],
      changeDetection: "metadata",
      ...options
    }).pipe(Effect.provideService(Progress, (event) => void events.push(event)))
    const warnings = events.flatMap((event) =>
      event.type === "warning" ? [`${event.subject}: ${event.message}`] : []
    )
    const ran: Ran = { summary, events, warnings }
    return ran
  })

/** Restores `root.pxar` of a snapshot and names what differs from `expected`. */
export const differences = (snapshot: Snapshot, expected: string, crypt?: CryptConfig.CryptConfig) =>
  Effect.scoped(
    Effect.gen(function* () {
      const target = join(yield* scratchFolder, "restored")
      const reader = yield* SnapshotReader.open({
        namespace: Namespace.root,
        snapshot,
        ...(crypt === undefined ? {} : { crypt })
      })
      yield* Restore.run(reader, { archive: "root.pxar", target })
      return [...compareTrees(expected, target)].map(describeDifference)
    })
  )

/** Fails unless every snapshot verifies. */
export const assertVerified = (crypt?: CryptConfig.CryptConfig) =>
  Effect.gen(function* () {
    const plan = yield* VerifyPlan.make({ namespace: Namespace.root, ignoreVerified: false })
    const { snapshots } = yield* Verify.run(plan, crypt === undefined ? {} : { crypt })
    assert.isNotEmpty(snapshots)
    for (const { files, state } of snapshots) assert.strictEqual(state, "ok", JSON.stringify(files))
  })

export const keyOf = (byte: number): CryptConfig.CryptConfig => CryptConfig.fromKey(Buffer.alloc(32, byte))

/** Files of all chunks in a datastore. */
export const chunkFiles = (base: string): ReadonlyArray<string> =>
  readdirSync(join(base, ".chunks"), { recursive: true, encoding: "utf8" })
    .filter((name) => /[0-9a-f]{64}$/.test(name))
    .map((name) => join(base, ".chunks", name))

export const chunkFileOf = (base: string, digest: string): string =>
  join(base, ".chunks", digest.slice(0, 4), digest)

export const removeChunk = (base: string, digest: string): void => rmSync(chunkFileOf(base, digest))
