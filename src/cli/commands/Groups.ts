/** `granary groups`: the backup groups of a namespace. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as NodeFiles from "../../platform/NodeFiles.ts"
import * as Listing from "../../restore/Listing.ts"
import * as Format from "../Format.ts"
import { localTime } from "../LocalTime.ts"
import { print } from "../Output.ts"
import { namespace, withDatastore } from "../Repository.ts"

const toJson = (info: Listing.GroupInfo) => ({
  "backup-type": info.group.type,
  "backup-id": info.group.id,
  "last-backup": info.last?.snapshot.time ?? null,
  "backup-count": info.backupCount,
  files: info.last?.files ?? [],
  owner: info.owner ?? null,
  comment: info.comment ?? null
})

const header = ["group", "snapshots", "last backup", "owner", "comment"]

const toText = (infos: ReadonlyArray<Listing.GroupInfo>): string => {
  if (infos.length === 0) return "no backup groups"
  const rows = infos.map((info) => [
    BackupGroup.format(info.group),
    Format.count(info.backupCount),
    info.last === undefined ? "never" : localTime(info.last.snapshot.time),
    info.owner ?? "-",
    Format.name(info.comment ?? "")
  ])
  return Format.table(header, rows)
}

export const groups = Command.make("groups", {}, () =>
  Effect.gen(function* () {
    const ns = yield* namespace
    const infos = yield* withDatastore(Stream.runCollect(Listing.groups(ns)))
    yield* print({ json: infos.map(toJson), text: toText(infos) })
  }).pipe(Effect.provide(NodeFiles.layer))
).pipe(Command.withDescription("List backup groups"))
