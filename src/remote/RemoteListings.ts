/**
 * RemoteListings: namespaces, groups and snapshots as a server lists them. A listing serves for some seconds, so that
 * whoever goes through a store asks for each thing once, and a mount sees new snapshots soon.
 *
 * Invariant: what is kept is an answer that came whole; who wants one while it is fetched waits for it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type * as BackupGroup from "../model/BackupGroup.ts"
import * as Namespace from "../model/Namespace.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import { badAnswer } from "./answers.ts"
import * as fields from "./fields.ts"
import { type GroupPlace, groupParameters, namespaceParameters } from "./places.ts"
import type { Remote } from "./Remote.ts"
import { isMissing, type RemoteError } from "./RemoteError.ts"

export interface ListedGroup {
  readonly group: BackupGroup.BackupGroup
  readonly owner: string | undefined
}

export interface ListedFile {
  readonly name: string
  /** As the manifest says: of an index, of what it stands for. Undefined when the server does not say. */
  readonly sizeBytes: number | undefined
}

export interface ListedSnapshot {
  readonly snapshot: Snapshot.Snapshot
  readonly protected: boolean
  readonly files: ReadonlyArray<ListedFile>
}

export interface RemoteListings {
  /** Those that the user may see, and those around them. */
  readonly namespaces: Effect.Effect<ReadonlySet<Namespace.Namespace>, RemoteError>
  readonly groups: (namespace: Namespace.Namespace) => Effect.Effect<ReadonlyArray<ListedGroup>, RemoteError>
  readonly snapshots: (place: GroupPlace) => Effect.Effect<ReadonlyArray<ListedSnapshot>, RemoteError>
  /** Undefined when there are none. */
  readonly groupNotes: (place: GroupPlace) => Effect.Effect<string | undefined, RemoteError>
  /** What is kept may be untrue: something was found to be gone. */
  readonly forget: Effect.Effect<void>
}

const listOf = (remote: Remote, value: unknown): Effect.Effect<ReadonlyArray<fields.Fields>, RemoteError> => {
  const items = fields.itemsOf(value)
  return items === undefined
    ? Effect.fail(badAnswer(remote.server, "its answer is no list"))
    : Effect.succeed(items)
}

const groupIn = (item: fields.Fields): ReadonlyArray<ListedGroup> => {
  const group = fields.groupOf(item)
  return group === undefined ? [] : [{ group, owner: fields.textOf(item, "owner") }]
}

const fileIn = (item: fields.Fields): ReadonlyArray<ListedFile> => {
  const name = fields.textOf(item, "filename")
  return name === undefined ? [] : [{ name, sizeBytes: fields.countOf(item, "size") }]
}

const snapshotIn = (item: fields.Fields): ReadonlyArray<ListedSnapshot> => {
  const snapshot = fields.snapshotOf(item)
  if (snapshot === undefined) return []
  const files = (fields.itemsOf(item["files"]) ?? []).flatMap(fileIn)
  return [{ snapshot, protected: fields.flagOf(item, "protected"), files }]
}

/** The namespace and those around it. */
const upwards = (namespace: Namespace.Namespace): ReadonlyArray<Namespace.Namespace> => {
  const parent = Namespace.parent(namespace)
  return parent === undefined ? [namespace] : [...upwards(parent), namespace]
}

interface Kept {
  readonly value: unknown
  readonly untilMillis: number
}

/** Answers by their names, each for some time. */
const makeKeeper = (freshSeconds: number) => {
  const kept = new Map<string, Kept>()
  const waiting = new Map<string, Semaphore.Semaphore>()
  const turnOf = (name: string): Semaphore.Semaphore => {
    const known = waiting.get(name) ?? Semaphore.makeUnsafe(1)
    waiting.set(name, known)
    return known
  }
  const dropStale = (nowMillis: number): void => {
    for (const [name, { untilMillis }] of kept) {
      // The others came later.
      if (untilMillis > nowMillis) return
      kept.delete(name)
    }
  }
  const keep = <A>(name: string, fetch: Effect.Effect<A, RemoteError>): Effect.Effect<A, RemoteError> =>
    Effect.gen(function* () {
      dropStale(yield* Clock.currentTimeMillis)
      const known = kept.get(name)
      if (known !== undefined) return known.value as A
      const value = yield* fetch
      const nowMillis = yield* Clock.currentTimeMillis
      kept.set(name, { value, untilMillis: nowMillis + freshSeconds * 1000 })
      return value
    }).pipe(turnOf(name).withPermit)
  return { keep, forget: Effect.sync(() => kept.clear()) }
}

export const make = (remote: Remote, freshSeconds: number): RemoteListings => {
  const { forget, keep } = makeKeeper(freshSeconds)
  const base = `/admin/datastore/${remote.address.store}`
  const list = (path: string, parameters = {}) =>
    Effect.flatMap(remote.call("GET", `${base}/${path}`, parameters), (value) => listOf(remote, value))

  const fetchNamespaces = list("namespace").pipe(
    Effect.map(
      (items) => new Set(items.flatMap((item) => upwards(fields.namespaceOf(item) ?? Namespace.root)))
    ),
    Effect.map((found) => found.add(Namespace.root))
  )

  return {
    namespaces: keep("namespaces", fetchNamespaces),
    groups: (namespace) =>
      keep(
        `groups ${namespace}`,
        Effect.map(list("groups", namespaceParameters(namespace)), (items) => items.flatMap(groupIn))
      ),
    snapshots: (place) =>
      keep(
        `snapshots ${place.namespace}:${place.group.type}/${place.group.id}`,
        Effect.map(list("snapshots", groupParameters(place)), (items) => items.flatMap(snapshotIn))
      ),
    groupNotes: (place) =>
      remote.call("GET", `${base}/group-notes`, groupParameters(place)).pipe(
        Effect.map((value) => (typeof value === "string" && value !== "" ? value : undefined)),
        Effect.catchIf(isMissing, () => Effect.succeed(undefined))
      ),
    forget
  }
}
