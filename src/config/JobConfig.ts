/**
 * JobConfig: the jobs that are known by a name, in `sync.cfg`, `verification.cfg` and `prune.cfg`, as Proxmox Backup
 * Server keeps them.
 *
 * Invariant: a job that is made or changed here names a datastore that there is.
 */
import * as Effect from "effect/Effect"
import type { FileLocks } from "../platform/FileLocks.ts"
import type { Files, FilesError } from "../platform/Files.ts"
import type { ConfigError } from "./ConfigError.ts"
import type { ChangeOptions } from "./ConfigFolder.ts"
import * as DatastoreConfig from "./DatastoreConfig.ts"
import * as Fields from "./Fields.ts"
import * as Sections from "./Sections.ts"

const depthMax = 7
const threadsMax = 32
const commentLengthMax = 128

/** What every job has. */
const common = {
  store: Fields.id,
  ns: Fields.namespace,
  "max-depth": Fields.whole(0, depthMax),
  schedule: Fields.text,
  comment: Fields.textUpTo(commentLengthMax)
}

const syncFields = {
  ...common,
  owner: Fields.text,
  /** Absent: another datastore of this host. */
  remote: Fields.id,
  "remote-store": Fields.id,
  "remote-ns": Fields.namespace,
  "remove-vanished": Fields.flag,
  "group-filter": Fields.list(Fields.text),
  "rate-in": Fields.size,
  "burst-in": Fields.size,
  "rate-out": Fields.size,
  "burst-out": Fields.size,
  "transfer-last": Fields.whole(1),
  "resync-corrupt": Fields.flag,
  "encrypted-only": Fields.flag,
  "verified-only": Fields.flag,
  "run-on-mount": Fields.flag,
  "unmount-on-done": Fields.flag,
  "sync-direction": Fields.oneOf(["pull", "push"]),
  "worker-threads": Fields.whole(1, threadsMax),
  "active-encryption-key": Fields.id,
  "associated-key": Fields.list(Fields.id)
}

const verifyFields = {
  ...common,
  "ignore-verified": Fields.flag,
  "outdated-after": Fields.whole(0),
  "read-threads": Fields.whole(1, threadsMax),
  "verify-threads": Fields.whole(1, threadsMax)
}

const pruneFields = { ...common, ...Fields.retention, disable: Fields.flag }

export type SyncFields = typeof syncFields
export type VerifyFields = typeof verifyFields
export type PruneFields = typeof pruneFields

export type SyncJob = Sections.Entry<SyncFields>
export type VerifyJob = Sections.Entry<VerifyFields>
export type PruneJob = Sections.Entry<PruneFields>

export const sync: Sections.Kind<SyncFields> = {
  fileName: "sync.cfg",
  sectionType: "sync",
  what: "sync job",
  fields: syncFields,
  required: ["store", "remote-store"],
  check: (values) => {
    const isLocal = values.remote === undefined
    if (isLocal && values.store === values["remote-store"]) {
      Fields.refuse("another datastore than the job's own for remote-store", values.store ?? "")
    }
  },
  command: "granary job sync"
}

export const verify: Sections.Kind<VerifyFields> = {
  fileName: "verification.cfg",
  sectionType: "verification",
  what: "verify job",
  fields: verifyFields,
  required: ["store"],
  command: "granary job verify"
}

export const prune: Sections.Kind<PruneFields> = {
  fileName: "prune.cfg",
  sectionType: "prune",
  what: "prune job",
  fields: pruneFields,
  required: ["store", "schedule"],
  command: "granary job prune"
}

/** What jobs have in common, whichever kind they are. */
type JobFields = Fields.Fields & { readonly store: Fields.Field<string> }

type Failure = ConfigError | FilesError

const storeOf = <F extends JobFields>({ values }: Sections.Entry<F>): string => String(values.store)

const approve =
  (folder: string) =>
  <F extends JobFields>(job: Sections.Entry<F>) =>
    DatastoreConfig.get(folder, storeOf(job))

/** Adds a job. */
export const create = <F extends JobFields>(
  kind: Sections.Kind<F>,
  folder: string,
  id: string,
  texts: Sections.Texts<F>
): Effect.Effect<void, Failure, Files | FileLocks> =>
  Sections.create(kind, folder, id, texts, (job) => approve(folder)(job))

/** Changes some settings of a job; an empty text takes one away. */
export const update = <F extends JobFields>(
  kind: Sections.Kind<F>,
  folder: string,
  id: string,
  texts: Sections.Texts<F>,
  options: ChangeOptions = {}
): Effect.Effect<void, Failure, Files | FileLocks> =>
  Sections.update(kind, folder, id, texts, { ...options, approve: (job) => approve(folder)(job) })

export const { get, list, remove, toJson } = Sections

/** The jobs of all kinds that work on a datastore, as `granary job sync backup-1`. */
export const namesOn = (
  folder: string,
  store: string
): Effect.Effect<ReadonlyArray<string>, Failure, Files> =>
  Effect.gen(function* () {
    const sync_ = yield* namesOf(sync, folder, store)
    const verify_ = yield* namesOf(verify, folder, store)
    return [...sync_, ...verify_, ...(yield* namesOf(prune, folder, store))]
  })

const namesOf = <F extends JobFields>(kind: Sections.Kind<F>, folder: string, store: string) =>
  Effect.map(Sections.list(kind, folder), ({ entries }) =>
    entries.filter((job) => storeOf(job) === store).map(({ id }) => `${kind.what} ${id}`)
  )
