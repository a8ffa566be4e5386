/**
 * S3Settings: where a bucket is and how to reach it, with the settings and defaults that Proxmox Backup Server has
 * for an S3 endpoint.
 *
 * Invariant: settings that `decode` answered are complete and good in themselves; plain http to another machine is
 * among them only when it was asked for by name. Keys are redacted: no message, log line or JSON shows them.
 */
import type * as Redacted from "effect/Redacted"
import { S3SettingsError, variableOf } from "./S3SettingsError.ts"
import * as values from "./settingValues.ts"

export type { Quirk, Scheme } from "./settingValues.ts"
export { S3SettingsError } from "./S3SettingsError.ts"

export interface S3Settings {
  readonly scheme: values.Scheme
  /** May hold the templates `{{bucket}}` and `{{region}}`. */
  readonly endpoint: string
  /** Absent: the scheme's own. */
  readonly port?: number
  readonly bucket: string
  /** `auto` for providers that have only one. */
  readonly region: string
  /** The bucket's name begins the path, instead of being a part of the host's name. */
  readonly pathStyle: boolean
  readonly accessKey: Redacted.Redacted<string>
  readonly secretKey: Redacted.Redacted<string>
  /** SHA-256 of the server's certificate, lower-case hex with colons: trusted when the system does not trust it. */
  readonly fingerprint?: string
  readonly putsPerSecond?: number
  readonly rateInBytesPerSecond?: number
  readonly burstInBytes?: number
  readonly rateOutBytesPerSecond?: number
  readonly burstOutBytes?: number
  readonly quirks: ReadonlySet<values.Quirk>
}

export const defaultRegion = "us-west-1"

/** By the names that PBS gives them; `bucket` and `insecure-http` are not in its endpoint sections. */
export const settingNames = [
  "endpoint",
  "port",
  "bucket",
  "region",
  "path-style",
  "access-key",
  "secret-key",
  "fingerprint",
  "put-rate-limit",
  "rate-in",
  "burst-in",
  "rate-out",
  "burst-out",
  "provider-quirks",
  "insecure-http"
] as const

export type SettingName = (typeof settingNames)[number]

/** The texts of settings, as a configuration file, options or the environment hold them. */
export type SettingTexts = { readonly [name in SettingName]?: string | undefined }

const isSettingName = (name: string): name is SettingName => settingNames.some((known) => known === name)

const missing = (setting: SettingName, expected: string): never => {
  throw new S3SettingsError({
    setting,
    expected,
    advice: `set ${setting} in the endpoint's settings, or ${variableOf(setting)}`
  })
}

type Parse<A> = (setting: string, text: string) => A

const optional = <Name extends string, A>(
  texts: SettingTexts,
  setting: SettingName,
  name: Name,
  parse: Parse<A>
): { readonly [key in Name]?: A } => {
  const text = texts[setting]
  // The one key that the type names.
  return (text === undefined ? {} : { [name]: parse(setting, text) }) as { readonly [key in Name]?: A }
}

const schemeOf = (host: string, written: values.Scheme | undefined, isInsecureAllowed: boolean) => {
  const scheme = written ?? (isInsecureAllowed ? "http" : "https")
  if (scheme === "http" && !isInsecureAllowed && !values.isLoopback(host)) {
    throw new S3SettingsError({
      setting: "endpoint",
      text: `http://${host}`,
      expected: "https, for over plain http others read what is sent",
      advice: "write https, or set insecure-http if you trust the network between here and there"
    })
  }
  return scheme
}

/** Texts become settings; throws `S3SettingsError`. Texts are trimmed; an empty one counts as not given. */
export const decode = (given: Readonly<Record<string, string | undefined>>): S3Settings => {
  const texts: { [name in SettingName]?: string } = {}
  for (const [name, text] of Object.entries(given)) {
    if (!isSettingName(name)) {
      throw new S3SettingsError({ setting: name, expected: `one of ${settingNames.join(", ")}` })
    }
    const trimmed = text?.trim() ?? ""
    if (trimmed !== "") texts[name] = trimmed
  }
  const optionally = <A>(setting: SettingName, parse: Parse<A>, otherwise: A): A =>
    texts[setting] === undefined ? otherwise : parse(setting, texts[setting])

  const endpoint = values.endpoint(
    "endpoint",
    texts.endpoint ?? missing("endpoint", "the server's host name")
  )
  const isInsecureAllowed = optionally("insecure-http", values.boolean, false)
  const port = optionally("port", values.port, endpoint.port)
  if (endpoint.port !== undefined && endpoint.port !== port) {
    throw new S3SettingsError({
      setting: "port",
      text: String(port),
      expected: `${endpoint.port}, as the endpoint says, or no port there`
    })
  }
  const isPathStyle = optionally("path-style", values.boolean, false)
  if (!isPathStyle && values.isAddress(endpoint.host)) {
    throw new S3SettingsError({
      setting: "path-style",
      expected: `true, for ${endpoint.host} has no name of which the bucket's name could be a part`
    })
  }
  return {
    scheme: schemeOf(endpoint.host, endpoint.scheme, isInsecureAllowed),
    endpoint: endpoint.host,
    ...(port === undefined ? {} : { port }),
    bucket: values.bucket("bucket", texts.bucket ?? missing("bucket", "the bucket's name")),
    region: optionally("region", values.region, defaultRegion),
    pathStyle: isPathStyle,
    accessKey: values.secret("access-key", texts["access-key"] ?? missing("access-key", "the access key")),
    secretKey: values.secret("secret-key", texts["secret-key"] ?? missing("secret-key", "the secret key")),
    quirks: optionally("provider-quirks", values.providerQuirks, new Set<values.Quirk>()),
    ...optional(texts, "fingerprint", "fingerprint", values.fingerprint),
    ...optional(texts, "put-rate-limit", "putsPerSecond", values.requestsPerSecond),
    ...optional(texts, "rate-in", "rateInBytesPerSecond", values.bytes),
    ...optional(texts, "burst-in", "burstInBytes", values.bytes),
    ...optional(texts, "rate-out", "rateOutBytesPerSecond", values.bytes),
    ...optional(texts, "burst-out", "burstOutBytes", values.bytes)
  }
}

/** The host to connect to, with the templates filled in. Without a bucket, `{{bucket}}.` goes: to list buckets. */
export const hostOf = ({ endpoint, region }: S3Settings, bucket: string | undefined): string =>
  (bucket === undefined
    ? endpoint.replaceAll("{{bucket}}.", "").replaceAll("{{bucket}}", "")
    : endpoint.replaceAll("{{bucket}}", bucket)
  ).replaceAll("{{region}}", region)
