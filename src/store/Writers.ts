/**
 * Writers: the leases of those who write into one store, so that garbage collection can run beside them.
 *
 * A writer first reads the clock, then locks a byte of `.granary.lock` named after its lease, then writes the lease
 * into `.granary-writers`; only then it looks at the store or stores anything. It gives them back in the opposite
 * order, when its scope closes. So:
 *
 * - a lease's file exists only while its byte is locked, or after a crash; the system unlocks the byte at a crash, and
 *   a lease whose byte can be locked is dead;
 * - a writer whose lease is not in the folder at some moment has either ended by then, with everything it wrote in
 *   place, or reads and touches nothing before that moment;
 * - everything a writer stores or touches carries a time that is not before the start its lease states.
 *
 * A live lease that cannot be read counts as one of a writer that has been there for ever. Names of leases are random;
 * Proxmox Backup Server passes over names with a leading dot.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Entropy } from "../platform/Entropy.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import { Host } from "../platform/Host.ts"
import { storeError, type StoreError } from "./StoreError.ts"
import type { StoreLayout } from "./StoreLayout.ts"
import type { StoreLocks } from "./StoreLocks.ts"

/** What a writer holds. */
export interface WriterLease {
  /** Says which index files the writer takes chunks for known from; paths relative to the store. */
  readonly buildsOn: (indexPaths: ReadonlyArray<string>) => Effect.Effect<void, FilesError>
}

/** A writer that is at work, in whichever process. */
export interface LiveWriter {
  readonly name: string
  readonly host: string
  readonly pid: number
  /** Seconds since 1970; 0 when the lease cannot be read. */
  readonly startSeconds: number
  /** Index files the writer builds on; paths relative to the store. */
  readonly bases: ReadonlyArray<string>
  /** Why the lease could not be read. */
  readonly problem: string | undefined
}

export interface ReadOptions {
  /** Whether leases of crashed writers are removed. */
  readonly removesDead: boolean
}

export class Writers extends Context.Service<
  Writers,
  {
    /**
     * Counts the caller as a writer until the scope closes. The very first thing a writer does; fails with `Busy`
     * while a Proxmox Backup Server process has the store for itself.
     */
    readonly register: Effect.Effect<WriterLease, FilesError | StoreError, Scope.Scope>
    readonly live: (options: ReadOptions) => Effect.Effect<ReadonlyArray<LiveWriter>, FilesError>
  }
>()("granary/store/Writers") {}

const attemptsMax = 100
const leaseMaxBytes = 16 * 1024 * 1024
const leaseExtension = ".json"

const lockName = (lease: string): string => `lease ${lease}`

/** A path below the store, and nothing else. */
const isPlainPath = (path: unknown): path is string =>
  typeof path === "string" && path.split("/").every((name) => name !== "" && name !== "." && name !== "..")

const unreadable = (name: string, problem: string): LiveWriter => ({
  name,
  host: "unknown",
  pid: 0,
  startSeconds: 0,
  bases: [],
  problem
})

/** Anything may be in the file: what is not a lease is one that cannot be read. */
const decode = (name: string, text: string): LiveWriter => {
  try {
    const value = JSON.parse(text) as Record<string, unknown>
    const { host, pid, start, bases } = value
    const isSound =
      typeof host === "string" &&
      typeof pid === "number" &&
      typeof start === "number" &&
      Number.isSafeInteger(start) &&
      Array.isArray(bases) &&
      bases.every(isPlainPath)
    if (!isSound) return unreadable(name, "it does not say what a lease says")
    return { name, host, pid, startSeconds: start, bases, problem: undefined }
  } catch (error) {
    return unreadable(name, error instanceof Error ? error.message : String(error))
  }
}

export const make = (
  layout: StoreLayout,
  locks: StoreLocks["Service"]
): Effect.Effect<Writers["Service"], never, Files> =>
  Effect.map(Files, (files) => {
    const fileOf = (name: string): string => `${layout.writers}/${name}${leaseExtension}`

    const write = (name: string, startSeconds: number, bases: ReadonlyArray<string>) =>
      Effect.gen(function* () {
        const { nodeName, pid, processStart } = yield* Host
        const lease = { host: nodeName, pid, "process-start": processStart, start: startSeconds, bases }
        yield* files.replaceFile(fileOf(name), [Buffer.from(JSON.stringify(lease))])
      })

    const lockNewName = Effect.gen(function* () {
      const letters = Buffer.from((yield* Entropy)(8)).toString("hex")
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const name = `${letters}-${attempt}`
        if (yield* locks.tryHold(lockName(name), "exclusive")) return name
      }
      return yield* storeError("Busy", layout.writers, `${attemptsMax} names for a lease are all taken`)
    })

    const ensureFolder = files.makeDirectory(layout.writers, 0o755).pipe(
      Effect.catchIf(
        (error) => error.reason === "AlreadyExists",
        () => Effect.void
      )
    )

    const register = Effect.gen(function* () {
      const startSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const name = yield* lockNewName
      yield* ensureFolder
      yield* Effect.acquireRelease(write(name, startSeconds, []), () =>
        Effect.ignore(files.unlink(fileOf(name)))
      )
      yield* locks.holdAsWriter
      const lease: WriterLease = { buildsOn: (indexPaths) => write(name, startSeconds, indexPaths) }
      return lease
    })

    /** One that vanishes now belonged to a writer that has ended well. */
    const read = (name: string): Effect.Effect<LiveWriter | undefined> =>
      files.readFile(fileOf(name), leaseMaxBytes).pipe(
        Effect.map((bytes) => decode(name, Buffer.from(bytes).toString())),
        Effect.catch((error) =>
          Effect.succeed(isNotFound(error) ? undefined : unreadable(name, error.message))
        )
      )

    /** The file is a lease, or what a crash left of one that was being written. */
    const judge = (fileName: string, { removesDead }: ReadOptions) =>
      Effect.scoped(
        Effect.gen(function* () {
          const name = fileName.split(".")[0] ?? ""
          if (yield* locks.tryHold(lockName(name), "exclusive")) {
            if (removesDead) yield* Effect.ignore(files.unlink(`${layout.writers}/${fileName}`))
            return undefined
          }
          return fileName === `${name}${leaseExtension}` ? yield* read(name) : undefined
        })
      )

    const live = (options: ReadOptions) =>
      Effect.gen(function* () {
        const entries = yield* files
          .readDirectory(layout.writers)
          .pipe(Effect.catchIf(isNotFound, () => Effect.succeed([])))
        const judged = yield* Effect.forEach(
          entries.filter(({ kind }) => kind === "file"),
          ({ name }) => judge(name, options)
        )
        return judged.filter((writer) => writer !== undefined)
      })

    return Writers.of({ register, live })
  })

/** Makes the leases of a store. Only a laboratory that proves they are needed puts another one here. */
export const Maker = Context.Reference<
  (
    layout: StoreLayout,
    locks: StoreLocks["Service"]
  ) => Effect.Effect<Writers["Service"], never, Files | FileLocks>
>("granary/store/Writers/Maker", { defaultValue: () => make })
