/**
 * RemoteAddress: where a datastore on a server is, and as whom one goes there: `user@realm!token@host:port:store`.
 *
 * The port is left out when it is the usual one. The host may be a name, an IPv4 address, or an IPv6 address in
 * brackets.
 */
import * as net from "node:net"
import * as AuthId from "../model/AuthId.ts"
import * as DatastoreName from "../model/DatastoreName.ts"
import { refuse } from "../model/InvalidName.ts"

export interface RemoteAddress {
  /** A user, or a token of one. */
  readonly authId: AuthId.AuthId
  /** A name or an address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
  readonly store: string
}

export const defaultPort = 8007

export const form = "user@realm!token@host:port:store, or without !token, without :port"

/** The auth id holds no colon and ends at the last `@`; what follows holds no `@`. */
const pattern =
  /^(?<authId>[^:/]+)@(?<host>\[[0-9A-Fa-f:.]+\]|[^@:/\s[\]]+):(?:(?<port>\d+):)?(?<store>[^:@/]+)$/

const hostPattern = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_.])?$/

/** Whether a text can only be meant as an address. */
export const looksLikeOne = (text: string): boolean => /^[^/]+@[^/]+:/.test(text)

const hostIn = (text: string): string => {
  const bare = text.startsWith("[") ? text.slice(1, -1) : text
  const isFine = text.startsWith("[") ? net.isIPv6(bare) : hostPattern.test(bare)
  return isFine ? bare : refuse("host", text, "a name, an IPv4 address, or an IPv6 address in brackets")
}

const portMax = 65_535

const portIn = (text: string | undefined): number => {
  if (text === undefined) return defaultPort
  const port = Number(text)
  return port >= 1 && port <= portMax ? port : refuse("port", text, `1 to ${portMax}`)
}

/** Throws `InvalidName`. */
export const parse = (text: string): RemoteAddress => {
  const groups = pattern.exec(text)?.groups
  if (groups === undefined) return refuse("repository", text, form)
  return {
    authId: AuthId.parse(groups["authId"] ?? ""),
    host: hostIn(groups["host"] ?? ""),
    port: portIn(groups["port"]),
    store: DatastoreName.check(groups["store"] ?? "")
  }
}

/** The host as it stands in front of a colon. */
export const hostText = ({ host }: RemoteAddress): string => (net.isIPv6(host) ? `[${host}]` : host)

/** The server alone, as messages name it. */
export const serverText = (address: RemoteAddress): string => `${hostText(address)}:${address.port}`

export const format = (address: RemoteAddress): string => {
  const port = address.port === defaultPort ? "" : `${address.port}:`
  return `${address.authId}@${hostText(address)}:${port}${address.store}`
}
