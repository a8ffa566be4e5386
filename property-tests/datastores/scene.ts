/**
 * Configured datastores in the laboratory: processes with a service each over one memory disk. Every system call, and
 * every lock, is a point.
 *
 * What a scenario knows to be true is kept beside the disk: which changes were acknowledged, who has a handle, how many
 * guards there are on a folder of a process.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as DatastoreConfig from "../../src/config/DatastoreConfig.ts"
import * as Datastores from "../../src/datastores/Datastores.ts"
import type { ChunkCodec } from "../../src/platform/ChunkCodec.ts"
import type { FileLocks } from "../../src/platform/FileLocks.ts"
import { Files, FilesError } from "../../src/platform/Files.ts"
import { Processes } from "../../src/platform/Processes.ts"
import * as DigestGuards from "../../src/store/DigestGuards.ts"
import type { StoreLayout } from "../../src/store/StoreLayout.ts"
import {
  type Crash,
  inProcess,
  loseAll,
  MemoryDisk,
  MemoryLockTable,
  MemoryPlatform,
  Simulation
} from "../../src/testing.ts"

export const configFolder = "/etc/granary"
export const storeFolder = "/srv/store"
export const name = "store"
export const section = `datastore: ${name}\n\tcomment 0\n\tpath ${storeFolder}\n`

/** What is switched off, to see that it is needed. */
export type Mutation = "none" | "generation" | "active operations" | "atomic replace"

const prepared = (): MemoryDisk => {
  const disk = new MemoryDisk()
  for (const folder of ["/etc", configFolder, "/srv", storeFolder, `${storeFolder}/.chunks`]) {
    disk.makeDirectory(folder, 0o755, 0)
  }
  const put = (path: string, text: string) => disk.append(disk.create(path, 0o600, 0), Buffer.from(text), 0)
  put(`${configFolder}/datastore.cfg`, section)
  put(`${storeFolder}/.lock`, "")
  disk.syncAll()
  return disk
}

const missing = (path: string): FilesError => new FilesError({ operation: "read", path, reason: "NotFound" })

const isOperations = (path: string): boolean => path.includes(".active-operations")

const mutated = (files: Files["Service"], mutation: Mutation): Files["Service"] => {
  if (mutation === "generation") {
    return {
      ...files,
      replaceFile: (path, ...rest) =>
        path.endsWith(".generation") ? Effect.void : files.replaceFile(path, ...rest)
    }
  }
  if (mutation === "active operations") {
    return {
      ...files,
      readFile: (path, max) => (isOperations(path) ? Effect.fail(missing(path)) : files.readFile(path, max)),
      statEach: (paths) =>
        paths.some(isOperations) ? Effect.succeed(paths.map(() => undefined)) : files.statEach(paths)
    }
  }
  if (mutation === "atomic replace") {
    return {
      ...files,
      replaceFile: (path, parts, options) =>
        Effect.andThen(
          Effect.ignore(files.unlink(path)),
          files.createFile(path, Buffer.concat(parts), options)
        )
    }
  }
  return files
}

type Machine = Files | FileLocks | ChunkCodec

/** What a process does: with its service, or straight on the folder as a command does. */
export type Work = (
  service: Datastores.Datastores["Service"]
) => Effect.Effect<unknown, unknown, Machine | Scope.Scope | Simulation>

export class World {
  readonly disk = prepared()
  readonly locks = new MemoryLockTable(this.disk)
  readonly mutation: Mutation
  /** The comment of the last change that was acknowledged. */
  acknowledged = 0
  /** The section was taken out for good, and somebody was told so. */
  isRemoved = false
  /** Somebody is alone with the store. */
  isAlone = false
  handles = 0
  fault: string | undefined
  readonly #guards = new Map<string, number>()

  constructor(mutation: Mutation) {
    this.mutation = mutation
  }

  /** What must hold after every step. */
  readonly invariant = (): string | true => {
    if (this.isRemoved && this.handles > 0) return "a handle serves a removed store"
    if (this.isAlone && this.handles > 0) return "somebody is alone with a store that others use"
    for (const [process, count] of this.#guards)
      if (count > 1) return `${process} has two chunk stores on one path`
    return this.fault ?? true
  }

  readonly process = (process: string, pid: number, work: Work) =>
    Effect.flatMap(Simulation, (simulation) => {
      const point = (label: string) => simulation.point(label.replace(`${configFolder}/`, ""))
      const machine = MemoryPlatform.layer({ disk: this.disk, locks: this.locks, process, pid, point })
      const files = Layer.effect(
        Files,
        Effect.map(Files, (own) => mutated(own, this.mutation))
      )
      const options = { folder: configFolder, tickSeconds: 0, editLookMillis: 3_600_000, ttlSeconds: 3600 }
      return Effect.flatMap(Datastores.make(options), work).pipe(
        Effect.scoped,
        Effect.provideService(DigestGuards.Maker, this.#guardsOf(process)),
        Effect.provideService(Processes, { startOf: () => 1 }),
        Effect.provide(Layer.provideMerge(files, machine))
      )
    }).pipe(inProcess(process))

  /** A lookup, with what it promises: it serves at least what was acknowledged when it began. */
  readonly lookup = (service: Datastores.Datastores["Service"], operation: "read" | "write") =>
    Effect.suspend(() => {
      const { acknowledged, isRemoved } = this
      const use = Effect.gen({ self: this }, function* () {
        const { entry } = yield* service.lookup(name, operation)
        if (isRemoved) this.fault = "a lookup found what was removed before"
        if (Number(entry.values.comment) < acknowledged) this.fault = "a lookup served a stale section"
        yield* Effect.acquireRelease(
          Effect.sync(() => void (this.handles += 1)),
          () => Effect.sync(() => void (this.handles -= 1))
        )
        yield* Simulation.use((simulation) => simulation.point("use the store"))
      })
      return Effect.ignore(Effect.scoped(use))
    })

  /** Changes the comment, as a command does. */
  readonly edit = (comment: number) =>
    Effect.tap(
      DatastoreConfig.update(configFolder, name, {
        comment: `${comment}`,
        tuning: `gc-cache-capacity=${comment}`
      }),
      () => Effect.sync(() => void (this.acknowledged = comment))
    )

  readonly onCrash = (crash: Crash): void => {
    if (crash.kind === "process") return this.locks.releaseProcess(crash.process)
    this.locks.releaseAll()
    this.disk.losePower(loseAll)
  }

  /** Each set of guards that is made counts until its scope closes. */
  #guardsOf(process: string) {
    const add = (count: number) =>
      Effect.sync(() => void this.#guards.set(process, (this.#guards.get(process) ?? 0) + count))
    return (layout: StoreLayout) =>
      Effect.andThen(
        Effect.acquireRelease(add(1), () => add(-1)),
        DigestGuards.make(layout)
      )
  }
}
