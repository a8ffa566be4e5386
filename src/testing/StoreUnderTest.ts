/**
 * StoreUnderTest: one small datastore over somebody's own `Files`, and the processes that work on it, for
 * `StoreScenarios`. Everything is done through the ports: nothing here knows what the storage is.
 *
 * Invariant: what is done to prepare the store, and to look at it afterwards, passes no point; what a process does
 * passes one before each operation of `Files` and of the locks. A process has nothing in memory from the one before.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as path from "node:path"
import * as Datastore from "../datastore/Datastore.ts"
import type * as Snapshot from "../model/Snapshot.ts"
import * as ChunkCodec from "../platform/ChunkCodec.ts"
import { digestOf } from "../platform/chunkContent.ts"
import { Entropy } from "../platform/Entropy.ts"
import { FileLocks } from "../platform/FileLocks.ts"
import { Files, FilesError } from "../platform/Files.ts"
import { Host } from "../platform/Host.ts"
import { layoutOf } from "../store/StoreLayout.ts"
import { instrumentLayer, type InstrumentOptions } from "./Instrument.ts"
import { MemoryDisk } from "./MemoryDisk.ts"
import * as MemoryFileLocks from "./MemoryFileLocks.ts"
import { type Crash, inProcess, type Simulation } from "./Simulation.ts"

/** What is put through a scenario: made anew for each run, empty. */
export interface Backend {
  /**
   * The files as one process has them. Asked once for each process, so what the layer holds is that process's memory;
   * what all of them share, the storage itself, is made outside of it.
   */
  readonly files: (process: string) => Layer.Layer<Files, unknown, Simulation>
  /** Default: locks in memory, which go with the process that held them. */
  readonly locks?: (process: string) => Layer.Layer<FileLocks, unknown, Simulation>
  /** What works on chunks, over these files. Default: the fiber that asks. */
  readonly codec?: Layer.Layer<ChunkCodec.ChunkCodec, unknown, Files>
  /** A process or everything died: gives back its locks (if they are yours), loses what was not flushed. */
  readonly onCrash?: (crash: Crash) => void
  /** A cheap fingerprint of what is stored, to count distinct states by. */
  readonly state?: () => string | number
  /** The folder of the store; the one around it must exist. Default `/store`. */
  readonly base?: string
}

/** What work in a process may ask for. */
export type StoreServices = Datastore.Datastore | Files | Scope.Scope | Simulation

export type StoreWork<A = unknown, E = unknown> = Effect.Effect<A, E, StoreServices>

const pathOf = (args: ReadonlyArray<unknown>): string =>
  args.find((argument): argument is string => typeof argument === "string") ?? ""

const failed = (operation: string, args: ReadonlyArray<unknown>): FilesError =>
  new FilesError({ operation, path: pathOf(args), reason: "Io", code: "EIO" })

const filesPoints: InstrumentOptions = {
  fail: failed,
  handles: ["openRead"],
  except: ["temporaryName", "statFileSystem"]
}

/** Giving a lock back cannot fail. */
const locksPoints: InstrumentOptions = {
  fail: (operation, args) => (operation === "openRanges.unlock" ? undefined : failed(operation, args)),
  handles: ["openRanges"]
}

const makeLockTable = (base: string): MemoryFileLocks.MemoryLockTable => {
  const disk = new MemoryDisk()
  const parts = path.resolve(base).split("/").slice(1)
  for (let count = 1; count <= parts.length; count++) {
    disk.makeDirectory(`/${parts.slice(0, count).join("/")}`, 0o755, 0)
  }
  return new MemoryFileLocks.MemoryLockTable(disk)
}

export class StoreUnderTest {
  readonly base: string
  readonly state: Backend["state"]
  /** Snapshots whose backup said that it was done. */
  readonly acknowledged: Array<Snapshot.Snapshot> = []
  /** Snapshots that somebody set out to remove. */
  readonly givenUp: Array<Snapshot.Snapshot> = []
  readonly #backend: Backend
  readonly #locks: NonNullable<Backend["locks"]>
  /** Those of the default locks. */
  readonly #table: MemoryFileLocks.MemoryLockTable
  readonly #failures: Array<Exit.Exit<unknown, unknown>> = []
  #entropyCount = 0
  #powerLosses = 0

  constructor(backend: Backend) {
    this.#backend = backend
    this.base = path.resolve(backend.base ?? "/store")
    this.state = backend.state
    const table = makeLockTable(this.base)
    this.#table = table
    this.#locks = backend.locks ?? ((process) => MemoryFileLocks.layer(table, { process }))
  }

  /** Makes the store, with folders for chunks of these contents only: all 65,536 of them would take too long. */
  create(contents: ReadonlyArray<string>): Effect.Effect<void, FilesError, Simulation> {
    const layout = layoutOf(this.base)
    const prefixes = new Set(contents.map((content) => digestOf(Buffer.from(content), undefined).slice(0, 4)))
    return Effect.gen(function* () {
      const files = yield* Files
      yield* files.makeDirectory(layout.base, 0o755)
      yield* files.makeDirectory(layout.chunks, 0o750)
      yield* files.makeDirectories(layout.chunks, [...prefixes], 0o750)
      yield* files.createFile(layout.processLock, new Uint8Array(0))
      yield* files.syncFileSystem(layout.base)
    }).pipe(Effect.provide(this.#machine("setup", false)))
  }

  /** Runs work with the store open, at one go. */
  alone<A, E>(work: StoreWork<A, E>): Effect.Effect<A, unknown, Simulation> {
    return this.#open("alone", false)(work)
  }

  /** Runs work with the store open, as a process that is explored. How it ended tells `ended`. */
  process(name: string, work: StoreWork): Effect.Effect<void, never, Simulation> {
    return Effect.map(Effect.exit(inProcess(name)(this.#open(name, true)(work))), (exit) => {
      if (Exit.isFailure(exit)) this.#failures.push(exit)
    })
  }

  /** Fails like the first process that failed; one that was killed has not. */
  readonly ended: Effect.Effect<unknown, unknown> = Effect.suspend(() => this.#failures[0] ?? Effect.void)

  readonly onCrash = (crash: Crash): void => {
    if (crash.kind === "process") this.#table.releaseProcess(crash.process)
    else {
      this.#powerLosses += 1
      this.#table.releaseAll()
    }
    this.#backend.onCrash?.(crash)
  }

  /** Fresh all over: two processes share nothing but what the backend has made outside of its layers. */
  #machine(process: string, isExplored: boolean) {
    const backendFiles = Layer.orDie(Layer.fresh(this.#backend.files(process)))
    const backendLocks = Layer.orDie(Layer.fresh(this.#locks(process)))
    const files = isExplored ? backendFiles.pipe(instrumentLayer(Files, filesPoints)) : backendFiles
    const locks = isExplored ? backendLocks.pipe(instrumentLayer(FileLocks, locksPoints)) : backendLocks
    const codec = Layer.orDie(Layer.fresh(this.#backend.codec ?? ChunkCodec.layerInline))
    const host = {
      nodeName: "memory",
      bootId: `boot ${this.#powerLosses}`,
      pid: 1,
      processStart: 1,
      userName: process
    }
    return Layer.provideMerge(
      codec,
      Layer.mergeAll(files, locks, Layer.succeed(Entropy, this.#entropy), Layer.succeed(Host, host))
    )
  }

  /** The same in every run, and no two the same within one. */
  readonly #entropy = (countBytes: number): Uint8Array => {
    const bytes = Buffer.alloc(countBytes)
    bytes.writeUIntLE(++this.#entropyCount, 0, Math.min(countBytes, 4))
    return bytes
  }

  #open(process: string, isExplored: boolean) {
    const store = Layer.fresh(Datastore.layer({ path: this.base }))
    const layer = Layer.provideMerge(store, this.#machine(process, isExplored))
    return <A, E>(work: StoreWork<A, E>): Effect.Effect<A, unknown, Simulation> =>
      Effect.provide(Effect.scoped(work), layer)
  }
}
