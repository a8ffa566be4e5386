/** `granary unmount MOUNTPOINT`: ends a mount, also one whose process is gone. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import { doneWithWarnings } from "../Failure.ts"
import * as Format from "../Format.ts"
import { print } from "../Output.ts"

const flags = {
  mountpoint: Argument.String("mountpoint").pipe(
    Argument.withDescription("Where the datastore is mounted"),
    Argument.withMetavar("MOUNTPOINT")
  )
}

const texts = {
  unmounted: (name: string) => `unmounted ${name}`,
  detached: (name: string) =>
    `${name} is in use still: it was taken away from its place, and ends with the last program that uses it`
}

export const unmount = Command.make("unmount", flags, ({ mountpoint }) =>
  Effect.gen(function* () {
    const Unmounting = yield* Effect.promise(() => import("../../fuse/Unmounting.ts"))
    const outcome = yield* Unmounting.unmount(mountpoint)
    const place = path.resolve(mountpoint)
    yield* print({ json: { mountpoint: place, outcome }, text: texts[outcome](Format.name(place)) })
    if (outcome === "detached") yield* doneWithWarnings
  })
).pipe(
  Command.withDescription("End a mount"),
  Command.withExamples([
    { command: "granary unmount /mnt/backups", description: "Also when its process is gone" }
  ])
)
