/**
 * Whatever goes wrong on the way: an operation with retries succeeds or fails typed, its answer is true, and nothing is
 * changed that it did not name, nor a second time in a way that anybody could see.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import fc from "fast-check"
import { retrying } from "../../../src/objectstore/decorators/retrying.ts"
import type { ObjectKey } from "../../../src/objectstore/ObjectKey.ts"
import { ObjectStoreError } from "../../../src/objectstore/ObjectStoreError.ts"
import { MemoryBucket } from "../../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../../src/testing/MemoryObjectStore.ts"
import { at, body, runThroughTime } from "./scene.ts"

type Contents = Readonly<Record<string, string>>

/** A bucket that writes down every change: the key, and what is there from now on. */
class WatchedBucket extends MemoryBucket {
  readonly changes: Array<readonly [key: string, content: string | undefined]> = []

  override put(key: string, content: Uint8Array, nowMillis: number) {
    this.changes.push([key, Buffer.from(content).toString()])
    return super.put(key, content, nowMillis)
  }

  override delete(key: string, nowMillis: number): void {
    this.changes.push([key, undefined])
    super.delete(key, nowMillis)
  }

  contents(): Contents {
    return Object.fromEntries(
      this.keys().map((key) => [key, Buffer.from(this.find(key)?.body ?? []).toString()])
    )
  }
}

type Operation =
  | { readonly kind: "put" | "putIfAbsent"; readonly key: ObjectKey; readonly text: string }
  | { readonly kind: "get" | "head"; readonly key: ObjectKey }
  | { readonly kind: "copy"; readonly key: ObjectKey; readonly to: ObjectKey }
  | { readonly kind: "deleteMany"; readonly keys: ReadonlyArray<ObjectKey> }

const key = fc.constantFrom("a", "b", "c").map(at)
const text = fc.constantFrom("", "x", "y", "xy")

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ kind: fc.constantFrom("put" as const, "putIfAbsent" as const), key, text }),
  fc.record({ kind: fc.constantFrom("get" as const, "head" as const), key }),
  fc.record({ kind: fc.constant("copy" as const), key, to: key }),
  fc.record({ kind: fc.constant("deleteMany" as const), keys: fc.array(key, { minLength: 1, maxLength: 3 }) })
)

/** What the operation makes of a bucket, if it is carried out. */
const wanted = (before: Contents, operation: Operation): Contents => {
  const after: Record<string, string> = { ...before }
  if (operation.kind === "put") after[operation.key] = operation.text
  if (operation.kind === "putIfAbsent") after[operation.key] ??= operation.text
  if (operation.kind === "copy") {
    const source = before[operation.key]
    if (source !== undefined) after[operation.to] = source
  }
  if (operation.kind === "deleteMany") for (const key of operation.keys) delete after[key]
  return after
}

const perform = (store: ReturnType<typeof MemoryObjectStore.make>, operation: Operation) => {
  switch (operation.kind) {
    case "put":
      return Effect.asVoid(store.put(operation.key, body(operation.text)))
    case "putIfAbsent":
      return Effect.map(store.putIfAbsent(operation.key, body(operation.text)), ({ outcome }) => outcome)
    case "get":
      return Effect.map(store.get(operation.key, 9), (read) => Buffer.from(read).toString())
    case "head":
      return Effect.map(store.head(operation.key), ({ sizeBytes }) => sizeBytes)
    case "copy":
      return Effect.asVoid(store.copy(operation.key, operation.to))
    case "deleteMany":
      return store.deleteMany(operation.keys)
  }
}

const checkAnswer = (operation: Operation, before: Contents, answer: unknown): void => {
  if (operation.kind === "get") assert.strictEqual(answer, before[operation.key])
  if (operation.kind === "head") assert.strictEqual(answer, before[operation.key]?.length)
  if (operation.kind === "copy") assert.isDefined(before[operation.key])
  if (operation.kind === "putIfAbsent") {
    const there = before[operation.key]
    if (there === undefined) assert.strictEqual(answer, "created")
    else if (there !== operation.text) assert.strictEqual(answer, "present")
  }
}

/** Keys of which it is known that they are as before, as wanted, or (left out) that they are one of these. */
const certainty = (
  operation: Operation,
  result: Result.Result<unknown, ObjectStoreError>
): ((key: string) => "before" | "wanted" | "either") => {
  if (Result.isFailure(result)) return () => (result.failure.outcomeUnknown ? "either" : "before")
  if (operation.kind !== "deleteMany") return () => "wanted"
  const report = result.success as {
    readonly deleted: ReadonlyArray<string>
    readonly failed: ReadonlyArray<{ readonly key: string; readonly error: ObjectStoreError }>
  }
  assert.deepStrictEqual(
    [...report.deleted, ...report.failed.map(({ key }) => key)].sort(),
    [...new Set<string>(operation.keys)].sort()
  )
  return (key) => {
    const failure = report.failed.find((one) => one.key === key)
    if (failure === undefined) return "wanted"
    return failure.error.outcomeUnknown ? "either" : "before"
  }
}

const step = (
  bucket: WatchedBucket,
  store: ReturnType<typeof MemoryObjectStore.make>,
  operation: Operation
) =>
  Effect.gen(function* () {
    const before = bucket.contents()
    const after = wanted(before, operation)
    bucket.changes.length = 0
    const result = yield* Effect.result(perform(store, operation))
    // Every change leads straight to what was wanted: done twice, it looks as if done once.
    for (const [key, content] of bucket.changes) assert.strictEqual(content, after[key], `change of ${key}`)
    const now = bucket.contents()
    const sureOf = certainty(operation, result)
    for (const key of ["a", "b", "c"]) {
      const sure = sureOf(key)
      if (sure === "before") assert.strictEqual(now[key], before[key])
      if (sure === "wanted") assert.strictEqual(now[key], after[key])
    }
    if (Result.isSuccess(result)) checkAnswer(operation, before, result.success)
    else assert.instanceOf(result.failure, ObjectStoreError)
    return result
  })

const faults: ReadonlyArray<MemoryObjectStore.Fault> = [
  "lost request",
  "lost answer",
  "throttled",
  "late failure",
  "conflict",
  "truncated",
  "failed deletion"
]

it("random faults: success or typed failure, true answers, nothing twice", async () => {
  const tally = { success: 0, unknown: 0, known: 0, retried: 0 }
  const scenario = (
    operations: ReadonlyArray<Operation>,
    dice: ReadonlyArray<number>,
    attemptsMax: number
  ) => {
    let rolls = 0
    const bucket = new WatchedBucket()
    const memory = MemoryObjectStore.make(bucket, {
      faults,
      decide: () => dice[rolls++ % dice.length] === 0
    })
    return Effect.gen(function* () {
      const store = yield* retrying(memory, { attemptsMax })
      for (const operation of operations) {
        const result = yield* step(bucket, store, operation)
        if (Result.isSuccess(result)) tally.success += 1
        else tally[result.failure.outcomeUnknown ? "unknown" : "known"] += 1
        if (Result.isFailure(result) && result.failure.attempts !== undefined) tally.retried += 1
      }
    })
  }
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 1, maxLength: 15 }),
      fc.array(fc.nat({ max: 3 }), { minLength: 7, maxLength: 60 }),
      fc.integer({ min: 1, max: 6 }),
      (operations, dice, attemptsMax) => runThroughTime(scenario(operations, dice, attemptsMax))
    ),
    { numRuns: 300 }
  )
  // All kinds of endings were met.
  for (const [ending, count] of Object.entries(tally)) assert.isAbove(count, 20, ending)
})
