/**
 * checkKey: refuses a key with which nothing that is encrypted could be read, before anything is shown.
 *
 * Of a namespace or a group only some snapshots may be encrypted, with keys of different times. So a key is refused
 * only when something was made with a key, and nothing with this one. The newest snapshot of each group is looked at
 * first, which nearly always tells; if all of these are plain, or one of them fits, that is the end of it. Otherwise
 * older ones are looked at until one fits, those first that lie far from what was seen: a key is used for a while, so
 * one that was ever used is found with few looks. That a key fits nothing is certain only when all were looked at.
 * Manifests that cannot be read say nothing, and then nothing is refused, whatever the others say: the first one is the
 * end of it as well.
 */
import * as Effect from "effect/Effect"
import type { Datastore } from "../../datastore/Datastore.ts"
import type { CryptConfig } from "../../format/CryptConfig.ts"
import * as Manifest from "../../format/Manifest.ts"
import type * as BackupGroup from "../../model/BackupGroup.ts"
import type * as Namespace from "../../model/Namespace.ts"
import type { StorageError } from "../../store/StorageError.ts"
import { storeError, type StoreError } from "../../store/StoreError.ts"
import { nameOf, type SnapshotPlace } from "./OpenSnapshots.ts"

type Store = Datastore["Service"]

/** What a snapshot says of the key. `other` names the key it was made with, as far as that is known. */
type Verdict =
  | { readonly kind: "plain" }
  | { readonly kind: "fits" }
  | { readonly kind: "unknown" }
  | { readonly kind: "other"; readonly place: SnapshotPlace }

const judge = (place: SnapshotPlace, manifest: Manifest.Manifest, crypt: CryptConfig): Verdict => {
  if (manifest.files.every(({ cryptMode }) => cryptMode === "none")) return { kind: "plain" }
  try {
    const isTold = Manifest.verifySignature(manifest, crypt) === "valid" || Manifest.keyFingerprint(manifest)
    return isTold ? { kind: "fits" } : { kind: "unknown" }
  } catch (error) {
    if (!(error instanceof Manifest.SignatureError)) throw error
    // A manifest that was changed says nothing of the key.
    return error.reason === "WrongKey" ? { kind: "other", place } : { kind: "unknown" }
  }
}

/** How many manifests are on their way at a time. */
const parallelism = 8

interface Group {
  readonly namespace: Namespace.Namespace
  readonly group: BackupGroup.BackupGroup
}

const snapshotsOf = ({ hierarchy }: Store, { group, namespace }: Group) =>
  Effect.map(hierarchy.finishedSnapshots(namespace, group), (found) =>
    found.map((snapshot): SnapshotPlace => ({ namespace, snapshot }))
  ).pipe(Effect.orElseSucceed((): ReadonlyArray<SnapshotPlace> => []))

const verdictOn = (
  { snapshotFiles }: Store,
  place: SnapshotPlace,
  crypt: CryptConfig
): Effect.Effect<Verdict> =>
  Effect.map(snapshotFiles.manifest(place.namespace, place.snapshot), (manifest) =>
    judge(place, manifest, crypt)
  ).pipe(Effect.orElseSucceed((): Verdict => ({ kind: "unknown" })))

/** After one of these nothing is refused any more. */
const isAcceptance = ({ kind }: Verdict): boolean => kind === "fits" || kind === "unknown"

/** Asks of each until the key is accepted; answers what was found. */
const askUntilAccepted = <A>(
  all: ReadonlyArray<A>,
  ask: (one: A) => Effect.Effect<Verdict>
): Effect.Effect<ReadonlyArray<Verdict>> =>
  Effect.gen(function* () {
    const found: Array<Verdict> = []
    for (let at = 0; at < all.length; at += parallelism) {
      const some = yield* Effect.forEach(all.slice(at, at + parallelism), ask, { concurrency: parallelism })
      found.push(...some)
      if (some.some(isAcceptance)) break
    }
    return found
  })

const isAny = (found: ReadonlyArray<Verdict>, kind: Verdict["kind"]): boolean =>
  found.some((verdict) => verdict.kind === kind)

/** The last one, the one in the middle, those in the middle of the halves, and so on. */
export const spread = <A>(all: ReadonlyArray<A>): ReadonlyArray<A> => {
  const found = all.slice(-1)
  const ranges: Array<readonly [low: number, high: number]> = [[0, all.length - 1]]
  for (const [low, high] of ranges) {
    if (low >= high) continue
    const middle = (low + high) >>> 1
    found.push(...all.slice(middle, middle + 1))
    ranges.push([low, middle], [middle + 1, high])
  }
  return found
}

/** By turns one of each. */
const interleave = <A>(all: ReadonlyArray<ReadonlyArray<A>>): ReadonlyArray<A> => {
  const longest = all.reduce((most, { length }) => Math.max(most, length), 0)
  return Array.from({ length: longest }, (_, turn) =>
    all.flatMap((each) => each.slice(turn, turn + 1))
  ).flat()
}

/** Looks at the newest of each group, and at older ones only if those were made with another key. */
const look = (store: Store, groups: ReadonlyArray<Group>, crypt: CryptConfig) =>
  Effect.gen(function* () {
    const older: Array<ReadonlyArray<SnapshotPlace>> = []
    const newest = yield* askUntilAccepted(groups, (group) =>
      Effect.flatMap(snapshotsOf(store, group), ([first, ...others]) => {
        older.push(spread(others))
        return first === undefined
          ? Effect.succeed<Verdict>({ kind: "plain" })
          : verdictOn(store, first, crypt)
      })
    )
    if (newest.some(isAcceptance) || !isAny(newest, "other")) return newest
    const others = yield* askUntilAccepted(interleave(older), (place) => verdictOn(store, place, crypt))
    return [...newest, ...others]
  })

/** Of one group when it is named, of everything below the namespace otherwise. */
export const checkKey = (
  store: Store,
  crypt: CryptConfig,
  namespace: Namespace.Namespace,
  only: BackupGroup.BackupGroup | undefined
): Effect.Effect<void, StorageError | StoreError> =>
  Effect.gen(function* () {
    const namespaces = only === undefined ? yield* store.hierarchy.namespaces(namespace) : [namespace]
    const groups = yield* Effect.forEach(namespaces, (each) =>
      Effect.map(only === undefined ? store.hierarchy.groups(each) : Effect.succeed([only]), (found) =>
        found.map((group): Group => ({ namespace: each, group }))
      )
    )
    const found = yield* look(store, groups.flat(), crypt)
    const other = found.find((verdict) => verdict.kind === "other")
    if (other === undefined || found.some(isAcceptance)) return
    const detail = "it was made with another key, and nothing here was made with the one that was given"
    return yield* storeError("KeyNeeded", nameOf(other.place), detail)
  })
