/**
 * Access: may who is asking do this here? Everything that is done for a request is asked for here first.
 *
 * Invariant: a namespace, a group or a store that somebody may not see is not told from one that does not exist further
 * than Proxmox Backup Server does: permission comes before existence.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Datastore } from "../datastore/Datastore.ts"
import * as AuthId from "../model/AuthId.ts"
import type { BackupGroup } from "../model/BackupGroup.ts"
import * as Namespaces from "../model/Namespace.ts"
import type { Namespace } from "../model/Namespace.ts"
import { type ApiError, badRequest, forbidden } from "./ApiError.ts"
import { told } from "./failures.ts"
import * as Permissions from "./users/Permissions.ts"
import { Users } from "./users/Users.ts"

/** Who is asking. */
export class Requester extends Context.Service<Requester, { readonly authId: AuthId.AuthId }>()(
  "granary/server/Requester"
) {}

export type Needs = Requester | Users

/** What the requester may do on a namespace of a store. */
export const privilegesOn = (
  store: string,
  namespace: Namespace = Namespaces.root
): Effect.Effect<ReadonlySet<Permissions.Privilege>, ApiError, Needs> =>
  Effect.gen(function* () {
    const { authId } = yield* Requester
    const users = yield* Users
    return Permissions.privilegesOn(yield* users.acl, authId, Permissions.pathOf(store, namespace))
  })

/** Whether the requester has one of the privileges on the path or anywhere below it. */
export const hasSomewhere = (
  store: string,
  namespace: Namespace,
  wanted: ReadonlyArray<Permissions.Privilege>
): Effect.Effect<boolean, ApiError, Needs> =>
  Effect.gen(function* () {
    const { authId } = yield* Requester
    const users = yield* Users
    return Permissions.hasSomewhereBelow(
      yield* users.acl,
      authId,
      Permissions.pathOf(store, namespace),
      wanted
    )
  })

/** One of them is needed. */
export const require = (
  store: string,
  namespace: Namespace,
  wanted: ReadonlyArray<Permissions.Privilege>
): Effect.Effect<void, ApiError, Needs> =>
  Effect.flatMap(privilegesOn(store, namespace), (has) =>
    wanted.some((privilege) => has.has(privilege)) ? Effect.void : Effect.fail(forbidden())
  )

/** What suffices for every group, and what suffices for one's own. */
export interface Wanted {
  readonly all: ReadonlyArray<Permissions.Privilege>
  readonly own: ReadonlyArray<Permissions.Privilege>
}

export type Reach = "all" | "own"

/** Whether the requester may do it to all groups of the namespace, or only to those that are the requester's. */
export const reach = (
  store: string,
  namespace: Namespace,
  { all, own }: Wanted
): Effect.Effect<Reach, ApiError, Needs> =>
  Effect.flatMap(privilegesOn(store, namespace), (has) => {
    if (all.some((privilege) => has.has(privilege))) return Effect.succeed<Reach>("all")
    if (own.some((privilege) => has.has(privilege))) return Effect.succeed<Reach>("own")
    return Effect.fail(forbidden())
  })

/** What cannot be told is not the requester's. */
export const isOwn = (owner: AuthId.AuthId | undefined): Effect.Effect<boolean, never, Requester> =>
  Effect.map(Requester, ({ authId }) => owner !== undefined && AuthId.isOwner(owner, authId))

/** The requester may do it to this group. */
export const requireForGroup = (
  store: string,
  datastore: Datastore["Service"],
  namespace: Namespace,
  group: BackupGroup,
  wanted: Wanted
): Effect.Effect<void, ApiError, Needs> =>
  Effect.gen(function* () {
    if ((yield* reach(store, namespace, wanted)) === "all") return
    const { authId } = yield* Requester
    const owner = yield* told(datastore.hierarchy.owner(namespace, group))
    if (!(yield* isOwn(owner))) return yield* badRequest(`backup owner check failed (${authId} != ${owner})`)
  })
