/**
 * A datastore in a bucket over real HTTP, used through the library: what it does on the double of an S3 server and on
 * Ceph's object gateway, where that is installed, and what a gateway that is killed in the middle of a backup costs.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { Datastore } from "../../src/datastore/Datastore.ts"
import * as Gc from "../../src/gc/Gc.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import { around } from "../../src/objectstore/decorators/ObjectRequest.ts"
import * as Rgw from "../s3/Rgw.ts"
import {
  assertKept,
  backUp,
  chunksOnlyIn,
  type Connection,
  contents,
  differences,
  double,
  gateway,
  isGatewayTested,
  newHost,
  type Server,
  type Start,
  statesOf,
  verify,
  withoutFolder
} from "./s3Scene.ts"

const timeLimitMillis = 120_000
const graceSeconds = 36 * 3600

const forgetAndCollect = (server: Server) =>
  Effect.gen(function* () {
    const host = yield* newHost(server)
    const first = yield* host.on()(backUp(1))
    const second = yield* host.on()(backUp(2))
    yield* host.on()(Effect.flatMap(Datastore, (store) => store.forget(Namespace.root, first.snapshot)))
    const young = yield* host.on()(Gc.collect({ checksTimes: false }))
    assert.deepInclude(young.status, { removedChunks: 0 })
    yield* assertKept(server, [[second.snapshot, 2]])
    if (server.age === undefined) return
    server.age(graceSeconds)
    host.age(graceSeconds)
    const old = yield* host.on()(Gc.collect({ checksTimes: false }))
    assert.deepInclude(old.status, { removedChunks: chunksOnlyIn(1, 2) })
    yield* assertKept(server, [[second.snapshot, 2]])
    // What was collected is stored anew when it comes back.
    const third = yield* host.on()(backUp(1))
    yield* assertKept(server, [
      [second.snapshot, 2],
      [third.snapshot, 1]
    ])
  })

const datastoreSuite = (start: Start): void => {
  it.live(
    "is backed up into, restored from, verified, taken over and read without a folder",
    () =>
      Effect.gen(function* () {
        const server = yield* start
        const host = yield* newHost(server)
        const first = yield* host.on()(backUp(1))
        assert.strictEqual(first.statistics.newChunks, contents(1).size + 1)
        const second = yield* host.on()(backUp(2))
        assert.strictEqual(second.statistics.newChunks, chunksOnlyIn(2, 1))
        assert.deepStrictEqual(yield* host.on()(differences(first.snapshot, 1)), [])
        assert.deepStrictEqual(yield* host.on()(differences(second.snapshot, 2)), [])
        const listed = yield* host.on()(verify({ depth: "listed" }))
        assert.deepStrictEqual(Object.values(statesOf(listed)), ["ok", "ok"])
        assert.strictEqual(listed.statistics.chunks, 0)
        yield* assertKept(server, [
          [first.snapshot, 1],
          [second.snapshot, 2]
        ])
        const other = yield* newHost(server, "reuse")
        assert.deepStrictEqual(yield* other.on()(differences(first.snapshot, 1)), [])
        const third = yield* other.on()(backUp(3))
        assert.deepStrictEqual(Object.values(statesOf(yield* other.on()(verify()))), ["ok", "ok", "ok"])
        assert.deepStrictEqual(yield* withoutFolder(server, differences(third.snapshot, 3)), [])
      }),
    timeLimitMillis
  )

  it.live(
    "loses nothing that is needed when garbage is collected",
    () => Effect.flatMap(start, forgetAndCollect),
    timeLimitMillis
  )
}

describe("a datastore on the double of an S3 server", () => datastoreSuite(double))

describe.skipIf(!isGatewayTested)("a datastore on Ceph's object gateway", () => datastoreSuite(gateway))

/** Lets the first so many writes pass, then says so. */
const afterWrites = (count: number) =>
  Effect.map(Deferred.make<void>(), (reached) => {
    let writes = 0
    const decorate: Connection["decorate"] = (objects) =>
      around(objects, ({ operation }, run) =>
        Effect.tap(run, () => {
          if (operation !== "put" && operation !== "putIfAbsent") return Effect.void
          writes += 1
          return writes === count ? Deferred.succeed(reached, undefined) : Effect.void
        })
      )
    return { decorate, reached: Deferred.await(reached) }
  })

describe.skipIf(!isGatewayTested)("a gateway that is killed in the middle of a backup", () => {
  it.live(
    "loses nothing that was acknowledged, and serves the next backup",
    () =>
      Effect.gen(function* () {
        const server = yield* Rgw.startWith({ store: "bluestore" })
        const host = yield* newHost(server)
        const first = yield* host.on()(backUp(1))
        const { decorate, reached } = yield* afterWrites(4)
        const retries = { baseMillis: 10, capMillis: 50, attemptsMax: 3 }
        const backup = host.on({ decorate, retries })(backUp(2))
        const running = yield* Effect.forkScoped(Effect.result(backup))
        yield* reached
        yield* server.kill
        const outcome = yield* Fiber.join(running)
        assert.isTrue(Result.isFailure(outcome))
        if (Result.isFailure(outcome)) assert.propertyVal(outcome.failure, "_tag", "ObjectStoreError")
        yield* server.restart
        yield* assertKept(server, [[first.snapshot, 1]])
        const second = yield* host.on()(backUp(2))
        yield* assertKept(server, [
          [first.snapshot, 1],
          [second.snapshot, 2]
        ])
      }),
    timeLimitMillis
  )
})
