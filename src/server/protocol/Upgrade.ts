/**
 * Upgrade: from a request of HTTP/1.1 to a session of one of the two protocols: who may open which, in the order in
 * which Proxmox Backup Server asks.
 */
import * as Effect from "effect/Effect"
import type { IncomingMessage } from "node:http"
import type * as Scope from "effect/Scope"
import * as BackupGroup from "../../model/BackupGroup.ts"
import * as Namespaces from "../../model/Namespace.ts"
import * as Snapshot from "../../model/Snapshot.ts"
import type { ChunkCodec } from "../../platform/ChunkCodec.ts"
import type { Files } from "../../platform/Files.ts"
import * as Access from "../Access.ts"
import { type ApiError, badRequest, noSuchPath, notFound } from "../ApiError.ts"
import type { RouteTable } from "../Call.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"
import { ServedStores } from "../ServedStores.ts"
import type { Users } from "../users/Users.ts"
import * as BackupProtocol from "./BackupProtocol.ts"
import type { Target } from "./calls.ts"
import * as ReaderProtocol from "./ReaderProtocol.ts"

export type SessionNeeds = ChunkCodec | Files

export type Needs = Access.Requester | Users | ServedStores | Scope.Scope

/** What was asked for, once it has been granted. */
export interface Session {
  readonly protocol: string
  readonly routes: RouteTable<SessionNeeds>
}

const protocols = {
  "/api2/json/backup": "proxmox-backup-protocol-v1",
  "/api2/json/reader": "proxmox-backup-reader-protocol-v1"
} as const

const requireProtocol = (request: IncomingMessage, wanted: string): Effect.Effect<void, ApiError> => {
  const { upgrade } = request.headers
  if (upgrade === undefined) return Effect.fail(badRequest("missing Upgrade header"))
  return upgrade === wanted ? Effect.void : Effect.fail(badRequest("invalid protocol name"))
}

const commonRules = {
  ...Parameters.ofSnapshot,
  store: Parameters.safeId,
  debug: Parameters.optional(Parameters.boolean)
}

const backupRules = {
  ...commonRules,
  benchmark: Parameters.optional(Parameters.boolean),
  "no-cache": Parameters.optional(Parameters.boolean)
}

const benchmarkGroup = "host/benchmark"

const openBackup = (request: IncomingMessage, query: string): Effect.Effect<Session, ApiError, Needs> =>
  Effect.gen(function* () {
    const values = yield* Parameters.check(backupRules, Parameters.ofQuery(query))
    const { "backup-time": time, benchmark = false, ns: namespace = Namespaces.root, store } = values
    yield* Access.require(store, namespace, ["Datastore.Backup"])
    const datastore = yield* (yield* ServedStores).lookup(store, "write")
    const protocol = protocols["/api2/json/backup"]
    yield* requireProtocol(request, protocol)
    yield* told(datastore.hierarchy.namespaces(namespace, 0)).pipe(
      Effect.mapError(() => notFound("namespace not found"))
    )
    const group = Parameters.groupOf(values)
    if (benchmark !== (BackupGroup.format(group) === benchmarkGroup)) {
      return yield* badRequest(`benchmark flags is only allowed on '${benchmarkGroup}'`)
    }
    const { authId: owner } = yield* Access.Requester
    const routes = yield* BackupProtocol.open({ datastore, namespace, group, time, owner })
    return { protocol, routes }
  })

const openReader = (request: IncomingMessage, query: string): Effect.Effect<Session, ApiError, Needs> =>
  Effect.gen(function* () {
    const values = yield* Parameters.check(commonRules, Parameters.ofQuery(query))
    const { "backup-time": time, ns: namespace = Namespaces.root, store } = values
    const group = Parameters.groupOf(values)
    const wanted: Access.Wanted = { all: ["Datastore.Read"], own: ["Datastore.Backup"] }
    const refused = badRequest(
      `no permissions on /${["datastore", store, ...Namespaces.components(namespace)].join("/")}`
    )
    yield* Effect.mapError(Access.reach(store, namespace, wanted), () => refused)
    const datastore = yield* (yield* ServedStores).lookup(store, "read")
    const protocol = protocols["/api2/json/reader"]
    yield* requireProtocol(request, protocol)
    yield* Access.requireForGroup(store, datastore, namespace, group, wanted)
    const snapshot = Snapshot.make(group, time)
    const routes = yield* ReaderProtocol.open({ datastore, namespace, snapshot })
    return { protocol, routes }
  })

/** Whether the path is one of those that lead to a session. */
export const isSessionPath = (path: string): boolean => Object.hasOwn(protocols, path)

/** Opens the session that a request asks for. */
export const open = (
  request: IncomingMessage,
  { path, query }: Target
): Effect.Effect<Session, ApiError, Needs> => {
  if (request.method !== "GET" || !isSessionPath(path)) return Effect.fail(noSuchPath(path))
  return path === "/api2/json/backup" ? openBackup(request, query) : openReader(request, query)
}
