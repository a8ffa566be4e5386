/**
 * Knowing: explorations that go on from each state once leave nothing out: whatever a process can go through in all
 * schedules it goes through in those that are left, and the store passes through the same states.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { FileLocks } from "../../src/platform/FileLocks.ts"
import { Files } from "../../src/platform/Files.ts"
import { Explore, type Report, type Scenario } from "../../src/testing.ts"
import type { Run } from "../../src/testing/Run.ts"
import { guarded } from "./harness/Mutation.ts"
import { stage, together } from "./harness/stage.ts"
import { prepare, type StoreEffect } from "./harness/World.ts"
import { R02 } from "./rows/R02.ts"
import { R07 } from "./rows/R07.ts"
import { R13 } from "./rows/R13.ts"

type Search = (scenario: () => Scenario, options: { onRun: (run: Run) => void }) => Report

/** What each process has gone through in some run, and the states of the store. */
const goneThrough = (search: Search, make: () => Scenario) => {
  const ways = new Set<string>()
  const states = new Set<unknown>()
  const scenario = (): Scenario => {
    const made = make()
    const note = (): void => void states.add(made.state?.())
    return {
      ...made,
      check: (outcome) => {
        note()
        return made.check?.(outcome)
      },
      invariant: () => {
        note()
        return made.invariant?.()
      }
    }
  }
  const report = search(scenario, {
    onRun: ({ steps }) => {
      for (const name of new Set(steps.map(({ process }) => process))) {
        const labels = steps.filter(({ process }) => process === name).map(({ label }) => label)
        ways.add(`${name}: ${labels.join(", ")}`)
      }
    }
  })
  assert.isTrue(report.complete, Explore.render(report))
  return { ways, states, runs: report.runs }
}

const bounded =
  (preemptions: number): Search =>
  (make, options) =>
    Explore.exhaustive(make, { ...options, preemptions })

const withoutShared = (make: () => Scenario) => (): Scenario => {
  const { shared: _, ...scenario } = make()
  return scenario
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

const write = (path: string, content: string) =>
  Effect.flatMap(Files, (files) => files.replaceFile(path, [Buffer.from(content)]))

/** Somewhere to stop. */
const pause = Effect.flatMap(Files, (files) => files.readFile("/store/.lock", 1))

const [changing, ending, consequence] = ["/store/changing", "/store/ending", "/store/consequence"]

const lock = Effect.flatMap(FileLocks, (locks) =>
  locks.tryLock("/store/.lock", { offset: 7, length: 1 }, "exclusive")
)

const disk = prepare({
  contents: [],
  setUp: Effect.andThen(write(changing, "as before"), write(ending, "not yet"))
})

/**
 * What somebody does to a thing and takes back, and how somebody else finds that out in between. Only when all is over
 * it acts on it, and then nothing but its memory tells what it has found.
 */
const found = (doing: StoreEffect, findsOut: StoreEffect<boolean>): (() => Scenario) =>
  stage({
    disk,
    settles: false,
    program: (world) =>
      together(
        world.process("doing")(Effect.andThen(doing, write(ending, "over"))),
        world.process("finding")(
          Effect.gen(function* () {
            const isFound = yield* findsOut
            const isOver = text(yield* (yield* Files).readFile(ending, 100)) === "over"
            if (isFound && isOver) yield* write(consequence, "")
          })
        )
      )
  })(guarded)

const changes = Effect.andThen(write(changing, "otherwise"), write(changing, "as before"))
const isOtherwise = (bytes: Uint8Array): boolean => text(bytes) === "otherwise"

const readsFile = Effect.flatMap(Files, (files) => Effect.map(files.readFile(changing, 100), isOtherwise))

const readsOpenFile = Effect.scoped(
  Effect.gen(function* () {
    const handle = yield* (yield* Files).openRead(changing)
    const buffer = new Uint8Array(handle.sizeBytes)
    yield* pause
    yield* handle.readAt(0, buffer)
    return isOtherwise(buffer)
  })
)

const cases: ReadonlyArray<readonly [name: string, make: (() => Scenario) | undefined, search: Search]> = [
  ["R7", R07.cases[0]?.make(guarded), bounded(Infinity)],
  ["R13 with a bound", R13.cases[0]?.make(guarded), bounded(1)],
  ["R2 with a bound", R02.cases[0]?.make(guarded), bounded(1)],
  ["R2 in one process with a bound", R02.cases[1]?.make(guarded), bounded(1)],
  ["a file that is read", found(changes, readsFile), bounded(5)],
  ["a file that is open", found(changes, readsOpenFile), bounded(5)],
  [
    "a lock that is tried",
    found(Effect.scoped(Effect.andThen(lock, pause)), Effect.scoped(Effect.map(lock, (isHeld) => !isHeld))),
    bounded(5)
  ]
]

describe("going on from each state once", () => {
  for (const [name, make, search] of cases) {
    it(`leaves nothing out: ${name}`, () => {
      assert.isDefined(make)
      const all = goneThrough(search, withoutShared(make))
      const once = goneThrough(search, make)
      assert.isAtMost(once.runs, all.runs)
      assert.deepStrictEqual(
        [...all.ways].filter((way) => !once.ways.has(way)),
        []
      )
      assert.deepStrictEqual([...once.states].toSorted(), [...all.states].toSorted())
    }, 120_000)
  }
})
