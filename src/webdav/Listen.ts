/** Listen: where a server listens, as `HOST:PORT`, and who can reach it there. */
import * as net from "node:net"

export interface ListenAddress {
  /** An IP address, or a name that stands for one. */
  readonly host: string
  /** 0 for any that is free. */
  readonly port: number
}

export const loopback = "127.0.0.1"

/** Where a server listens that was not told anything else. */
export const defaultPort = 8765

/** `HOST:PORT`, `[IPV6]:PORT`, `:PORT` and `PORT` on loopback; undefined for anything else. */
export const parse = (text: string): ListenAddress | undefined => {
  const [, bracketed, plain, digits] = /^(?:(?:\[([^\]]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > 65_535) return undefined
  if (bracketed !== undefined && !net.isIPv6(bracketed)) return undefined
  const host = bracketed ?? (plain || loopback)
  return /^[\w.:%-]+$/.test(host) ? { host, port } : undefined
}

/** An IPv6 address that wraps one of IPv4 is meant as that. */
const unwrapped = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, "")

/** Only programs on this machine reach it. `localhost` and every name below it are this machine by definition. */
export const isLoopback = (host: string): boolean => {
  const address = unwrapped(host)
  if (net.isIPv4(address)) return address.startsWith("127.")
  return address === "::1" || /^(?:.+\.)?localhost\.?$/i.test(address)
}

/** The `Host` header of a request without its port and brackets. */
export const hostOf = (header: string): string => header.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1")

export const urlOf = ({ host, port }: ListenAddress): string =>
  `http://${net.isIPv6(host) ? `[${host}]` : host}:${port}/`
