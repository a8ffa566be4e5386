/** A datastore with snapshots that hold nothing but their manifest, made in no time. */
import * as Effect from "effect/Effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import type { Retention } from "../../src/model/Retention.ts"
import * as Prune from "../../src/prune/Prune.ts"
import * as PrunePlan from "../../src/prune/PrunePlan.ts"
import { newLayout } from "../store/stores.ts"

type Store = Datastore.Datastore["Service"]

const owner = AuthId.parse("root@pam")

const file: Manifest.ManifestFile = {
  filename: "a.conf.blob",
  cryptMode: "none",
  sizeBytes: 12,
  csum: Digest.parse("0".repeat(64))
}

export const finish = (store: Store, ns: Namespace.Namespace, snapshot: Snapshot.Snapshot) =>
  store.snapshotFiles.writeManifest(ns, snapshot, Manifest.make(snapshot, [file]))

/** Makes a snapshot; `u` before its name leaves it unfinished, `p` protects it. */
export const add = (store: Store, text: string, ns = Namespace.root) =>
  Effect.gen(function* () {
    const snapshot = Snapshot.parse(text.replace(/^[pu]+(?=[a-z]+\/)/, ""))
    const flags = text.slice(0, text.length - Snapshot.format(snapshot).length)
    if (ns !== Namespace.root) yield* store.hierarchy.createNamespace(ns)
    yield* store.hierarchy.ensureGroup(ns, snapshot.group, owner)
    yield* store.hierarchy.createSnapshot(ns, snapshot)
    if (!flags.includes("u")) yield* finish(store, ns, snapshot)
    if (flags.includes("p")) yield* store.hierarchy.setProtected(ns, snapshot, true)
    return snapshot
  })

/** A new store with these snapshots in the root namespace. */
export const storeWith = (...names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { base: path } = yield* newLayout()
    const store = yield* Datastore.open({ path, syncLevel: "none" })
    for (const name of names) yield* add(store, name)
    const has = (text: string): boolean => existsSync(join(path, text))
    return { path, store, has }
  })

export const planOf = (store: Store, retention: Retention, options: Partial<PrunePlan.PruneOptions> = {}) =>
  PrunePlan.make({ namespace: Namespace.root, timeZone: "UTC", retention, ...options }).pipe(
    Effect.provideService(Datastore.Datastore, store)
  )

export const carryOut = (store: Store, plan: PrunePlan.PrunePlan) =>
  Prune.run(plan).pipe(Effect.provideService(Datastore.Datastore, store))

/** The decisions as lines. */
export const lines = ({ groups }: PrunePlan.PrunePlan): ReadonlyArray<string> =>
  groups.flatMap(({ namespace, decisions }) =>
    decisions.map(({ snapshot, reason }) => `${Snapshot.toPath(namespace, snapshot)} ${reason}`)
  )
