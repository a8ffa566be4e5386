/**
 * ContentTree: the folders that a local datastore would have for the objects below `.cnt/`, from listings of the
 * bucket, which knows no folders.
 *
 * A listing of a prefix is complete for everything below it and serves for some time, so that a listing of a whole
 * datastore costs one request for a thousand objects, and looking at one snapshot costs one. Foreign keys are passed
 * over.
 *
 * Invariant: a folder is there when an object lies in it, or a namespace's marker. What is kept is a listing that is
 * whole; who wants one while it is fetched waits for it.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as Namespace from "../../model/Namespace.ts"
import * as ObjectKey from "../../objectstore/ObjectKey.ts"
import { type ListedObject, pages } from "../../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import type { StoreBucket } from "./StoreBucket.ts"

export interface FileNode {
  readonly kind: "file"
  readonly sizeBytes: number
  readonly mtimeSeconds: number
}

export type Node = FileNode | { readonly kind: "directory" }

/** Names in a folder. */
export type Folder = ReadonlyMap<string, Node>

/** Folders by their path, relative to the datastore; the datastore itself is `""`. */
type Folders = Map<string, Map<string, Node>>

interface Listing {
  readonly folders: Folders
  readonly untilMillis: number
}

export interface ContentTree {
  /** The names in a folder; undefined when there is no such folder. */
  readonly folder: (path: string) => Effect.Effect<Folder | undefined, ObjectStoreError>
  /** What has this path, if a listing that is still fresh knows; `unknown` when none does. */
  readonly peek: (path: string) => Effect.Effect<Node | undefined | "unknown">
}

const directory: Node = { kind: "directory" }

const parentOf = (path: string): string => {
  const slash = path.lastIndexOf("/")
  return slash === -1 ? "" : path.slice(0, slash)
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1)

/** The folder of a path, made with all those around it. */
const ensure = (folders: Folders, path: string): Map<string, Node> => {
  const known = folders.get(path)
  if (known !== undefined) return known
  const made = new Map<string, Node>()
  folders.set(path, made)
  if (path !== "") ensure(folders, parentOf(path)).set(nameOf(path), directory)
  return made
}

const addObject = (bucket: StoreBucket, folders: Folders, listed: ListedObject): void => {
  const object = StoreKeys.read(bucket.prefix, listed.key)
  if (object === undefined) return
  if (object.kind === "namespace") return void ensure(folders, Namespace.toPath(object.namespace))
  const path = StoreKeys.toLocalPath(object)
  if (path === undefined) return
  const { sizeBytes, lastModifiedSeconds: mtimeSeconds } = listed
  ensure(folders, parentOf(path)).set(nameOf(path), { kind: "file", sizeBytes, mtimeSeconds })
}

/** How many segments of a path say its namespace. */
const namespaceSegments = (segments: ReadonlyArray<string>): number => {
  let count = 0
  while (segments[count] === "ns" && count + 1 < segments.length) count += 2
  return count
}

/** What follows the namespace in a path: a type, a group, a snapshot. */
const belowNamespace = (path: string): ReadonlyArray<string> => {
  const segments = path === "" ? [] : path.split("/")
  return segments.slice(namespaceSegments(segments))
}

/** Whether objects could lie in a folder of this path; nothing is asked about others. */
const mayBeFolder = (path: string): boolean => {
  const [first, ...more] = belowNamespace(path)
  if (first === undefined || (first === "ns" && more.length === 0)) return true
  return BackupGroup.isBackupType(first) && more.length <= 2
}

/**
 * What has to be listed to know a folder: its group or snapshot alone, which is little, or else everything: whoever
 * looks at namespaces and types goes through the groups next.
 */
const listedPathFor = (path: string): string => (belowNamespace(path).length >= 2 ? path : "")

/** The path itself and those around it, up to the datastore. */
const upwards = (path: string): ReadonlyArray<string> =>
  path === "" ? [""] : [path, ...upwards(parentOf(path))]

export const make = (bucket: StoreBucket, freshSeconds: number): ContentTree => {
  const listings = new Map<string, Listing>()
  const listing = Semaphore.makeUnsafe(1)
  const content = StoreKeys.contentPrefix(bucket.prefix)

  const fetch = (path: string): Effect.Effect<Folders | undefined, ObjectStoreError> =>
    Effect.gen(function* () {
      const text = path === "" ? content : `${content}${path}/`
      // No key begins like that: there is no such folder.
      if (!ObjectKey.isPrefix(text)) return undefined
      const folders: Folders = new Map()
      yield* Stream.runForEach(pages(bucket.objects, text), ({ objects }) =>
        Effect.sync(() => {
          for (const object of objects) addObject(bucket, folders, object)
        })
      )
      if (path === "") ensure(folders, "")
      return folders
    })

  const dropStale = (nowMillis: number): void => {
    for (const [path, { untilMillis }] of listings) if (untilMillis <= nowMillis) listings.delete(path)
  }

  const covering = Effect.fnUntraced(function* (path: string) {
    dropStale(yield* Clock.currentTimeMillis)
    return upwards(path).flatMap((above) => listings.get(above) ?? [])[0]
  })

  const load = (path: string): Effect.Effect<Folders | undefined, ObjectStoreError> =>
    Effect.gen(function* () {
      const known = yield* covering(path)
      if (known !== undefined) return known.folders
      const listedPath = listedPathFor(path)
      const folders = yield* fetch(listedPath)
      if (folders === undefined) return undefined
      if (listedPath === "") listings.clear()
      const untilMillis = (yield* Clock.currentTimeMillis) + freshSeconds * 1000
      listings.set(listedPath, { folders, untilMillis })
      return folders
    }).pipe(listing.withPermit)

  const peek = (path: string) =>
    Effect.map(covering(parentOf(path)), (known): Node | undefined | "unknown" =>
      known === undefined ? "unknown" : known.folders.get(parentOf(path))?.get(nameOf(path))
    )

  return {
    folder: (path) =>
      mayBeFolder(path) ? Effect.map(load(path), (folders) => folders?.get(path)) : Effect.succeed(undefined),
    peek
  }
}
