/**
 * ActiveOperations: who reads and writes a configured datastore, counted over all processes of this host: in one file
 * a datastore, `.active-operations/<name>` of the configuration folder, with an entry for each process, as Proxmox
 * Backup Server has it. Entries of processes that are gone do not count.
 *
 * Invariant: while a process is at work, its entry says so (a count above zero for what it does), from before it looked
 * at the maintenance mode until after it has ended. So who sets a mode first and then finds no entry is alone. The
 * counts themselves are those of a second ago at worst, and an entry stays for a moment when the work has ended: most
 * who end begin again soon, and writing the file at every lookup would cost more than all the rest.
 */
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as Semaphore from "effect/Semaphore"
import type { ConfigError } from "../config/ConfigError.ts"
import { makeFolders } from "../config/ConfigFolder.ts"
import { holdSoon } from "../config/fileLock.ts"
import { randomHex } from "../platform/Entropy.ts"
import { FileLocks } from "../platform/FileLocks.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import { Host } from "../platform/Host.ts"
import { Processes } from "../platform/Processes.ts"

export interface OperationCounts {
  readonly read: number
  readonly write: number
}

export type CountedOperation = keyof OperationCounts

type Failure = ConfigError | FilesError

/** What a process says of itself; `service` tells apart two that one process has. */
interface Entry {
  readonly pid: number
  readonly starttime: number
  readonly boot: string
  readonly service: string
  readonly active_operations: OperationCounts
}

const nothing: OperationCounts = { read: 0, write: 0 }
const fileMaxBytes = 4 * 1024 * 1024
const folderName = ".active-operations"
const serviceBytes = 8

/** The size of a file without entries. */
const emptyBytes = "[]".length

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0

const isEntry = (value: unknown): value is Entry => {
  if (typeof value !== "object" || value === null) return false
  const { pid, starttime, boot, service, active_operations: counts } = value as Record<string, unknown>
  if (typeof counts !== "object" || counts === null) return false
  const { read, write } = counts as Record<string, unknown>
  return (
    isCount(pid) &&
    isCount(starttime) &&
    typeof boot === "string" &&
    typeof service === "string" &&
    isCount(read) &&
    isCount(write)
  )
}

/** What nobody can read says nothing: it is written anew by the next who has something to say. */
const decode = (bytes: Uint8Array): ReadonlyArray<Entry> => {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString())
    return Array.isArray(value) ? value.filter(isEntry) : []
  } catch {
    return []
  }
}

/** What this service does in one datastore. */
interface Own {
  read: number
  write: number
  /** What its entry says at least. */
  published: OperationCounts
  readonly oneWriter: Semaphore.Semaphore
}

export interface ActiveOperations {
  /** Counts one more, in this process only. */
  readonly enter: (name: string, operation: CountedOperation) => void
  readonly leave: (name: string, operation: CountedOperation) => void
  /** Whether the entry says that this process does such a thing. */
  readonly isPublished: (name: string, operation: CountedOperation) => boolean
  /** Writes down what this process does now. */
  readonly publish: (name: string) => Effect.Effect<void, Failure>
  /** Writes down what has changed anywhere since it was written last. */
  readonly publishAll: Effect.Effect<void, Failure>
  /** Over all processes that are alive. */
  readonly total: (name: string) => Effect.Effect<OperationCounts, FilesError>
  /** Removes a datastore's file. */
  readonly forget: (name: string) => Effect.Effect<void, FilesError>
}

const lower = (left: OperationCounts, right: OperationCounts): OperationCounts => ({
  read: Math.min(left.read, right.read),
  write: Math.min(left.write, right.write)
})

const isSame = (left: OperationCounts, right: OperationCounts): boolean =>
  left.read === right.read && left.write === right.write

/** The file of one datastore, as all processes see it. */
const makeFile = (folder: string) =>
  Effect.gen(function* () {
    const files = yield* Files
    const locks = yield* FileLocks
    const { bootId, pid, processStart } = yield* Host
    const processes = yield* Processes
    const service = yield* randomHex(serviceBytes)
    const pathOf = (name: string): string => path.join(folder, folderName, name)

    const isOwn = (entry: Entry): boolean => entry.pid === pid && entry.service === service

    const isAlive = (entry: Entry): boolean => {
      if (entry.boot !== bootId) return false
      return entry.pid === pid
        ? entry.starttime === processStart
        : processes.startOf(entry.pid) === entry.starttime
    }

    /** What has no room for an entry is not read: that is the usual case, and many ask. */
    const readIfAny = (name: string): Effect.Effect<ReadonlyArray<Entry>, FilesError> =>
      Effect.flatMap(files.statEach([pathOf(name)]), ([stat]) =>
        stat === undefined || stat.sizeBytes <= emptyBytes ? Effect.succeed([]) : read(name)
      )

    const read = (name: string): Effect.Effect<ReadonlyArray<Entry>, FilesError> =>
      files.readFile(pathOf(name), fileMaxBytes).pipe(
        Effect.map((bytes) => decode(bytes).filter(isAlive)),
        Effect.catchIf(isNotFound, () => Effect.succeed<ReadonlyArray<Entry>>([]))
      )

    const write = (name: string, counts: OperationCounts) =>
      Effect.scoped(
        Effect.gen(function* () {
          yield* makeFolders(path.join(folder, folderName))
          yield* holdSoon(`${pathOf(name)}.lck`, pathOf(name))
          const others = (yield* read(name)).filter((entry) => !isOwn(entry))
          const own: Entry = {
            pid,
            starttime: processStart,
            boot: bootId,
            service,
            active_operations: counts
          }
          const entries = isSame(counts, nothing) ? others : [...others, own]
          yield* files.replaceFile(pathOf(name), [Buffer.from(JSON.stringify(entries))], { mode: 0o600 })
        })
      ).pipe(Effect.provideService(Files, files), Effect.provideService(FileLocks, locks))

    const remove = (name: string) =>
      files.unlink(pathOf(name)).pipe(Effect.catchIf(isNotFound, () => Effect.void))

    return { readIfAny, write, remove }
  })

export const make = (folder: string): Effect.Effect<ActiveOperations, never, Files | FileLocks> =>
  Effect.gen(function* () {
    const file = yield* makeFile(folder)
    const all = new Map<string, Own>()
    const dirty = new Set<string>()

    const ownOf = (name: string): Own => {
      const found = all.get(name)
      if (found !== undefined) return found
      const made: Own = { read: 0, write: 0, published: nothing, oneWriter: Semaphore.makeUnsafe(1) }
      all.set(name, made)
      return made
    }

    const publish = (name: string) => {
      const own = ownOf(name)
      return Effect.suspend(() => {
        const counts = { read: own.read, write: own.write }
        dirty.delete(name)
        if (isSame(counts, own.published)) return Effect.void
        // What is about to vanish must not be relied upon by those who come while it is being written.
        own.published = lower(own.published, counts)
        return file.write(name, counts).pipe(
          Effect.andThen(Effect.sync(() => void (own.published = counts))),
          Effect.onError(() => Effect.sync(() => void dirty.add(name)))
        )
      }).pipe(own.oneWriter.withPermit, Effect.uninterruptible)
    }

    const enter = (name: string, operation: CountedOperation): void => {
      ownOf(name)[operation] += 1
      dirty.add(name)
    }

    const leave = (name: string, operation: CountedOperation): void => {
      ownOf(name)[operation] -= 1
      dirty.add(name)
    }

    return {
      enter,
      leave,
      isPublished: (name, operation) => (all.get(name)?.published[operation] ?? 0) > 0,
      publish,
      publishAll: Effect.suspend(() => Effect.forEach([...dirty], publish, { discard: true })),
      total: (name) =>
        Effect.map(file.readIfAny(name), (entries) =>
          entries.reduce((sum: OperationCounts, { active_operations: { read, write } }) => {
            return { read: sum.read + read, write: sum.write + write }
          }, nothing)
        ),
      forget: (name) => file.remove(name)
    }
  })
