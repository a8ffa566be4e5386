/**
 * `granary job sync|verify|prune create|list|show|update|remove|run`, `granary job timers`: what is to be done again
 * and again, kept in the configuration by name.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as SectionFlags from "../SectionFlags.ts"

const id = Argument.String("id").pipe(Argument.withDescription("The job's name"), Argument.withMetavar("ID"))

const { repeated, text, yesOrNo } = SectionFlags

/** By their names in the section; the namespace comes from `--ns`. */
const common = {
  store: text("store", "The datastore, by its configured name", "NAME"),
  "max-depth": text("max-depth", "Levels of namespaces below; all by default, 0 for none", "N"),
  schedule: text(
    "schedule",
    "When it is to run, such as daily or 'sat 4:00'; see granary job timers",
    "EVENT"
  ),
  comment: text("comment", "What people should know of it")
} as const

const settings = {
  sync: {
    ...common,
    "remote-store": text("remote-store", "The other datastore, by its configured name", "NAME"),
    "remote-ns": text("remote-ns", "The namespace there; the root by default", "NAMESPACE"),
    remote: text(
      "remote",
      "The server that has the other datastore (granary remote); without it that is configured here",
      "REMOTE"
    ),
    "sync-direction": text("sync-direction", "pull (default): from the other one; push: to it", "DIRECTION"),
    owner: text("owner", "Whom groups belong to that come into being", "USER@REALM"),
    "remove-vanished": yesOrNo("remove-vanished", "Remove what the source does not have"),
    "group-filter": repeated(
      "group-filter",
      "[exclude:] and type:vm, group:vm/100 or regex:EXPRESSION",
      "FILTER"
    ),
    "transfer-last": text("transfer-last", "Only the N newest snapshots of each group", "N"),
    "resync-corrupt": yesOrNo("resync-corrupt", "Copy snapshots again that failed their verification"),
    "encrypted-only": yesOrNo("encrypted-only", "Only snapshots that are encrypted as a whole"),
    "verified-only": yesOrNo("verified-only", "Only snapshots whose last verification was good"),
    "worker-threads": text("worker-threads", "Groups at a time, 1 to 32", "N"),
    "rate-in": text("rate-in", "Bytes read from the source per second at most", "BYTES"),
    "burst-in": text("burst-in", "Bytes read at once after a pause", "BYTES"),
    "rate-out": text("rate-out", "Bytes written per second at most", "BYTES"),
    "burst-out": text("burst-out", "Bytes written at once after a pause", "BYTES"),
    "run-on-mount": yesOrNo("run-on-mount", "Run when a removable datastore is mounted"),
    "unmount-on-done": yesOrNo("unmount-on-done", "Unmount a removable datastore afterwards"),
    "active-encryption-key": text("active-encryption-key", "The key that a push encrypts with", "KEY"),
    "associated-key": repeated("associated-key", "A key that a pull decrypts with", "KEY")
  },
  verify: {
    ...common,
    "ignore-verified": yesOrNo("ignore-verified", "Pass over what was verified before (default)"),
    "outdated-after": text("outdated-after", "Verify again after so many days", "DAYS"),
    "read-threads": text("read-threads", "For Proxmox Backup Server", "N"),
    "verify-threads": text("verify-threads", "For Proxmox Backup Server", "N")
  },
  prune: {
    ...common,
    ...SectionFlags.keep,
    disable: yesOrNo("disable", "Only run it when somebody asks for it by name")
  }
} as const

/** Loaded only here: no other command needs it. */
const actions = Effect.promise(() => import("../JobActions.ts"))

interface KindText {
  readonly what: string
  readonly example: string
  readonly run: string
}

/** The commands for jobs of one kind. */
const commandsFor = (kind: keyof typeof settings, { example, run, what }: KindText) => {
  // All of them are read by their names.
  const flags = { id, settings: settings[kind] as (typeof settings)["verify"] }
  const create = Command.make("create", flags, (input) =>
    Effect.flatMap(actions, (act) => act.create(kind, input.id, SectionFlags.textsOf(input.settings)))
  ).pipe(
    Command.withDescription(`Give a ${what} a name and a schedule`),
    Command.withExamples([{ command: `granary job ${kind} create ${example}`, description: "Once a day" }])
  )
  const update = Command.make("update", { ...flags, ...SectionFlags.deletion }, (input) =>
    Effect.flatMap(actions, (act) =>
      act.update(kind, input.id, SectionFlags.textsOf(input.settings, input.delete))
    )
  ).pipe(Command.withDescription("Change the settings that are given, and no others"))
  const list = Command.make("list", {}, () => Effect.flatMap(actions, (act) => act.list(kind))).pipe(
    Command.withDescription(`List the configured ${what}s`)
  )
  const show = Command.make("show", { id }, (input) =>
    Effect.flatMap(actions, (act) => act.show(kind, input.id))
  ).pipe(Command.withDescription("Show the settings of a job"))
  const remove = Command.make("remove", { id }, (input) =>
    Effect.flatMap(actions, (act) => act.remove(kind, input.id))
  ).pipe(Command.withDescription("Forget a job"))
  const dryRun = Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Only say what it would do"),
    Flag.withDefault(false)
  )
  const runNow = Command.make("run", { id, dryRun }, (input) =>
    Effect.flatMap(actions, (act) => act.run(kind, input.id, input.dryRun))
  ).pipe(Command.withDescription(run))
  return Command.make(kind).pipe(
    Command.withDescription(`Configured ${what}s`),
    Command.withSubcommands([create, list, show, update, remove, runNow])
  )
}

const timers = Command.make(
  "timers",
  {
    cron: Flag.Boolean("cron").pipe(
      Flag.withDescription("Lines for a crontab instead of units for systemd"),
      Flag.withDefault(false)
    ),
    program: Flag.String("program").pipe(
      Flag.withDescription("The program that they start; by default the one that runs now"),
      Flag.withMetavar("PATH"),
      Flag.optional
    ),
    to: Flag.String("to").pipe(
      Flag.withDescription("Write the units into this folder, such as /etc/systemd/system"),
      Flag.withMetavar("DIR"),
      Flag.optional
    )
  },
  (input) =>
    Effect.gen(function* () {
      const { timers: run } = yield* Effect.promise(() => import("../JobTimerActions.ts"))
      yield* run(input)
    })
).pipe(
  Command.withDescription(
    "Print what makes systemd or cron run all configured jobs, and collect garbage, in time"
  ),
  Command.withExamples([
    {
      command: "granary job timers --to /etc/systemd/system",
      description: "Then: systemctl daemon-reload; systemctl enable --now granary-sync-offsite.timer"
    },
    { command: "granary job timers --cron | crontab -", description: "For a machine without systemd" }
  ])
)

export const job = Command.make("job").pipe(
  Command.withDescription("Syncs, verifications and prunes by name, kept in the configuration"),
  Command.withSubcommands([
    commandsFor("sync", {
      what: "sync job",
      example: "offsite --store store1 --remote-store offsite --sync-direction push --schedule daily",
      run: "Run it now (as granary sync run)"
    }),
    commandsFor("verify", {
      what: "verify job",
      example: "weekly --store store1 --outdated-after 30 --schedule 'sat 4:00'",
      run: "Run it now"
    }),
    commandsFor("prune", {
      what: "prune job",
      example: "tidy --store store1 --keep-daily 7 --keep-weekly 4 --schedule daily",
      run: "Run it now"
    }),
    timers
  ])
)
