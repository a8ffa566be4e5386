/** What tests of the client's backups share: a server over an empty store, a connection to it, backups through it. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Backup from "../../src/backup/Backup.ts"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as AuthId from "../../src/model/AuthId.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import { Progress } from "../../src/platform/Progress.ts"
import * as Remote from "../../src/remote/Remote.ts"
import * as RemoteBackup from "../../src/remote/RemoteBackup.ts"
import { group, type Ran } from "../backup/stores.ts"
import * as scene from "../server/scene.ts"
import { platform } from "../store/stores.ts"

export interface Client {
  readonly made: scene.Scene
  readonly remote: Remote.Remote
}

/** As the token that may do everything, or as another one. */
export const connect = (
  { admin, serving }: Pick<scene.Scene, "admin" | "serving">,
  { id = scene.adminId, port = serving.port }: { readonly id?: string; readonly port?: number } = {}
) =>
  Remote.make({
    address: { authId: AuthId.parse(id), host: "127.0.0.1", port, store: "store1" },
    secret: Redacted.make((admin["authorization"] ?? "").split(":").at(-1) ?? ""),
    fingerprint: serving.fingerprint
  })

export const client: Effect.Effect<Client, unknown, Scope.Scope> = Effect.gen(function* () {
  const made = yield* scene.make
  return { made, remote: yield* connect(made) }
})

let clock = 1_700_000_000

/** As `backUp` of the local tests, through the server. */
export const backUp = (remote: Remote.Remote, root: string, options: Partial<Backup.BackupOptions> = {}) =>
  Effect.gen(function* () {
    const events: Array<Ran["events"][number]> = []
    const all: Backup.BackupOptions = {
      namespace: Namespace.root,
      group,
      owner: remote.address.authId,
      time: (clock += 3600),
      archives: [{ kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: root }],
      ...options
    }
    const summary = yield* Backup.runIn(RemoteBackup.open(remote, all), all).pipe(
      Effect.provideService(Progress, (event) => void events.push(event)),
      Effect.provide(platform)
    )
    const warnings = events.flatMap((event) =>
      event.type === "warning" ? [`${event.subject}: ${event.message}`] : []
    )
    const ran: Ran = { summary, events, warnings }
    return ran
  })

/** Runs with the server's datastore, as it is open there. */
export const inServersStore =
  ({ datastore }: scene.Scene) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provide(effect, Layer.provideMerge(Layer.succeed(Datastore.Datastore, datastore), platform))
