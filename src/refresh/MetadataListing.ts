/**
 * MetadataListing: what a bucket holds of a datastore's metadata, as the files it becomes in the cache folder: all that
 * is below `.cnt/`. Keys that are not of the datastore's form are counted and named, and become nothing; so no key can
 * lead out of the folder, whoever wrote it.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Namespace from "../model/Namespace.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as ObjectKey from "../objectstore/ObjectKey.ts"
import { type ListedObject, pages } from "../objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../objectstore/ObjectStoreError.ts"
import * as StoreKeys from "../objectstore/StoreKeys.ts"
import type { StoreBucket } from "../store/bucket/StoreBucket.ts"

export interface MetadataFile {
  readonly key: ObjectKey.ObjectKey
  /** In the datastore's folder. */
  readonly path: string
  readonly sizeBytes: number
  readonly lastModifiedSeconds: number
  readonly etag: string | undefined
  /** Of a manifest: the snapshot that it finishes. */
  readonly finishes:
    | { readonly namespace: Namespace.Namespace; readonly snapshot: Snapshot.Snapshot }
    | undefined
}

export interface MetadataListing {
  /** By their paths. */
  readonly files: ReadonlyMap<string, MetadataFile>
  /** Namespaces with a marker of their own, empty ones included. */
  readonly namespaces: ReadonlyArray<Namespace.Namespace>
  readonly groups: number
  readonly snapshots: number
  readonly sizeBytes: number
  /** Keys that are not the datastore's: how many, and some of them. */
  readonly foreignCount: number
  readonly foreignExamples: ReadonlyArray<string>
  /** The latest time of an object here, by the server's clock. */
  readonly newestSeconds: number
  /** Requests that this listing has taken. */
  readonly requests: number
}

const examplesMax = 10

const isFinishing = (object: StoreKeys.StoreObject): MetadataFile["finishes"] =>
  object.kind === "file" && object.name.file === ArchiveName.manifestFile
    ? { namespace: object.namespace, snapshot: object.snapshot }
    : undefined

/** Takes in one object after the other. */
class Builder {
  readonly files = new Map<string, MetadataFile>()
  readonly namespaces: Array<Namespace.Namespace> = []
  readonly foreignExamples: Array<string> = []
  readonly #groups = new Set<string>()
  readonly #snapshots = new Set<string>()
  readonly #store: ObjectKey.KeyPrefix
  #foreignCount = 0
  #sizeBytes = 0
  #newestSeconds = 0
  #requests = 0

  constructor(store: ObjectKey.KeyPrefix) {
    this.#store = store
  }

  addPage(objects: ReadonlyArray<ListedObject>, foreignKeys: ReadonlyArray<string>): void {
    this.#requests += 1
    for (const key of foreignKeys) this.#addForeign(key)
    for (const object of objects) this.#add(object)
  }

  #add({ etag, key, lastModifiedSeconds, sizeBytes }: ListedObject): void {
    const object = StoreKeys.read(this.#store, key)
    if (object?.kind === "namespace") return void this.namespaces.push(object.namespace)
    const path = object === undefined ? undefined : StoreKeys.toLocalPath(object)
    if (object === undefined || path === undefined) return this.#addForeign(key)
    this.#count(object)
    this.#sizeBytes += sizeBytes
    this.#newestSeconds = Math.max(this.#newestSeconds, lastModifiedSeconds)
    this.files.set(path, { key, path, sizeBytes, lastModifiedSeconds, etag, finishes: isFinishing(object) })
  }

  #count(object: StoreKeys.StoreObject): void {
    if (object.kind === "file" || object.kind === "protected") {
      this.#groups.add(Snapshot.groupPath(object.namespace, object.snapshot.group))
      this.#snapshots.add(Snapshot.toPath(object.namespace, object.snapshot))
    } else if (object.kind === "owner" || object.kind === "notes") {
      this.#groups.add(Snapshot.groupPath(object.namespace, object.group))
    }
  }

  #addForeign(key: string): void {
    this.#foreignCount += 1
    if (this.foreignExamples.length < examplesMax) this.foreignExamples.push(key)
  }

  get listing(): MetadataListing {
    return {
      files: this.files,
      namespaces: this.namespaces,
      groups: this.#groups.size,
      snapshots: this.#snapshots.size,
      sizeBytes: this.#sizeBytes,
      foreignCount: this.#foreignCount,
      foreignExamples: this.foreignExamples,
      newestSeconds: this.#newestSeconds,
      requests: this.#requests
    }
  }
}

const listBelow = (
  { objects, prefix }: StoreBucket,
  below: ObjectKey.KeyPrefix
): Effect.Effect<MetadataListing, ObjectStoreError> =>
  Effect.gen(function* () {
    const builder = new Builder(prefix)
    yield* Stream.runForEach(pages(objects, below), (page) =>
      Effect.sync(() => builder.addPage(page.objects, page.foreignKeys))
    )
    return builder.listing
  })

export const list = (bucket: StoreBucket): Effect.Effect<MetadataListing, ObjectStoreError> =>
  listBelow(bucket, StoreKeys.contentPrefix(bucket.prefix))

/** The folder of a file: a snapshot's, or a group's. */
export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/"))

/** The files that lie in one folder and not further below. */
export const listFolder = (
  bucket: StoreBucket,
  folder: string
): Effect.Effect<MetadataListing, ObjectStoreError> =>
  Effect.map(
    listBelow(bucket, ObjectKey.joinPrefix(StoreKeys.contentPrefix(bucket.prefix), `${folder}/`)),
    (listing) => ({
      ...listing,
      files: new Map([...listing.files].filter(([path]) => folderOf(path) === folder))
    })
  )

/** Whether the server says the same of both: then nobody has written the object in between. */
export const isSame = (left: MetadataFile, right: MetadataFile | undefined): boolean =>
  right !== undefined &&
  left.sizeBytes === right.sizeBytes &&
  left.lastModifiedSeconds === right.lastModifiedSeconds &&
  left.etag === right.etag

/** The folders in which two listings differ. */
export const changedFolders = (
  before: ReadonlyMap<string, MetadataFile>,
  after: ReadonlyMap<string, MetadataFile>
): ReadonlySet<string> => {
  const changed = new Set<string>()
  for (const [path, file] of before) if (!isSame(file, after.get(path))) changed.add(folderOf(path))
  for (const path of after.keys()) if (!before.has(path)) changed.add(folderOf(path))
  return changed
}

/** All namespaces whose folders must be there: those around the ones with markers exist too. */
export const withParents = (
  namespaces: ReadonlyArray<Namespace.Namespace>
): ReadonlyArray<Namespace.Namespace> => {
  const all = new Set<Namespace.Namespace>()
  for (const namespace of namespaces) {
    for (let at: Namespace.Namespace | undefined = namespace; at !== undefined; at = Namespace.parent(at)) {
      if (at !== Namespace.root) all.add(at)
    }
  }
  return [...all].toSorted((left, right) => Namespace.depth(left) - Namespace.depth(right))
}

/** The folders of a datastore that hold metadata, each rebuilt as a whole. */
export const typeFolders: ReadonlyArray<string> = [...BackupGroup.backupTypes, "ns"]
