/**
 * `granary access`: who may use the datastores that `granary serve` serves: users, API tokens, and what they may do.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as AuthId from "../../model/AuthId.ts"
import * as NodeFileLocks from "../../platform/NodeFileLocks.ts"
import * as NodeFiles from "../../platform/NodeFiles.ts"
import * as Permissions from "../../server/users/Permissions.ts"
import * as UserRecords from "../../server/users/UserRecords.ts"
import { configFolder } from "../ConfigFlag.ts"
import { parseInput, UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { print } from "../Output.ts"

const machine = Layer.merge(NodeFiles.layer, NodeFileLocks.layer)

const authIdArgument = (name: string, description: string) =>
  Argument.String(name).pipe(Argument.withDescription(description), Argument.withMetavar(name.toUpperCase()))

const authId = (text: string, isToken: boolean | undefined) =>
  Effect.gen(function* () {
    const parsed = yield* parseInput(() => AuthId.parse(text))
    if (isToken === undefined || (AuthId.tokenOf(parsed) !== undefined) === isToken) return parsed
    const hint = isToken
      ? "write user@realm!token, such as alice@pbs!laptop"
      : "write user@realm, such as alice@pbs"
    return yield* new UsageError({ detail: `${Format.name(text)} is no ${isToken ? "token" : "user"}`, hint })
  })

/** A secret is not for the command line, where all users of the machine see it. */
const password = Effect.suspend(() => {
  const given = process.env["GRANARY_NEW_PASSWORD"]
  return Effect.succeed(given === undefined || given === "" ? undefined : given)
})

const user = Command.make(
  "user",
  {
    user: authIdArgument("user", "user@realm; the realm can be any word, such as pbs"),
    comment: Flag.String("comment").pipe(Flag.withDescription("What to note of the user"), Flag.optional),
    disable: Flag.Boolean("disable").pipe(
      Flag.withDescription("Let neither the user nor any token of the user in"),
      Flag.withDefault(false)
    )
  },
  (input) =>
    Effect.gen(function* () {
      const id = yield* authId(input.user, false)
      const secret = yield* password
      const comment = Option.getOrUndefined(input.comment)
      yield* UserRecords.putUser(yield* configFolder, id, {
        isEnabled: !input.disable,
        ...(secret === undefined ? {} : { password: secret }),
        ...(comment === undefined ? {} : { comment })
      })
      yield* print({ json: { user: id }, text: `user ${id}${input.disable ? " is disabled" : ""}` })
    }).pipe(Effect.provide(machine))
).pipe(
  Command.withDescription(
    "Make or change a user; the password comes from GRANARY_NEW_PASSWORD, if there is to be one"
  )
)

const token = Command.make(
  "token",
  { token: authIdArgument("token", "user@realm!token; the user must be there") },
  (input) =>
    Effect.gen(function* () {
      const id = yield* authId(input.token, true)
      const secret = yield* UserRecords.putToken(yield* configFolder, id)
      yield* print({
        json: { token: id, secret },
        text: [`token ${id}`, `secret ${secret}`, "this secret is shown only now"].join("\n")
      })
    }).pipe(Effect.provide(machine))
).pipe(Command.withDescription("Make a token with a new secret, which is shown this once"))

const roleNames = Object.keys(Permissions.roles).join(", ")

const grant = Command.make(
  "grant",
  {
    who: authIdArgument("who", "A user or a token; a token has what both it and its user have"),
    path: Argument.String("path").pipe(
      Argument.withDescription("/, /datastore/STORE or /datastore/STORE/NAMESPACE"),
      Argument.withMetavar("PATH")
    ),
    roles: Argument.String("role").pipe(
      Argument.withDescription(`Of: ${roleNames}; none takes the entry away`),
      Argument.withMetavar("ROLE"),
      Argument.variadic({ min: 0, max: 8 })
    ),
    only: Flag.Boolean("no-propagate").pipe(
      Flag.withDescription("Not for what lies below the path"),
      Flag.withDefault(false)
    )
  },
  (input) =>
    Effect.gen(function* () {
      const id = yield* authId(input.who, undefined)
      if (!Permissions.isPath(input.path)) {
        const hint = "write /, /datastore/STORE or /datastore/STORE/NAMESPACE"
        return yield* new UsageError({
          detail: `${Format.name(input.path)} is no path for permissions`,
          hint
        })
      }
      const roles = input.roles.filter(Permissions.isRole)
      const unknown = input.roles.find((role) => !Permissions.isRole(role))
      if (unknown !== undefined) {
        return yield* new UsageError({
          detail: `${Format.name(unknown)} is no role`,
          hint: `roles: ${roleNames}`
        })
      }
      const entry = { authId: id, path: input.path, roles, propagate: !input.only }
      yield* UserRecords.putAcl(yield* configFolder, entry)
      yield* print({
        json: { who: id, path: input.path, roles },
        text: `${id} on ${input.path}: ${roles.length === 0 ? "nothing" : roles.join(", ")}`
      })
    }).pipe(Effect.provide(machine))
).pipe(Command.withDescription("Say what a user or token may do on a path"))

const remove = Command.make(
  "remove",
  { who: authIdArgument("who", "A user, with all tokens, or a token") },
  (input) =>
    Effect.gen(function* () {
      const id = yield* authId(input.who, undefined)
      yield* UserRecords.remove(yield* configFolder, id)
      yield* print({ json: { removed: id }, text: `removed ${id}` })
    }).pipe(Effect.provide(machine))
).pipe(Command.withDescription("Remove a user or a token, and what it was allowed"))

const list = Command.make("list", {}, () =>
  Effect.gen(function* () {
    const { acl, identities } = yield* UserRecords.read(yield* configFolder)
    const rows = [...identities.values()].map(({ authId: id, comment, isEnabled }) => ({
      id,
      enabled: isEnabled,
      comment: comment ?? null,
      acl: acl
        .filter((entry) => entry.authId === id)
        .map(({ path, propagate, roles }) => ({ path, roles, propagate }))
    }))
    const text = rows.flatMap(({ acl: entries, enabled, id }) => [
      `${id}${enabled ? "" : " (disabled)"}`,
      ...entries.map(
        ({ path, propagate, roles }) => `  ${path}: ${roles.join(", ")}${propagate ? "" : " (not below)"}`
      )
    ])
    yield* print({ json: rows, text: text.join("\n") })
  }).pipe(Effect.provide(machine))
).pipe(Command.withDescription("List users and tokens with what they may do"))

export const access = Command.make("access").pipe(
  Command.withDescription("Users and tokens of `granary serve`, and what they may do"),
  Command.withSubcommands([user, token, grant, list, remove]),
  Command.withExamples([
    { command: "granary access user alice@pbs", description: "A user without a password, for tokens" },
    { command: "granary access token alice@pbs!laptop", description: "A token; its secret is shown once" },
    {
      command: "granary access grant alice@pbs /datastore/store1 DatastoreBackup",
      description: "The same for the token, and it can make backups"
    }
  ])
)
