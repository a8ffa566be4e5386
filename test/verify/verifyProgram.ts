/** Verifies a datastore and prints the states, errors and the number of warnings as JSON. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as ChunkCodec from "../../src/platform/ChunkCodec.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { Progress } from "../../src/platform/Progress.ts"
import * as Verify from "../../src/verify/Verify.ts"
import * as VerifyPlan from "../../src/verify/VerifyPlan.ts"

const platform = Layer.provideMerge(ChunkCodec.layerInline, Layer.merge(NodeFiles.layer, NodeFileLocks.layer))

let warnings = 0

const { snapshots } = await Effect.runPromise(
  Effect.flatMap(VerifyPlan.make({ namespace: Namespace.root }), (plan) => Verify.run(plan)).pipe(
    Effect.provideService(Progress, (event) => {
      if (event.type === "warning") warnings += 1
    }),
    Effect.provide(Layer.provide(Datastore.layer({ path: process.argv[2] ?? "" }), platform))
  )
)
const states = snapshots.map(({ state }) => state)
const errors = snapshots.flatMap(({ files }) => files.flatMap((file) => file.errors))
process.stdout.write(JSON.stringify({ states, errors, warnings }))
