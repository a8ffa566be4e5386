/**
 * FileLocks: advisory locks between processes (and between holders of one process).
 *
 * Obligations of every implementation:
 * - A lock covers the bytes [offset, offset + length) of one file; the file is created (0644) when missing and never
 *   removed. Shared locks exclude exclusive ones; exclusive locks exclude all. Other ranges are independent.
 * - `tryLock` never waits. It answers false when another holder conflicts, wherever that holder lives: another process,
 *   or another call of this process. The lock is released when the scope closes, and when the process dies.
 * - Locks conflict with POSIX record locks (`fcntl`) of foreign programs on the same bytes: that is how Proxmox Backup
 *   Server locks its stores.
 * - On a read-only file system a shared lock succeeds without locking: nobody can write there.
 * - `openRanges` hands out a table for very many short exclusive locks of one byte each. Inside one process its users
 *   exclude each other by other means first; the table excludes other processes only.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { FilesError } from "./Files.ts"

export type LockMode = "shared" | "exclusive"

export interface LockRange {
  readonly offset: number
  readonly length: number
}

export interface RangeTable {
  readonly tryLock: (offset: number) => Effect.Effect<boolean, FilesError>
  readonly unlock: (offset: number) => Effect.Effect<void>
}

export class FileLocks extends Context.Service<
  FileLocks,
  {
    readonly tryLock: (
      path: string,
      range: LockRange,
      mode: LockMode
    ) => Effect.Effect<boolean, FilesError, Scope.Scope>
    readonly openRanges: (path: string) => Effect.Effect<RangeTable, FilesError, Scope.Scope>
  }
>()("granary/platform/FileLocks") {}
