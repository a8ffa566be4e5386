/**
 * A datastore in a bucket keeps its namespaces, groups and snapshots in both places: after every operation, after every
 * failure, interruption, crash and power loss in the middle of one and asking for it once more.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import type { FilesError } from "../../src/platform/Files.ts"
import { loseAll } from "../../src/testing/MemoryDisk.ts"
import { ioError, type Operation as FilesOperation } from "../store/HookedFiles.ts"
import { type Operation, operations, prepared } from "../store/bucket/mirroredWork.ts"
import {
  assertFinishedInBoth,
  assertMirrored,
  assertWhole,
  bucketContent,
  fork,
  type Hooks,
  inWorld,
  summary,
  type World
} from "../store/bucket/world.ts"

/** Runs as a process; the bucket is looked at after every request. */
const runIn = (world: World, work: Operation["run"], hooks: Hooks = {}) =>
  Effect.exit(
    work.pipe(
      inWorld(world, {
        ...hooks,
        after: (call, request) => {
          assertWhole(world, `after ${request}`)
          return hooks.after?.(call, request) ?? Effect.void
        }
      })
    )
  )

const reasonOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return ""
  const error = Cause.squash(exit.cause)
  return typeof error === "object" && error !== null && "reason" in error
    ? String(error.reason)
    : String(error)
}

const assertDone = (operation: Operation, exit: Exit.Exit<unknown, unknown>, when: string): void => {
  if (Exit.isSuccess(exit) || operation.doneAlready?.includes(reasonOf(exit)) === true) return
  assert.fail(`${operation.name} ${when}: ${Cause.pretty(exit.cause)}`)
}

/** Asks for the operation again, in a new process, and looks at what both places hold then. */
const assertRepeatable = (operation: Operation, world: World, expected: Map<string, string>, when: string) =>
  Effect.gen(function* () {
    const exit = yield* runIn(world, operation.again ?? operation.run)
    assertDone(operation, exit, `again ${when}`)
    assertMirrored(world, `${operation.name} ${when}`)
    if (operation.endsDifferently !== true) {
      assert.deepStrictEqual(summary(bucketContent(world)), summary(expected), `${operation.name} ${when}`)
    }
  })

/** The operation without any trouble: how many requests it takes, and what it comes to. */
const undisturbed = (operation: Operation, before: World) =>
  Effect.gen(function* () {
    const world = fork(before)
    const requests: Array<string> = []
    const exit = yield* runIn(world, operation.run, {
      before: (_, request) => Effect.sync(() => void requests.push(request))
    })
    if (Exit.isFailure(exit)) assert.fail(Cause.pretty(exit.cause))
    assertMirrored(world, operation.name)
    return { world, requests, expected: bucketContent(world) }
  })

const failure = (reason: "Disconnected" | "Throttled") =>
  Effect.fail(new ObjectStoreError({ operation: "put", key: "", reason }))

/** What may befall one request. */
const troubles: ReadonlyArray<{ readonly name: string; readonly hooks: (at: number) => Hooks }> = [
  {
    name: "is refused",
    hooks: (at) => ({ before: (call) => (call === at ? failure("Throttled") : Effect.void) })
  },
  {
    name: "is lost",
    hooks: (at) => ({ before: (call) => (call === at ? failure("Disconnected") : Effect.void) })
  },
  {
    name: "loses its answer",
    hooks: (at) => ({ after: (call) => (call === at ? failure("Disconnected") : Effect.void) })
  },
  {
    name: "is the last one that is answered",
    hooks: (at) => ({ before: (call) => (call > at ? failure("Disconnected") : Effect.void) })
  },
  {
    name: "is interrupted before",
    hooks: (at) => ({ before: (call) => (call === at ? Effect.interrupt : Effect.void) })
  },
  {
    name: "is interrupted after",
    hooks: (at) => ({ after: (call) => (call === at ? Effect.interrupt : Effect.void) })
  }
]

const changing: ReadonlySet<FilesOperation> = new Set<FilesOperation>([
  "makeDirectory",
  "createFile",
  "replaceFile",
  "rename",
  "unlink",
  "removeDirectory",
  "syncDirectory"
])

/** Sees the operations that change files of snapshots and groups; what it answers is how they fail. */
const onChange =
  (see: (operation: FilesOperation, path: string) => FilesError | undefined) =>
  (operation: FilesOperation, path: string): Effect.Effect<void, FilesError> =>
    Effect.suspend(() => {
      if (!changing.has(operation) || /\/\.(?!protected)/.test(path)) return Effect.void
      const error = see(operation, path)
      return error === undefined ? Effect.void : Effect.fail(error)
    })

for (const operation of operations) {
  describe(`in a bucket: ${operation.name}`, () => {
    it.effect("both places hold the same, also after a power loss", () =>
      Effect.gen(function* () {
        const { expected, world } = yield* undisturbed(operation, yield* prepared(operation))
        world.disk.losePower(loseAll)
        assertMirrored(world, "after a power loss")
        assert.deepStrictEqual(summary(bucketContent(world)), summary(expected))
      })
    )

    for (const { hooks, name } of troubles) {
      it.effect(`any request ${name}: it can be asked for again`, () =>
        Effect.gen(function* () {
          const before = yield* prepared(operation)
          const { expected, requests } = yield* undisturbed(operation, before)
          for (const [at, request] of requests.entries()) {
            const when = `when request ${at}, ${request}, ${name}`
            const world = fork(before)
            const exit = yield* runIn(world, operation.run, hooks(at))
            assertFinishedInBoth(world, when)
            if (Exit.isSuccess(exit)) assertMirrored(world, when)
            yield* assertRepeatable(operation, world, expected, when)
          }
        })
      )
    }

    it.effect("any change of the folder fails, or seems to: it can be asked for again", () =>
      Effect.gen(function* () {
        const before = yield* prepared(operation)
        const { expected } = yield* undisturbed(operation, before)
        const changes: Array<string> = []
        const note = onChange((name, path) => {
          changes.push(`${name} ${path}`)
          return undefined
        })
        yield* runIn(fork(before), operation.run, { files: { before: note } })
        for (const [at, change] of changes.entries()) {
          for (const moment of ["before", "after"] as const) {
            const when = `when ${change} fails, ${moment} it happens`
            const world = fork(before)
            let count = 0
            const failing = onChange((name, path) => (count++ === at ? ioError(name, path) : undefined))
            const exit = yield* runIn(world, operation.run, { files: { [moment]: failing } })
            assertFinishedInBoth(world, when)
            if (Exit.isSuccess(exit)) assertMirrored(world, when)
            yield* assertRepeatable(operation, world, expected, when)
          }
        }
      })
    )

    it.effect("killed between any two steps, or without power there: it can be asked for again", () =>
      Effect.gen(function* () {
        const before = yield* prepared(operation)
        const { expected } = yield* undisturbed(operation, before)
        const world = fork(before)
        const moments: Array<{ readonly when: string; readonly world: World }> = []
        const note = (when: string) => Effect.sync(() => void moments.push({ when, world: fork(world) }))
        yield* runIn(world, operation.run, {
          before: (_, request) => note(`before ${request}`),
          after: (_, request) => note(`after ${request}`),
          point: (label) => note(`before ${label}`)
        })
        assert.isAbove(moments.length, 5)
        for (const { when, world: found } of moments) {
          assertFinishedInBoth(found, when)
          const dark = fork(found)
          dark.disk.losePower(loseAll)
          assertFinishedInBoth(dark, `power loss ${when}`)
          yield* assertRepeatable(operation, found, expected, `killed ${when}`)
          yield* assertRepeatable(operation, dark, expected, `power loss ${when}`)
        }
      })
    )
  })
}
