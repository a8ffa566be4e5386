/**
 * BucketFiles: a datastore in a bucket, seen as a file system that can only be read: the folder that it would be on a
 * disk, with no cache folder anywhere.
 *
 * Paths below `base` stand for objects (see `StoreKeys`); folders are there when something lies in them, the 65,536
 * chunk folders always. Lock files, leases and whatever else is no object of Proxmox Backup Server's is not there.
 * Listings of snapshots serve for some time (see `ContentTree`); files are always read from the bucket, and chunk
 * folders always listed.
 *
 * Invariant: no request writes; every operation that would write fails with `ReadOnlyFileSystem`.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as path from "node:path"
import * as ObjectKey from "../../objectstore/ObjectKey.ts"
import { type ListedObject, pages } from "../../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../../objectstore/StoreKeys.ts"
import { randomHex } from "../../platform/Entropy.ts"
import {
  type ChildStat,
  Files,
  FilesError,
  type FileStat,
  isNotFound,
  type PathStat
} from "../../platform/Files.ts"
import { refusingWrites } from "../../platform/refusingWrites.ts"
import { asFilesError, notFound, readOnly } from "./bucketFailures.ts"
import { openObject } from "./BucketReadHandle.ts"
import * as ContentTree from "./ContentTree.ts"
import { keyOf, type StoreBucket } from "./StoreBucket.ts"

export interface BucketFilesOptions {
  /** The absolute path under which the datastore is seen. */
  readonly base: string
  /** How long a listing serves. Default 30. */
  readonly freshSeconds?: number
}

const defaultFreshSeconds = 30

const chunksFolder = ".chunks"
const chunkFolderPattern = /^\.chunks\/([0-9a-f]{4})$/
const chunkFolderCount = 0x1_0000

const looksAtOnce = 16

interface View {
  readonly bucket: StoreBucket
  readonly base: string
  readonly tree: ContentTree.ContentTree
  readonly hasObjects: Effect.Effect<boolean, ObjectStoreError>
}

const directoryStat: FileStat = {
  kind: "directory",
  sizeBytes: 0,
  mtimeSeconds: 0,
  atimeSeconds: 0,
  inode: 0n,
  mode: 0o40555
}

export const fileStat = (sizeBytes: number, mtimeSeconds: number): FileStat => ({
  kind: "file",
  sizeBytes,
  mtimeSeconds,
  atimeSeconds: mtimeSeconds,
  inode: 0n,
  mode: 0o100444
})

/** The path below the base, `""` for the base itself; undefined for what lies elsewhere. */
const relativePath = (base: string, target: string): string | undefined => {
  const relative = path.relative(base, target)
  return relative === ".." || relative.startsWith("../") ? undefined : relative
}

/** Folders that are there because the datastore is. */
const isFixedFolder = (relative: string): boolean =>
  relative === "" || relative === chunksFolder || chunkFolderPattern.test(relative)

/** Runs on the relative path; what lies elsewhere is not there. What the bucket says is told of the path. */
const at = <A, R>(
  { base }: View,
  operation: string,
  target: string,
  run: (relative: string) => Effect.Effect<A | undefined, ObjectStoreError | FilesError, R>
): Effect.Effect<A, FilesError, R> =>
  Effect.suspend(() => {
    const relative = relativePath(base, target)
    const found = relative === undefined ? Effect.succeed(undefined) : run(relative)
    return Effect.mapError(found, (error) =>
      error._tag === "ObjectStoreError" ? asFilesError(operation, target, error) : error
    )
  }).pipe(
    Effect.flatMap((found) =>
      found === undefined ? Effect.fail(notFound(operation, target)) : Effect.succeed(found)
    )
  )

/** The key of a file's object; undefined when no file can have this path. */
const keyAt = ({ bucket }: View, relative: string): ObjectKey.ObjectKey | undefined => {
  const object = StoreKeys.fromLocalPath(relative)
  return object === undefined ? undefined : keyOf(bucket, object)
}

const chunkFolderNames = Array.from({ length: chunkFolderCount }, (_, index) =>
  index.toString(16).padStart(4, "0")
)

/** Chunks and condemned chunks of one folder. */
const chunkFolder = ({ bucket }: View, name: string): Effect.Effect<ContentTree.Folder, ObjectStoreError> => {
  const prefix = ObjectKey.joinPrefix(StoreKeys.chunksPrefix(bucket.prefix), `${name}/`)
  const entryOf = ({ key, sizeBytes, lastModifiedSeconds: mtimeSeconds }: ListedObject) =>
    StoreKeys.read(bucket.prefix, key) === undefined
      ? []
      : [[key.slice(prefix.length), { kind: "file", sizeBytes, mtimeSeconds } as const] as const]
  return Effect.map(
    Stream.runCollect(pages(bucket.objects, prefix)),
    (all) => new Map(all.flatMap(({ objects }) => objects.flatMap(entryOf)))
  )
}

const directory = { kind: "directory" } as const

const folderAt = (
  view: View,
  relative: string
): Effect.Effect<ContentTree.Folder | undefined, ObjectStoreError> =>
  Effect.gen(function* () {
    const [, chunkFolderName] = chunkFolderPattern.exec(relative) ?? []
    if (chunkFolderName !== undefined) return yield* chunkFolder(view, chunkFolderName)
    if (relative === chunksFolder) return new Map(chunkFolderNames.map((name) => [name, directory]))
    const folder = yield* view.tree.folder(relative)
    if (relative !== "") return folder
    return (yield* view.hasObjects) ? new Map([[chunksFolder, directory], ...(folder ?? [])]) : undefined
  })

const list = (view: View, target: string): Effect.Effect<ContentTree.Folder, FilesError> =>
  at(view, "list", target, (relative) =>
    Effect.gen(function* () {
      const folder = yield* folderAt(view, relative)
      if (folder !== undefined || keyAt(view, relative) === undefined) return folder
      const isFile = (yield* Effect.result(stat(view, target)))._tag === "Success"
      if (isFile) return yield* new FilesError({ operation: "list", path: target, reason: "NotADirectory" })
      return undefined
    })
  )

const statOf = (node: ContentTree.Node | undefined): FileStat | undefined =>
  node?.kind === "file" ? fileStat(node.sizeBytes, node.mtimeSeconds) : node && directoryStat

const stat = (view: View, target: string): Effect.Effect<FileStat, FilesError> =>
  at(view, "stat", target, (relative) =>
    Effect.gen(function* () {
      if (isFixedFolder(relative)) return (yield* view.hasObjects) ? directoryStat : undefined
      const key = keyAt(view, relative)
      if (key === undefined) return (yield* view.tree.folder(relative)) && directoryStat
      const known = yield* view.tree.peek(relative)
      if (known !== "unknown") return statOf(known)
      const { sizeBytes, lastModifiedSeconds } = yield* view.bucket.objects.head(key)
      return fileStat(sizeBytes, lastModifiedSeconds)
    })
  )

const readFile = (view: View, target: string, maxSizeBytes: number) =>
  at(view, "read", target, (relative) => {
    const key = keyAt(view, relative)
    return key === undefined ? Effect.succeed(undefined) : view.bucket.objects.get(key, maxSizeBytes)
  })

const childrenOf = (folder: ContentTree.Folder): ReadonlyArray<ChildStat> =>
  Array.from(folder, ([name, node]) => {
    const { kind, sizeBytes, mtimeSeconds, atimeSeconds } = statOf(node) ?? directoryStat
    return { name, kind, sizeBytes, mtimeSeconds, atimeSeconds }
  })

const orUndefined = (described: Effect.Effect<FileStat, FilesError>) =>
  described.pipe(
    Effect.map(({ kind, sizeBytes }): PathStat | undefined => ({ kind, sizeBytes })),
    Effect.catchIf(isNotFound, () => Effect.succeed(undefined))
  )

const suffixBytes = 3

const temporaryName = (target: string): Effect.Effect<string> =>
  Effect.map(randomHex(suffixBytes), (letters) => {
    const extension = path.extname(target)
    const stem = extension === "" ? target : target.slice(0, -extension.length)
    return `${stem}.tmp_${letters}`
  })

export const make = (
  bucket: StoreBucket,
  { base, freshSeconds = defaultFreshSeconds }: BucketFilesOptions
): Files["Service"] => {
  let wasFound = false
  const hasObjects = Effect.suspend(() =>
    wasFound
      ? Effect.succeed(true)
      : Effect.map(bucket.objects.list({ prefix: bucket.prefix, pageSize: 1 }), (page) => {
          wasFound = page.objects.length + page.foreignKeys.length > 0
          return wasFound
        })
  )
  const tree = ContentTree.make(bucket, freshSeconds)
  const view: View = { bucket, base: path.resolve(base), tree, hasObjects }
  return Files.of({
    ...refusingWrites(readOnly),
    stat: (target) => stat(view, target),
    readFile: (target, maxSizeBytes) => readFile(view, target, maxSizeBytes),
    readDirectory: (target) =>
      Effect.map(list(view, target), (folder) => Array.from(folder, ([name, { kind }]) => ({ name, kind }))),
    statDirectory: (target) => Effect.map(list(view, target), childrenOf),
    statEach: (targets) =>
      Effect.forEach(targets, (target) => orUndefined(stat(view, target)), { concurrency: looksAtOnce }),
    openRead: (target) =>
      at(view, "open", target, (relative) => {
        const key = keyAt(view, relative)
        return key === undefined ? Effect.succeed(undefined) : openObject(bucket, key, target)
      }),
    // A bucket has no size.
    statFileSystem: (target) =>
      Effect.as(stat(view, target), {
        totalBytes: Number.MAX_SAFE_INTEGER,
        availableBytes: Number.MAX_SAFE_INTEGER
      }),
    temporaryName
  })
}

export const layer = (bucket: StoreBucket, options: BucketFilesOptions): Layer.Layer<Files> =>
  Layer.sync(Files, () => make(bucket, options))
