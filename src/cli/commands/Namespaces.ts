/** `granary namespaces`: the namespaces of a datastore, from `--ns` down. */
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { Datastore } from "../../datastore/Datastore.ts"
import { print } from "../Output.ts"
import { namespace, withDatastore } from "../Repository.ts"

export const namespaces = Command.make("namespaces", {}, () =>
  Effect.gen(function* () {
    const start = yield* namespace
    const found = yield* withDatastore(
      Effect.flatMap(Datastore, ({ hierarchy }) => hierarchy.namespaces(start))
    )
    const sorted = found.toSorted()
    yield* print({
      // Namespaces have no comments of their own; the field is there for those who read Proxmox's answers.
      json: sorted.map((ns) => ({ ns, comment: null })),
      text: sorted.map((ns) => (ns === "" ? "(root)" : ns)).join("\n")
    })
  })
).pipe(Command.withDescription("List namespaces"))
