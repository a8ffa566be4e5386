/**
 * What an object of a datastore is, and its key: the two are forms of one thing (spec: object keys of Proxmox Backup
 * Server). Local paths of the same things are the third form.
 *
 * Invariant: `read(store, write(store, object))` is the object, and a key that `read` understands is written again as
 * itself. So a corrupt chunk set aside (`<digest>.0.bad`) never passes for a good one, nor one group's files for
 * another's, whatever lies in the bucket. Keys that are not of this form are foreign: `read` answers undefined.
 */
import * as ArchiveName from "../model/ArchiveName.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import * as Digest from "../model/Digest.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Namespace from "../model/Namespace.ts"
import * as SafeId from "../model/SafeId.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as ObjectKey from "./ObjectKey.ts"

export type StoreObject =
  | { readonly kind: "chunk"; readonly digest: Digest.Digest }
  /** A corrupt chunk that was set aside; `number` is 0 to 9. */
  | { readonly kind: "bad chunk"; readonly digest: Digest.Digest; readonly number: number }
  /** An index, a blob, the manifest or the client's log. */
  | {
      readonly kind: "file"
      readonly namespace: Namespace.Namespace
      readonly snapshot: Snapshot.Snapshot
      readonly name: ArchiveName.ArchiveName
    }
  /** The empty marker of a protected snapshot. */
  | {
      readonly kind: "protected"
      readonly namespace: Namespace.Namespace
      readonly snapshot: Snapshot.Snapshot
    }
  | {
      readonly kind: "owner" | "notes"
      readonly namespace: Namespace.Namespace
      readonly group: BackupGroup.BackupGroup
    }
  /** The empty marker of a namespace other than the root. */
  | { readonly kind: "namespace"; readonly namespace: Namespace.Namespace }
  /** Says which host uses the store. */
  | { readonly kind: "in use" }

export const badNumberMax = 9

const chunks = ".chunks"
const content = ".cnt"
const inUse = ".in-use"
const namespaceMarker = ".namespace"

/** The prefix of all objects of a datastore: its name and a slash. */
export const storePrefix = (datastoreName: string): ObjectKey.KeyPrefix =>
  ObjectKey.parsePrefix(`${SafeId.check("datastore name", datastoreName)}/`)

export const chunksPrefix = (store: ObjectKey.KeyPrefix): ObjectKey.KeyPrefix =>
  ObjectKey.joinPrefix(store, `${chunks}/`)

export const contentPrefix = (store: ObjectKey.KeyPrefix): ObjectKey.KeyPrefix =>
  ObjectKey.joinPrefix(store, `${content}/`)

/** Everything in a namespace, and in those inside it. */
export const namespacePrefix = (
  store: ObjectKey.KeyPrefix,
  namespace: Namespace.Namespace
): ObjectKey.KeyPrefix =>
  ObjectKey.joinPrefix(contentPrefix(store), namespace === "" ? "" : `${Namespace.toPath(namespace)}/`)

export const groupPrefix = (
  store: ObjectKey.KeyPrefix,
  namespace: Namespace.Namespace,
  group: BackupGroup.BackupGroup
): ObjectKey.KeyPrefix =>
  ObjectKey.joinPrefix(contentPrefix(store), `${Snapshot.groupPath(namespace, group)}/`)

export const snapshotPrefix = (
  store: ObjectKey.KeyPrefix,
  namespace: Namespace.Namespace,
  snapshot: Snapshot.Snapshot
): ObjectKey.KeyPrefix =>
  ObjectKey.joinPrefix(contentPrefix(store), `${Snapshot.toPath(namespace, snapshot)}/`)

const chunkName = (digest: Digest.Digest): string => `${chunks}/${Digest.prefix(digest)}/${digest}`

const checkBadNumber = (number: number): number => {
  if (!Number.isInteger(number) || number < 0 || number > badNumberMax) {
    throw new RangeError(`a bad chunk has a number from 0 to ${badNumberMax}, not ${number}`)
  }
  return number
}

/** Path below the datastore's folder, and for content below `.cnt/`. */
const relativeName = (object: StoreObject): string => {
  switch (object.kind) {
    case "chunk":
      return chunkName(object.digest)
    case "bad chunk":
      return `${chunkName(object.digest)}.${checkBadNumber(object.number)}.bad`
    case "file":
      return `${Snapshot.toPath(object.namespace, object.snapshot)}/${object.name.file}`
    case "protected":
      return `${Snapshot.toPath(object.namespace, object.snapshot)}/${ArchiveName.protectedFile}`
    case "owner":
    case "notes":
      return `${Snapshot.groupPath(object.namespace, object.group)}/${object.kind}`
    case "namespace":
      return Namespace.joinPath(object.namespace, namespaceMarker)
    case "in use":
      return inUse
  }
}

const isContent = (object: StoreObject): boolean =>
  object.kind !== "chunk" && object.kind !== "bad chunk" && object.kind !== "in use"

/** The key of an object. The root namespace has no marker: it is refused as `InvalidName`. */
export const write = (store: ObjectKey.KeyPrefix, object: StoreObject): ObjectKey.ObjectKey => {
  if (object.kind === "namespace" && object.namespace === Namespace.root) {
    throw new InvalidName({ kind: "namespace", text: "", expected: "a namespace other than the root" })
  }
  return ObjectKey.join(
    store,
    isContent(object) ? `${content}/${relativeName(object)}` : relativeName(object)
  )
}

const chunkPattern = /^([0-9a-f]{4})\/([0-9a-f]{64})(?:\.([0-9])\.bad)?$/

const readChunk = (name: string): StoreObject | undefined => {
  const [, folder, digest = "", number] = chunkPattern.exec(name) ?? []
  if (!Digest.isDigest(digest) || Digest.prefix(digest) !== folder) return undefined
  return number === undefined
    ? { kind: "chunk", digest }
    : { kind: "bad chunk", digest, number: Number(number) }
}

/** Takes `ns/a/ns/b/` off the front. */
const splitNamespace = (path: string): readonly [Namespace.Namespace, ReadonlyArray<string>] => {
  const segments = path.split("/")
  const names: Array<string> = []
  let at = 0
  for (; segments[at] === "ns" && at + 2 < segments.length; at += 2) names.push(segments[at + 1] ?? "")
  return [Namespace.parse(names.join("/")), segments.slice(at)]
}

const readContent = (path: string): StoreObject | undefined => {
  const [namespace, [first = "", id = "", third = "", file, ...more]] = splitNamespace(path)
  if (more.length > 0) return undefined
  if (first === namespaceMarker && id === "")
    return namespace === "" ? undefined : { kind: "namespace", namespace }
  const group = BackupGroup.parse(`${first}/${id}`)
  if (file === undefined)
    return third === "owner" || third === "notes" ? { kind: third, namespace, group } : undefined
  const snapshot = Snapshot.fromDirectory(group, third)
  return file === ArchiveName.protectedFile
    ? { kind: "protected", namespace, snapshot }
    : { kind: "file", namespace, snapshot, name: ArchiveName.fromFile(file) }
}

/** Parsers of names throw; a key that breaks their rules is foreign. */
const orForeign = (parse: () => StoreObject | undefined): StoreObject | undefined => {
  try {
    return parse()
  } catch (error) {
    if (error instanceof InvalidName) return undefined
    throw error
  }
}

const afterFolder = (path: string, folder: string): string | undefined =>
  path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined

/** What the key names in the datastore; undefined when it is foreign. */
export const read = (store: ObjectKey.KeyPrefix, key: ObjectKey.ObjectKey): StoreObject | undefined => {
  const path = ObjectKey.relativeTo(key, store)
  if (path === undefined) return undefined
  if (path === inUse) return { kind: "in use" }
  const chunk = afterFolder(path, chunks)
  if (chunk !== undefined) return readChunk(chunk)
  const below = afterFolder(path, content)
  return below === undefined ? undefined : orForeign(() => readContent(below))
}

/**
 * The file of a local datastore that holds the same bytes, relative to its folder. A namespace is a folder there, and
 * the mark of use has no place: both are undefined.
 */
export const toLocalPath = (object: StoreObject): string | undefined =>
  object.kind === "namespace" || object.kind === "in use" ? undefined : relativeName(object)

/** What a file of a local datastore is, by its path relative to the datastore; undefined when it is foreign. */
export const fromLocalPath = (path: string): StoreObject | undefined => {
  if (!ObjectKey.isObjectKey(path)) return undefined
  const chunk = afterFolder(path, chunks)
  const object = chunk === undefined ? orForeign(() => readContent(path)) : readChunk(chunk)
  return object?.kind === "namespace" ? undefined : object
}
