/**
 * Who owns a group or started a task: a user `alice@pbs`, or a token of that user `alice@pbs!laptop`.
 *
 * The user part may itself contain `@`; the realm begins after the last one, the token after the `!` that
 * follows it.
 */
import type * as Brand from "effect/Brand"
import { refuse } from "./InvalidName.ts"
import * as SafeId from "./SafeId.ts"

export type AuthId = string & Brand.Brand<"AuthId">

const pattern = new RegExp(`^[^\\s:/\\p{Cc}]+@${SafeId.source}(?:!${SafeId.source})?$`, "u")

const brand = (text: string): AuthId => text as AuthId

export const isAuthId = (text: string): text is AuthId =>
  text.length <= SafeId.lengthMax && pattern.test(text)

export const parse = (text: string): AuthId =>
  isAuthId(text) ? text : refuse("auth id", text, "user@realm or user@realm!token")

/** Where the token's name begins, or -1; a `!` in front of the last `@` belongs to the user's name. */
const tokenStart = (id: AuthId): number => id.indexOf("!", id.lastIndexOf("@"))

/** The user: the id itself, or the one the token belongs to. */
export const userOf = (id: AuthId): AuthId => {
  const bang = tokenStart(id)
  return bang === -1 ? id : brand(id.slice(0, bang))
}

/** The name of the token, when the id is one. */
export const tokenOf = (id: AuthId): string | undefined => {
  const bang = tokenStart(id)
  return bang === -1 ? undefined : id.slice(bang + 1)
}

/**
 * Whether a requester may act on what `owner` owns: the owner itself, or the user whose token the owner is.
 */
export const isOwner = (owner: AuthId, requester: AuthId): boolean =>
  owner === requester || (tokenOf(owner) !== undefined && userOf(owner) === requester)
