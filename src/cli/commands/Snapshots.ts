/** `granary snapshots [GROUP]`: what has been backed up. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { ManifestFile } from "../../format/Manifest.ts"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import * as Listing from "../../restore/Listing.ts"
import { parseInput } from "../Failure.ts"
import * as Format from "../Format.ts"
import { localTime } from "../LocalTime.ts"
import { print } from "../Output.ts"
import { namespace, withDatastore } from "../Repository.ts"

const fileToJson = ({ filename, sizeBytes, cryptMode }: ManifestFile) => ({
  filename,
  size: sizeBytes,
  "crypt-mode": cryptMode
})

const toJson = (info: Listing.SnapshotInfo) => ({
  "backup-type": info.snapshot.group.type,
  "backup-id": info.snapshot.group.id,
  "backup-time": info.snapshot.time,
  files: info.files.map(fileToJson),
  size: info.sizeBytes ?? null,
  owner: info.owner ?? null,
  protected: info.isProtected,
  comment: info.comment ?? null,
  fingerprint: info.fingerprint ?? null,
  verification: info.verification ?? null,
  ...(info.state === "damaged" ? { damaged: info.problem } : {})
})

const remarks = (info: Listing.SnapshotInfo): string => {
  const isEncrypted = info.files.some(({ cryptMode }) => cryptMode === "encrypt")
  return [
    info.state === "finished" ? "" : info.state,
    info.verification === undefined ? "" : info.verification.state === "ok" ? "verified" : "verify failed",
    isEncrypted ? "encrypted" : info.files.some(({ cryptMode }) => cryptMode === "sign-only") ? "signed" : "",
    info.isProtected ? "protected" : ""
  ]
    .filter((remark) => remark !== "")
    .join(", ")
}

const header = ["snapshot", "local time", "size", "owner", "state", "comment"]

const toText = (infos: ReadonlyArray<Listing.SnapshotInfo>): string => {
  if (infos.length === 0) return "no snapshots"
  const rows = infos.map((info) => [
    Snapshot.format(info.snapshot),
    localTime(info.snapshot.time),
    info.sizeBytes === undefined ? "" : Format.bytes(info.sizeBytes),
    info.owner ?? "-",
    remarks(info),
    Format.name(info.comment ?? "")
  ])
  return Format.table(header, rows)
}

const flags = {
  group: Argument.String("group").pipe(
    Argument.withDescription("Only this backup group, such as host/laptop"),
    Argument.optional
  )
}

export const snapshots = Command.make("snapshots", flags, ({ group }) =>
  Effect.gen(function* () {
    const ns = yield* namespace
    const only = Option.isSome(group)
      ? yield* parseInput(() => BackupGroup.parse(group.value), "write TYPE/ID, such as host/laptop")
      : undefined
    const infos = yield* withDatastore(Stream.runCollect(Listing.snapshots(ns, only)))
    yield* print({ json: infos.map(toJson), text: toText(infos) })
  })
).pipe(
  Command.withDescription("List snapshots"),
  Command.withExamples([
    { command: "granary snapshots -r /mnt/store", description: "Everything in the root namespace" },
    {
      command: "granary snapshots host/laptop --ns team/dev --output json",
      description: "One group, for a program"
    }
  ])
)
