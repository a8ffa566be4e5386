/**
 * fileLock: the lock under which a file of the configuration folder is changed, between processes and within one. Who
 * holds it holds it for some milliseconds, so that who waits gives up after ten seconds, as Proxmox Backup Server does.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { FileLocks } from "../platform/FileLocks.ts"
import type { FilesError } from "../platform/Files.ts"
import { ConfigError } from "./ConfigError.ts"

const firstDelayMillis = 1
const delayMaxMillis = 50
const waitMaxMillis = 10_000

/** Holds the lock file until the scope closes; `subject` is what it stands for. */
export const holdSoon = (
  lockPath: string,
  subject: string
): Effect.Effect<void, FilesError | ConfigError, FileLocks | Scope.Scope> =>
  Effect.gen(function* () {
    const locks = yield* FileLocks
    const startMillis = yield* Clock.currentTimeMillis
    let delayMillis = firstDelayMillis
    while (!(yield* locks.tryLock(lockPath, { offset: 0, length: 1 }, "exclusive"))) {
      if ((yield* Clock.currentTimeMillis) - startMillis > waitMaxMillis) {
        const detail = "another program has been changing it for more than 10 seconds"
        return yield* new ConfigError({ subject, detail, hint: "try again later" })
      }
      yield* Effect.sleep(delayMillis)
      delayMillis = Math.min(delayMillis * 2, delayMaxMillis)
    }
  })
