/**
 * World: one small datastore on a memory disk, with the processes that work on it, as a scenario of the laboratory.
 *
 * The disk is prepared once and forked for every run. A process is a datastore opened anew over its own `Files` and
 * locks on that disk; every system call that others could notice is a point. When a process dies its locks are given
 * back, and what was not flushed may be lost when the power goes.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Datastore from "../../../src/datastore/Datastore.ts"
import { digestOf } from "../../../src/platform/chunkContent.ts"
import * as ChunkCodec from "../../../src/platform/ChunkCodec.ts"
import { FileLocks } from "../../../src/platform/FileLocks.ts"
import { Files } from "../../../src/platform/Files.ts"
import type * as ChunkStore from "../../../src/store/ChunkStore.ts"
import type { StoreLayout } from "../../../src/store/StoreLayout.ts"
import * as StoreLocks from "../../../src/store/StoreLocks.ts"
import {
  chooseFrom,
  type Crash,
  inProcess,
  loseAll,
  MemoryDisk,
  MemoryLockTable,
  MemoryPlatform,
  run,
  Simulation,
  type Touch
} from "../../../src/testing.ts"
import type { Acknowledged } from "./Invariants.ts"
import { guarded, type Mutation, mutationFor } from "./Mutation.ts"
import { type Calls, calls, nameGuard, nameLock, type Part, partOf, shortLabel } from "./points.ts"
import { basePath, type StoreView, StoreViewer } from "./StoreView.ts"
import { knowableFiles, learningLocks, textOfDisk, textOfExit } from "./knowing.ts"
import { lockTouches, readsNode, touchingFiles } from "./touching.ts"

/** What actors may ask for. */
export type StoreServices =
  | Datastore.Datastore
  | Files
  | FileLocks
  | ChunkCodec.ChunkCodec
  | Scope.Scope
  | Simulation

export type StoreEffect<A = unknown, E = unknown> = Effect.Effect<A, E, StoreServices>

/** When the scenario's own time begins; the prepared store is three days older. */
export const startMillis = 1_767_225_600_000
export const daySeconds = 86_400
export const preparedSeconds = startMillis / 1000 - 3 * daySeconds

/** A time for snapshots made before the scenario begins. */
export const timeBefore = (number: number): number => preparedSeconds + number

export interface PrepareOptions {
  /** Contents of all chunks that the scenario ever stores: only their folders are made. */
  readonly contents: ReadonlyArray<string>
  readonly namespaces?: ReadonlyArray<string>
  /** What is there when the scenario begins; everything in it is three days old and flushed. */
  readonly setUp: StoreEffect
  /** Damage, behind the back of every program. */
  readonly damage?: (disk: MemoryDisk) => void
}

export const digestOfText = (text: string) => digestOf(Buffer.from(text), undefined)

const pathOfDigest = (digest: string): string => `${basePath}/.chunks/${digest.slice(0, 4)}/${digest}`

export const pathOfChunk = (text: string): string => pathOfDigest(digestOfText(text))

const makeEmptyStore = ({ contents, namespaces = [] }: PrepareOptions): MemoryDisk => {
  const disk = new MemoryDisk()
  const now = preparedSeconds * 1000
  disk.makeDirectory(basePath, 0o755, now)
  disk.makeDirectory(`${basePath}/.chunks`, 0o750, now)
  for (const content of contents) nameGuard(digestOfText(content))
  for (const prefix of new Set(contents.map((content) => digestOfText(content).slice(0, 4)))) {
    disk.makeDirectory(`${basePath}/.chunks/${prefix}`, 0o750, now)
  }
  disk.create(`${basePath}/.lock`, 0o644, now)
  if (namespaces.length > 0) disk.makeDirectory(`${basePath}/ns`, 0o755, now)
  for (const name of namespaces) disk.makeDirectory(`${basePath}/ns/${name}`, 0o755, now)
  return disk
}

/** Runs something to its end, by itself, on a disk; nothing of it is explored. */
export const runAlone = (
  disk: MemoryDisk,
  work: StoreEffect,
  options: { readonly startMillis: number; readonly mutation?: Mutation }
): Exit.Exit<unknown, unknown> => {
  const world = new World(disk, { mutation: options.mutation ?? guarded, points: () => false })
  const { outcome } = run({ program: world.process("alone")(work) }, {}, { startMillis: options.startMillis })
  return outcome._tag === "Done" ? outcome.exit : Exit.die(new Error(`it ended with ${outcome._tag}`))
}

/** A disk with a store on it; fork it for each run. */
export const prepare = (options: PrepareOptions): MemoryDisk => {
  const disk = makeEmptyStore(options)
  const exit = runAlone(disk, options.setUp, { startMillis: preparedSeconds * 1000 })
  if (Exit.isFailure(exit)) throw new Error(`the store could not be prepared: ${JSON.stringify(exit.cause)}`)
  disk.syncAll()
  options.damage?.(disk)
  return disk
}

/** What a power loss takes: nothing, all that was not flushed, or what the exploration says. */
export type Power = "kept" | "worst" | "chosen"

export interface WorldOptions {
  readonly mutation: Mutation
  /** Which system calls are points. Default: those that others can notice (`calls`). */
  readonly points?: Calls
  readonly syncLevel?: ChunkStore.SyncLevel
  /** Where there are several stores: which of them this is. */
  readonly title?: string
}

/** The product's locks; timelines tell their names. */
export const makeTellingLocks = (layout: StoreLayout) =>
  Effect.map(StoreLocks.make(layout), (locks) => {
    const told =
      <A extends ReadonlyArray<unknown>, B>(take: (name: string, ...rest: A) => B) =>
      (name: string, ...rest: A): B => {
        nameLock(name)
        return take(name, ...rest)
      }
    return StoreLocks.StoreLocks.of({
      ...locks,
      hold: told(locks.hold),
      tryHold: told(locks.tryHold),
      holdSoon: told(locks.holdSoon)
    })
  })

type Park = (label: string) => Effect.Effect<void>

export class World {
  readonly disk: MemoryDisk
  readonly locks: MemoryLockTable
  readonly acknowledged: Array<Acknowledged> = []
  readonly givenUp = new Set<string>()
  /** What an actor found wrong by itself. */
  fault: string | undefined
  readonly mutation: Mutation
  readonly #points: Calls
  readonly #syncLevel: ChunkStore.SyncLevel
  readonly #viewer: StoreViewer
  /** Before each label, and before the name of each thing that is touched. */
  readonly #prefix: string

  constructor(disk: MemoryDisk, options: WorldOptions) {
    const { mutation, points = calls, syncLevel = "filesystem", title } = options
    this.#prefix = title === undefined ? "" : `${title}: `
    this.disk = disk
    this.locks = new MemoryLockTable(disk)
    this.mutation = mutation
    this.#viewer = new StoreViewer(disk)
    this.#points = points
    this.#syncLevel = syncLevel
  }

  /** What is on the disk now; read anew only after something changed. */
  get view(): StoreView {
    return this.#viewer.view
  }

  /** Something changes; all of it by default, as when it goes past `Files`. */
  changed(part?: Part): void {
    this.#viewer.forget(part)
  }

  /** Those of the chunks that are not there, for somebody who looks past `Files`. */
  absentAmong(digests: ReadonlyArray<string>): Effect.Effect<ReadonlyArray<string>, never, Simulation> {
    return Effect.flatMap(Simulation, (simulation) => {
      const absent = digests.filter((digest) => (this.view.chunks.get(digest) ?? "empty") === "empty")
      this.#touch(
        simulation,
        digests.flatMap((digest) => readsNode(pathOfDigest(digest)))
      )
      return Effect.as(
        simulation.learns(() => absent.join(" ")),
        absent
      )
    })
  }

  /** All that processes share, and what this world remembers of them. */
  get shared(): string {
    const remembered = [this.acknowledged, [...this.givenUp].toSorted(), this.fault]
    return `${textOfDisk(this.disk, this.locks)}\n${JSON.stringify(remembered)}`
  }

  /** Runs work as a process with the store open; what it answers is nobody's business. */
  readonly process =
    (name: string) =>
    <E>(work: StoreEffect<unknown, E>): Effect.Effect<Option.Option<void>, E | Error, Simulation> =>
      this.inside(name)(work).pipe(Effect.asVoid, inProcess(name))

  /** Runs work with the store open, inside of a process that the caller has begun. */
  readonly inside =
    (name: string) =>
    <A, E>(work: StoreEffect<A, E>): Effect.Effect<A, E | Error, Simulation> =>
      Effect.scoped(
        Effect.flatMap(Simulation, (simulation) => {
          simulation.touches([])
          return this.#open(name, simulation)(work)
        })
      )

  #touch(simulation: Simulation["Service"], touches: ReadonlyArray<Touch>): void {
    const prefix = this.#prefix
    simulation.touches(
      prefix === "" ? touches : touches.map((touch) => ({ ...touch, thing: `${prefix}${touch.thing}` }))
    )
  }

  #open(name: string, simulation: Simulation["Service"]) {
    const mutation = mutationFor(this.mutation, name)
    const park = (label: string): Effect.Effect<void> =>
      Effect.map(simulation.point(`${this.#prefix}${shortLabel(label)}`), () => this.changed())
    const point = (label: string, step: number): Effect.Effect<void> => {
      const part = partOf(label)
      const locks = lockTouches(label)
      const happens = (): void => {
        if (locks.length > 0) this.#touch(simulation, locks)
        if (part !== undefined) this.changed(part)
      }
      if (this.#points(label, step)) {
        return Effect.map(simulation.point(`${this.#prefix}${shortLabel(label)}`), happens)
      }
      happens()
      return Effect.void
    }
    const platform = MemoryPlatform.layer({ disk: this.disk, locks: this.locks, process: name, point })
    const machine = this.#machine(platform, mutation.files ?? ((files) => files), { park, simulation })
    const store = Layer.fresh(Datastore.layer({ path: basePath, syncLevel: this.#syncLevel }))
    const around = mutation.around ?? ((work) => work)
    const change = mutation.datastore ?? ((opened) => opened)
    return <A, E>(work: StoreEffect<A, E>) =>
      around(
        Effect.updateService(work, Datastore.Datastore, change).pipe(
          Effect.provide(Layer.provideMerge(store, machine))
        )
      ).pipe(Effect.provideService(StoreLocks.Maker, makeTellingLocks))
  }

  /** The files as the mutation has them, which tell what they touch. */
  #machine(
    platform: ReturnType<typeof MemoryPlatform.layer>,
    change: NonNullable<Mutation["files"]>,
    { park, simulation }: { readonly park: Park; readonly simulation: Simulation["Service"] }
  ): ReturnType<typeof MemoryPlatform.layer> {
    const { disk } = this
    const isFolder = (path: string): boolean => disk.stat(path).kind === "directory"
    const files = Layer.effect(
      Files,
      Effect.map(Files, (service) =>
        touchingFiles(
          knowableFiles(change(service, { disk, point: park }), disk, simulation.learns),
          isFolder,
          (touches, exit) => {
            this.#touch(simulation, touches)
            return simulation.learns(() => textOfExit(exit))
          }
        )
      )
    )
    const locks = Layer.effect(
      FileLocks,
      Effect.map(FileLocks, (service) => learningLocks(service, simulation.learns))
    )
    return Layer.fresh(ChunkCodec.layerInline).pipe(
      Layer.provideMerge(Layer.merge(files, locks)),
      Layer.provideMerge(platform)
    )
  }

  /** Gives back what the dead held, and takes what was not flushed. */
  readonly onCrash =
    (power: Power, choose: (count: number) => number) =>
    (crash: Crash): void => {
      this.changed()
      if (crash.kind === "process") return this.locks.releaseProcess(crash.process)
      this.locks.releaseAll()
      if (power === "worst") this.disk.losePower(loseAll)
      if (power === "chosen") this.disk.losePower(choose)
      if (power === "kept") this.disk.losePower(chooseFrom([]))
    }
}
