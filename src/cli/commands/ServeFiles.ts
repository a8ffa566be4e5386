/** `granary serve-files [WHAT]`: a datastore, or a part of it, over HTTP: WebDAV, and pages for browsers. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as os from "node:os"
import type { VfsOptions } from "../../vfs/VfsLayer.ts"
import type { Serving } from "../../webdav/WebDav.ts"
import * as Listen from "../../webdav/Listen.ts"
import { runsUntilStopped } from "../Failure.ts"
import * as Listening from "../Listening.ts"
import { cryptConfig } from "../Keys.ts"
import * as MountArgument from "../MountArgument.ts"
import { print } from "../Output.ts"
import { namespace, withWorkingDatastore } from "../Repository.ts"
import { locate } from "../SnapshotArgument.ts"

const defaultAddress = `${Listen.loopback}:${Listen.defaultPort}`

const flags = {
  words: Argument.String("what").pipe(
    Argument.withDescription(
      "ns/NAMESPACE, a group, a snapshot or an archive (as one path, or as SNAPSHOT ARCHIVE [PATH]); without it " +
        "the whole datastore"
    ),
    Argument.withMetavar("WHAT"),
    Argument.variadic({ min: 0, max: 3 })
  ),
  listen: Flag.String("listen").pipe(
    Flag.withDescription(`Where to listen; port 0 is any that is free (default ${defaultAddress})`),
    Flag.withMetavar("HOST:PORT"),
    Flag.withDefault(defaultAddress)
  ),
  allowRemote: Flag.Boolean("allow-remote").pipe(
    Flag.withDescription(
      "Listen where other machines reach it too: everybody there can read all files, without a password, unencrypted"
    ),
    Flag.withDefault(false)
  ),
  template: Flag.String("template").pipe(
    Flag.withDescription(
      "Where snapshots are found (default {type}/{id}/{time-safe}: Windows wants no colons)"
    ),
    Flag.withDefault("{type}/{id}/{time-safe}")
  )
}

const isEverywhere = (host: string): boolean => host === "0.0.0.0" || host === "::"

const connectLines = ({ host, port, url }: Serving): ReadonlyArray<string> => {
  const isLocal = Listen.isLoopback(host)
  const seen = isEverywhere(host) ? Listen.urlOf({ host: os.hostname(), port }) : url
  return [
    `serving read-only at ${seen} until it is interrupted; ` +
      (isLocal ? "all users of this machine can read it" : "everybody who reaches this address can read it"),
    `  macOS: in the Finder, Go > Connect to Server, ${seen}    Windows: net use * ${seen}`,
    `  Linux: rclone copy --webdav-url ${seen} :webdav:PATH TARGET, or a file manager; or any browser`
  ]
}

/** `latest` is looked up once: what is served stays the snapshot that was meant. */
const rootOf = (wanted: MountArgument.Wanted) =>
  Effect.gen(function* () {
    const { named } = wanted
    const isSnapshot = named !== undefined && named.kind !== "group"
    return MountArgument.rootOf(wanted, isSnapshot ? yield* locate(wanted.namespace, named) : undefined)
  })

export const serveFiles = Command.make("serve-files", flags, (input) =>
  Effect.gen(function* () {
    const address = yield* Listening.addressOf(input.listen, defaultAddress)
    const wanted = yield* MountArgument.parse(yield* namespace, input.words)
    const crypt = yield* cryptConfig
    // Loaded only here: no other command needs it.
    const [VfsLayer, WebDav] = yield* Effect.promise(() =>
      Promise.all([import("../../vfs/VfsLayer.ts"), import("../../webdav/WebDav.ts")])
    )
    const served = Effect.gen(function* () {
      const options: VfsOptions = {
        root: yield* rootOf(wanted),
        template: input.template,
        ...(crypt === undefined ? {} : { crypt })
      }
      const tree = yield* Layer.build(VfsLayer.layer(options))
      const serving = yield* Effect.provideContext(
        WebDav.serve({ ...address, allowRemote: input.allowRemote }),
        tree
      )
      yield* print({ json: { url: serving.url }, text: connectLines(serving).join("\n") })
      return yield* runsUntilStopped
    })
    return yield* withWorkingDatastore(Effect.scoped(served))
  }).pipe(Effect.provide(Listening.toStandardError))
).pipe(
  Command.withDescription("Serve a datastore, or a part of it, as WebDAV and to browsers, read-only"),
  Command.withExamples([
    { command: "granary serve-files", description: "The whole datastore, for this machine alone" },
    {
      command: "granary serve-files host/laptop root.pxar /home",
      description: "A folder of the newest snapshot"
    },
    {
      command: "granary serve-files vm/100 --listen 192.168.1.5:8765 --allow-remote",
      description: "All backups of a virtual machine, for everybody on that network"
    }
  ])
)
