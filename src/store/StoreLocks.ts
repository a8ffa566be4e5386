/**
 * Locks on the named things of one store: groups, snapshots, manifests, and the store as a whole.
 *
 * Group, snapshot and manifest locks are byte ranges of `.granary.lock`, at an offset taken from the name's hash: no
 * file for each, nothing to clean up, and a crash releases them. A collision of two names merely makes one of them look
 * busy for a moment.
 *
 * The process lock follows the design: our writers share byte 1 of `.lock`, our garbage collection takes byte 0.
 * Proxmox Backup Server locks the whole file, so its collector and our writers exclude each other, while ours do not.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import type { FilesError } from "../platform/Files.ts"
import { FileLocks, type LockMode, type LockRange } from "../platform/FileLocks.ts"
import { storeError, type StoreError } from "./StoreError.ts"
import type { StoreLayout } from "./StoreLayout.ts"

/** Digest guards use the offsets below this one. */
export const namedOffsetStart = 2 ** 52

const namedOffset = (name: string): number =>
  namedOffsetStart + Math.floor(Number.parseInt(hash("sha256", name, "hex").slice(0, 13), 16) / 2)

const collectorByte = { offset: 0, length: 1 }
const writerByte = { offset: 1, length: 1 }
const bothBytes = { offset: 0, length: 2 }

/** Manifest updates are short: a waiting one gives up after about five seconds, as Proxmox Backup Server's do. */
const briefWait = Schedule.max([Schedule.spaced("20 millis"), Schedule.recurs(250)])

export class StoreLocks extends Context.Service<
  StoreLocks,
  {
    /** Holds `name` until the scope closes; fails at once with `Busy` when another holder conflicts. */
    readonly hold: (name: string, mode: LockMode) => Effect.Effect<void, FilesError | StoreError, Scope.Scope>
    /** Like `hold`, but answers whether it was free. */
    readonly tryHold: (name: string, mode: LockMode) => Effect.Effect<boolean, FilesError, Scope.Scope>
    /** Like `hold`, but waits up to five seconds. */
    readonly holdSoon: (
      name: string,
      mode: LockMode
    ) => Effect.Effect<void, FilesError | StoreError, Scope.Scope>
    /** Marks this process as a writer of the store until the scope closes. */
    readonly holdAsWriter: Effect.Effect<void, FilesError | StoreError, Scope.Scope>
    /**
     * Keeps Proxmox Backup Server's processes out until the scope closes, but not our own writers. Fails with `Busy`
     * while one of them has the store, or another garbage collection.
     */
    readonly holdAsCollector: Effect.Effect<void, FilesError | StoreError, Scope.Scope>
    /**
     * Keeps everybody out who writes or collects garbage here, of our own processes and of Proxmox Backup Server's,
     * until the scope closes. Fails with `Busy` while one of them is at work.
     */
    readonly holdAlone: Effect.Effect<void, FilesError | StoreError, Scope.Scope>
  }
>()("granary/store/StoreLocks") {}

export const make = (layout: StoreLayout): Effect.Effect<StoreLocks["Service"], never, FileLocks> =>
  Effect.map(FileLocks, (fileLocks) => {
    const tryHold = (name: string, mode: LockMode) =>
      fileLocks.tryLock(layout.granaryLock, { offset: namedOffset(name), length: 1 }, mode)

    const hold = (name: string, mode: LockMode) =>
      Effect.flatMap(tryHold(name, mode), (held) =>
        held ? Effect.void : Effect.fail(storeError("Busy", name, "another operation is working on it"))
      )

    const holdProcess = (range: LockRange, mode: LockMode, detail: string) =>
      Effect.flatMap(fileLocks.tryLock(layout.processLock, range, mode), (held) =>
        held ? Effect.void : Effect.fail(storeError("Busy", layout.base, detail))
      )

    return StoreLocks.of({
      hold,
      tryHold,
      holdSoon: (name, mode) =>
        hold(name, mode).pipe(
          Effect.retry({ schedule: briefWait, while: (error) => error._tag === "StoreError" })
        ),
      holdAsWriter: holdProcess(
        writerByte,
        "shared",
        "a refresh from the bucket, or a Proxmox Backup Server process, has locked the whole datastore"
      ),
      holdAsCollector: holdProcess(
        collectorByte,
        "exclusive",
        "a Proxmox Backup Server process works on this datastore (a backup, a sync or its garbage collection)"
      ),
      holdAlone: holdProcess(
        bothBytes,
        "exclusive",
        "a backup or a garbage collection works on this datastore"
      )
    })
  })

export const layer = (layout: StoreLayout): Layer.Layer<StoreLocks, never, FileLocks> =>
  Layer.effect(StoreLocks, make(layout))

/** Makes the locks of a store. Only a laboratory that proves they are needed puts another one here. */
export const Maker = Context.Reference<
  (layout: StoreLayout) => Effect.Effect<StoreLocks["Service"], never, FileLocks>
>("granary/store/StoreLocks/Maker", { defaultValue: () => make })
