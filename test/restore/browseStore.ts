/** The reference implementation's datastore, copied to where a test may lock and change it. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as KeyFile from "../../src/format/KeyFile.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as NodePlatform from "../../src/platform/NodePlatform.ts"
import * as SnapshotReader from "../../src/restore/SnapshotReader.ts"

export const fixtures = resolve(import.meta.dirname, "../../../shared/fixtures")
export const fixturesExist = existsSync(join(fixtures, "datastore"))

export const platform = NodePlatform.layer

const makeWritable = (folder: string): void => {
  chmodSync(folder, 0o755)
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) makeWritable(join(folder, entry.name))
    else chmodSync(join(folder, entry.name), 0o644)
  }
}

/** A copy of the fixture datastore in a new folder. */
export const copyFixtureStore = (): string => {
  const folder = mkdtempSync(join(existsSync("/dev/shm") ? "/dev/shm" : tmpdir(), "granary-browse-"))
  cpSync(join(fixtures, "datastore"), folder, { recursive: true })
  makeWritable(folder)
  return folder
}

export const removeStore = (folder: string): void => rmSync(folder, { recursive: true, force: true })

export const fixedKeyPath = join(import.meta.dirname, "../golden/keys/fixed.key.json")

export const fixedKey = () => CryptConfig.fromKey(KeyFile.unlock(KeyFile.decode(readFileSync(fixedKeyPath))))

/** Opens a snapshot by its text, with the key when it is asked for. */
export const openSnapshot = (
  text: string,
  options: { readonly withKey?: boolean; readonly ns?: string } = {}
) =>
  SnapshotReader.open({
    namespace: Namespace.parse(options.ns ?? ""),
    snapshot: Snapshot.parse(text),
    ...(options.withKey === true ? { crypt: fixedKey() } : {})
  })

/** Runs with the store in `folder` open. */
export const withStore =
  (folder: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(Effect.scoped(effect), Layer.provideMerge(Datastore.layer({ path: folder }), platform))
