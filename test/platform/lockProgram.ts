/**
 * A process that holds locks of a datastore until it is told to let go, or killed. It reads one request a line (words
 * separated by tabs) and answers each with one line.
 *
 *     hold NAME MODE      yes or no
 *     writer              yes or no
 *     range OFFSET MODE   yes or no: a byte of `.lock`
 *     lease START         registers as a writer that began then: yes
 *     collect             takes the right to collect garbage, with a note of who has it: the process id
 *     free                lets everything go: yes
 *     guard DIGEST        yes, as soon as the digest's guard is held; it is kept
 *     insert COUNT        stores COUNT chunks of known content: how many were new, how many duplicates
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { createInterface } from "node:readline"
import * as Datastore from "../../src/datastore/Datastore.ts"
import * as Collector from "../../src/gc/Collector.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as ChunkCodec from "../../src/platform/ChunkCodec.ts"
import { digestOf } from "../../src/platform/chunkContent.ts"
import { FileLocks, type LockMode } from "../../src/platform/FileLocks.ts"
import * as NodeFileLocks from "../../src/platform/NodeFileLocks.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import * as ChunkStore from "../../src/store/ChunkStore.ts"
import * as DigestGuards from "../../src/store/DigestGuards.ts"
import { layoutOf } from "../../src/store/StoreLayout.ts"
import * as StoreLocks from "../../src/store/StoreLocks.ts"
import * as Writers from "../../src/store/Writers.ts"

const layout = layoutOf(process.argv[2] ?? "")
const platform = Layer.provideMerge(ChunkCodec.layerInline, Layer.merge(NodeFiles.layer, NodeFileLocks.layer))

const modeOf = (word: string | undefined): LockMode => (word === "shared" ? "shared" : "exclusive")

/** A clock that stands still. */
const clockAt = (seconds: number): Clock.Clock => ({
  currentTimeMillisUnsafe: () => seconds * 1000,
  currentTimeMillis: Effect.succeed(seconds * 1000),
  currentTimeNanosUnsafe: () => BigInt(seconds) * 1_000_000_000n,
  currentTimeNanos: Effect.succeed(BigInt(seconds) * 1_000_000_000n),
  monotonicTimeNanosUnsafe: () => BigInt(seconds) * 1_000_000_000n,
  monotonicTimeNanos: Effect.succeed(BigInt(seconds) * 1_000_000_000n),
  sleep: () => Effect.void
})

const insertAll = (count: number) =>
  Effect.gen(function* () {
    const store = yield* ChunkStore.make(layout, { syncLevel: "none" })
    let fresh = 0
    for (let number = 0; number < count; number++) {
      const data = Buffer.from(`chunk ${number} `.repeat(500))
      const digest = digestOf(data, undefined)
      const { duplicate } = yield* store.insert({ digest, data, compress: true, crypt: undefined })
      if (!duplicate) fresh += 1
    }
    return `${fresh} ${count - fresh}`
  })

const answer = (words: ReadonlyArray<string>, held: Scope.Closeable) =>
  Effect.gen(function* () {
    const locks = yield* StoreLocks.make(layout)
    const fileLocks = yield* FileLocks
    const yesOrNo = (isHeld: boolean): string => (isHeld ? "yes" : "no")
    switch (words[0]) {
      case "hold":
        return yesOrNo(yield* locks.tryHold(words[1] ?? "", modeOf(words[2])))
      case "writer":
        return yield* Effect.match(locks.holdAsWriter, { onFailure: () => "no", onSuccess: () => "yes" })
      case "range": {
        const range = { offset: Number(words[1]), length: 1 }
        return yesOrNo(yield* fileLocks.tryLock(layout.processLock, range, modeOf(words[2])))
      }
      case "guard": {
        const guards = yield* DigestGuards.make(layout)
        const guarded = guards.guard(Digest.parse(words[1] ?? ""))(
          Effect.andThen(
            Effect.sync(() => console.log("yes")),
            Effect.never
          )
        )
        yield* Effect.forkIn(guarded, held)
        return undefined
      }
      case "lease": {
        const writers = yield* Writers.make(layout, locks)
        const lease = writers.register
        yield* Effect.provideService(lease, Clock.Clock, clockAt(Number(words[1])))
        return "yes"
      }
      case "collect": {
        const datastore = yield* Datastore.open({ path: layout.base })
        yield* Collector.hold(datastore)
        yield* Collector.note(datastore, "UPID:of:the:first:")
        return `pid ${process.pid}`
      }
      case "insert":
        return yield* insertAll(Number(words[1]))
      default:
        return `unknown request ${words[0]}`
    }
  }).pipe(Scope.provide(held))

const program = Effect.gen(function* () {
  let held = yield* Scope.make()
  console.log("ready")
  for (;;) {
    const line = yield* Effect.promise(() => lines.next())
    if (line.done === true) break
    if (line.value === "free") {
      yield* Scope.close(held, Exit.void)
      held = yield* Scope.make()
      console.log("yes")
    } else {
      const text = yield* answer(line.value.split("\t"), held)
      if (text !== undefined) console.log(text)
    }
  }
})

const lines = createInterface(process.stdin)[Symbol.asyncIterator]()

await Effect.runPromise(Effect.provide(program, platform))
