/**
 * `granary datastore create|list|show|update|remove|status|maintenance`: datastores by name, kept in the configuration.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as BackendFlags from "../BackendFlags.ts"
import * as SectionFlags from "../SectionFlags.ts"

const name = Argument.String("name").pipe(
  Argument.withDescription("The datastore's name"),
  Argument.withMetavar("NAME")
)

/** By their names in the section. */
const settings = {
  comment: SectionFlags.text("comment", "What people should know of it"),
  "gc-schedule": SectionFlags.text("gc-schedule", "When garbage is to be collected, such as daily", "EVENT"),
  "gc-on-unmount": SectionFlags.yesOrNo(
    "gc-on-unmount",
    "Collect garbage before a removable disk is unmounted"
  ),
  "prune-schedule": SectionFlags.text("prune-schedule", "When snapshots are to be pruned", "EVENT"),
  ...SectionFlags.keep,
  "verify-new": SectionFlags.yesOrNo("verify-new", "Proxmox Backup Server verifies new backups at once"),
  tuning: SectionFlags.text("tuning", "Such as sync-level=file,chunk-order=none", "KEY=VALUE,..."),
  notify: SectionFlags.text("notify", "What Proxmox Backup Server sends mails about"),
  "notify-user": SectionFlags.text("notify-user", "Who gets these mails", "USER"),
  "notification-mode": SectionFlags.text(
    "notification-mode",
    "legacy-sendmail or notification-system",
    "MODE"
  ),
  "notification-thresholds": SectionFlags.text("notification-thresholds", "Of its use, to warn about"),
  "counter-reset-schedule": SectionFlags.text(
    "counter-reset-schedule",
    "When S3 counters begin anew",
    "EVENT"
  )
} as const

/** Loaded only here: no other command needs it. */
const actions = Effect.promise(() => import("../DatastoreActions.ts"))

const create = Command.make(
  "create",
  {
    name,
    path: Argument.String("path").pipe(
      Argument.withDescription("Its folder, missing or empty; of one in a bucket, the cache folder"),
      Argument.withMetavar("PATH")
    ),
    place: BackendFlags.flags,
    settings,
    reuse: Flag.Boolean("reuse").pipe(
      Flag.withDescription("Take the datastore that is there"),
      Flag.withDefault(false)
    ),
    overwriteInUse: Flag.Boolean("overwrite-in-use").pipe(
      Flag.withDescription("Go on although another host has marked the one in the bucket as in use"),
      Flag.withDefault(false)
    )
  },
  ({ name: id, overwriteInUse, path, place, reuse, settings: given }) =>
    Effect.gen(function* () {
      const backend = yield* BackendFlags.textOf(place)
      const { create: run } = yield* actions
      yield* run(id, path, SectionFlags.textsOf({ ...given, backend }), { overwriteInUse, reuse })
    })
).pipe(
  Command.withDescription("Make a datastore and give it a name, by which every command knows it"),
  Command.withExamples([
    {
      command: "granary datastore create store1 /mnt/disk/store1 --gc-schedule daily",
      description: "Then: granary backup -r store1 home.pxar:/home"
    },
    {
      command: "granary datastore create store1 /mnt/disk/store1 --reuse",
      description: "A name for one that is there"
    },
    {
      command:
        "granary datastore create cloud /var/cache/cloud --backend s3 --endpoint minio --bucket backups",
      description: "One in a bucket"
    }
  ])
)

const list = Command.make("list", {}, () => Effect.flatMap(actions, ({ list: run }) => run)).pipe(
  Command.withDescription("List the datastores that have a name")
)

const show = Command.make("show", { name }, (input) =>
  Effect.flatMap(actions, ({ show: run }) => run(input.name))
).pipe(Command.withDescription("Show the settings of a datastore"))

const update = Command.make(
  "update",
  { name, settings, ...SectionFlags.deletion },
  ({ delete: deleted, name: id, settings: given }) =>
    Effect.flatMap(actions, ({ update: run }) => run(id, SectionFlags.textsOf(given, deleted)))
).pipe(
  Command.withDescription("Change the settings that are given, and no others"),
  Command.withExamples([
    {
      command: "granary datastore update store1 --gc-schedule 'sat 4:00' --delete comment",
      description: "Collect garbage on Saturdays"
    }
  ])
)

const wait = Flag.Int("wait").pipe(
  Flag.withDescription("Wait so many seconds at most for others who are at work in it"),
  Flag.withMetavar("SECONDS"),
  Flag.optional
)

const remove = Command.make(
  "remove",
  {
    name,
    keepData: Flag.Boolean("keep-data").pipe(
      Flag.withDescription("Leave its folder, or its objects in the bucket, as they are (the default)"),
      Flag.withDefault(false)
    ),
    destroyData: Flag.Boolean("destroy-data").pipe(
      Flag.withDescription("Remove all of its backups for good"),
      Flag.withDefault(false)
    ),
    wait
  },
  ({ name: id, ...options }) => Effect.flatMap(actions, ({ remove: run }) => run(id, options))
).pipe(
  Command.withDescription("Forget a datastore's name; its data stays unless it is to be destroyed"),
  Command.withExamples([
    { command: "granary datastore remove store1", description: "Only its name" },
    {
      command: "granary datastore remove store1 --destroy-data --yes",
      description: "With all backups in it"
    }
  ])
)

const status = Command.make("status", { name: Argument.optional(name) }, (input) =>
  Effect.flatMap(actions, ({ status: run }) => run(input.name))
).pipe(Command.withDescription("Say how full datastores are, and who is at work in them; all by default"))

const maintenance = Command.make(
  "maintenance",
  {
    name,
    type: Argument.Literals("type", ["read-only", "offline", "none"]).pipe(
      Argument.withDescription("The mode; none ends any. Without it the mode is shown"),
      Argument.withMetavar("TYPE"),
      Argument.optional
    ),
    message: Flag.String("message").pipe(
      Flag.withDescription("What those are told whom it keeps out"),
      Flag.withMetavar("TEXT"),
      Flag.optional
    )
  },
  ({ message, name: id, type }) => Effect.flatMap(actions, ({ maintenance: run }) => run(id, type, message))
).pipe(
  Command.withDescription("Keep others out of a datastore for a while, or let them in again"),
  Command.withExamples([
    {
      command: "granary datastore maintenance store1 read-only --message 'moving to a new disk'",
      description: "Backups are refused, restores are not"
    },
    { command: "granary datastore maintenance store1 none", description: "Everything is allowed again" }
  ])
)

export const datastore = Command.make("datastore").pipe(
  Command.withDescription("Datastores by name, kept in the configuration"),
  Command.withSubcommands([create, list, show, update, remove, status, maintenance])
)
