/**
 * Mounts backups for as long as a part of a program runs: the mount is a resource of its scope, and is gone when that
 * ends, however it ends. What is in it are files like any other, for this program and for all others on the machine.
 * Where nothing can be mounted it says so in one line.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer } from "effect"
import * as Backup from "granary/backup/Backup"
import * as Datastore from "granary/datastore/Datastore"
import { Mount } from "granary/fuse/Mount"
import type { MountError } from "granary/fuse/MountError"
import * as ArchiveName from "granary/model/ArchiveName"
import * as AuthId from "granary/model/AuthId"
import * as BackupGroup from "granary/model/BackupGroup"
import * as Namespace from "granary/model/Namespace"
import { mkdir, readdir, readFile } from "node:fs/promises"
import * as path from "node:path"
import { platform, source, temporaryFolder } from "./support/sandbox.ts"

const group = BackupGroup.make("host", "laptop")

const backup = Backup.run({
  namespace: Namespace.root,
  group,
  owner: AuthId.parse("root@pam"),
  archives: [{ kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: source }],
  changeDetection: "metadata"
})

/** Never by synchronous calls: nothing could interrupt them. */
const look = Effect.gen(function* () {
  const { driver, mountpoint } = yield* Mount
  const newest = path.join(mountpoint, "latest", "root.pxar")
  const names = yield* Effect.promise(() => readdir(newest, { recursive: true }))
  const text = yield* Effect.promise(() => readFile(path.join(newest, "index.ts"), "utf8"))
  yield* Console.log(`mounted by the driver ${driver}: ${names.length} files and folders`)
  yield* Console.log(`index.ts has ${text.split("\n").length} lines`)
})

const cannotMount = ({ detail, reason }: MountError) =>
  reason === "NoDriver" || reason === "Denied"
    ? Console.log(`nothing can be mounted here, so there is nothing to show: ${detail}`)
    : Effect.die(detail)

const program = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const [store, mountpoint] = [path.join(folder, "store"), path.join(folder, "backups")]
  yield* Effect.promise(() => mkdir(mountpoint))
  yield* Datastore.create(store)
  yield* Effect.provide(backup, Datastore.layer({ path: store }))
  const mounted = Mount.layer({
    store: { kind: "folder", path: store },
    mountpoint,
    tree: { root: { group } }
  })
  yield* Effect.provide(look, Layer.fresh(mounted)).pipe(Effect.catchTag("MountError", cannotMount))
  const left = yield* Effect.promise(() => readdir(mountpoint))
  yield* Console.log(`after that its place is empty again: ${left.length} files`)
})

program.pipe(Effect.scoped, Effect.provide(platform), NodeRuntime.runMain)
