/**
 * Restores one file out of a snapshot: its archive is opened, the path looked up, and the content streamed to
 * where it is wanted. Only the chunks that hold the directory entries on the way and the file itself are read.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeSink from "@effect/platform-node/NodeSink"
import { Console, Effect, Stream } from "effect"
import * as Backup from "granary/backup/Backup"
import * as ArchiveName from "granary/model/ArchiveName"
import * as AuthId from "granary/model/AuthId"
import * as BackupGroup from "granary/model/BackupGroup"
import * as Namespace from "granary/model/Namespace"
import * as Files from "granary/platform/Files"
import * as ArchiveTree from "granary/restore/ArchiveTree"
import * as SnapshotReader from "granary/restore/SnapshotReader"
import { createWriteStream } from "node:fs"
import * as path from "node:path"
import { source, temporaryDatastore, temporaryFolder } from "./support/sandbox.ts"

const program = Effect.gen(function* () {
  const namespace = Namespace.root
  const { snapshot } = yield* Backup.run({
    namespace,
    group: BackupGroup.make("host", "laptop"),
    owner: AuthId.parse("root@pam"),
    archives: [{ kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: source }]
  })

  const reader = yield* SnapshotReader.open({ namespace, snapshot })
  const tree = yield* ArchiveTree.open(reader, "root.pxar")
  const file = yield* tree.lookup(Buffer.from("format/pxar/Encoder.ts"))

  const target = path.join(yield* temporaryFolder, "Encoder.ts")
  const sink = NodeSink.fromWritable({
    evaluate: () => createWriteStream(target),
    onError: (error) => Files.fromErrno("write", target, error)
  })
  yield* Stream.run(tree.read(file), sink)
  yield* Console.log(`restored ${Buffer.from(file.path)} to ${target}`)
})

program.pipe(Effect.scoped, Effect.provide(temporaryDatastore), NodeRuntime.runMain)
