/** `granary backup NAME.pxar:DIR NAME.img:FILE NAME.conf:FILE ...`: makes one snapshot of them. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as os from "node:os"
import * as Backup from "../../backup/Backup.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as AuthId from "../../model/AuthId.ts"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as BackupTime from "../../model/BackupTime.ts"
import * as PathPattern from "../../model/PathPattern.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import * as NodeFiles from "../../platform/NodeFiles.ts"
import { Progress } from "../../platform/Progress.ts"
import * as ArchiveArguments from "../ArchiveArguments.ts"
import { doneWithWarnings, parseInput, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { openedKey } from "../Keys.ts"
import * as MasterKeys from "../MasterKeys.ts"
import { print } from "../Output.ts"
import { planFlag } from "../PlanFlag.ts"
import * as StoreUsage from "../StoreUsage.ts"
import { namespace, repository, withWorkingDatastore } from "../Repository.ts"

const defaultId = (): string => os.hostname().replaceAll(/[^A-Za-z0-9._-]/g, "_")

const flags = {
  archives: Argument.String("archive").pipe(
    Argument.withDescription("NAME.pxar:DIRECTORY, NAME.img:IMAGE or NAME.conf:FILE (- is standard input)"),
    Argument.variadic({ min: 1 })
  ),
  type: Flag.Literals("backup-type", ["host", "vm", "ct"]).pipe(
    Flag.withDescription("Kind of the backup group"),
    Flag.withDefault("host")
  ),
  id: Flag.String("backup-id").pipe(
    Flag.withDescription("Id of the backup group; the host's name by default"),
    Flag.withFallbackConfig(Config.String("GRANARY_BACKUP_ID")),
    Flag.optional
  ),
  time: Flag.String("backup-time").pipe(
    Flag.withDescription("Time of the snapshot: 2026-11-21T10:00:00Z or seconds since 1970; now by default"),
    Flag.optional
  ),
  owner: Flag.String("owner").pipe(
    Flag.withDescription("Owner of the backup group, if this backup makes it"),
    Flag.withDefault("root@pam")
  ),
  exclude: Flag.String("exclude").pipe(
    Flag.withDescription("Leave out what matches this pattern, as in a .pxarexclude file (repeatable)"),
    Flag.between(0, 10_000)
  ),
  crossFileSystems: Flag.Boolean("cross-file-systems").pipe(
    Flag.withDescription("Also back up what is mounted below the directory"),
    Flag.withDefault(false)
  ),
  changeDetection: Flag.Literals("change-detection", ["legacy", "data", "metadata"]).pipe(
    Flag.withDescription(
      "legacy: one archive with a catalog; data: metadata and content in separate archives; metadata: the same, and " +
        "files whose metadata is as in the previous snapshot are not read"
    ),
    Flag.withDefault("legacy")
  ),
  cryptMode: Flag.Literals("crypt-mode", ["none", "encrypt", "sign-only"]).pipe(
    Flag.withDescription("encrypt by default when a key is given"),
    Flag.optional
  ),
  masterPublicKey: Flag.String("master-pubkey-file").pipe(
    Flag.withDescription(
      "Store the key in the snapshot as well, for the holder of this master key alone (or GRANARY_MASTER_PUBKEY)"
    ),
    Flag.withMetavar("FILE"),
    Flag.withFallbackConfig(Config.String("GRANARY_MASTER_PUBKEY")),
    Flag.optional
  ),
  knownChunks: Flag.Literals("known-chunks", ["off", "register", "finish", "both"]).pipe(
    Flag.withDescription(
      "When to prove that chunks which are not stored again are there: before the previous snapshot is relied on, " +
        "before the new one is complete, both, or never"
    ),
    Flag.withDefault("both")
  ),
  noCache: Flag.Boolean("no-cache").pipe(
    Flag.withDescription("Of a store in a bucket: keep no content of chunks in the cache folder"),
    Flag.withDefault(false)
  ),
  noReuse: Flag.Boolean("no-reuse").pipe(
    Flag.withDescription(
      "Store chunks of the previous snapshot again if they are gone, instead of trusting it"
    ),
    Flag.withDefault(false)
  ),
  plan: planFlag("Read, cut and compress everything, say what would be stored, and store nothing")
}

const parseTime = (text: string) =>
  /^\d+$/.test(text) ? Effect.succeed(Number(text)) : parseInput(() => BackupTime.parse(text))

type Input = Command.Command.Config.Infer<typeof flags>

/** The key, what to do with it, and how it goes into the snapshot; without a key nothing is encrypted. */
const keyOptions = ({ cryptMode, masterPublicKey }: Pick<Input, "cryptMode" | "masterPublicKey">) =>
  Effect.gen(function* () {
    const mode = Option.getOrUndefined(cryptMode)
    if (mode === "none") return {}
    const masterFile = Option.getOrUndefined(masterPublicKey)
    const opened = yield* openedKey
    if (opened !== undefined) {
      const key = { crypt: opened.crypt, mode: mode ?? "encrypt" } as const
      if (masterFile === undefined) return { key }
      return { key, sealedKey: yield* MasterKeys.seal(masterFile, opened) }
    }
    if (mode === undefined && masterFile === undefined) return {}
    const wish = mode === undefined ? "--master-pubkey-file" : `--crypt-mode ${mode}`
    return yield* new UsageError({ detail: `${wish} needs a key`, hint: "give one with --keyfile" })
  }).pipe(Effect.provide(NodeFiles.layer))

const toJson = (summary: Backup.BackupSummary) => ({
  snapshot: Snapshot.format(summary.snapshot),
  files: summary.files.map(({ filename, sizeBytes, csum, cryptMode }) => ({
    filename,
    size: sizeBytes,
    csum,
    "crypt-mode": cryptMode
  })),
  stats: {
    count: summary.statistics.chunks,
    size: summary.statistics.sizeBytes,
    "compressed-size": summary.statistics.storedBytes,
    duplicates: summary.statistics.reusedChunks + summary.statistics.duplicateChunks,
    files: summary.entries.files,
    "reused-files": summary.entries.reusedFiles,
    "reused-size": summary.entries.reusedBytes,
    warnings: summary.entries.warnings
  },
  "duration-seconds": summary.durationSeconds
})

const savedLine = ({ statistics }: Backup.BackupSummary, isPlan: boolean): string => {
  const { sizeBytes, reusedBytes, duplicateBytes, newBytes, storedBytes } = statistics
  const known = reusedBytes + duplicateBytes
  return [
    `${isPlan ? "would store" : "stored"} ${Format.bytes(storedBytes)} for ${Format.bytes(newBytes)} of new data`,
    `${Format.bytes(known)} (${Format.percent(known, sizeBytes)}) ${isPlan ? "is" : "was"} there already`
  ].join("; ")
}

const reusedLine = ({ reusedFiles, reusedBytes }: Backup.BackupSummary["entries"]): string =>
  `${Format.counted(reusedFiles, "file")} with ${Format.bytes(reusedBytes)} unchanged and not read`

/** What a finished backup says, or the plan of one. */
export const summaryText = (summary: Backup.BackupSummary, isPlan = false): string => {
  const { entries, statistics, durationSeconds } = summary
  const rate = Format.rate(statistics.sizeBytes, durationSeconds)
  const total = `${Format.bytes(statistics.sizeBytes)} in ${Format.duration(durationSeconds)}`
  const found = `${Format.counted(entries.files, "file")}, ${Format.counted(entries.directories, "directory")}`
  return [
    ...summary.files.map(({ filename, sizeBytes }) => {
      const { client, kind } = ArchiveName.fromFile(filename)
      return `  ${client}: ${Format.bytes(sizeBytes)}${kind === "blob" ? " (blob)" : ""}`
    }),
    ...(entries.files + entries.directories > 0 ? [found] : []),
    ...(entries.reusedFiles > 0 ? [reusedLine(entries)] : []),
    `${total} (${rate}), ${Format.counted(statistics.chunks, "chunk")}`,
    savedLine(summary, isPlan),
    isPlan
      ? `nothing was stored; the snapshot would be ${Snapshot.format(summary.snapshot)}`
      : `snapshot ${Snapshot.format(summary.snapshot)} is complete`,
    ...(entries.warnings > 0 ? [`${Format.counted(entries.warnings, "warning")}, see above`] : [])
  ].join("\n")
}

const warnOfLeftovers = (summary: Backup.BackupSummary) =>
  Effect.map(Progress, (report) => {
    for (const leftover of summary.leftovers) {
      const subject = Snapshot.format(leftover)
      const message = `an interrupted backup left this behind; remove it with: granary forget ${subject}`
      report({ type: "warning", subject, message })
    }
  })

const optionsOf = (input: Input) =>
  Effect.gen(function* () {
    const archives = yield* Effect.forEach(input.archives, ArchiveArguments.parse)
    const id = Option.getOrElse(input.id, defaultId)
    const group = yield* parseInput(() => BackupGroup.make(input.type, id), "use --backup-id")
    yield* parseInput(
      () => input.exclude.map((pattern) => PathPattern.parse(pattern)),
      "see: granary backup --help"
    )
    const time = Option.isSome(input.time) ? { time: yield* parseTime(input.time.value) } : {}
    return {
      namespace: yield* namespace,
      group,
      ...time,
      owner: yield* parseInput(() => AuthId.parse(input.owner)),
      ...(yield* keyOptions(input)),
      reusePrevious: !input.noReuse,
      knownChunks: input.knownChunks,
      archives,
      excludes: input.exclude,
      crossFileSystems: input.crossFileSystems,
      changeDetection: input.changeDetection
    }
  })

const tell = (summary: Backup.BackupSummary) => print({ json: toJson(summary), text: summaryText(summary) })

const tellPlan = (plan: Backup.BackupPlan) =>
  Effect.flatMap(StoreUsage.plan(plan.cost, plan.lookups), ({ json, lines }) =>
    print({
      json: { ...toJson(plan), plan: true, ...json },
      text: [summaryText(plan, true), ...lines].join("\n")
    })
  )

const carryOut = (input: Input, options: Effect.Success<ReturnType<typeof optionsOf>>) =>
  Effect.gen(function* () {
    const place = yield* repository
    if (place.kind === "remote") {
      const Action = yield* Effect.promise(() => import("../RemoteBackupAction.ts"))
      return yield* Action.run(place.address, options, input.plan)
    }
    const work = input.plan ? Effect.tap(Backup.plan(options), tellPlan) : Backup.run(options)
    return yield* withWorkingDatastore(work, {
      writes: true,
      cache: input.noCache ? "bypass" : "use",
      plans: input.plan
    })
  })

export const backup = Command.make("backup", flags, (input) =>
  Effect.gen(function* () {
    const options = yield* optionsOf(input)
    const summary: Backup.BackupSummary = yield* carryOut(input, options)
    yield* warnOfLeftovers(summary)
    if (!input.plan) yield* tell(summary)
    if (summary.entries.warnings > 0) yield* doneWithWarnings
  }).pipe(Effect.scoped)
).pipe(
  Command.withDescription("Back up directories, images and files into one snapshot"),
  Command.withExamples([
    { command: "granary backup -r /mnt/store home.pxar:/home", description: "Back up a directory" },
    {
      command: "granary backup disk.img:/dev/vg/root etc.pxar:/etc --backup-id web1",
      description: "An image and a directory in one snapshot"
    },
    {
      command: "granary backup home.pxar:/home --plan",
      description: "What would be stored, and what it costs"
    },
    {
      command: "granary backup -r backup@pbs!laptop@pbs.example:store1 home.pxar:/home",
      description: "To a Proxmox Backup Server, or granary serve"
    },
    { command: "pg_dump db | granary backup db.log:-", description: "Back up what another program writes" }
  ])
)
