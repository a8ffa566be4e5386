/**
 * Browses a backup like a folder, without mounting anything: lists the newest snapshot of a group, looks for the
 * largest file in it, and streams that one. Names and attributes come from the archive's metadata; of contents, only
 * the chunks that the file lies in are read.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"
import * as Backup from "granary/backup/Backup"
import * as ArchiveName from "granary/model/ArchiveName"
import * as AuthId from "granary/model/AuthId"
import * as BackupGroup from "granary/model/BackupGroup"
import * as Namespace from "granary/model/Namespace"
import * as VfsLayer from "granary/vfs/VfsLayer"
import * as VfsPaths from "granary/vfs/VfsPaths"
import { source, temporaryDatastore } from "./support/sandbox.ts"

const backup = Backup.run({
  namespace: Namespace.root,
  group: BackupGroup.make("host", "laptop"),
  owner: AuthId.parse("root@pam"),
  archives: [{ kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: source }],
  changeDetection: "metadata"
})

const newest = "host/laptop/latest"

const text = (name: Uint8Array): string => Buffer.from(name).toString()

const browse = Effect.gen(function* () {
  for (const { attributes, name } of yield* VfsPaths.readdir(newest)) {
    yield* Console.log(
      `${attributes.kind.padEnd(10)} ${String(attributes.sizeBytes).padStart(8)} ${text(name)}`
    )
  }
  const largest = yield* VfsPaths.walk(`${newest}/root.pxar`).pipe(
    Stream.filter(({ attributes }) => attributes.kind === "file"),
    Stream.runFold(
      () => ({ path: "", sizeBytes: 0 }),
      (found, { attributes, path }) =>
        attributes.sizeBytes > found.sizeBytes ? { path: text(path), sizeBytes: attributes.sizeBytes } : found
    )
  )
  const lines = yield* VfsPaths.createReadStream(`${newest}/root.pxar/${largest.path}`).pipe(
    Stream.decodeText(),
    Stream.splitLines,
    Stream.runCount
  )
  yield* Console.log(`the largest file is ${largest.path}: ${largest.sizeBytes} bytes, ${lines} lines`)
})

backup.pipe(
  Effect.andThen(Effect.provide(browse, VfsLayer.layer())),
  Effect.provide(temporaryDatastore),
  NodeRuntime.runMain
)
