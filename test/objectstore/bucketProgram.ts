/**
 * A process that works on a folder as a bucket, for tests of several processes. It says `ready` first.
 *
 *     race FOLDER NAME COUNT    waits for a line, tries to create COUNT keys with its name as body, prints those it won
 *     churn FOLDER              writes, replaces, copies and deletes for ever, until it is killed
 */
import * as Effect from "effect/Effect"
import { createInterface } from "node:readline"
import * as DirectoryObjectStore from "../../src/objectstore/DirectoryObjectStore.ts"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { deleteOne } from "../../src/objectstore/ObjectStore.ts"
import { isNotFound } from "../../src/objectstore/ObjectStoreError.ts"
import type { Files } from "../../src/platform/Files.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"

const [command, folder = "", name = "", count = "0"] = process.argv.slice(2)

const race = Effect.gen(function* () {
  const store = yield* DirectoryObjectStore.make(folder, { sync: false })
  const won: Array<number> = []
  for (let index = 0; index < Number(count); index++) {
    const key = ObjectKey.parse(`race/${index % 5}/${index}`)
    if ((yield* store.putIfAbsent(key, Buffer.from(name))).outcome === "created") won.push(index)
  }
  return won
})

/** A body tells its own length in every byte, so that a torn one is known. */
export const churnBody = (fill: number): Uint8Array => new Uint8Array(100_000 + fill * 1000).fill(fill)

const churn = Effect.gen(function* () {
  const store = yield* DirectoryObjectStore.make(folder, { sync: false })
  for (let round = 0; ; round++) {
    const key = ObjectKey.parse(`churn/${round % 3}/${round % 7}`)
    yield* store.put(key, churnBody(round % 200))
    yield* store.putIfAbsent(ObjectKey.parse(`churn/${round % 5}/new`), churnBody((round + 1) % 200))
    // The other process may have deleted it.
    yield* Effect.catchIf(store.copy(key, ObjectKey.parse("churn/copy")), isNotFound, () => Effect.void)
    if (round % 4 === 0) yield* deleteOne(store, key)
    if (round % 5 === 0) yield* deleteOne(store, ObjectKey.parse(`churn/${round % 5}/new`))
  }
})

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const run = <A>(effect: Effect.Effect<A, Error, Files>) =>
  Effect.runPromise(Effect.provide(effect, NodeFiles.layer))

if (command === "race") {
  createInterface(process.stdin).once("line", async () => {
    say(JSON.stringify(await run(race)))
    process.exit(0)
  })
  say("ready")
}
if (command === "churn") {
  say("ready")
  await run(churn)
}
