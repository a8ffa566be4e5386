/**
 * SyncEnd: one end of a sync, opened: a datastore of this machine or in a bucket, or one on a server, named by its
 * address or by a configured remote.
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { statSync } from "node:fs"
import * as RemoteConfig from "../config/RemoteConfig.ts"
import * as DatastoreName from "../model/DatastoreName.ts"
import type { AuthId } from "../model/AuthId.ts"
import * as NodeFiles from "../platform/NodeFiles.ts"
import * as Remote from "../remote/Remote.ts"
import * as RemoteAddress from "../remote/RemoteAddress.ts"
import * as RemoteSource from "../remote/RemoteSource.ts"
import * as RemoteTarget from "../remote/RemoteTarget.ts"
import * as DatastoreSource from "../sync/DatastoreSource.ts"
import * as DatastoreTarget from "../sync/DatastoreTarget.ts"
import type { StoreListing, SyncSource } from "../sync/SyncSource.ts"
import type { SyncTarget } from "../sync/SyncTarget.ts"
import { configFolder } from "./ConfigFlag.ts"
import { CommandFailed, parseInput } from "./Failure.ts"
import type { OpenOptions } from "./OpenOptions.ts"
import { openRemote } from "./RemoteConnection.ts"
import { openPlace } from "./Repository.ts"
import type { RepositoryName } from "./RepositoryName.ts"

/** A datastore of a server that the configuration knows. */
export interface RemoteStorePlace {
  readonly kind: "remote store"
  /** The name in `remote.cfg`. */
  readonly remote: string
  readonly store: string
}

export type SyncPlace = RepositoryName | RemoteStorePlace

export interface SyncEnd<Port> {
  readonly port: Port
  /** Requests cost something there. */
  readonly isInBucket: boolean
  /** As whom a server knows us. */
  readonly authId?: AuthId
}

export const isOnServer = ({ kind }: SyncPlace): boolean => kind === "remote" || kind === "remote store"

const connectConfigured = ({ remote: id, store }: RemoteStorePlace) =>
  Effect.gen(function* () {
    const folder = yield* configFolder
    const { values } = yield* Effect.provide(RemoteConfig.get(folder, id), NodeFiles.layer)
    const { "auth-id": authId, fingerprint, host, password, port } = values
    if (authId === undefined || host === undefined || password === undefined) {
      const hint = `see: granary remote show ${id}`
      return yield* new CommandFailed({ detail: `remote ${id} lacks host, auth-id or password`, hint })
    }
    const address: RemoteAddress.RemoteAddress = {
      authId,
      host,
      port: port ?? RemoteAddress.defaultPort,
      store: yield* parseInput(() => DatastoreName.check(store))
    }
    return yield* Remote.make({ address, secret: Redacted.make(password), fingerprint })
  })

/** The server; undefined for what is not on one. */
const connect = (place: SyncPlace) => {
  if (place.kind === "remote") return Effect.map(openRemote(place.address), (remote) => ({ remote }))
  if (place.kind === "remote store") return Effect.map(connectConfigured(place), (remote) => ({ remote }))
  return Effect.succeed({ place })
}

const placesOf = (folder: string): ReadonlyArray<string> => {
  try {
    const { dev, ino } = statSync(folder, { bigint: true })
    return [`folder ${ino} on device ${dev}`]
  } catch {
    return []
  }
}

/** A folder is known by its place on its disk as well: a link or a second mount is another path to the same. */
const knownByPlace = <Port extends StoreListing>(port: Port, folder: string): Port => ({
  ...port,
  identities: [...port.identities, ...placesOf(folder)]
})

export const openSource = (place: SyncPlace, options: OpenOptions) =>
  Effect.gen(function* () {
    const found = yield* connect(place)
    if ("remote" in found) {
      const end: SyncEnd<SyncSource["Service"]> = {
        port: RemoteSource.make(found.remote),
        isInBucket: false,
        authId: found.remote.address.authId
      }
      return end
    }
    const store = yield* openPlace(found.place, options)
    const port = knownByPlace(DatastoreSource.make(store), store.layout.base)
    return { port, isInBucket: store.bucket !== undefined }
  })

export const openTarget = (place: SyncPlace, options: OpenOptions) =>
  Effect.gen(function* () {
    const found = yield* connect(place)
    if ("remote" in found) {
      const end: SyncEnd<SyncTarget["Service"]> = {
        port: yield* RemoteTarget.make(found.remote),
        isInBucket: false,
        authId: found.remote.address.authId
      }
      return end
    }
    const store = yield* openPlace(found.place, options)
    const port = knownByPlace(yield* DatastoreTarget.make(store), store.layout.base)
    return { port, isInBucket: store.bucket !== undefined }
  })
