/** `granary remote create|list|show|update|remove`: servers by name, for jobs that sync with them. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as SectionFlags from "../SectionFlags.ts"

const id = Argument.String("id").pipe(
  Argument.withDescription("The remote's name"),
  Argument.withMetavar("ID")
)

const { text } = SectionFlags

const settings = {
  port: text("port", "Its port (default 8007)", "PORT"),
  comment: text("comment", "What people should know of it")
} as const

const hostText = "The server's name or address"
const userText = "As whom to log in: a user, or a token of one"

/** Loaded only here: no other command needs it. */
const actions = Effect.promise(() => import("../RemoteActions.ts"))

const create = Command.make(
  "create",
  {
    id,
    host: Flag.String("host").pipe(Flag.withDescription(hostText), Flag.withMetavar("HOST")),
    authId: Flag.String("auth-id").pipe(
      Flag.withDescription(userText),
      Flag.withMetavar("USER@REALM[!TOKEN]")
    ),
    settings
  },
  (input) =>
    Effect.flatMap(actions, (act) => act.create(input.id, input, SectionFlags.textsOf(input.settings)))
).pipe(
  Command.withDescription(
    "Give a server a name; the secret comes from --password-file, GRANARY_PASSWORD or PBS_PASSWORD, or is asked for"
  ),
  Command.withExamples([
    {
      command:
        "granary remote create offsite --host pbs.example --auth-id sync@pbs!granary --password-file secret",
      description: "A server whose certificate the system trusts; otherwise give its fingerprint as well"
    }
  ])
)

const update = Command.make(
  "update",
  {
    id,
    secret: Flag.Boolean("secret").pipe(
      Flag.withDescription("Take a new secret, as create does"),
      Flag.withDefault(false)
    ),
    settings: { ...settings, host: text("host", hostText, "HOST"), "auth-id": text("auth-id", userText) },
    ...SectionFlags.deletion
  },
  (input) =>
    Effect.flatMap(actions, (act) =>
      act.update(input.id, input.secret, SectionFlags.textsOf(input.settings, input.delete))
    )
).pipe(Command.withDescription("Change what is given, and nothing else"))

const list = Command.make("list", {}, () => Effect.flatMap(actions, (act) => act.list)).pipe(
  Command.withDescription("List the servers that have a name; secrets are never shown")
)

const show = Command.make("show", { id }, (input) =>
  Effect.flatMap(actions, (act) => act.show(input.id))
).pipe(Command.withDescription("Show the settings of a remote, without its secret"))

const remove = Command.make("remove", { id }, (input) =>
  Effect.flatMap(actions, (act) => act.remove(input.id))
).pipe(Command.withDescription("Forget a server that no sync job needs"))

export const remote = Command.make("remote").pipe(
  Command.withDescription("Names for Proxmox Backup Servers and granary serve, kept in the configuration"),
  Command.withSubcommands([create, list, show, update, remove])
)
