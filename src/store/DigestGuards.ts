/**
 * One guard per digest: insert, touch, replace, condemn and delete of one chunk exclude each other, across the
 * fibers of this process (a semaphore per digest in use) and across processes (a byte of `.granary.lock`, at an
 * offset taken from 52 bits of the digest).
 *
 * Invariants: a guard is held for short file operations only, and in a bucket's datastore during the request that says
 * or changes whether the chunk's object exists; never while a chunk is compressed, and never two at once by one who
 * would wait for the second (who takes many takes those that are free). Waiting is a fiber's business and blocks no
 * thread; two digests that share an offset share their guard.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Digest } from "../model/Digest.ts"
import { FileLocks, type RangeTable } from "../platform/FileLocks.ts"
import type { FilesError } from "../platform/Files.ts"
import type { StoreLayout } from "./StoreLayout.ts"

export class DigestGuards extends Context.Service<
  DigestGuards,
  {
    /** Runs `effect` while no other fiber or process works on the digest. */
    readonly guard: (
      digest: Digest
    ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | FilesError, R>
    /**
     * Runs `use` with those of the digests that nobody works on, while nobody else does. Never waits: the others are
     * left out.
     */
    readonly guardFree: <A, E, R>(
      digests: ReadonlyArray<Digest>,
      use: (free: ReadonlyArray<Digest>) => Effect.Effect<A, E, R>
    ) => Effect.Effect<A, E | FilesError, R>
  }
>()("granary/store/DigestGuards") {}

const hexDigitsOf52Bits = 13

const offsetOf = (digest: Digest): number => Number.parseInt(digest.slice(0, hexDigitsOf52Bits), 16)

/** Guards are held for well under a millisecond, so the first tries come quickly. */
const firstDelayMillis = 1
const delayMaxMillis = 50

interface Entry {
  readonly semaphore: Semaphore.Semaphore
  users: number
}

export const make = (
  layout: StoreLayout
): Effect.Effect<DigestGuards["Service"], never, FileLocks | Scope.Scope> =>
  Effect.gen(function* () {
    const fileLocks = yield* FileLocks
    const scope = yield* Effect.scope
    // Opened by the first guard: who only reads a store, perhaps a read-only one, needs no lock file.
    // A failure is not kept: the disk may have room again, or the process descriptors, when the next guard comes.
    const open = yield* Effect.cachedWithTTL(
      Scope.provide(fileLocks.openRanges(layout.granaryLock), scope),
      (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
    )
    const entries = new Map<number, Entry>()

    const enter = (offset: number) =>
      Effect.sync(() => {
        const entry = entries.get(offset) ?? { semaphore: Semaphore.makeUnsafe(1), users: 0 }
        entry.users += 1
        entries.set(offset, entry)
        return entry
      })

    const leave = (offset: number, entry: Entry) =>
      Effect.sync(() => {
        entry.users -= 1
        if (entry.users === 0) entries.delete(offset)
      })

    /** Runs uninterruptibly but for its pauses, so that a lock once taken is always given back. */
    const lock = (table: RangeTable, offset: number) =>
      Effect.gen(function* () {
        let delayMillis = firstDelayMillis
        while (!(yield* table.tryLock(offset))) {
          yield* Effect.interruptible(Effect.sleep(delayMillis))
          delayMillis = Math.min(delayMillis * 2, delayMaxMillis)
        }
      })

    /** Who comes for it meanwhile waits for the semaphore. */
    const takeFree = (table: RangeTable, held: Map<number, Entry>, offset: number) =>
      Effect.gen(function* () {
        if (entries.has(offset)) return
        const entry = yield* enter(offset)
        yield* entry.semaphore.take(1)
        const isLocked = yield* Effect.onError(table.tryLock(offset), () => giveBack(offset, entry))
        if (isLocked) held.set(offset, entry)
        else yield* giveBack(offset, entry)
      }).pipe(Effect.uninterruptible)

    const giveBack = (offset: number, entry: Entry) =>
      Effect.andThen(entry.semaphore.release(1), leave(offset, entry))

    const guardFree: DigestGuards["Service"]["guardFree"] = (digests, use) =>
      Effect.flatMap(open, (table) =>
        Effect.acquireUseRelease(
          Effect.sync(() => new Map<number, Entry>()),
          (held) =>
            Effect.gen(function* () {
              for (const offset of new Set(digests.map(offsetOf))) yield* takeFree(table, held, offset)
              return yield* use(digests.filter((digest) => held.has(offsetOf(digest))))
            }),
          (held) =>
            Effect.forEach(
              held,
              ([offset, entry]) => Effect.andThen(table.unlock(offset), giveBack(offset, entry)),
              { discard: true }
            )
        )
      )

    return DigestGuards.of({
      guardFree,
      guard: (digest) => (effect) => {
        const offset = offsetOf(digest)
        return Effect.acquireUseRelease(
          enter(offset),
          (entry) =>
            entry.semaphore.withPermit(
              Effect.flatMap(open, (table) =>
                Effect.acquireUseRelease(
                  lock(table, offset),
                  () => effect,
                  () => table.unlock(offset)
                )
              )
            ),
          (entry) => leave(offset, entry)
        )
      }
    })
  })

export const layer = (layout: StoreLayout): Layer.Layer<DigestGuards, never, FileLocks> =>
  Layer.effect(DigestGuards, make(layout))

/** Makes the guards of a store. Only a laboratory that proves they are needed puts another one here. */
export const Maker = Context.Reference<
  (layout: StoreLayout) => Effect.Effect<DigestGuards["Service"], never, FileLocks | Scope.Scope>
>("granary/store/DigestGuards/Maker", { defaultValue: () => make })
