/**
 * Users: who is asking, and what may they do. Reads `users.cfg` of the configuration folder; a change of it counts
 * from the next request on (one look at the file's name and time for each).
 *
 * Invariants: nobody is anybody without a secret, a ticket or a token that was proven; who is disabled or expired is
 * nobody, and so are all tokens of that user; what is wrong is never told apart (no such user, wrong secret).
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as path from "node:path"
import type { ConfigError } from "../../config/ConfigError.ts"
import * as ConfigFolder from "../../config/ConfigFolder.ts"
import * as Generation from "../../config/Generation.ts"
import * as AuthId from "../../model/AuthId.ts"
import { Entropy } from "../../platform/Entropy.ts"
import { Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import { type ApiError, unauthorized } from "../ApiError.ts"
import * as Guesses from "./Guesses.ts"
import * as Permissions from "./Permissions.ts"
import * as Tickets from "./Tickets.ts"
import * as UserRecords from "./UserRecords.ts"

/** What a user gets for the password. */
export interface Login {
  readonly user: AuthId.AuthId
  readonly ticket: string
  readonly csrfToken: string
}

export class Users extends Context.Service<
  Users,
  {
    /** Password, or a ticket that is still good, for a ticket. */
    readonly logIn: (userName: string, password: string) => Effect.Effect<Login, ApiError>
    readonly proveTicket: (ticket: string) => Effect.Effect<AuthId.AuthId, ApiError>
    /** Whether requests that change something come from who holds the ticket. */
    readonly isCsrfToken: (user: AuthId.AuthId, token: string) => Effect.Effect<boolean>
    readonly proveToken: (tokenId: string, secret: string) => Effect.Effect<AuthId.AuthId, ApiError>
    /** The permissions as they are now. */
    readonly acl: Effect.Effect<ReadonlyArray<Permissions.AclEntry>, ApiError>
    /** Whether there is such a user or token. */
    readonly isKnown: (authId: AuthId.AuthId) => Effect.Effect<boolean, ApiError>
  }
>()("granary/server/Users") {}

const keyBytes = 32

const keyPathIn = (folder: string): string => path.join(folder, "ticket.key")

/** The key that signs tickets; made at the first start. */
const ticketKey = (folder: string): Effect.Effect<Uint8Array, FilesError, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const target = keyPathIn(folder)
    const found = yield* files
      .readFile(target, keyBytes)
      .pipe(Effect.catchIf(isNotFound, () => Effect.succeed(undefined)))
    if (found?.length === keyBytes) return found
    const entropy = yield* Entropy
    const made = entropy(keyBytes)
    yield* ConfigFolder.makeFolders(folder)
    yield* files.replaceFile(target, [made], { mode: 0o600, sync: true })
    return made
  })

interface Held {
  readonly stamp: string
  readonly records: UserRecords.Records
}

const authenticationFailed = unauthorized("authentication failed")

/** The records as they are now, read again when the file has changed. */
const makeLookup = (folder: string) =>
  Effect.map(Effect.context<Files>(), (context) => {
    const target = ConfigFolder.pathOf(UserRecords.fileIn(folder))
    let held: Held | undefined
    const current = Effect.gen(function* () {
      const stamps = yield* Effect.all([
        Generation.stampOf(target),
        Generation.makeReader(yield* Files, folder)
      ])
      const stamp = stamps.join(" ")
      if (held?.stamp === stamp) return held.records
      const records = yield* UserRecords.read(folder)
      held = { stamp, records }
      return records
    })
    return current.pipe(
      Effect.provideContext(context),
      Effect.tapError((error: ConfigError | FilesError) => Effect.logError(error.message)),
      // Who may do what is not known: nobody may do anything.
      Effect.mapError(() => authenticationFailed)
    )
  })

const isActive = (
  { identities }: UserRecords.Records,
  authId: AuthId.AuthId,
  nowSeconds: number
): boolean => {
  const isGood = (id: AuthId.AuthId): boolean => {
    const identity = identities.get(id)
    if (identity === undefined) return id === Permissions.superuser && AuthId.tokenOf(authId) !== undefined
    return identity.isEnabled && (identity.expiresAtSeconds === 0 || identity.expiresAtSeconds > nowSeconds)
  }
  return isGood(authId) && isGood(AuthId.userOf(authId))
}

const nowSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

/** Of a name that nobody has; no auth id looks like it. */
const nobody = "?"

export const make = (folder: string): Effect.Effect<Users["Service"], FilesError, Files> =>
  Effect.gen(function* () {
    const key = yield* ticketKey(folder)
    const lookup = yield* makeLookup(folder)
    const guesses = yield* Guesses.make

    const proveSecret = (name: string, secret: string, isToken: boolean) =>
      Effect.gen(function* () {
        const records = yield* lookup
        const authId =
          AuthId.isAuthId(name) && (AuthId.tokenOf(name) !== undefined) === isToken ? name : undefined
        const kept = authId === undefined ? undefined : records.identities.get(authId)?.secret
        const guess = { name: kept === undefined ? nobody : name, secret, kept }
        const isRight = yield* guesses.prove(guess)
        if (!isRight || authId === undefined || !isActive(records, authId, yield* nowSeconds)) {
          return yield* authenticationFailed
        }
        return authId
      })

    const signedOf = (records: UserRecords.Records, user: AuthId.AuthId): Tickets.Signed => ({
      user,
      kept: records.identities.get(user)?.secret ?? ""
    })

    const proveTicket = (ticket: string) =>
      Effect.gen(function* () {
        const records = yield* lookup
        const user = Tickets.claimed(ticket)
        const now = yield* nowSeconds
        const isGood =
          user !== undefined &&
          Tickets.isTicket(key, signedOf(records, user), ticket, now) &&
          isActive(records, user, now)
        return isGood ? user : yield* authenticationFailed
      })

    const logIn = (userName: string, password: string) =>
      Effect.gen(function* () {
        const isRenewal = password.startsWith(Tickets.prefix)
        const user = yield* isRenewal ? proveTicket(password) : proveSecret(userName, password, false)
        if (user !== userName) return yield* authenticationFailed
        const now = yield* nowSeconds
        return {
          user,
          ticket: Tickets.ticketFor(key, signedOf(yield* lookup, user), now),
          csrfToken: Tickets.csrfTokenFor(key, user, now)
        }
      })

    return Users.of({
      logIn,
      proveTicket,
      isCsrfToken: (user, token) =>
        Effect.map(nowSeconds, (now) => Tickets.isCsrfToken(key, user, token, now)),
      proveToken: (tokenId, secret) => proveSecret(tokenId, secret, true),
      acl: Effect.map(lookup, ({ acl }) => acl),
      isKnown: (authId) =>
        Effect.map(lookup, ({ identities }) => authId === Permissions.superuser || identities.has(authId))
    })
  })

export const layer = (folder: string): Layer.Layer<Users, FilesError, Files> =>
  Layer.effect(Users, make(folder))
