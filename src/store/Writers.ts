/**
 * Writers: the leases of those who write into one store, so that garbage collection can run beside them.
 *
 * A writer first reads the clock, then locks a byte of `.granary.lock` named after its lease, then writes the lease
 * into `.granary-writers`; only then it looks at the store or stores anything. It gives them back in the opposite
 * order, when its scope closes. So:
 *
 * - a lease's file exists only while its byte is locked, or after a crash, or when a writer gave up before it flushed;
 *   the system unlocks the byte at a crash, and a lease whose byte can be locked is dead;
 * - a writer whose lease is not in the folder at some moment has either ended by then, with everything it wrote in
 *   place, or reads and touches nothing before that moment;
 * - everything a writer stores or touches carries a time that is not before the start its lease states;
 * - where chunks are flushed only when a backup finishes, the lease survives a power loss, and is not removed before
 *   what its writer stored is flushed (see `Doubts`).
 *
 * A live lease that cannot be read counts as one of a writer that has been there for ever. Names of leases are random;
 * Proxmox Backup Server passes over names with a leading dot.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomHex } from "../platform/Entropy.ts"
import { Files, type FilesError, isNotFound } from "../platform/Files.ts"
import type { FileLocks } from "../platform/FileLocks.ts"
import { Host } from "../platform/Host.ts"
import type { Doubt } from "./Doubts.ts"
import * as Lease from "./Lease.ts"
import type { StorageError } from "./StorageError.ts"
import { storeError, type StoreError } from "./StoreError.ts"
import type { StoreLayout } from "./StoreLayout.ts"
import type { StoreLocks } from "./StoreLocks.ts"

/** What a writer holds. */
export interface WriterLease {
  /** Says which index files the writer takes chunks for known from; paths relative to the store. */
  readonly buildsOn: (indexPaths: ReadonlyArray<string>) => Effect.Effect<void, FilesError>
  /** From here on chunks may be stored that are not flushed: the lease stays behind, until `flushed`. */
  readonly storing: Effect.Effect<void>
  /** All that was stored is flushed. */
  readonly flushed: Effect.Effect<void>
  /** To be asked right before anything final, such as a manifest: fails when other hosts may have given it up. */
  readonly check: Effect.Effect<void, StoreError>
}

/** A writer that is at work, in whichever process. */
export interface LiveWriter extends Lease.Lease {
  readonly name: string
}

export interface ReadOptions {
  /** Whether leases of crashed writers are removed, or turned into doubts. */
  readonly removesDead: boolean
}

export class Writers extends Context.Service<
  Writers,
  {
    /**
     * Counts the caller as a writer until the scope closes. The very first thing a writer does; fails with `Busy`
     * while a Proxmox Backup Server process has the store for itself, or another host collects garbage in its bucket.
     */
    readonly register: Effect.Effect<WriterLease, StorageError | StoreError, Scope.Scope>
    readonly live: (options: ReadOptions) => Effect.Effect<ReadonlyArray<LiveWriter>, FilesError>
    /** What those who died with the machine have left in doubt. */
    readonly doubts: Effect.Effect<ReadonlyArray<Doubt>, FilesError>
    /** Gives doubts up. */
    readonly settle: (doubts: ReadonlyArray<Doubt>) => Effect.Effect<void, FilesError>
  }
>()("granary/store/Writers") {}

export interface WritersOptions {
  /** Whether chunks are flushed only when a backup finishes, so that leases have to survive a power loss. */
  readonly flushesLate?: boolean
  /**
   * Takes part in a writer's registration, under the name of its lease, and ends with it: what a store in a bucket has
   * to agree with other hosts (see `bucket/Hosts`).
   */
  readonly onRegister?: (
    name: string
  ) => Effect.Effect<Pick<WriterLease, "check">, StorageError | StoreError, Scope.Scope>
}

const alone: NonNullable<WritersOptions["onRegister"]> = () => Effect.succeed({ check: Effect.void })

const attemptsMax = 100

const lockName = (lease: string): string => `lease ${lease}`

const nowSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

export const make = (
  layout: StoreLayout,
  locks: StoreLocks["Service"],
  { flushesLate = false, onRegister = alone }: WritersOptions = {}
): Effect.Effect<Writers["Service"], never, Files> =>
  Effect.map(Files, (files) => {
    const pathOf = (fileName: string): string => `${layout.writers}/${fileName}`

    const write = (name: string, startSeconds: number, bases: ReadonlyArray<string>) =>
      Effect.flatMap(Host, (host) =>
        files.replaceFile(pathOf(Lease.fileNameOf(name)), [Lease.encode(host, startSeconds, bases)], {
          sync: flushesLate
        })
      )

    const lockNewName = Effect.gen(function* () {
      const letters = yield* randomHex(8)
      for (let attempt = 0; attempt < attemptsMax; attempt++) {
        const name = `${letters}-${attempt}`
        if (yield* locks.tryHold(lockName(name), "exclusive")) return name
      }
      return yield* storeError("Busy", layout.writers, `${attemptsMax} names for a lease are all taken`)
    })

    const ensureFolder = files.makeDirectory(layout.writers, 0o755).pipe(
      Effect.andThen(flushesLate ? files.syncDirectory(layout.base) : Effect.void),
      Effect.catchIf(
        (error) => error.reason === "AlreadyExists",
        () => Effect.void
      )
    )

    const register = Effect.gen(function* () {
      const startSeconds = yield* nowSeconds
      const name = yield* lockNewName
      yield* ensureFolder
      let isBehind = false
      yield* Effect.acquireRelease(write(name, startSeconds, []), () =>
        isBehind ? Effect.void : Effect.ignore(files.unlink(pathOf(Lease.fileNameOf(name))))
      )
      yield* locks.holdAsWriter
      const { check } = yield* onRegister(name)
      const lease: WriterLease = {
        check,
        buildsOn: (indexPaths) => write(name, startSeconds, indexPaths),
        storing: Effect.sync(() => void (isBehind = flushesLate)),
        flushed: Effect.sync(() => void (isBehind = false))
      }
      return lease
    })

    /** Undefined when it vanishes now: its writer has ended well. */
    const read = (fileName: string): Effect.Effect<Lease.Lease | undefined> =>
      files.readFile(pathOf(fileName), Lease.leaseMaxBytes).pipe(
        Effect.map((bytes) => Lease.decode(Buffer.from(bytes).toString())),
        Effect.catch((error) =>
          Effect.succeed(isNotFound(error) ? undefined : Lease.unreadable(error.message))
        )
      )

    /** Whether the machine has been started anew since the lease was written. */
    const isOfOtherBoot = ({ boot }: Lease.Lease): Effect.Effect<boolean> =>
      Effect.map(Host, ({ bootId }) => boot === "" || boot !== bootId)

    const remove = (fileName: string) => Effect.ignore(files.unlink(pathOf(fileName)))

    /** What a dead writer stored may not have reached the disk, whether it is the machine that died or the writer. */
    const bury = (fileName: string, name: string) =>
      Effect.gen(function* () {
        const lease = yield* read(fileName)
        if (lease === undefined) return
        if (yield* isOfOtherBoot(lease)) {
          const doubtName = Lease.doubtNameOf(name, yield* nowSeconds)
          return yield* Effect.ignore(files.rename(pathOf(fileName), pathOf(doubtName)))
        }
        if (flushesLate) yield* files.syncFileSystem(layout.base)
        yield* remove(fileName)
      })

    const judge = (fileName: string, { removesDead }: ReadOptions) =>
      Effect.scoped(
        Effect.gen(function* () {
          const { kind, name } = Lease.parseFileName(fileName)
          if (kind === "doubt") return undefined
          if (yield* locks.tryHold(lockName(name), "exclusive")) {
            if (removesDead) yield* kind === "lease" ? bury(fileName, name) : remove(fileName)
            return undefined
          }
          const lease = kind === "lease" ? yield* read(fileName) : undefined
          return lease === undefined ? undefined : { ...lease, name }
        })
      )

    const fileNames = files.readDirectory(layout.writers).pipe(
      Effect.catchIf(isNotFound, () => Effect.succeed([])),
      Effect.map((entries) => entries.filter(({ kind }) => kind === "file").map(({ name }) => name))
    )

    const live = (options: ReadOptions) =>
      Effect.gen(function* () {
        const judged = yield* Effect.forEach(yield* fileNames, (fileName) => judge(fileName, options))
        return judged.filter((writer) => writer !== undefined)
      })

    /** Of a writer of this very start of the machine nothing is in doubt, alive or dead. */
    const doubtOf = (fileName: string) =>
      Effect.scoped(
        Effect.gen(function* () {
          const parsed = Lease.parseFileName(fileName)
          if (parsed.kind === "leftover") return undefined
          const lease = yield* read(fileName)
          if (lease === undefined) return undefined
          const { startSeconds: fromSeconds } = lease
          if (parsed.kind === "doubt") return { fileName, fromSeconds, untilSeconds: parsed.untilSeconds }
          if (!(yield* isOfOtherBoot(lease))) return undefined
          // On a file system for several machines it may be alive on another one.
          const isDead = yield* locks.tryHold(lockName(parsed.name), "exclusive")
          return isDead ? { fileName, fromSeconds, untilSeconds: yield* nowSeconds } : undefined
        })
      )

    const doubts = Effect.gen(function* () {
      const found = yield* Effect.forEach(yield* fileNames, doubtOf)
      return found.filter((doubt) => doubt !== undefined)
    })

    const settle = (settled: ReadonlyArray<Doubt>) =>
      Effect.forEach(
        settled,
        ({ fileName }) => files.unlink(pathOf(fileName)).pipe(Effect.catchIf(isNotFound, () => Effect.void)),
        { discard: true }
      )

    return Writers.of({ register, live, doubts, settle })
  })

/** Makes the leases of a store. Only a laboratory that proves they are needed puts another one here. */
export const Maker = Context.Reference<
  (
    layout: StoreLayout,
    locks: StoreLocks["Service"],
    options?: WritersOptions
  ) => Effect.Effect<Writers["Service"], never, Files | FileLocks>
>("granary/store/Writers/Maker", { defaultValue: () => make })
