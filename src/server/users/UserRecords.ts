/**
 * UserRecords: users, API tokens and permissions in `users.cfg` of the configuration folder (0600), as sections `user`,
 * `token` and `acl`.
 *
 * Invariant: secrets are kept as `Secrets` keeps them and in no other form; what is written can be read; keys and
 * sections that are unknown here stay as they are. A section that cannot be understood gives nobody anything: reading
 * the file fails as a whole.
 */
import * as Effect from "effect/Effect"
import * as ConfigFolder from "../../config/ConfigFolder.ts"
import { ConfigError } from "../../config/ConfigError.ts"
import { type Section, titleOf, valuesOf, withValues } from "../../format/SectionConfig.ts"
import * as AuthId from "../../model/AuthId.ts"
import { Entropy } from "../../platform/Entropy.ts"
import type { FileLocks } from "../../platform/FileLocks.ts"
import type { Files, FilesError } from "../../platform/Files.ts"
import * as Permissions from "./Permissions.ts"
import * as Secrets from "./Secrets.ts"

/** A user or a token. */
export interface Identity {
  readonly authId: AuthId.AuthId
  /** A user without a password can have tokens only. */
  readonly secret: string | undefined
  readonly isEnabled: boolean
  /** Seconds since 1970; 0 for never. */
  readonly expiresAtSeconds: number
  readonly comment: string | undefined
}

export interface Records {
  readonly identities: ReadonlyMap<AuthId.AuthId, Identity>
  readonly acl: ReadonlyArray<Permissions.AclEntry>
}

type Failure = ConfigError | FilesError

export const fileIn = (folder: string): ConfigFolder.SectionFile => ({ folder, name: "users.cfg" })

const refuse = (section: Pick<Section, "type" | "id">, detail: string, hint = "correct it"): ConfigError =>
  new ConfigError({ subject: `users.cfg, section "${titleOf(section)}"`, detail, hint })

const flagOf = (section: Section, key: string, otherwise: boolean): boolean | undefined => {
  const [text] = valuesOf(section, key)
  if (text === undefined) return otherwise
  return text === "true" || text === "1" ? true : text === "false" || text === "0" ? false : undefined
}

const identityOf = (section: Section): Effect.Effect<Identity, ConfigError> =>
  Effect.suspend(() => {
    const { id, type } = section
    const isToken = type === "token"
    if (!AuthId.isAuthId(id) || (AuthId.tokenOf(id) !== undefined) !== isToken) {
      const expected = isToken ? "user@realm!token" : "user@realm"
      return Effect.fail(refuse(section, `expected ${expected} as its name`))
    }
    const [secret] = valuesOf(section, "secret")
    if (secret !== undefined && !Secrets.isKept(secret)) {
      return Effect.fail(refuse(section, "its secret is not in the form in which secrets are kept"))
    }
    const isEnabled = flagOf(section, "enable", true)
    const [expire = "0"] = valuesOf(section, "expire")
    if (isEnabled === undefined) return Effect.fail(refuse(section, "expected true or false for enable"))
    if (!/^\d{1,12}$/.test(expire)) return Effect.fail(refuse(section, "expected seconds for expire"))
    const [comment] = valuesOf(section, "comment")
    return Effect.succeed({ authId: id, secret, isEnabled, expiresAtSeconds: Number(expire), comment })
  })

const aclOf = (section: Section): Effect.Effect<Permissions.AclEntry, ConfigError> =>
  Effect.suspend(() => {
    const [authId = "", path = ""] = section.id.split(" ")
    const roles = valuesOf(section, "role").filter(Permissions.isRole)
    const propagate = flagOf(section, "propagate", true)
    if (!AuthId.isAuthId(authId) || !Permissions.isPath(path)) {
      return Effect.fail(refuse(section, "expected an auth id, a blank and a path as its name"))
    }
    if (roles.length === 0 || roles.length !== valuesOf(section, "role").length) {
      return Effect.fail(
        refuse(section, `expected roles out of ${Object.keys(Permissions.roles).join(", ")}`)
      )
    }
    if (propagate === undefined) return Effect.fail(refuse(section, "expected true or false for propagate"))
    return Effect.succeed({ authId, path, roles, propagate })
  })

const recordsOf = (sections: ReadonlyArray<Section>): Effect.Effect<Records, ConfigError> =>
  Effect.gen(function* () {
    const people = sections.filter(({ type }) => type === "user" || type === "token")
    const identities = yield* Effect.forEach(people, identityOf)
    const acl = yield* Effect.forEach(
      sections.filter(({ type }) => type === "acl"),
      aclOf
    )
    return { identities: new Map(identities.map((identity) => [identity.authId, identity])), acl }
  })

export const read = (folder: string): Effect.Effect<Records, Failure, Files> =>
  Effect.flatMap(ConfigFolder.read(fileIn(folder)), recordsOf)

/** Changes the file; nothing that could not be read again is written. */
const change = (
  folder: string,
  decide: (sections: ReadonlyArray<Section>) => Effect.Effect<ReadonlyArray<Section>, ConfigError>
): Effect.Effect<void, Failure, Files | FileLocks> =>
  ConfigFolder.change(fileIn(folder), (sections) =>
    Effect.flatMap(decide(sections), (changed) => Effect.as(recordsOf(changed), changed))
  )

const isSection = (type: string, id: string) => (section: Section) =>
  section.type === type && section.id === id

/** Replaces the section's lines, or adds the section. */
const withSection = (sections: ReadonlyArray<Section>, wanted: Section): ReadonlyArray<Section> => {
  const isSame = isSection(wanted.type, wanted.id)
  return sections.some(isSame)
    ? sections.map((section) => (isSame(section) ? wanted : section))
    : [...sections, wanted]
}

const sectionIn = (sections: ReadonlyArray<Section>, type: string, id: string): Section =>
  sections.find(isSection(type, id)) ?? { type, id, properties: [] }

export interface UserOptions {
  readonly password?: string
  readonly comment?: string
  readonly isEnabled?: boolean
  readonly expiresAtSeconds?: number
}

/** Makes a user, or changes one: what is not given stays. */
export const putUser = (
  folder: string,
  user: AuthId.AuthId,
  options: UserOptions = {}
): Effect.Effect<void, Failure, Files | FileLocks> =>
  Effect.gen(function* () {
    const { comment, expiresAtSeconds, isEnabled, password } = options
    const secret = password === undefined ? undefined : yield* Secrets.keep(password)
    yield* change(folder, (sections) => {
      const lines: ReadonlyArray<readonly [string, string | undefined]> = [
        ["secret", secret],
        ["comment", comment],
        ["enable", isEnabled === undefined ? undefined : String(isEnabled)],
        ["expire", expiresAtSeconds === undefined ? undefined : String(expiresAtSeconds)]
      ]
      const changed = lines.reduce(
        (section, [key, text]) => (text === undefined ? section : withValues(section, key, [text])),
        sectionIn(sections, "user", user)
      )
      return Effect.succeed(withSection(sections, changed))
    })
  })

/** A secret as Proxmox Backup Server makes them: a random UUID. */
const newSecret: Effect.Effect<string> = Effect.map(Entropy, (entropy) => {
  const bytes = Buffer.from(entropy(16))
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5")
})

const noSuchUser = (user: AuthId.AuthId): ConfigError =>
  new ConfigError({ subject: user, detail: "there is no such user", hint: "make the user first" })

/** Makes a token with a new secret, which is told this once; one of this name gets the new secret. */
export const putToken = (
  folder: string,
  token: AuthId.AuthId,
  comment?: string
): Effect.Effect<string, Failure, Files | FileLocks> =>
  Effect.gen(function* () {
    const secret = yield* newSecret
    const kept = yield* Secrets.keep(secret)
    yield* change(folder, (sections) => {
      const user = AuthId.userOf(token)
      const isKnown = user === Permissions.superuser || sections.some(isSection("user", user))
      if (!isKnown) return Effect.fail(noSuchUser(user))
      const section = withValues(sectionIn(sections, "token", token), "secret", [kept])
      const changed = comment === undefined ? section : withValues(section, "comment", [comment])
      return Effect.succeed(withSection(sections, changed))
    })
    return secret
  })

/** Removes a user with all tokens, or a token, and all permissions of what is removed. */
export const remove = (
  folder: string,
  authId: AuthId.AuthId
): Effect.Effect<void, Failure, Files | FileLocks> =>
  change(folder, (sections) => {
    const isGone = (id: string): boolean =>
      AuthId.isAuthId(id) &&
      (id === authId || (AuthId.tokenOf(authId) === undefined && AuthId.userOf(id) === authId))
    const idOf = ({ id, type }: Section): string => (type === "acl" ? (id.split(" ")[0] ?? "") : id)
    return Effect.succeed(
      sections.filter((section) => !(/^(?:user|token|acl)$/.test(section.type) && isGone(idOf(section))))
    )
  })

/** Gives roles on a path in place of those that were given there; no roles take the entry away. */
export const putAcl = (
  folder: string,
  { authId, path, propagate, roles }: Permissions.AclEntry
): Effect.Effect<void, Failure, Files | FileLocks> =>
  change(folder, (sections) => {
    const id = `${authId} ${path}`
    if (roles.length === 0)
      return Effect.succeed(sections.filter((section) => !isSection("acl", id)(section)))
    const section = withValues(sectionIn(sections, "acl", id), "role", roles)
    return Effect.succeed(withSection(sections, withValues(section, "propagate", propagate ? [] : ["false"])))
  })
