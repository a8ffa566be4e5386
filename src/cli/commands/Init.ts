/** `granary init PATH`: makes an empty datastore. */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as path from "node:path"
import * as Datastore from "../../datastore/Datastore.ts"
import * as NodePlatform from "../../platform/NodePlatform.ts"
import { Progress } from "../../platform/Progress.ts"
import { print } from "../Output.ts"

/** Makes the datastore and shows how far it is. */
export const createDatastore = (folder: string) =>
  Effect.gen(function* () {
    const reporter = yield* Progress
    const report = (state: "started" | "running" | "ended", done: number, total: number | undefined): void =>
      reporter({
        type: "progress",
        task: "create",
        subject: folder,
        state,
        unit: "folders",
        done,
        total,
        counts: {}
      })
    report("started", 0, undefined)
    yield* Datastore.create(folder, ({ done, total }) =>
      Effect.sync(() => report(done === total ? "ended" : "running", done, total))
    )
    return path.resolve(folder)
  }).pipe(Effect.provide(NodePlatform.layer))

export const init = Command.make(
  "init",
  {
    path: Argument.String("path").pipe(
      Argument.withDescription("Folder of the new datastore: missing or empty")
    )
  },
  ({ path: folder }) =>
    Effect.gen(function* () {
      const made = yield* createDatastore(folder)
      const text = `made an empty datastore in ${made}\nback up into it with: granary backup -r ${made} home.pxar:/home`
      yield* print({ json: { path: made, backend: "filesystem" }, text })
    })
).pipe(
  Command.withDescription("Make an empty datastore in a folder"),
  Command.withExamples([
    { command: "granary init /mnt/backup/store", description: "Make a datastore on a disk" }
  ])
)
