/**
 * S3Flags: an S3 server given on the command line, so that a store can be reached from a machine on which nothing is
 * set up. What is not given comes from the endpoint's section in the configuration, then from the environment
 * (`GRANARY_S3_ENDPOINT`, `GRANARY_S3_ACCESS_KEY` and so on).
 *
 * Every command has these flags, so all but the first are left out of its help; `granary s3 --help` names them.
 */
import * as Flag from "effect/cli/Flag"
import * as Config from "effect/Config"
import * as Option from "effect/Option"
import type { SettingName, SettingTexts } from "../objectstore/s3/S3Settings.ts"

const text = (name: string, description: string, metavar: string) =>
  Flag.String(name).pipe(
    Flag.withDescription(description),
    Flag.withMetavar(metavar),
    Flag.optional,
    Flag.withHidden
  )

const choice = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(description), Flag.optional, Flag.withHidden)

export const flags = {
  s3Endpoint: Flag.String("s3-endpoint").pipe(
    Flag.withDescription("An S3 server that is not configured; its other flags: granary s3 --help"),
    Flag.withMetavar("HOST[:PORT]"),
    Flag.optional
  ),
  s3Port: text("s3-port", "Port of the S3 server", "PORT"),
  s3Region: text("s3-region", "Region of the bucket", "REGION"),
  s3PathStyle: choice("s3-path-style", "The bucket's name begins the path instead of the host's name"),
  s3AccessKey: text("s3-access-key", "Access key", "KEY"),
  s3SecretKey: text("s3-secret-key", "Secret key; other users of this machine can see it", "KEY"),
  s3SecretKeyFile: text("s3-secret-key-file", "File with the secret key, or with both keys", "FILE"),
  s3Fingerprint: text("s3-fingerprint", "SHA-256 of the server's certificate", "FINGERPRINT"),
  s3InsecureHttp: choice("s3-insecure-http", "Allow plain http to other machines"),
  s3PutRateLimit: text("s3-put-rate-limit", "Uploads per second at most", "NUMBER"),
  s3ProviderQuirk: Flag.String("s3-provider-quirk").pipe(
    Flag.withDescription("What the provider cannot do (repeatable)"),
    Flag.between(0, 100),
    Flag.withHidden
  ),
  s3Budget: text("s3-budget", "What a command may ask of the server at most", "LIMITS"),
  prices: Flag.String("prices").pipe(
    Flag.withDescription(
      "Price table of the provider, so that costs are told as money (or set GRANARY_PRICES)"
    ),
    Flag.withMetavar("FILE"),
    Flag.withFallbackConfig(Config.String("GRANARY_PRICES")),
    Flag.optional,
    Flag.withHidden
  )
} as const

/** What was typed. */
export interface Input {
  readonly s3Endpoint: Option.Option<string>
  readonly s3Port: Option.Option<string>
  readonly s3Region: Option.Option<string>
  readonly s3PathStyle: Option.Option<boolean>
  readonly s3AccessKey: Option.Option<string>
  readonly s3SecretKey: Option.Option<string>
  readonly s3SecretKeyFile: Option.Option<string>
  readonly s3Fingerprint: Option.Option<string>
  readonly s3InsecureHttp: Option.Option<boolean>
  readonly s3PutRateLimit: Option.Option<string>
  readonly s3ProviderQuirk: ReadonlyArray<string>
  readonly s3Budget: Option.Option<string>
  readonly prices: Option.Option<string>
}

/** The settings among the flags; the file with the keys is not read here. */
export const textsOf = (input: Input): SettingTexts => {
  const options: { readonly [name in SettingName]?: Option.Option<string | boolean> } = {
    endpoint: input.s3Endpoint,
    port: input.s3Port,
    region: input.s3Region,
    "path-style": input.s3PathStyle,
    "access-key": input.s3AccessKey,
    "secret-key": input.s3SecretKey,
    fingerprint: input.s3Fingerprint,
    "insecure-http": input.s3InsecureHttp,
    "put-rate-limit": input.s3PutRateLimit,
    "provider-quirks":
      input.s3ProviderQuirk.length === 0 ? Option.none() : Option.some(input.s3ProviderQuirk.join(","))
  }
  return Object.fromEntries(
    Object.entries(options).flatMap(([name, option]) =>
      Option.isSome(option) ? [[name, String(option.value)]] : []
    )
  )
}

/** For the help of `granary s3`. */
export const help = [
  'A server is known by the name that "granary s3 endpoint create" gave it, or told on the command line of any command',
  "by --s3-endpoint HOST[:PORT], --s3-port, --s3-region, --s3-path-style, --s3-access-key, --s3-secret-key,",
  "--s3-secret-key-file, --s3-fingerprint, --s3-insecure-http, --s3-put-rate-limit, --s3-provider-quirk, or by the",
  "environment: GRANARY_S3_ENDPOINT, GRANARY_S3_ACCESS_KEY, GRANARY_S3_SECRET_KEY and so on. --s3-budget LIMITS fails",
  "before more than so much is asked of the server, such as put=1000,get=5000,in=2GiB. --prices FILE (or",
  "GRANARY_PRICES) names the provider's price table as JSON: what plans and commands tell is in money then as well."
].join(" ")
