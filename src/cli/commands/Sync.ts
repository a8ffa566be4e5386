/** `granary sync pull|push|run`: copies of backups elsewhere. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as SectionFlags from "../SectionFlags.ts"

const dryRun = Flag.Boolean("dry-run").pipe(
  Flag.withAlias("plan"),
  Flag.withDescription("Only say what would be copied and removed"),
  Flag.withDefault(false)
)

const repositoryForm =
  "a folder, the name of a configured datastore, s3:ENDPOINT-ID/BUCKET/STORE, or USER@REALM!TOKEN@HOST:STORE"

const yes = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.withDefault(false))

const number = (name: string, description: string) =>
  Flag.Int(name).pipe(Flag.withDescription(description), Flag.withMetavar("N"), Flag.optional)

const rate = (name: string, description: string) => SectionFlags.text(name, description, "BYTES")

const flags = {
  from: Flag.String("from").pipe(
    Flag.withDescription(`The source: ${repositoryForm}`),
    Flag.withMetavar("REPO")
  ),
  to: Flag.String("to").pipe(Flag.withDescription("The target"), Flag.withMetavar("REPO")),
  toNs: Flag.String("to-ns").pipe(
    Flag.withDescription("What the namespace of --ns becomes in the target; its root by default"),
    Flag.withMetavar("NAMESPACE"),
    Flag.withDefault("")
  ),
  maxDepth: number("max-depth", "Levels of namespaces below; all by default, 0 for none"),
  groupFilter: SectionFlags.repeated(
    "group-filter",
    "Only groups of type:vm, group:vm/100 or regex:EXPRESSION; with exclude: before it, not those",
    "FILTER"
  ),
  transferLast: number("transfer-last", "Only the N newest snapshots of each group"),
  removeVanished: yes("remove-vanished", "Remove from the target what the source does not have"),
  encryptedOnly: yes("encrypted-only", "Only snapshots that are encrypted as a whole"),
  verifiedOnly: yes("verified-only", "Only snapshots whose last verification was good"),
  parallelGroups: number("parallel-groups", "Groups at a time, 1 to 32 (default 1)"),
  workerThreads: number("worker-threads", "The same, as Proxmox Backup Server calls it"),
  rateIn: rate("rate-in", "Bytes read from the source per second at most, such as 10MiB"),
  burstIn: rate("burst-in", "Bytes read at once after a pause"),
  rateOut: rate("rate-out", "Bytes written to the target per second at most"),
  burstOut: rate("burst-out", "Bytes written at once after a pause"),
  owner: Flag.String("owner").pipe(
    Flag.withDescription(
      "Whom groups belong to that come into being on the target; on a server whoever logs in"
    ),
    Flag.withDefault("root@pam")
  ),
  dryRun
} as const

/** Loaded only here: no other command needs it. */
const request = Effect.promise(() => import("../SyncRequests.ts"))

const pull = Command.make(
  "pull",
  {
    ...flags,
    resyncCorrupt: yes("resync-corrupt", "Copy snapshots again that failed their verification on the target"),
    decrypt: yes("decrypt", "Decrypt what was encrypted with the key of --keyfile")
  },
  (input) => Effect.flatMap(request, ({ pull: run }) => run(input))
).pipe(
  Command.withDescription("Copy backups from another datastore, as one who takes them in"),
  Command.withExamples([
    {
      command: "granary sync pull --from store1 --to s3:minio/backups/offsite --parallel-groups 4",
      description: "Everything, into a bucket"
    },
    {
      command: "granary sync pull --from /mnt/usb/store --to store1 --group-filter group:vm/100 --dry-run",
      description: "What would be copied of one group"
    }
  ])
)

const push = Command.make(
  "push",
  {
    ...flags,
    encrypt: yes("encrypt", "Encrypt what is not encrypted, with the key of --keyfile")
  },
  (input) => Effect.flatMap(request, ({ push: run }) => run(input))
).pipe(
  Command.withDescription("Copy backups to another datastore, as one who brings them"),
  Command.withExamples([
    {
      command: "granary sync push --from store1 --to /mnt/usb/store --transfer-last 3 --rate-out 50MiB",
      description: "The newest three of each group, slowly"
    },
    {
      command: "granary sync push --from store1 --ns team --to offsite --to-ns copies/team --remove-vanished",
      description: "One namespace, and what is gone there goes here"
    }
  ])
)

const run = Command.make(
  "run",
  {
    job: Argument.String("job").pipe(
      Argument.withDescription("The name of a sync job in the configuration"),
      Argument.withMetavar("JOB")
    ),
    dryRun
  },
  ({ dryRun: isDryRun, job }) => Effect.flatMap(request, ({ runJob }) => runJob(job, isDryRun))
).pipe(
  Command.withDescription("Run a sync job of the configuration (granary job sync)"),
  Command.withExamples([{ command: "granary sync run offsite", description: "As it is configured" }])
)

export const sync = Command.make("sync").pipe(
  Command.withDescription("Copy backups from one datastore to another; what is there is not copied again"),
  Command.withSubcommands([pull, push, run])
)
