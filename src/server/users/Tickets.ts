/**
 * Tickets: what a user who has shown the password carries from then on, and the token that protects against requests
 * of other sites' pages. Both are signed with HMAC-SHA256 under a key of this server and carry their time.
 *
 * A ticket is `PBS:USER:TIME::SIGNATURE`, the other token `TIME:SIGNATURE`; TIME is eight hex digits of seconds since
 * 1970. The signature of a ticket also covers what is kept of the user's password: a new password ends old tickets.
 * Good for two hours, and up to five minutes before their time, for clocks that differ.
 */
import { createHmac, timingSafeEqual } from "node:crypto"
import * as AuthId from "../../model/AuthId.ts"

export const lifeSeconds = 7200
const earlySeconds = 300

/** How a ticket begins; a "password" that begins so is a ticket to be renewed. */
export const prefix = "PBS:"

export interface Signed {
  readonly user: AuthId.AuthId
  /** What is kept of the user's password; empty where there is none. */
  readonly kept: string
}

const hexTime = (seconds: number): string => seconds.toString(16).toUpperCase().padStart(8, "0")

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64").replaceAll("=", "")

/** Every part with its length before it: no two lists of parts are signed alike. */
const sign = (key: Uint8Array, parts: ReadonlyArray<string>): Uint8Array => {
  const signature = createHmac("sha256", key)
  for (const part of parts) signature.update(`${Buffer.byteLength(part)}:${part}`)
  return signature.digest()
}

const isSame = (expected: Uint8Array, text: string): boolean => {
  const given = Buffer.from(text, "base64")
  return given.length === expected.length && timingSafeEqual(given, expected)
}

const isInTime = (time: string, nowSeconds: number): boolean => {
  const age = nowSeconds - Number.parseInt(time, 16)
  return age >= -earlySeconds && age <= lifeSeconds
}

export const ticketFor = (key: Uint8Array, { kept, user }: Signed, nowSeconds: number): string => {
  const time = hexTime(nowSeconds)
  return `${prefix}${user}:${time}::${base64(sign(key, ["ticket", user, time, kept]))}`
}

const ticketPattern = /^PBS:([^:]{1,255}):([0-9A-F]{8})::([A-Za-z0-9+/]{43})$/

/** Whose a ticket claims to be; undefined when it is none. Nothing is proven by this. */
export const claimed = (ticket: string): AuthId.AuthId | undefined => {
  const [, user = ""] = ticketPattern.exec(ticket) ?? []
  return AuthId.isAuthId(user) && AuthId.tokenOf(user) === undefined ? user : undefined
}

/** Whether the ticket was made here for this user, with the password of today, and is in time. */
export const isTicket = (
  key: Uint8Array,
  { kept, user }: Signed,
  ticket: string,
  nowSeconds: number
): boolean => {
  const [, name, time = "", signature = ""] = ticketPattern.exec(ticket) ?? []
  return (
    name === user && isSame(sign(key, ["ticket", user, time, kept]), signature) && isInTime(time, nowSeconds)
  )
}

export const csrfTokenFor = (key: Uint8Array, user: AuthId.AuthId, nowSeconds: number): string => {
  const time = hexTime(nowSeconds)
  return `${time}:${base64(sign(key, ["csrf", user, time]))}`
}

const csrfPattern = /^([0-9A-F]{8}):([A-Za-z0-9+/]{43})$/

export const isCsrfToken = (
  key: Uint8Array,
  user: AuthId.AuthId,
  token: string,
  nowSeconds: number
): boolean => {
  const [, time = "", signature = ""] = csrfPattern.exec(token) ?? []
  return isSame(sign(key, ["csrf", user, time]), signature) && isInTime(time, nowSeconds)
}
