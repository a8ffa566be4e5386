/**
 * A backup program: backs up a directory (the first argument, or this library's source) as `root.pxar`, twice, and
 * watches the progress as a stream of events. The second time everything is known already.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"
import * as Backup from "granary/backup/Backup"
import * as ArchiveName from "granary/model/ArchiveName"
import * as AuthId from "granary/model/AuthId"
import * as BackupGroup from "granary/model/BackupGroup"
import * as Namespace from "granary/model/Namespace"
import * as Snapshot from "granary/model/Snapshot"
import * as Progress from "granary/platform/Progress"
import { source, temporaryDatastore } from "./support/sandbox.ts"

const backup = Backup.run({
  namespace: Namespace.root,
  group: BackupGroup.make("host", "laptop"),
  owner: AuthId.parse("root@pam"),
  archives: [
    { kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: process.argv[2] ?? source }
  ],
  excludes: ["*.tmp"]
})

const summarize = ({ snapshot, statistics, entries }: Backup.BackupSummary) =>
  Console.log(
    `${Snapshot.format(snapshot)}: ${entries.files} files, ${statistics.newBytes} bytes new, ` +
      `${statistics.reusedBytes} reused, ${statistics.storedBytes} stored`
  )

const show = (event: Progress.ProgressEvent) =>
  event.type === "warning"
    ? Console.warn(`${event.subject}: ${event.message}`)
    : Console.log(`  ${event.state} ${event.subject}: ${event.done} ${event.unit}`)

const watched = backup.pipe(Effect.tap(summarize), Progress.stream, Stream.runForEach(show))

watched.pipe(Effect.andThen(watched), Effect.provide(temporaryDatastore), NodeRuntime.runMain)
