/**
 * The values of single settings, from the texts that people write. Each function throws `S3SettingsError` and nothing
 * else. The grammars are those of Proxmox Backup Server.
 */
import * as Redacted from "effect/Redacted"
import { S3SettingsError } from "./S3SettingsError.ts"

const refuse = (setting: string, text: string, expected: string, advice?: string): never => {
  throw new S3SettingsError({ setting, text, expected, ...(advice === undefined ? {} : { advice }) })
}

export type Scheme = "https" | "http"

export interface Endpoint {
  /** With its templates; an IPv6 address in brackets. */
  readonly host: string
  /** Undefined when only the host was written. */
  readonly scheme: Scheme | undefined
  readonly port: number | undefined
}

const label = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
const hostName = new RegExp(`^(?:${label}\\.)*${label}$`, "i")
const ipv6 = /^\[[0-9a-f:.]+\]$/i
const hostLengthMax = 253

const isHost = (text: string): boolean => {
  // A template stands for a part of a label; `x` does for the check.
  const filled = text.replaceAll("{{bucket}}", "x").replaceAll("{{region}}", "x")
  return filled.length <= hostLengthMax && (hostName.test(filled) || ipv6.test(filled))
}

const endpointPattern = /^(?:(https?):\/\/)?(\[[^\]]*\]|[^:/?#@]+)(?::(\d+))?\/?$/

export const port = (setting: string, text: string): number => {
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return number >= 1 && number <= 65_535 ? number : refuse(setting, text, "a port from 1 to 65535")
}

/** A host, or for convenience a URL of nothing but scheme, host and port. */
export const endpoint = (setting: string, text: string): Endpoint => {
  const [, scheme, host = "", portText] = endpointPattern.exec(text) ?? []
  if (!isHost(host)) {
    return refuse(
      setting,
      text,
      "a host such as s3.example.org or {{bucket}}.s3.{{region}}.example.org, with a port when there is one"
    )
  }
  return {
    host: host.toLowerCase(),
    scheme: scheme === "http" || scheme === "https" ? scheme : undefined,
    port: portText === undefined ? undefined : port(setting, portText)
  }
}

/** What never leaves this machine, where plain http shows nobody anything. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" ||
  host.endsWith(".localhost") ||
  host === "[::1]" ||
  /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)

/** No bucket's name can be a part of such a host's name. */
export const isAddress = (host: string): boolean =>
  host === "localhost" || ipv6.test(host) || /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)

const regionLengthMax = 32

export const region = (setting: string, text: string): string =>
  /^[_a-z\d][-_a-z\d]+$/.test(text) && text.length <= regionLengthMax
    ? text
    : refuse(setting, text, 'a region such as us-west-1, or "auto": lower-case letters, digits, "-" and "_"')

const bucketPattern = /^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/
const reserved = /^(?:xn--|sthree-|amzn-s3-demo-)|(?:-s3alias|--ol-s3|--x-s3|--table-s3)$/

export const bucket = (setting: string, text: string): string =>
  bucketPattern.test(text) && !reserved.test(text)
    ? text
    : refuse(
        setting,
        text,
        'a bucket name: 3 to 63 lower-case letters, digits and "-", not beginning or ending with "-"'
      )

/** Never quoted in an error. */
export const secret = (setting: string, text: string): Redacted.Redacted<string> => {
  if (text === "" || /[\s\p{Cc}]/u.test(text)) {
    throw new S3SettingsError({ setting, expected: "a key without spaces or line breaks" })
  }
  return Redacted.make(text, { label: setting })
}

const fingerprintPattern = /^[0-9a-f]{2}(?::[0-9a-f]{2}){31}$/

export const fingerprint = (setting: string, text: string): string => {
  const lower = text.toLowerCase()
  return fingerprintPattern.test(lower)
    ? lower
    : refuse(setting, text, "the SHA-256 fingerprint of a certificate: 32 pairs of hex digits with colons")
}

const booleans: ReadonlyMap<string, boolean> = new Map([
  ...["true", "yes", "on", "1"].map((text) => [text, true] as const),
  ...["false", "no", "off", "0"].map((text) => [text, false] as const)
])

export const boolean = (setting: string, text: string): boolean =>
  booleans.get(text.toLowerCase()) ?? refuse(setting, text, "true or false")

const rateMax = 1_000_000

export const requestsPerSecond = (setting: string, text: string): number => {
  const number = /^\d{1,7}$/.test(text) ? Number(text) : 0
  return number >= 1 && number <= rateMax
    ? number
    : refuse(setting, text, `requests per second from 1 to ${rateMax}`)
}

const bytesPattern = /^(\d+(?:\.\d+)?) ?(?:([KMGT])(i)?)?B?$/i

/** `10 MiB`, `1.5GB` or a plain number. */
export const bytes = (setting: string, text: string): number => {
  const [, number = "", unit = "", binary] = bytesPattern.exec(text) ?? []
  const power = ["", "K", "M", "G", "T"].indexOf(unit.toUpperCase())
  const size = Math.round(Number(number) * (binary === undefined ? 1000 : 1024) ** power)
  return number !== "" && size >= 1 && Number.isSafeInteger(size)
    ? size
    : refuse(setting, text, "bytes such as 10MiB or 1.5GB")
}

export const quirks = ["skip-if-none-match-header", "delete-objects-via-delete-object"] as const

/**
 * What a provider cannot do. `skip-if-none-match-header`: conditional puts. `delete-objects-via-delete-object`:
 * deletions in batches.
 */
export type Quirk = (typeof quirks)[number]

/** Names with commas, semicolons or spaces between them. */
export const providerQuirks = (setting: string, text: string): ReadonlySet<Quirk> =>
  new Set(
    text
      .split(/[\s,;]+/)
      .filter((name) => name !== "")
      .map((name) => quirks.find((quirk) => quirk === name) ?? refuse(setting, name, quirks.join(" or ")))
  )
