/**
 * Our client's backup, with its line cut at every request, before it goes out and while its answer is on the way: what
 * is listed is whole, the client says in one line what to do, and the next backup goes through.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { join } from "node:path"
import type { Datastore } from "../../src/datastore/Datastore.ts"
import * as ArchiveName from "../../src/model/ArchiveName.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import type { Remote } from "../../src/remote/Remote.ts"
import { assertVerified, group, noise, writeAt } from "../backup/stores.ts"
import { scratchFolder } from "../platform/scratch.ts"
import { namesIn } from "../server/scene.ts"
import { backUp, client, connect, inServersStore } from "./backups.ts"
import { line } from "./net.ts"

type Moment = "before" | "during"

/** A client whose line is cut at the request of that number; `count` tells how many there were. */
const cuttingAt = (remote: Remote, cut: () => void, number: number, moment: Moment) => {
  let count = 0
  const counted = <A, E>(ask: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const isIt = count++ === number
      if (isIt && moment === "before") cut()
      if (isIt && moment === "during") setImmediate(cut)
      return ask
    })
  const cutting: Remote = {
    ...remote,
    begin: (protocol, parameters) =>
      Effect.map(remote.begin(protocol, parameters), ({ bytes, call, ...session }) => ({
        ...session,
        call: (...asked) => counted(call(...asked)),
        bytes: (...asked) => counted(bytes(...asked))
      }))
  }
  return { cutting, count: () => count }
}

/** The snapshots of the group once the server has undone what was not finished. */
const settled = ({ hierarchy }: Datastore["Service"]) =>
  Effect.gen(function* () {
    for (let attempt = 0; attempt < 500; attempt++) {
      const listed = yield* hierarchy.snapshots(Namespace.root, group)
      if (listed.every(({ finished }) => finished)) return listed
      yield* Effect.sleep("10 millis")
    }
    return yield* Effect.die(new Error("an unfinished snapshot stays"))
  })

describe("a backup whose line is cut", () => {
  it.live("leaves nothing that is not whole, at any request", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { made, remote } = yield* client
        const way = yield* line(made.port)
        const slow = yield* connect(made, { port: way.port })
        const root = yield* scratchFolder
        const archives = [
          { kind: "directory", archive: ArchiveName.fromClient("root.pxar"), path: root },
          {
            kind: "blob",
            archive: ArchiveName.fromClient("a.conf"),
            content: Effect.succeed(Buffer.from("a"))
          }
        ] as const
        writeAt(join(root, "file"), noise("first", 20_000), 1_600_000_000)
        yield* backUp(remote, root, { archives })
        let finished = 1
        let isOver = false
        for (let number = 0; !isOver; number++) {
          for (const moment of ["before", "during"] as const) {
            writeAt(join(root, "file"), noise(`${number} ${moment}`, 20_000), 1_600_000_000)
            const { count, cutting } = cuttingAt(slow, way.cut, number, moment)
            const exit = yield* Effect.exit(backUp(cutting, root, { archives }))
            isOver = count() <= number
            if (Exit.isFailure(exit)) {
              const error = exit.cause.reasons.flatMap((reason) =>
                reason._tag === "Fail" ? [reason.error] : []
              )[0]
              assert.include(
                { reason: "Unreachable" },
                { reason: error && "reason" in error ? error.reason : "" }
              )
              assert.match(error?.message ?? "", /^127\.0\.0\.1:\d+: the connection broke$/)
              assert.isNotEmpty(error && "hint" in error ? error.hint : "")
            }
            const listed = yield* settled(made.datastore)
            // Cut while the last answer is on its way, the snapshot may be there: then it is whole.
            assert.isAtLeast(listed.length, Exit.isSuccess(exit) ? finished + 1 : finished)
            finished = listed.length
            for (const { snapshot } of listed.slice(0, 1)) {
              assert.lengthOf(namesIn(made.base, Snapshot.format(snapshot)) ?? [], 4)
            }
          }
        }
        assert.isAbove(finished, 2)
        yield* backUp(remote, root, { archives })
        yield* inServersStore(made)(assertVerified())
      })
    )
  )
})
