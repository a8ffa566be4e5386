/** RemoteBackupAction: what `granary backup` does when the repository is on a server. Loaded only then. */
import * as Effect from "effect/Effect"
import * as Backup from "../backup/Backup.ts"
import * as KnownChunks from "../backup/KnownChunks.ts"
import type { SourceError } from "../backup/ByteSource.ts"
import * as RemoteAddress from "../remote/RemoteAddress.ts"
import * as RemoteBackup from "../remote/RemoteBackup.ts"
import { UsageError } from "./Failure.ts"
import { openRemote } from "./RemoteConnection.ts"
import { machineFor } from "./Repository.ts"

const notOnServers = (address: RemoteAddress.RemoteAddress, what: string, why: string): UsageError =>
  new UsageError({
    detail: `${what} is not for ${RemoteAddress.format(address)}: ${why}`,
    hint: "leave it out"
  })

/** Runs the backup. The group belongs to whom the address names. */
export const run = (
  address: RemoteAddress.RemoteAddress,
  options: Backup.BackupOptions<SourceError>,
  isPlan: boolean
) =>
  Effect.gen(function* () {
    if (isPlan) {
      return yield* notOnServers(address, "--plan", "a server does not tell which chunks it has")
    }
    if ((options.knownChunks ?? KnownChunks.defaultCheck) !== KnownChunks.defaultCheck) {
      return yield* notOnServers(address, "--known-chunks", "the server proves them by its own rules")
    }
    const remote = yield* openRemote(address)
    return yield* Backup.runIn(RemoteBackup.open(remote, options), options)
  }).pipe(Effect.scoped, Effect.provide(machineFor({}, { startsEarly: true })))
