/** A cache folder in memory, and processes on it that store, use, and crash in the middle. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { createHash } from "node:crypto"
import * as Digest from "../../../src/model/Digest.ts"
import { Files } from "../../../src/platform/Files.ts"
import * as CacheCount from "../../../src/store/bucket/CacheCount.ts"
import * as ChunkCache from "../../../src/store/bucket/ChunkCache.ts"
import * as DigestGuards from "../../../src/store/DigestGuards.ts"
import { chunkPath, layoutOf } from "../../../src/store/StoreLayout.ts"
import { MemoryDisk } from "../../../src/testing/MemoryDisk.ts"
import { MemoryLockTable } from "../../../src/testing/MemoryFileLocks.ts"
import * as MemoryPlatform from "../../../src/testing/MemoryPlatform.ts"

export const layout = layoutOf("/cache")

const folderCount = 8

/** Digests are spread over few folders, so that a memory disk needs no more. */
export const digestOf = (number: number): Digest.Digest => {
  const hex = createHash("sha256").update(`chunk ${number}`).digest("hex")
  const folder = (Number.parseInt(hex.slice(0, 2), 16) % folderCount).toString(16).padStart(4, "0")
  return Digest.parse(folder + hex.slice(4))
}

export const pathOf = (number: number): string => chunkPath(layout, digestOf(number))

export interface Scene {
  readonly disk: MemoryDisk
  readonly locks: MemoryLockTable
}

export const newScene = (): Scene => {
  const disk = new MemoryDisk()
  disk.makeDirectory(layout.base, 0o755, 0)
  disk.makeDirectory(layout.chunks, 0o755, 0)
  for (let folder = 0; folder < folderCount; folder++) {
    disk.makeDirectory(`${layout.chunks}/${folder.toString(16).padStart(4, "0")}`, 0o750, 0)
  }
  return { disk, locks: new MemoryLockTable(disk) }
}

/** What is in the folder: size by digest, markers included. */
export const contents = ({ disk }: Scene): ReadonlyMap<string, number> => {
  const found = new Map<string, number>()
  for (const [folder] of disk.list(layout.chunks, 0)) {
    for (const [name, inode] of disk.list(`${layout.chunks}/${folder}`, 0)) {
      if (Digest.isDigest(name)) found.set(name, inode.content.length)
    }
  }
  return found
}

export const contentBytes = (scene: Scene): number =>
  [...contents(scene).values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0)

/** Which of the numbered chunks have content. */
export const kept = (scene: Scene, numbers: Iterable<number>): ReadonlyArray<number> => {
  const found = contents(scene)
  return [...numbers].filter((number) => (found.get(digestOf(number)) ?? 0) > 0)
}

export const range = (from: number, end: number): ReadonlyArray<number> =>
  Array.from({ length: end - from }, (_, index) => from + index)

export interface CacheProcess {
  readonly cache: ChunkCache.ChunkCache
  readonly guards: DigestGuards.DigestGuards["Service"]
  readonly files: Files["Service"]
  /** As a reader that fetched it: content when there is room, else a marker. */
  readonly store: (number: number, sizeBytes: number) => Effect.Effect<void>
  /** As a reader that found it there; false when it is not. */
  readonly use: (number: number) => Effect.Effect<boolean>
  /** Ends in an orderly way. */
  readonly end: Effect.Effect<void>
  /** Stops at the next system call but `calls`, for ever: nothing is cleaned up. Without `calls` it is dead at once. */
  readonly crash: (calls?: number) => Effect.Effect<void>
  /** Ends when it has crashed. */
  readonly crashed: Effect.Effect<void>
}

/** Starts a process on the folder, with a count as `init` leaves it unless the file is there. */
export const startProcess = (
  { disk, locks }: Scene,
  maxBytes: number,
  name = "one"
): Effect.Effect<CacheProcess> =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    let callsLeft = Number.POSITIVE_INFINITY
    const death = yield* Deferred.make<void>()
    const die = Effect.suspend(() => {
      if (!Deferred.isDoneUnsafe(death)) locks.releaseProcess(name)
      return Effect.andThen(Deferred.succeed(death, undefined), Effect.never)
    })
    const point = () => Effect.suspend(() => (callsLeft-- > 0 ? Effect.void : die))
    const platform = MemoryPlatform.layer({ disk, locks, process: name, point })
    const context = yield* Layer.buildWithScope(Layer.fresh(platform), scope)
    const [files, guards, cache] = yield* Effect.gen(function* () {
      const madeGuards = yield* DigestGuards.make(layout)
      const made = yield* ChunkCache.make(layout, madeGuards, { maxBytes })
      return [yield* Files, madeGuards, made] as const
    }).pipe(Effect.provide(context), Scope.provide(scope))

    const store = (number: number, sizeBytes: number) =>
      Effect.gen(function* () {
        const keeps = cache.keepsContent
        const content = keeps ? [new Uint8Array(sizeBytes).fill(1)] : []
        yield* guards.guard(digestOf(number))(files.replaceFile(pathOf(number), content))
        if (keeps) yield* cache.added(sizeBytes)
      }).pipe(Effect.orDie)

    const use = (number: number) =>
      Effect.gen(function* () {
        const stat = yield* Effect.option(files.stat(pathOf(number)))
        if (stat._tag === "None" || stat.value.sizeBytes === 0) return false
        yield* cache.used(digestOf(number), stat.value)
        return true
      })

    return {
      cache,
      guards,
      files,
      store,
      use,
      end: Scope.close(scope, Exit.void),
      crash: (calls) =>
        Effect.sync(() => {
          callsLeft = calls ?? 0
          if (calls === undefined) locks.releaseProcess(name)
        }),
      crashed: Deferred.await(death)
    }
  })

/** What the file of the count says. */
export const countedBytes = (process: CacheProcess): Effect.Effect<number | undefined> =>
  Effect.map(Effect.orDie(CacheCount.read(process.files, layout)), (count) => count?.bytes)

export const chunkBytes = 1000

/** Stores chunks one a second, as a restore that fetches them. */
export const scan = (process: CacheProcess, numbers: ReadonlyArray<number>) =>
  Effect.forEach(
    numbers,
    (number) => Effect.andThen(process.store(number, chunkBytes), TestClock.adjust("1 second")),
    { discard: true }
  )
