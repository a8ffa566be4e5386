/**
 * DatastoreConfig: the datastores that are known by a name, in `datastore.cfg`, as Proxmox Backup Server keeps them.
 *
 * Invariant: no datastore that is added here lies within another one, or holds one; who has it in a bucket names an
 * endpoint that there is; nobody leaves the mode `delete`.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { attempt } from "../format/attempt.ts"
import * as PropertyString from "../format/PropertyString.ts"
import { type Section, valueOf } from "../format/SectionConfig.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import type { Files, FilesError } from "../platform/Files.ts"
import * as settingValues from "../objectstore/s3/settingValues.ts"
import { ConfigError } from "./ConfigError.ts"
import type { ChangeOptions } from "./ConfigFolder.ts"
import * as Endpoints from "./Endpoints.ts"
import * as Fields from "./Fields.ts"
import * as Maintenance from "./Maintenance.ts"
import * as Sections from "./Sections.ts"

/** Where a datastore keeps its content. */
export type Backend =
  | { readonly type: "filesystem" }
  | {
      readonly type: "s3"
      /** The endpoint's name in `s3.cfg`. */
      readonly client: string
      readonly bucket: string
      readonly maxCacheBytes: number | undefined
    }

export interface Tuning {
  readonly chunkOrder: "inode" | "none"
  readonly syncLevel: "none" | "file" | "filesystem"
  readonly gcAtimeSafetyCheck: boolean
  readonly gcAtimeCutoffMinutes: number | undefined
  readonly gcCacheCapacity: number | undefined
  readonly defaultVerificationWorkers: number
  readonly defaultVerificationReaders: number
}

const property = <A>(pairs: ReadonlyArray<PropertyString.Pair>, key: string, field: Fields.Field<A>) => {
  const text = PropertyString.valueOf(pairs, key)
  return text === undefined ? undefined : field.decode(text)
}

const bucketField: Fields.Field<string> = {
  decode: (text) => {
    try {
      return settingValues.bucket("bucket", text)
    } catch {
      return Fields.refuse("the name of a bucket", text)
    }
  }
}

const backendField: Fields.Field<Backend> = {
  decode: (text) => {
    const pairs = PropertyString.decode(text)
    const type = PropertyString.valueOf(pairs, "type", "type") ?? "filesystem"
    const client = property(pairs, "client", Fields.id)
    const bucket = property(pairs, "bucket", bucketField)
    const maxCacheBytes = property(pairs, "max-cache-size", Fields.size)
    if (type === "s3") {
      if (client === undefined || bucket === undefined) return Fields.refuse("a client and a bucket", text)
      return { type, client, bucket, maxCacheBytes }
    }
    if (type !== "filesystem") return Fields.refuse("the type s3 or filesystem", text)
    return client === undefined && bucket === undefined && maxCacheBytes === undefined
      ? { type }
      : Fields.refuse("nothing but the type filesystem", text)
  }
}

const workersMax = 32
const cutoffMinutesMax = 2880
const cacheCapacityMax = 8_388_608

const tuningIn = (pairs: ReadonlyArray<PropertyString.Pair>): Tuning => ({
  chunkOrder: property(pairs, "chunk-order", Fields.oneOf(["inode", "none"])) ?? "inode",
  syncLevel: property(pairs, "sync-level", Fields.oneOf(["none", "file", "filesystem"])) ?? "filesystem",
  gcAtimeSafetyCheck: property(pairs, "gc-atime-safety-check", Fields.flag) ?? true,
  gcAtimeCutoffMinutes: property(pairs, "gc-atime-cutoff", Fields.whole(1, cutoffMinutesMax)),
  gcCacheCapacity: property(pairs, "gc-cache-capacity", Fields.whole(0, cacheCapacityMax)),
  defaultVerificationWorkers:
    property(pairs, "default-verification-workers", Fields.whole(1, workersMax)) ?? 4,
  defaultVerificationReaders:
    property(pairs, "default-verification-readers", Fields.whole(1, workersMax)) ?? 1
})

const tuningField: Fields.Field<Tuning> = { decode: (text) => tuningIn(PropertyString.decode(text)) }

const commentLengthMax = 128

const fields = {
  path: Fields.absolutePath,
  comment: Fields.textUpTo(commentLengthMax),
  backend: backendField,
  tuning: tuningField,
  "maintenance-mode": Maintenance.field,
  "gc-schedule": Fields.text,
  "gc-on-unmount": Fields.flag,
  "prune-schedule": Fields.text,
  ...Fields.retention,
  "verify-new": Fields.flag,
  "notify-user": Fields.text,
  notify: Fields.text,
  "notification-mode": Fields.text,
  "notification-thresholds": Fields.text,
  "backing-device": Fields.text,
  "counter-reset-schedule": Fields.text
}

export type DatastoreFields = typeof fields

export type DatastoreEntry = Sections.Entry<DatastoreFields>

export type DatastoreTexts = Sections.Texts<DatastoreFields>

export const kind: Sections.Kind<DatastoreFields> = {
  fileName: "datastore.cfg",
  sectionType: "datastore",
  what: "datastore",
  fields,
  required: ["path"],
  command: "granary datastore"
}

const mountFolder = "/mnt/datastore"

/** The folder of a store, or the cache folder of one in a bucket. */
export const folderOf = ({ id, values }: DatastoreEntry): string =>
  path.resolve(values["backing-device"] === undefined ? (values.path ?? "/") : path.join(mountFolder, id))

export const backendOf = ({ values }: DatastoreEntry): Backend => values.backend ?? { type: "filesystem" }

export const tuningOf = ({ values }: DatastoreEntry): Tuning => values.tuning ?? tuningIn([])

export const maintenanceOf = ({ values }: DatastoreEntry): Maintenance.Maintenance | undefined =>
  values["maintenance-mode"]

type Failure = ConfigError | FilesError

/** Where another section's folder is; undefined for what is no sound datastore. */
const folderOfSection = (section: Section): string | undefined => {
  if (section.type !== kind.sectionType) return undefined
  const place =
    valueOf(section, "backing-device") === undefined
      ? valueOf(section, "path")
      : path.join(mountFolder, section.id)
  return place?.startsWith("/") === true ? path.resolve(place) : undefined
}

const isWithin = (inner: string, outer: string): boolean =>
  inner === outer || inner.startsWith(outer.endsWith("/") ? outer : `${outer}/`)

const checkFolder = (
  entry: DatastoreEntry,
  others: ReadonlyArray<Section>
): Effect.Effect<void, ConfigError> => {
  const own = folderOf(entry)
  for (const other of others) {
    const theirs = folderOfSection(other)
    if (theirs === undefined || !(isWithin(own, theirs) || isWithin(theirs, own))) continue
    const relation =
      own === theirs
        ? "is the folder of"
        : isWithin(own, theirs)
          ? "lies within the folder of"
          : "holds the folder of"
    const detail = `${own} ${relation} datastore ${other.id} (${theirs})`
    return Effect.fail(new ConfigError({ subject: entry.id, detail, hint: "choose another path" }))
  }
  return Effect.void
}

const checkClient = (folder: string, entry: DatastoreEntry): Effect.Effect<void, Failure, Files> => {
  const backend = backendOf(entry)
  return backend.type === "s3" ? Effect.asVoid(Endpoints.get(folder, backend.client)) : Effect.void
}

const approve = (folder: string) => (entry: DatastoreEntry, others: ReadonlyArray<Section>) =>
  Effect.andThen(checkFolder(entry, others), checkClient(folder, entry))

/** All datastores in the order of the file, and the file's digest. */
export const list = (folder: string) => Sections.list(kind, folder)

/** The datastore of this name; fails, with the nearest name, when there is none. */
export const get = (folder: string, name: string): Effect.Effect<DatastoreEntry, Failure, Files> =>
  Sections.get(kind, folder, name)

/**
 * Adds a datastore to the file. `make` makes it, under the file's lock, once its section is known to be good; when it
 * fails, nothing is added.
 */
export const create = <E = never, R = never>(
  folder: string,
  name: string,
  texts: DatastoreTexts,
  make?: (entry: DatastoreEntry) => Effect.Effect<unknown, E, R>
): Effect.Effect<void, Failure | E, Files | FileLocks | R> =>
  Sections.create(kind, folder, name, texts, (entry, others) =>
    Effect.andThen(approve(folder)(entry, others), make === undefined ? Effect.void : make(entry))
  )

const keptKeys: ReadonlyArray<string> = ["path", "backing-device"]

const fixed = (name: string, key: string): ConfigError =>
  new ConfigError({
    subject: name,
    detail: `the ${key} of a datastore stays what it was made with`,
    hint:
      key === "maintenance-mode"
        ? `change the mode with: granary datastore maintenance ${name}`
        : "remove the datastore from the configuration (its data stays), then create it anew"
  })

/** Changes some settings of a datastore; not where it is, and not its maintenance mode (see `setMaintenance`). */
export const update = (
  folder: string,
  name: string,
  texts: DatastoreTexts,
  options: ChangeOptions = {}
): Effect.Effect<void, Failure, Files | FileLocks> => {
  const refused = [...keptKeys, "maintenance-mode"].find((key) => Object.hasOwn(texts, key))
  if (refused !== undefined) return Effect.fail(fixed(name, refused))
  return Sections.update(kind, folder, name, texts, {
    ...options,
    approve: (entry) => checkClient(folder, entry)
  })
}

/** What nobody can read is no deletion either. */
const isDeletion = (text: string | undefined): boolean => {
  try {
    return text !== undefined && Maintenance.field.decode(text).type === "delete"
  } catch {
    return false
  }
}

const leavesDelete = (name: string): ConfigError =>
  new ConfigError({
    subject: name,
    detail: "it is being deleted: its maintenance mode cannot be changed any more",
    hint: `let the deletion end, or repeat it with: granary datastore remove ${name}`
  })

/** Puts a datastore into a mode, or out of any. Who is at work in it is not waited for. */
export const setMaintenance = (
  folder: string,
  name: string,
  mode: Maintenance.Maintenance | undefined,
  options: ChangeOptions = {}
): Effect.Effect<void, Failure, Files | FileLocks> =>
  Effect.gen(function* () {
    const text = yield* attempt(() => (mode === undefined ? "" : Maintenance.encode(mode))).pipe(
      Effect.mapError(
        ({ expected, found }) =>
          new ConfigError({
            subject: name,
            detail: `expected ${expected}, found ${found}`,
            hint: "shorten it"
          })
      )
    )
    let isLeavingDelete = false
    yield* Sections.update(
      kind,
      folder,
      name,
      (section) => {
        isLeavingDelete = isDeletion(valueOf(section, "maintenance-mode")) && mode?.type !== "delete"
        return { "maintenance-mode": text }
      },
      {
        ...options,
        approve: () => (isLeavingDelete ? Effect.fail(leavesDelete(name)) : Effect.void)
      }
    )
  })

/** Takes a datastore out of the file; its folder stays as it is. */
export const remove = (
  folder: string,
  name: string,
  options: ChangeOptions = {}
): Effect.Effect<void, Failure, Files | FileLocks> => Sections.remove(kind, folder, name, options)
