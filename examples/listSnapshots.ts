/**
 * Lists the snapshots of a datastore as a stream: manifests are read while the listing runs, a few at a time,
 * so it costs the same memory for ten snapshots as for a hundred thousand.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"
import * as Backup from "granary/backup/Backup"
import * as ArchiveName from "granary/model/ArchiveName"
import * as AuthId from "granary/model/AuthId"
import * as BackupGroup from "granary/model/BackupGroup"
import * as Namespace from "granary/model/Namespace"
import * as Snapshot from "granary/model/Snapshot"
import * as Listing from "granary/restore/Listing"
import { temporaryDatastore } from "./support/sandbox.ts"

const backUpNotes = (host: string, day: number) =>
  Backup.run({
    namespace: Namespace.root,
    group: BackupGroup.make("host", host),
    time: Date.UTC(2026, 10, day) / 1000,
    owner: AuthId.parse("root@pam"),
    archives: [
      {
        kind: "blob",
        archive: ArchiveName.fromClient("notes.conf"),
        content: Effect.succeed(Buffer.from(`what ${host} had to say on day ${day}`))
      }
    ]
  })

const line = ({ snapshot, state, sizeBytes, owner }: Listing.SnapshotInfo) =>
  `${Snapshot.format(snapshot)}  ${state}  ${sizeBytes ?? "?"} bytes  ${owner ?? "nobody"}`

const program = Effect.gen(function* () {
  for (const day of [1, 2, 3]) {
    yield* backUpNotes("laptop", day)
    yield* backUpNotes("server", day)
  }
  yield* Listing.snapshots(Namespace.root).pipe(
    Stream.filter(({ snapshot }) => snapshot.time >= Date.UTC(2026, 10, 2) / 1000),
    Stream.map(line),
    Stream.runForEach(Console.log)
  )
})

program.pipe(Effect.provide(temporaryDatastore), NodeRuntime.runMain)
