/** Instrumented services: where they park, what they are called, how they fail. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Data, Effect, Exit, Layer } from "effect"
import {
  actor,
  Explore,
  instrument,
  instrumentLayer,
  type InstrumentOptions,
  run
} from "../../src/testing.ts"
import { both, storyOf, valueOf } from "./scenarios.ts"

class Broken extends Data.TaggedError("Broken")<{ readonly operation: string }> {}

interface Handle {
  readonly sizeBytes: number
  readonly readAt: (offset: number) => Effect.Effect<number, Broken>
}

class Store extends Context.Service<
  Store,
  {
    readonly capacity: number
    readonly list: Effect.Effect<ReadonlyArray<string>, Broken>
    readonly get: (path: string) => Effect.Effect<string, Broken>
    readonly put: (path: string, content: string) => Effect.Effect<void, Broken>
    readonly open: (path: string) => Effect.Effect<Handle, Broken>
    readonly guard: (path: string) => <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
    readonly nameOf: (path: string) => string
  }
>()("test/Store") {}

class Memory {
  readonly capacity = 7
  private readonly files = new Map<string, string>()
  readonly list = Effect.sync(() => [...this.files.keys()])
  readonly guard =
    (_path: string) =>
    <A, E>(effect: Effect.Effect<A, E>) =>
      effect
  get(path: string) {
    return Effect.sync(() => this.files.get(path) ?? "")
  }
  put(path: string, content: string) {
    return Effect.sync(() => void this.files.set(path, content))
  }
  open(path: string) {
    return Effect.sync(() => ({
      sizeBytes: 3,
      readAt: (offset: number) => Effect.succeed(offset + path.length)
    }))
  }
  nameOf(path: string) {
    return path.toUpperCase()
  }
}

const digest = "0123456789abcdef".repeat(4)

const use = Effect.gen(function* () {
  const store = yield* Store
  yield* store.put("/store/a/file", "x")
  const content = yield* store.get(`/chunks/${digest}`)
  const { sizeBytes, readAt } = yield* store.open("/store/index")
  const read = yield* readAt(2)
  const guarded = yield* store.guard("/store/g")(Effect.succeed(5))
  const names = yield* store.list
  return { content, sizeBytes, read, guarded, names, name: store.nameOf("n"), capacity: store.capacity }
})

const play = (options: InstrumentOptions, faultAt?: number) =>
  run(
    {
      program: Effect.provide(use, Layer.succeed(Store, new Memory()).pipe(instrumentLayer(Store, options)))
    },
    { faults: faultAt === undefined ? [] : [{ step: faultAt, fault: "fail" }] }
  )

const labels = (options: InstrumentOptions) =>
  storyOf(play(options).steps).map((step) => step.slice("main.".length))

describe("an instrumented service", () => {
  it("parks before every operation and answers what it would have answered", () => {
    assert.deepStrictEqual(valueOf(play({})), {
      content: "",
      sizeBytes: 3,
      read: 14,
      guarded: 5,
      names: ["/store/a/file"],
      name: "N",
      capacity: 7
    })
    assert.deepStrictEqual(labels({}), ["put file", "get 01234567", "open index", "guard g", "list"])
  })

  it("parks in handles, after operations and under other names if told so, and leaves out what it is told", () => {
    assert.include(labels({ handles: ["open"] }), "open.readAt index")
    assert.deepStrictEqual(labels({ after: true, except: ["guard", "get", "open"] }), [
      "put file",
      "put file ended",
      "list",
      "list ended"
    ])
    const label = (operation: string, args: ReadonlyArray<unknown>) => `${operation}/${args.length}`
    assert.deepStrictEqual(labels({ label }).slice(0, 2), ["put/2", "get/1"])
  })

  it("fails with the service's own error, before or after it has happened", () => {
    const fail = (operation: string) => (operation === "list" ? undefined : new Broken({ operation }))
    const failed = (options: InstrumentOptions, step: number) => {
      const { outcome } = play(options, step)
      return outcome._tag === "Done" && Exit.isFailure(outcome.exit)
        ? outcome.exit.cause.reasons[0]
        : undefined
    }
    assert.deepInclude(failed({ fail }, 1), { _tag: "Fail", error: new Broken({ operation: "get" }) })
    assert.deepInclude(failed({ fail, after: true }, 1), {
      _tag: "Fail",
      error: new Broken({ operation: "put" })
    })
    // It has no error of its own, or cannot fail at all.
    assert.isUndefined(failed({ fail }, 4))
    assert.isUndefined(failed({}, 1))
  })

  it("tells a call that failed after it happened from one that never happened", () => {
    for (const [step, expected] of [
      [0, 0],
      [1, 1]
    ] as const) {
      let puts = 0
      const service = { put: () => Effect.sync(() => void (puts += 1)) }
      const fail = () => new Broken({ operation: "put" })
      const program = Effect.flatMap(instrument(service, { after: true, fail }), ({ put }) =>
        Effect.exit(put())
      )
      const done = run({ program }, { faults: [{ step, fault: "fail" }] })
      assert.isTrue(Exit.isFailure(valueOf(done)))
      assert.strictEqual(puts, expected)
    }
  })

  it("shows a race of its users", () => {
    const scenario = () => {
      const add = Store.use((store) => Effect.flatMap(store.get("n"), (seen) => store.put("n", `${seen}+`)))
      const program = both(add.pipe(actor("a")), add.pipe(actor("b"))).pipe(
        Effect.andThen(Store.use((store) => store.get("n"))),
        Effect.provide(Layer.succeed(Store, new Memory()).pipe(instrumentLayer(Store)))
      )
      return { program, check: (outcome: unknown) => JSON.stringify(outcome).includes("++") }
    }
    assert.strictEqual(Explore.exhaustive(scenario).failure?.kind, "Check")
  })
})
