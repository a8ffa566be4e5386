/**
 * Permissions: who may do what, as Proxmox Backup Server decides it: roles are sets of privileges, an entry gives an
 * auth id roles on a path, and the deepest entry on the way to a path is the one that counts.
 *
 * Invariants: a token never has a privilege that its user lacks; `NoAccess` beside other roles takes them all away; who
 * has no entry has nothing. `root@pam` may do everything, as there: somebody has to give the first permission.
 */
import * as AuthId from "../../model/AuthId.ts"
import * as Namespaces from "../../model/Namespace.ts"
import type { Namespace } from "../../model/Namespace.ts"

export type Privilege =
  | "Datastore.Audit"
  | "Datastore.Modify"
  | "Datastore.Read"
  | "Datastore.Verify"
  | "Datastore.Backup"
  | "Datastore.Prune"

export const privileges: ReadonlyArray<Privilege> = [
  "Datastore.Audit",
  "Datastore.Modify",
  "Datastore.Read",
  "Datastore.Verify",
  "Datastore.Backup",
  "Datastore.Prune"
]

export type Role =
  | "Admin"
  | "Audit"
  | "DatastoreAdmin"
  | "DatastorePowerUser"
  | "DatastoreBackup"
  | "DatastoreReader"
  | "DatastoreAudit"
  | "NoAccess"

/** What each role may do, by Proxmox Backup Server's table. */
export const roles: Readonly<Record<Role, ReadonlyArray<Privilege>>> = {
  Admin: privileges,
  Audit: ["Datastore.Audit"],
  DatastoreAdmin: privileges,
  DatastorePowerUser: ["Datastore.Backup", "Datastore.Prune"],
  DatastoreBackup: ["Datastore.Backup"],
  DatastoreReader: ["Datastore.Audit", "Datastore.Verify", "Datastore.Read"],
  DatastoreAudit: ["Datastore.Audit"],
  NoAccess: []
}

export const isRole = (text: string): text is Role => Object.hasOwn(roles, text)

export interface AclEntry {
  /** `/`, `/datastore`, `/datastore/STORE`, `/datastore/STORE/NAMESPACE`. */
  readonly path: string
  readonly authId: AuthId.AuthId
  readonly roles: ReadonlyArray<Role>
  /** Whether it holds below the path as well. */
  readonly propagate: boolean
}

/** Who needs no permission. */
export const superuser = AuthId.parse("root@pam")

/** The path under which permissions on a store, or on a namespace of it, are given. */
export const pathOf = (store: string, namespace: Namespace = Namespaces.root): string =>
  ["", "datastore", store, ...Namespaces.components(namespace)].join("/")

/** Whether a text is a path that permissions can be given on. */
export const isPath = (text: string): boolean =>
  text === "/" || /^\/datastore(?:\/[A-Za-z0-9_][A-Za-z0-9._-]*){0,8}$/.test(text)

const componentsOf = (path: string): ReadonlyArray<string> => path.split("/").filter((part) => part !== "")

/** The path itself and all above it, from the root down. */
const wayTo = (path: string): ReadonlyArray<string> => {
  const names = componentsOf(path)
  return ["/", ...names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`)]
}

const nothing: ReadonlySet<Privilege> = new Set()

const everything: ReadonlySet<Privilege> = new Set(privileges)

const ownPrivileges = (
  entries: ReadonlyArray<AclEntry>,
  authId: AuthId.AuthId,
  path: string
): ReadonlySet<Privilege> => {
  if (authId === superuser) return everything
  let found = nothing
  for (const place of wayTo(path)) {
    const given = entries
      .filter((entry) => entry.authId === authId && entry.path === place)
      .filter(({ propagate }) => propagate || place === path)
      .flatMap((entry) => entry.roles)
    if (given.length === 0) continue
    found = given.includes("NoAccess") ? nothing : new Set(given.flatMap((role) => roles[role]))
  }
  return found
}

/** The privileges of a user or token on a path. */
export const privilegesOn = (
  entries: ReadonlyArray<AclEntry>,
  authId: AuthId.AuthId,
  path: string
): ReadonlySet<Privilege> => {
  const own = ownPrivileges(entries, authId, path)
  if (AuthId.tokenOf(authId) === undefined) return own
  const ofUser = ownPrivileges(entries, AuthId.userOf(authId), path)
  return new Set([...own].filter((privilege) => ofUser.has(privilege)))
}

/** Whether the auth id has one of the privileges on the path or somewhere below it. */
export const hasSomewhereBelow = (
  entries: ReadonlyArray<AclEntry>,
  authId: AuthId.AuthId,
  path: string,
  wanted: ReadonlyArray<Privilege>
): boolean => {
  const below = entries.map((entry) => entry.path).filter((place) => place.startsWith(`${path}/`))
  return [path, ...below].some((place) => {
    const has = privilegesOn(entries, authId, place)
    return wanted.some((privilege) => has.has(privilege))
  })
}
