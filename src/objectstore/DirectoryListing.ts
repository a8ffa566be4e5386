/**
 * Listing of a folder that serves as a bucket: walks the folders in the order of keys, from where the page before
 * ended, and stops as soon as the page is full. Only bodies count: folders without one are what deleted objects and
 * unfinished deletions leave, and no part of the bucket.
 */
import * as Effect from "effect/Effect"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import { bodyName, componentOf, objectPath, prefixPath } from "./directoryPaths.ts"
import * as ObjectKey from "./ObjectKey.ts"
import type { ListedObject, ListPage } from "./ObjectStore.ts"

interface Child {
  readonly kind: "object" | "folder"
  readonly segment: string
  readonly path: string
}

interface Found {
  readonly key: string
  readonly sizeBytes: number
  readonly lastModifiedSeconds: number
}

interface Walk {
  readonly objects: string
  readonly after: string
  /** One more than the page holds, to know whether another follows. */
  readonly limit: number
  readonly found: Array<Found>
}

/** As they stand in keys: an object's own name, a folder's with the slash that follows it there. */
const sortText = ({ kind, segment }: Child): string => (kind === "object" ? segment : `${segment}/`)

/** What lies directly in a folder; pieces of long segments are put together. A folder that is gone holds nothing. */
const childrenOf = (path: string, start: string): Effect.Effect<ReadonlyArray<Child>, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const entries = yield* files
      .readDirectory(path)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed([])))
    const children: Array<Child> = []
    for (const entry of entries) {
      const component = componentOf(entry.name)
      if (entry.kind !== "directory" || component.kind === "foreign") continue
      const childPath = `${path}/${entry.name}`
      const segment = start + component.text
      if (component.kind === "more") children.push(...(yield* childrenOf(childPath, segment)))
      else children.push({ kind: component.kind, segment, path: childPath })
    }
    return children
  })

/** Whether every key in the folder comes before the place where the page begins. */
const isPassed = (folderPrefix: string, after: string): boolean =>
  !after.startsWith(folderPrefix) && ObjectKey.compare(folderPrefix, after) < 0

const visitObject = (walk: Walk, key: string, path: string): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    if (walk.after !== "" && ObjectKey.compare(key, walk.after) <= 0) return
    // Who made this folder by hand cut a long name elsewhere than we do: we would not find it again.
    if (ObjectKey.isObjectKey(key) && `${walk.objects}/${objectPath(key)}` !== path) return
    const stat = yield* files
      .stat(`${path}/${bodyName}`)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    if (stat?.kind !== "file") return
    walk.found.push({ key, sizeBytes: stat.sizeBytes, lastModifiedSeconds: stat.mtimeSeconds })
  })

const visitFolder = (walk: Walk, prefix: string, path: string): Effect.Effect<void, FilesError, Files> =>
  Effect.gen(function* () {
    const children = [...(yield* childrenOf(path, ""))].sort((left, right) =>
      ObjectKey.compare(sortText(left), sortText(right))
    )
    for (const child of children) {
      if (walk.found.length >= walk.limit) return
      const key = prefix + child.segment
      if (child.kind === "object") yield* visitObject(walk, key, child.path)
      else if (!isPassed(`${key}/`, walk.after)) yield* visitFolder(walk, `${key}/`, child.path)
    }
  })

const pageOf = (found: ReadonlyArray<Found>, isLast: boolean): ListPage => {
  const objects: Array<ListedObject> = []
  const foreignKeys: Array<string> = []
  for (const { key, ...rest } of found) {
    // An etag is a sum over the whole body: a listing that read them all would cost as much as copying the bucket.
    if (ObjectKey.isObjectKey(key)) objects.push({ key, ...rest, etag: undefined })
    else foreignKeys.push(key)
  }
  const last = found.at(-1)
  return { objects, foreignKeys, ...(isLast || last === undefined ? {} : { next: last.key }) }
}

/** One page of what lies in the folder `objects`. */
export const listPage = (
  objects: string,
  prefix: ObjectKey.KeyPrefix,
  after: string,
  pageSize: number
): Effect.Effect<ListPage, FilesError, Files> =>
  Effect.gen(function* () {
    const walk: Walk = { objects, after, limit: pageSize + 1, found: [] }
    yield* visitFolder(walk, prefix, objects + prefixPath(prefix))
    return pageOf(walk.found.slice(0, pageSize), walk.found.length <= pageSize)
  })
