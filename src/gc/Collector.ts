/**
 * Collector: the right to collect garbage in a store, which one process has at a time, and the note of who has it.
 *
 * The right is a lock, and so is what keeps Proxmox Backup Server's processes out; a crash gives both back. The note
 * in `.granary-gc` is only believed while the lock is taken. It stays behind, and serves the next collection to try
 * out what the file system does with times (see `TimeCheck`).
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Datastore } from "../datastore/Datastore.ts"
import * as BackupTime from "../model/BackupTime.ts"
import { Files, type FilesError } from "../platform/Files.ts"
import { Host } from "../platform/Host.ts"
import { storeError, type StoreError } from "../store/StoreError.ts"

const lockName = "garbage collection"
const noteMaxBytes = 64 * 1024

const describeRunner = (text: string): string => {
  try {
    const { host, pid, start, upid } = JSON.parse(text) as Record<string, unknown>
    if (typeof pid !== "number" || typeof host !== "string" || typeof start !== "number") return ""
    return `: process ${pid} on ${host}, since ${BackupTime.format(start)}, task ${String(upid)}`
  } catch {
    return ""
  }
}

/** Holds the right until the scope closes; fails with `Busy`, naming who has it. */
export const hold = (
  datastore: Datastore["Service"]
): Effect.Effect<void, FilesError | StoreError, Files | Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* Files
    const { layout, locks } = datastore
    if (!(yield* locks.tryHold(lockName, "exclusive"))) {
      const runner = yield* files.readFile(layout.collector, noteMaxBytes).pipe(
        Effect.map((bytes) => describeRunner(Buffer.from(bytes).toString())),
        Effect.catch(() => Effect.succeed(""))
      )
      return yield* storeError(
        "Busy",
        layout.base,
        `a garbage collection is running on this datastore already${runner}`
      )
    }
    yield* locks.holdAsCollector
  })

/**
 * Notes who collects. Answers by how many seconds the file system's clock is behind ours; negative when it is ahead.
 */
export const note = (
  datastore: Datastore["Service"],
  upid: string
): Effect.Effect<number, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const { nodeName, pid, processStart } = yield* Host
    const start = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const text = JSON.stringify({ host: nodeName, pid, "process-start": processStart, start, upid })
    yield* files.replaceFile(datastore.layout.collector, [Buffer.from(text)])
    const { mtimeSeconds } = yield* files.stat(datastore.layout.collector)
    return start - mtimeSeconds
  })
