/**
 * work: what is done to two stores in memory, in random order: each thing as a value, done to the real stores and to
 * what they promise; and what a real store holds, as lines.
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import fc from "fast-check"
import { hash } from "node:crypto"
import { Datastore } from "../../src/datastore/Datastore.ts"
import * as CanonicalJson from "../../src/format/CanonicalJson.ts"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import type * as Manifest from "../../src/format/Manifest.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as Gc from "../../src/gc/Gc.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as BackupGroup from "../../src/model/BackupGroup.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import { decodeChunk } from "../../src/platform/chunkContent.ts"
import * as GroupFilter from "../../src/sync/GroupFilter.ts"
import type { SyncOptions } from "../../src/sync/SyncOptions.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"
import {
  archive,
  digestOfText,
  inStore,
  type Scene,
  snapshotOf,
  startSeconds,
  type Store
} from "../../test/sync/scene.ts"
import * as promises from "./promises.ts"

export const key = CryptConfig.fromKey(new Uint8Array(32).fill(1))

const ends = ["source", "target"] as const
/** Some often, so that much happens to them. */
const namespaces = ["", "", "", "", "a", "a", "a/b", "c"]
const groups = ["vm/1", "ct/1", "vm/10"]
const texts = ["one", "two", "three", "four"]

/** Filters, and what they mean. */
const filters: ReadonlyArray<{
  readonly texts: ReadonlyArray<string>
  readonly takes: ReadonlyArray<string>
}> = [
  { texts: [], takes: groups },
  { texts: ["type:vm"], takes: ["vm/1", "vm/10"] },
  { texts: ["exclude:type:vm"], takes: ["ct/1"] },
  { texts: ["group:vm/1"], takes: ["vm/1"] },
  { texts: ["regex:/1$", "exclude:group:ct/1"], takes: ["vm/1"] },
  { texts: ["include:regex:^ct", "include:group:vm/10"], takes: ["ct/1", "vm/10"] }
]

export interface Wanted extends Omit<promises.Wishes, "takes"> {
  readonly filter: number
  readonly parallelGroups: number
  readonly pipelining: "on" | "off"
}

export type Deed =
  | {
      readonly kind: "backup"
      readonly end: promises.End
      readonly namespace: string
      readonly group: string
      readonly texts: ReadonlyArray<string>
      readonly gap: number
      readonly encrypted: boolean
      readonly owner: string
      readonly log: string | undefined
    }
  | {
      readonly kind: "forget" | "protect" | "unprotect" | "stop"
      readonly end: promises.End
      readonly pick: number
    }
  | {
      readonly kind: "mark"
      readonly end: promises.End
      readonly pick: number
      readonly state: "ok" | "failed"
    }
  | { readonly kind: "note"; readonly end: promises.End; readonly pick: number; readonly text: string }
  | { readonly kind: "verify" | "collect"; readonly end: promises.End }
  | { readonly kind: "damage"; readonly text: string }
  | { readonly kind: "sync"; readonly wanted: Wanted }

const end = fc.constantFrom(...ends)
const pick = fc.nat(50)

const backup: fc.Arbitrary<Deed> = fc.record({
  kind: fc.constant("backup" as const),
  // More of what can be copied.
  end: fc.constantFrom("source", "source", "source", "target"),
  namespace: fc.constantFrom(...namespaces),
  group: fc.constantFrom("vm/1", "vm/1", ...groups),
  texts: fc.subarray(texts, { minLength: 1 }),
  gap: fc.nat(1),
  encrypted: fc.nat(3).map((number) => number === 0),
  owner: fc
    .nat(11)
    .map((number) =>
      number === 0 ? "other@pbs" : number === 1 ? promises.tokenOfOwner : promises.syncOwner
    ),
  log: fc.option(fc.constantFrom("a log", "another log"), { nil: undefined })
})

const rarely = fc.nat(7).map((number) => number === 0)

const wanted: fc.Arbitrary<Wanted> = fc
  .record({
    direction: fc.constantFrom("pull", "pull", "push"),
    from: fc.constantFrom("", "", "", "", "", "a"),
    to: fc.constantFrom("", "", "", "", "", "", "a", "x/y"),
    maxDepth: fc.constantFrom(undefined, undefined, undefined, 0, 1),
    transferLast: fc.constantFrom(undefined, undefined, 1, 2, 3),
    removeVanished: fc.boolean(),
    resyncCorrupt: fc.boolean(),
    verifiedOnly: rarely,
    encryptedOnly: rarely,
    filter: fc.nat(filters.length * 3).map((number) => (number < filters.length ? number : 0)),
    parallelGroups: fc.integer({ min: 1, max: 3 }),
    pipelining: fc.constantFrom("on", "off")
  })
  .map((one): Wanted => ({ ...one, resyncCorrupt: one.resyncCorrupt && one.direction === "pull" }))

const picking: fc.Arbitrary<Deed> = fc.record({
  kind: fc.constantFrom("forget", "forget", "protect", "unprotect", "stop"),
  end,
  pick
})

export const deeds: fc.Arbitrary<ReadonlyArray<Deed>> = fc.array(
  fc.oneof(
    { weight: 7, arbitrary: backup },
    { weight: 3, arbitrary: picking },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("mark"), end, pick, state: fc.constantFrom("ok", "failed") })
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("note"), end, pick, text: fc.constantFrom("x", "y") })
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("verify", "collect"), end }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("damage"), text: fc.constantFrom(...texts) }) },
    { weight: 6, arbitrary: wanted.map((one) => ({ kind: "sync" as const, wanted: one })) }
  ) as fc.Arbitrary<Deed>,
  { minLength: 12, maxLength: 30, size: "max" }
)

const nameOfChunk = (text: string, encrypted: boolean): string => (encrypted ? `encrypted ${text}` : text)

/** What may not change later, of a manifest. */
const identityOf = ({ raw }: Manifest.Manifest): string => {
  const { unprotected: _, ...lasting } = raw
  return hash("sha256", JSON.stringify(CanonicalJson.sorted(lasting)), "hex").slice(0, 12)
}

type Opened = Datastore["Service"]

const stateOfChunks = (
  { chunks, snapshotFiles }: Opened,
  namespace: Namespace.Namespace,
  snapshot: Snapshot.Snapshot
) =>
  Effect.gen(function* () {
    const index = yield* snapshotFiles.index(namespace, snapshot, archive)
    const manifest = yield* snapshotFiles.manifest(namespace, snapshot)
    const crypt = manifest.files.some(({ cryptMode }) => cryptMode === "encrypt") ? key : undefined
    const states: Array<string> = []
    for (let chunk = 0; chunk < index.count; chunk++) {
      const digest = index.digest(chunk)
      const blob = yield* Effect.option(chunks.readEncoded(digest))
      if (blob._tag === "None") states.push("missing")
      else {
        const content = decodeChunk(blob.value, { digest, sizeBytes: undefined, crypt })
        states.push(content instanceof Uint8Array ? "good" : "damaged")
      }
    }
    return states.join(" ")
  })

const describe = (
  store: Opened,
  namespace: Namespace.Namespace,
  entry: { readonly finished: boolean; readonly protected: boolean; readonly snapshot: Snapshot.Snapshot }
) =>
  Effect.gen(function* () {
    const { snapshotFiles } = store
    const { finished, snapshot } = entry
    const log = yield* snapshotFiles.read(namespace, snapshot, ArchiveName.clientLogFile).pipe(
      Effect.map((bytes) => Buffer.from(bytes).toString()),
      Effect.catch(() => Effect.succeed("none"))
    )
    const day = (snapshot.time - startSeconds) / 86_400
    const name = `${namespace} ${BackupGroup.format(snapshot.group)}@${day}`
    const head = `${name} ${entry.protected ? "protected" : ""} log ${log}`
    if (!finished) return `${head} unfinished`
    const manifest = yield* snapshotFiles.manifest(namespace, snapshot)
    const verified = ManifestNotes.verifyState(manifest)?.state ?? ""
    const chunks = yield* stateOfChunks(store, namespace, snapshot)
    return `${head} ${[identityOf(manifest), verified, ManifestNotes.notes(manifest) ?? "", chunks].join(" | ")}`
  })

/** All that a real store holds, in lines. */
export const observe = (store: Store) =>
  inStore(store, (opened) =>
    Effect.gen(function* () {
      const { hierarchy } = opened
      const lines: Array<string> = []
      for (const namespace of yield* hierarchy.namespaces(Namespace.root)) {
        lines.push(`namespace ${namespace}`)
        for (const group of yield* hierarchy.groups(namespace)) {
          lines.push(
            `${namespace} ${BackupGroup.format(group)} of ${yield* hierarchy.owner(namespace, group)}`
          )
          for (const entry of yield* hierarchy.snapshots(namespace, group)) {
            lines.push(yield* describe(opened, namespace, entry))
          }
        }
      }
      return lines.toSorted()
    })
  )

export interface Work {
  readonly scene: Scene
  readonly promised: Record<promises.End, promises.Store>
}

const wishesOf = ({ filter, ...rest }: Wanted): promises.Wishes => ({
  ...rest,
  takes: (group) => filters[filter]?.takes.includes(group) ?? true
})

export const optionsOf = (wanted: Wanted): SyncOptions => ({
  direction: wanted.direction,
  owner: AuthId.parse(promises.syncOwner),
  sourceNamespace: Namespace.parse(wanted.from),
  targetNamespace: Namespace.parse(wanted.to),
  ...(wanted.maxDepth === undefined ? {} : { maxDepth: wanted.maxDepth }),
  ...(wanted.transferLast === undefined ? {} : { transferLast: wanted.transferLast }),
  groupFilters: (filters[wanted.filter]?.texts ?? []).map(GroupFilter.parse),
  removeVanished: wanted.removeVanished,
  resyncCorrupt: wanted.resyncCorrupt,
  verifiedOnly: wanted.verifiedOnly,
  encryptedOnly: wanted.encryptedOnly,
  parallelGroups: wanted.parallelGroups,
  pipelining: wanted.pipelining
})

const backUp = ({ promised, scene }: Work, deed: Extract<Deed, { kind: "backup" }>) =>
  Effect.gen(function* () {
    const { encrypted, group, log, namespace, owner } = deed
    const store = promised[deed.end]
    const there = promises.groupsIn(store, namespace).get(group)
    if (there !== undefined && there.owner !== owner) return
    const day = (there === undefined ? -1 : Math.max(-1, ...promises.days(there))) + 1 + deed.gap
    const snapshot = yield* scene.backUp(scene[deed.end], {
      group,
      day,
      texts: deed.texts,
      namespace,
      owner: AuthId.parse(owner),
      ...(encrypted ? { key: { crypt: key, mode: "encrypt" as const } } : {}),
      ...(log === undefined ? {} : { clientLog: log })
    })
    const manifest = yield* inStore(scene[deed.end], ({ snapshotFiles }) =>
      snapshotFiles.manifest(Namespace.parse(namespace), snapshot)
    )
    promises.addCopy(
      store,
      { namespace, group, owner, day },
      {
        identity: identityOf(manifest),
        chunks: deed.texts.map((text) => nameOfChunk(text, encrypted)),
        encrypted,
        log,
        finished: true,
        verified: undefined,
        notes: undefined,
        protected: false
      }
    )
  })

/** One of the snapshots that are there. */
const picked = (
  { promised }: Work,
  { end: of, pick: number }: { readonly end: promises.End; readonly pick: number }
) => {
  const all = promises.copiesIn(promised[of])
  const found = all[number % Math.max(1, all.length)]
  if (found === undefined) return undefined
  return { ...found, space: Namespace.parse(found.namespace), snapshot: snapshotOf(found.group, found.day) }
}

const change = (
  { scene }: Work,
  of: promises.End,
  { snapshot, space }: NonNullable<ReturnType<typeof picked>>,
  how: (manifest: Manifest.Manifest) => Manifest.Manifest
) => inStore(scene[of], ({ snapshotFiles }) => snapshotFiles.updateManifest(space, snapshot, how))

const doToOne = (
  work: Work,
  deed: Extract<Deed, { readonly pick: number }>,
  one: NonNullable<ReturnType<typeof picked>>
) =>
  Effect.gen(function* () {
    const { copy, day, group, namespace, snapshot, space } = one
    const store = work.scene[deed.end]
    switch (deed.kind) {
      case "forget":
        if (copy.protected) return
        yield* inStore(store, (opened) => opened.forget(space, snapshot))
        return promises.forget(work.promised[deed.end], namespace, group, day)
      case "protect":
      case "unprotect":
        copy.protected = deed.kind === "protect"
        return yield* inStore(store, ({ hierarchy }) =>
          hierarchy.setProtected(space, snapshot, copy.protected)
        )
      case "stop": {
        // In a bucket nobody takes a manifest away behind the program's back.
        if (!copy.finished || store.kind === "bucket") return
        copy.finished = false
        const folder = `${store.layout.base}/${Snapshot.toPath(space, snapshot)}`
        return store.disk.unlink(`${folder}/${ArchiveName.manifestFile}`, 0)
      }
      case "mark":
        if (!copy.finished) return
        copy.verified = deed.state
        return yield* change(work, deed.end, one, (manifest) =>
          ManifestNotes.withVerifyState(manifest, { state: deed.state, upid: "UPID:x" })
        )
      case "note":
        if (!copy.finished) return
        copy.notes = deed.text
        return yield* change(work, deed.end, one, (manifest) => ManifestNotes.withNotes(manifest, deed.text))
    }
  })

const inside = <A, E>(
  { scene }: Work,
  of: promises.End,
  work: Effect.Effect<A, E, Datastore | Layer.Success<ReturnType<Store["machine"]>>>
) =>
  inStore(scene[of], (store) =>
    work.pipe(Effect.provideService(Datastore, store), Effect.provide(scene[of].machine("other")))
  )

/** Where a chunk lies that is good, and that somebody needs. */
const damage = ({ promised, scene }: Work, text: string): void => {
  const { condemned, damaged } = promised.target
  const isNamed = promises.copiesIn(promised.target).some(({ copy }) => copy.chunks.includes(text))
  if (!isNamed || condemned.has(text) || damaged.has(text)) return
  scene.target.damageChunk(text)
  damaged.add(text)
}

/** Does one thing to the real stores and to what they promise; a sync answers what it was to come to. */
export const perform = (work: Work, deed: Exclude<Deed, { kind: "sync" }>) =>
  Effect.gen(function* () {
    switch (deed.kind) {
      case "backup":
        return yield* backUp(work, deed)
      case "verify":
        yield* inside(
          work,
          deed.end,
          Effect.flatMap(VerifyPlan.make({ namespace: Namespace.root }), Verify.run)
        )
        return promises.verify(work.promised[deed.end])
      case "collect":
        yield* inside(work, deed.end, Gc.collect({ checksTimes: false }))
        return promises.collect(work.promised[deed.end])
      case "damage":
        return damage(work, deed.text)
      default: {
        const one = picked(work, deed)
        if (one !== undefined) yield* doToOne(work, deed, one)
      }
    }
  })

export const promise = ({ promised }: Work, wanted: Wanted): promises.Result =>
  promises.sync(promised.source, promised.target, wishesOf(wanted))

/** Every folder for chunks that there may ever be. */
export const prepareAll = (scene: Scene): void => {
  for (const text of texts) for (const crypt of [undefined, key]) scene.prepareFor(digestOfText(text, crypt))
}
