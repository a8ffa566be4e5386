/** `granary s3 endpoint create|list|update|remove`: S3 servers by name, kept in the configuration. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Endpoints from "../../config/Endpoints.ts"
import { defaultRegion, type SettingName, type SettingTexts } from "../../objectstore/s3/S3Settings.ts"
import * as NodeFileLocks from "../../platform/NodeFileLocks.ts"
import * as NodeFiles from "../../platform/NodeFiles.ts"
import { configFolder } from "../ConfigFlag.ts"
import { UsageError } from "../Failure.ts"
import * as Format from "../Format.ts"
import { print } from "../Output.ts"
import { root } from "../Root.ts"
import { check } from "./S3Check.ts"

const platform = Layer.mergeAll(NodeFiles.layer, NodeFileLocks.layer)

const id = Argument.String("id").pipe(
  Argument.withDescription("The endpoint's name"),
  Argument.withMetavar("ID")
)

const text = (name: SettingName, description: string, metavar: string) =>
  Flag.String(name).pipe(Flag.withDescription(description), Flag.withMetavar(metavar), Flag.optional)

const flags = {
  id,
  endpoint: text(
    "endpoint",
    "The server: a host such as s3.example.org or {{bucket}}.s3.{{region}}.example.org, with a port when there is one",
    "HOST[:PORT]"
  ),
  port: text("port", "The server's port", "PORT"),
  region: text("region", `The region of its buckets (default ${defaultRegion}), or auto`, "REGION"),
  "path-style": Flag.Boolean("path-style").pipe(
    Flag.withDescription("The bucket's name begins the path instead of the host's name"),
    Flag.optional
  ),
  "access-key": text("access-key", "The access key (or set GRANARY_S3_ACCESS_KEY)", "KEY"),
  "secret-key": text(
    "secret-key",
    "The secret key; other users of this machine can see it: better set GRANARY_S3_SECRET_KEY or use a file",
    "KEY"
  ),
  "secret-key-file": Flag.String("secret-key-file").pipe(
    Flag.withDescription("File with the secret key, or with lines access-key KEY and secret-key KEY"),
    Flag.withMetavar("FILE"),
    Flag.optional
  ),
  "put-rate-limit": text("put-rate-limit", "Uploads per second at most", "NUMBER"),
  "rate-in": text("rate-in", "Bytes received per second at most, such as 10MiB", "BYTES"),
  "burst-in": text("burst-in", "Bytes received at once after a pause", "BYTES"),
  "rate-out": text("rate-out", "Bytes sent per second at most", "BYTES"),
  "burst-out": text("burst-out", "Bytes sent at once after a pause", "BYTES"),
  "provider-quirk": Flag.String("provider-quirk").pipe(
    Flag.withDescription(
      "What the provider cannot do: skip-if-none-match-header, delete-objects-via-delete-object (repeatable)"
    ),
    Flag.between(0, 100)
  ),
  "insecure-http": Flag.Boolean("insecure-http").pipe(
    Flag.withDescription("Allow plain http to other machines: whoever listens can read everything"),
    Flag.optional
  )
} as const

type Input = Command.Command.Config.Infer<typeof flags>

/** The flag of this one has another name, for it may be given several times. */
const settings = Endpoints.settingNames.filter((name) => name !== "provider-quirks")

/** The settings that were typed, and the keys from the file that was named. */
const typed = (input: Input) =>
  Effect.gen(function* () {
    const file = input["secret-key-file"]
    const { readKeyFile } = yield* Effect.promise(() => import("../S3Connection.ts"))
    const texts: { [name in SettingName]?: string | undefined } = Option.isNone(file)
      ? {}
      : { ...(yield* readKeyFile(file.value)) }
    // The flag of this name is one of all commands.
    const { serverFingerprint: fingerprint } = yield* root
    const given = { ...input, fingerprint }
    for (const name of settings) {
      const value: Option.Option<string | boolean> = given[name]
      if (Option.isSome(value)) texts[name] = String(value.value)
    }
    const quirks = input["provider-quirk"]
    if (quirks.length > 0) texts["provider-quirks"] = quirks.join(",")
    return texts
  })

/** Keys may be in the environment, so that no other user of the machine sees them. */
const keysOfEnvironment = Effect.gen(function* () {
  const { fromEnvironment } = yield* Effect.promise(() => import("../../objectstore/s3/S3SettingSources.ts"))
  const environment = yield* fromEnvironment
  const texts: SettingTexts = Object.fromEntries(
    (["access-key", "secret-key"] as const).flatMap((name) =>
      environment[name] === undefined ? [] : [[name, environment[name]]]
    )
  )
  return texts
})

const hasKeys = ({ texts }: Endpoints.Endpoint): boolean =>
  texts["access-key"] !== undefined && texts["secret-key"] !== undefined

/** Everything but the keys, of which only is told whether they are there. */
const toJson = (endpoint: Endpoints.Endpoint) => ({
  id: endpoint.id,
  ...Object.fromEntries(
    Endpoints.settingNames.flatMap((name) =>
      name === "access-key" || name === "secret-key" || endpoint.texts[name] === undefined
        ? []
        : [[name, endpoint.texts[name]]]
    )
  ),
  "has-keys": hasKeys(endpoint)
})

const create = Command.make("create", flags, (input) =>
  Effect.gen(function* () {
    const folder = yield* configFolder
    const texts = { ...(yield* keysOfEnvironment), ...(yield* typed(input)) }
    yield* Endpoints.create(folder, { id: input.id, texts })
    const made = yield* Endpoints.get(folder, input.id)
    const missing = hasKeys(made)
      ? ""
      : "\nits keys are not kept: set GRANARY_S3_ACCESS_KEY and GRANARY_S3_SECRET_KEY, or update it with both"
    const next = `try it with: granary s3 buckets ${input.id}; granary s3 check ${input.id}/BUCKET`
    yield* print({
      json: toJson(made),
      text: `made endpoint ${input.id} in ${Endpoints.pathIn(folder)}${missing}\n${next}`
    })
  }).pipe(Effect.provide(platform))
).pipe(
  Command.withDescription("Give an S3 server a name"),
  Command.withExamples([
    {
      command:
        "granary s3 endpoint create minio --endpoint minio.example.org:9000 --path-style --secret-key-file keys",
      description: "A server of one's own"
    },
    {
      command:
        "granary s3 endpoint create aws --endpoint '{{bucket}}.s3.{{region}}.amazonaws.com' --region eu-central-1",
      description: "Keys from GRANARY_S3_ACCESS_KEY and GRANARY_S3_SECRET_KEY"
    }
  ])
)

const nothingToChange = new UsageError({
  detail: "nothing to change was given",
  hint: "see: granary s3 endpoint update --help"
})

const update = Command.make("update", flags, (input) =>
  Effect.gen(function* () {
    const folder = yield* configFolder
    const texts = yield* typed(input)
    if (Object.keys(texts).length === 0) return yield* nothingToChange
    yield* Endpoints.update(folder, input.id, texts)
    const changed = yield* Endpoints.get(folder, input.id)
    yield* print({ json: toJson(changed), text: `changed endpoint ${input.id}` })
  }).pipe(Effect.provide(platform))
).pipe(
  Command.withDescription('Change what is given, and nothing else; an empty value ("") takes a setting away')
)

const remove = Command.make("remove", { id }, (input) =>
  Effect.gen(function* () {
    yield* Endpoints.remove(yield* configFolder, input.id)
    const done = `removed endpoint ${input.id}; what is in its buckets stays there`
    yield* print({ json: { id: input.id, removed: true }, text: done })
  }).pipe(Effect.provide(platform))
).pipe(Command.withDescription("Forget an S3 server; its buckets are not touched"))

const header = ["endpoint", "host", "region", "style", "keys", "further settings"]

const shown: ReadonlySet<SettingName> = new Set([
  "endpoint",
  "port",
  "region",
  "path-style",
  "access-key",
  "secret-key"
])

const row = (endpoint: Endpoints.Endpoint): ReadonlyArray<string> => {
  const { texts } = endpoint
  const further = Endpoints.settingNames.filter((name) => !shown.has(name) && texts[name] !== undefined)
  return [
    endpoint.id,
    `${texts.endpoint ?? ""}${texts.port === undefined ? "" : `:${texts.port}`}`,
    texts.region ?? defaultRegion,
    /^(?:true|yes|on|1)$/i.test(texts["path-style"] ?? "") ? "path" : "virtual host",
    hasKeys(endpoint) ? "kept" : "not kept",
    further.map((name) => `${name} ${texts[name]}`).join(", ")
  ].map(Format.name)
}

const list = Command.make("list", {}, () =>
  Effect.gen(function* () {
    const all = yield* Endpoints.list(yield* configFolder)
    yield* print({
      json: all.map(toJson),
      text: all.length === 0 ? "no endpoints" : Format.table(header, all.map(row))
    })
  }).pipe(Effect.provide(platform))
).pipe(Command.withDescription("List the S3 servers that have a name; keys are never shown"))

export const endpoint = Command.make("endpoint").pipe(
  Command.withDescription("Names for S3 servers, kept in the configuration"),
  Command.withSubcommands([create, list, update, remove, check])
)
