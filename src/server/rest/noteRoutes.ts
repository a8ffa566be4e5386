/** noteRoutes: what is noted on snapshots and groups: notes, protection, owner, the client's log. */
import * as Effect from "effect/Effect"
import { groupLockName, snapshotLockName } from "../../datastore/Datastore.ts"
import * as ManifestNotes from "../../format/ManifestNotes.ts"
import * as ArchiveName from "../../model/ArchiveName.ts"
import * as AuthId from "../../model/AuthId.ts"
import { Files } from "../../platform/Files.ts"
import { groupPath } from "../../store/StoreLayout.ts"
import * as Access from "../Access.ts"
import * as Answer from "../Answer.ts"
import { type ApiError, badRequest } from "../ApiError.ts"
import { rawRoute, route } from "../Call.ts"
import { told } from "../failures.ts"
import * as Parameters from "../Parameters.ts"
import { requireBlob } from "../protocol/blobUploads.ts"
import * as bodies from "../protocol/bodies.ts"
import { encodedMaxBytes } from "../protocol/chunkUploads.ts"
import { Users } from "../users/Users.ts"
import type { Entry } from "./Router.ts"
import * as StoreCall from "./StoreCall.ts"

const reading: Access.Wanted = { all: ["Datastore.Audit"], own: ["Datastore.Backup"] }
const changing: Access.Wanted = { all: ["Datastore.Modify"], own: ["Datastore.Backup"] }

const ofSnapshot = { ...StoreCall.store, ...Parameters.ofSnapshot }
const ofGroup = { ...StoreCall.store, ...Parameters.ofGroup }

/** As much as Proxmox Backup Server reads again. */
const notesMax = 64 * 1024

const readNotes = route(ofSnapshot, (values) =>
  Effect.gen(function* () {
    const { datastore, namespace, snapshot } = yield* StoreCall.snapshotFor(values, "read", reading)
    const manifest = yield* told(datastore.snapshotFiles.manifest(namespace, snapshot))
    return Answer.data(ManifestNotes.notes(manifest) ?? "")
  })
)

const writeNotes = route({ ...ofSnapshot, notes: Parameters.text(0, notesMax) }, (values) =>
  Effect.gen(function* () {
    const { datastore, namespace, snapshot } = yield* StoreCall.snapshotFor(values, "write", changing)
    const { notes } = values
    yield* told(datastore.locks.holdSoon(snapshotLockName(namespace, snapshot), "shared"))
    const change = datastore.snapshotFiles.updateManifest(namespace, snapshot, (manifest) =>
      ManifestNotes.withNotes(manifest, notes === "" ? undefined : notes)
    )
    yield* told(change)
    return Answer.nothing
  })
)

const readGroupNotes = route(ofGroup, (values) =>
  Effect.gen(function* () {
    const { datastore, group, namespace } = yield* StoreCall.groupFor(values, "read", reading)
    return Answer.data((yield* told(datastore.hierarchy.groupNotes(namespace, group))) ?? "")
  })
)

/** In a bucket these files would have to be changed on all hosts alike. */
const requireFolder = ({ datastore }: StoreCall.GroupPlace, what: string): Effect.Effect<void, ApiError> =>
  datastore.bucket === undefined
    ? Effect.void
    : Effect.fail(badRequest(`${what} cannot be changed in a datastore that lies in a bucket`))

const writeGroupNotes = route({ ...ofGroup, notes: Parameters.text(0, notesMax) }, (values) =>
  Effect.gen(function* () {
    const place = yield* StoreCall.groupFor(values, "write", changing)
    const { datastore, group, namespace } = place
    yield* requireFolder(place, "notes on groups")
    yield* told(datastore.hierarchy.owner(namespace, group))
    const files = yield* Files
    const target = `${groupPath(datastore.layout, namespace, group)}/notes`
    yield* told(files.replaceFile(target, [Buffer.from(values.notes)], { sync: true }))
    return Answer.nothing
  })
)

const readProtected = route(ofSnapshot, (values) =>
  Effect.gen(function* () {
    const { datastore, namespace, snapshot } = yield* StoreCall.snapshotFor(values, "read", reading)
    const entry = yield* told(datastore.hierarchy.entry(namespace, snapshot))
    return Answer.data(entry.protected)
  })
)

const writeProtected = route({ ...ofSnapshot, protected: Parameters.boolean }, (values) =>
  Effect.gen(function* () {
    const { datastore, namespace, snapshot } = yield* StoreCall.snapshotFor(values, "write", changing)
    yield* told(datastore.locks.holdSoon(snapshotLockName(namespace, snapshot), "shared"))
    yield* told(datastore.hierarchy.entry(namespace, snapshot))
    yield* told(datastore.hierarchy.setProtected(namespace, snapshot, values.protected))
    return Answer.nothing
  })
)

/** Who may only make backups can hand a group to a token of the same user, or back to the user. */
const requireHandover = (owner: AuthId.AuthId, newOwner: AuthId.AuthId) =>
  Effect.gen(function* () {
    const { authId } = yield* Access.Requester
    const user = AuthId.userOf(authId)
    const isToken = AuthId.tokenOf(authId) !== undefined
    const isOwner = isToken ? owner === authId : AuthId.userOf(owner) === user
    if (!isOwner || AuthId.userOf(newOwner) !== user) {
      return yield* badRequest(`backup owner check failed (${authId} != ${owner})`)
    }
  })

const changeOwner = route({ ...ofGroup, "new-owner": Parameters.authId }, (values) =>
  Effect.gen(function* () {
    const namespace = values.ns ?? ("" as NonNullable<typeof values.ns>)
    const reach = yield* Access.reach(values.store, namespace, changing)
    const datastore = yield* StoreCall.open(values.store, "write")
    const group = Parameters.groupOf(values)
    const newOwner = values["new-owner"]
    yield* requireFolder({ datastore, namespace, group }, "owners")
    yield* told(datastore.locks.holdSoon(groupLockName(namespace, group), "exclusive"))
    const owner = yield* told(datastore.hierarchy.owner(namespace, group))
    if (reach === "own") yield* requireHandover(owner, newOwner)
    const users = yield* Users
    if (!(yield* users.isKnown(newOwner))) {
      return yield* badRequest(`user ${newOwner} does not exist or is not enabled`)
    }
    const files = yield* Files
    const target = `${groupPath(datastore.layout, namespace, group)}/owner`
    yield* told(files.replaceFile(target, [Buffer.from(`${newOwner}\n`)], { sync: true }))
    return Answer.nothing
  })
)

const uploadLog = rawRoute(ofSnapshot, (values, call) =>
  Effect.gen(function* () {
    const own: Access.Wanted = { all: [], own: ["Datastore.Backup"] }
    const { datastore, namespace, snapshot } = yield* StoreCall.snapshotFor(values, "write", own)
    const stored = Effect.gen(function* () {
      const blob = yield* bodies.read(call.body, encodedMaxBytes)
      yield* requireBlob(blob)
      // One log at a time; and nobody removes the snapshot meanwhile.
      yield* told(datastore.locks.holdSoon(snapshotLockName(namespace, snapshot), "exclusive"))
      const entry = yield* told(datastore.hierarchy.entry(namespace, snapshot))
      if (entry.files.includes(ArchiveName.clientLogFile)) {
        return yield* badRequest("backup already contains a log.")
      }
      yield* told(datastore.snapshotFiles.write(namespace, snapshot, ArchiveName.clientLogFile, blob))
    })
    yield* call.admission.admit(encodedMaxBytes)(stored)
    return Answer.nothing
  })
)

const below = "/admin/datastore/{store}"

export const routes: ReadonlyArray<Entry<StoreCall.Needs>> = [
  { method: "GET", pattern: `${below}/notes`, route: readNotes },
  { method: "PUT", pattern: `${below}/notes`, route: writeNotes },
  { method: "GET", pattern: `${below}/group-notes`, route: readGroupNotes },
  { method: "PUT", pattern: `${below}/group-notes`, route: writeGroupNotes },
  { method: "GET", pattern: `${below}/protected`, route: readProtected },
  { method: "PUT", pattern: `${below}/protected`, route: writeProtected },
  { method: "POST", pattern: `${below}/change-owner`, route: changeOwner },
  { method: "POST", pattern: `${below}/upload-backup-log`, route: uploadLog }
]
