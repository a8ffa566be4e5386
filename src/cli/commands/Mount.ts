/** `granary mount [WHAT] MOUNTPOINT`: a datastore, or a part of it, as a file system to look around in. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as path from "node:path"
import type { MountOptions } from "../../fuse/MountRequest.ts"
import { UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { cryptConfig } from "../Keys.ts"
import * as MountArgument from "../MountArgument.ts"
import * as MountLog from "../MountLog.ts"
import { mountedStore } from "../MountedRepository.ts"
import { print } from "../Output.ts"
import { namespace, withDatastore } from "../Repository.ts"
import { locate } from "../SnapshotArgument.ts"

const identity = (name: string, description: string) =>
  Flag.Int(name).pipe(Flag.withDescription(description), Flag.optional)

const flags = {
  words: Argument.String("what").pipe(
    Argument.withDescription(
      "[WHAT] MOUNTPOINT. WHAT is ns/NAMESPACE, a group, a snapshot or an archive (as one path, or as SNAPSHOT " +
        "ARCHIVE [PATH]); without it the whole datastore. MOUNTPOINT is an empty directory"
    ),
    Argument.withMetavar("[WHAT] MOUNTPOINT"),
    Argument.variadic({ min: 1, max: 4 })
  ),
  driver: Flag.Literals("driver", ["auto", "kernel", "fuse-native"]).pipe(
    Flag.withDescription("Who talks to the kernel; auto takes the better one that works here"),
    Flag.withDefault("auto")
  ),
  foreground: Flag.Boolean("foreground").pipe(
    Flag.withDescription("Stay until the mount is ended; an interrupt ends it"),
    Flag.withDefault(false)
  ),
  allowOther: Flag.Boolean("allow-other").pipe(
    Flag.withDescription("Let other users in, each with the rights that the files' modes give"),
    Flag.withDefault(false)
  ),
  uid: identity("uid", "Whom all files belong to, instead of who is stored"),
  gid: identity("gid", "The group that all files belong to, instead of the stored one"),
  ownerRoot: Flag.Boolean("owner-root").pipe(
    Flag.withDescription("All files belong to root"),
    Flag.withDefault(false)
  ),
  template: Flag.String("template").pipe(
    Flag.withDescription("Where snapshots are found, such as {type}/{id}/{year}/{month}/{time-safe}"),
    Flag.optional
  ),
  logFile: Flag.String("log-file").pipe(
    Flag.withDescription(
      "Where faults are written (default: standard error; in the background a file in ~/.local/state/granary)"
    ),
    Flag.withMetavar("FILE"),
    Flag.optional
  )
}

type Input = {
  readonly [name in "uid" | "gid"]: Option.Option<number>
} & {
  readonly ownerRoot: boolean
  readonly template: Option.Option<string>
}

const treeOf = ({ gid, ownerRoot, template, uid }: Input) => ({
  ownerRoot,
  ...(Option.isNone(uid) ? {} : { uid: uid.value }),
  ...(Option.isNone(gid) ? {} : { gid: gid.value }),
  ...(Option.isNone(template) ? {} : { template: template.value })
})

/** `latest` is looked up now, once: the mount stays with the snapshot that it meant. */
const snapshotOf = ({ named, namespace: ns }: MountArgument.Wanted) =>
  named === undefined || named.kind === "group"
    ? Effect.succeed(undefined)
    : named.kind === "snapshot"
      ? Effect.succeed(named.snapshot)
      : withDatastore(locate(ns, named))

/** In the foreground the terminal is there to tell of faults. */
const logOf = (logFile: Option.Option<string>, mountpoint: string, foreground: boolean) => {
  if (Option.isSome(logFile)) return Effect.succeed<MountLog.MountLog>({ file: path.resolve(logFile.value) })
  return foreground ? Effect.succeed(undefined) : MountLog.prepare(mountpoint)
}

const lineOf = ({ file, obstacle }: MountLog.MountLog): string =>
  file === undefined
    ? `faults are written nowhere (${obstacle}); choose a place with --log-file`
    : `faults are written to ${Format.name(file)}`

export const mount = Command.make("mount", flags, (input) =>
  Effect.gen(function* () {
    const { driver, foreground, allowOther, logFile, words } = input
    const mountpoint = words.at(-1)
    if (mountpoint === undefined) {
      return yield* new UsageError({ detail: "no mountpoint was named", hint: "name an empty directory" })
    }
    const wanted = yield* MountArgument.parse(yield* namespace, words.slice(0, -1))
    const crypt = yield* cryptConfig
    const store = yield* mountedStore
    const root = MountArgument.rootOf(wanted, yield* snapshotOf(wanted))
    const log = yield* logOf(logFile, mountpoint, foreground)
    const options: MountOptions = {
      store,
      mountpoint: path.resolve(mountpoint),
      tree: { ...treeOf(input), root },
      ...(crypt === undefined ? {} : { key: crypt.encKey }),
      driver,
      allowOther,
      ...(log === undefined ? {} : { logFile: log.file ?? "none" })
    }
    // Loaded only here: no other command needs it.
    const Mount = yield* Effect.promise(() => import("../../fuse/Mount.ts"))
    const mounted = yield* Mount.mount(options)
    const { driver: used, mountpoint: place, pid } = mounted
    const name = Format.name(place)
    const end = foreground ? "an interrupt ends it" : `end it with: granary unmount ${name}`
    const told = `mounted on ${name} (driver ${used}, process ${pid}); ${end}`
    yield* print({
      json: { mountpoint: place, driver: used, pid, log: log?.file ?? null },
      text: log === undefined ? told : `${told}\n${lineOf(log)}`
    })
    if (!foreground) return yield* mounted.leave
    yield* mounted.ended
  }).pipe(Effect.scoped)
).pipe(
  Command.withDescription("Mount a datastore, or a part of it, as a file system"),
  Command.withExamples([
    { command: "granary mount /mnt/backups", description: "The whole datastore" },
    { command: "granary mount host/laptop /mnt/backups", description: "All snapshots of a group" },
    { command: "granary mount host/laptop root.pxar /mnt/backups", description: "Its newest archive" },
    {
      command: "granary mount vm/100/latest drive-scsi0.img /mnt/backups",
      description: "An image, as a file to attach or mount"
    }
  ])
)
