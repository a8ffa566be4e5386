/** `granary serve`: the configured datastores over the network, as Proxmox Backup Server serves them. */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as NodePlatform from "../../platform/NodePlatform.ts"
import type { Serving } from "../../server/Server.ts"
import * as Listen from "../../webdav/Listen.ts"
import { configFolder } from "../ConfigFlag.ts"
import { runsUntilStopped, UsageError } from "../Failure.ts"
import * as Listening from "../Listening.ts"
import { print } from "../Output.ts"

/** Proxmox Backup Server's port, for this machine alone. */
const defaultAddress = `${Listen.loopback}:8007`

const graceSecondsMax = 86_400

const flags = {
  listen: Flag.String("listen").pipe(
    Flag.withDescription(
      `Where to listen; port 0 is any that is free (default ${defaultAddress}: this machine only)`
    ),
    Flag.withMetavar("HOST:PORT"),
    Flag.withDefault(defaultAddress)
  ),
  grace: Flag.Int("grace").pipe(
    Flag.withDescription(
      "Seconds that running backups and restores may go on when it is stopped (default 10)"
    ),
    Flag.withMetavar("SECONDS"),
    Flag.withDefault(10)
  )
}

const lines = ({ fingerprint, host, port, url }: Serving): ReadonlyArray<string> => [
  `serving at ${url} until it is interrupted`,
  `  fingerprint: ${fingerprint}`,
  `  clients: export PBS_FINGERPRINT=${fingerprint}`,
  `           proxmox-backup-client list --repository USER@REALM!TOKEN@${host}:${port}:DATASTORE`
]

export const serve = Command.make("serve", flags, (input) =>
  Effect.gen(function* () {
    const address = yield* Listening.addressOf(input.listen, defaultAddress)
    if (input.grace < 0 || input.grace > graceSecondsMax) {
      const hint = `give 0 to ${graceSecondsMax} seconds`
      return yield* new UsageError({ detail: `--grace ${input.grace} cannot be meant`, hint })
    }
    const folder = yield* configFolder
    // Loaded only here: no other command needs it.
    const [Server, Certificate, Users, configuredStores, Datastores] = yield* Effect.promise(() =>
      Promise.all([
        import("../../server/Server.ts"),
        import("../../server/tls/Certificate.ts"),
        import("../../server/users/Users.ts"),
        import("../../server/configuredStores.ts"),
        import("../../datastores/Datastores.ts")
      ])
    )
    const stores = Layer.provide(configuredStores.layer, Datastores.layer({ folder }))
    const services = Layer.provideMerge(Layer.merge(stores, Users.layer(folder)), NodePlatform.layer)
    const served = Effect.gen(function* () {
      const certificate = yield* Certificate.obtain(folder)
      const graceMillis = input.grace * 1000
      const serving = yield* Server.serve({ ...address, certificate, graceMillis })
      yield* print({
        json: { url: serving.url, fingerprint: serving.fingerprint },
        text: lines(serving).join("\n")
      })
      return yield* runsUntilStopped
    })
    return yield* Effect.scoped(served).pipe(Effect.provide(services))
  }).pipe(Effect.provide(Listening.toStandardError))
).pipe(
  Command.withDescription("Serve the configured datastores to Proxmox Backup Server's clients"),
  Command.withExamples([
    { command: "granary serve", description: "For this machine alone, at port 8007" },
    {
      command: "granary serve --listen 0.0.0.0:8007",
      description: "For everybody who reaches this machine and has a token or a password"
    }
  ])
)
