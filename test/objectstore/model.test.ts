/**
 * Any sequence of operations has the same answers from a folder as from memory: two implementations that share no line
 * beyond the port are each other's model.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import fc from "fast-check"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as DirectoryObjectStore from "../../src/objectstore/DirectoryObjectStore.ts"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import type { ObjectStore } from "../../src/objectstore/ObjectStore.ts"
import type { ObjectStoreError } from "../../src/objectstore/ObjectStoreError.ts"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"

type Store = ObjectStore["Service"]

interface Operation {
  readonly name: string
  readonly run: (store: Store) => Effect.Effect<unknown, ObjectStoreError>
}

const keys = [
  "a",
  "a/b",
  "a/b/c",
  "a-b",
  "a.b/c",
  "a.object/b",
  `${"s".repeat(255)}/a`,
  "\uFFFD",
  "\u{1F600}"
]
const key = fc.constantFrom(...keys).map(ObjectKey.parse)
const body = fc.uint8Array({ maxLength: 6 })
const prefix = fc
  .constantFrom("", "a/", "a/b/", "a.b/", `${"s".repeat(255)}/`, "none/")
  .map(ObjectKey.parsePrefix)

const operation = (name: string, run: Operation["run"]): Operation => ({ name, run })

/** Times and etags are each implementation's own. */
const operations: fc.Arbitrary<Operation> = fc.oneof(
  fc
    .tuple(key, body)
    .map(([at, bytes]) => operation(`put ${at}`, (store) => Effect.asVoid(store.put(at, bytes)))),
  fc
    .tuple(key, body)
    .map(([at, bytes]) =>
      operation(`putIfAbsent ${at}`, (store) =>
        Effect.map(store.putIfAbsent(at, bytes), ({ outcome }) => outcome)
      )
    ),
  fc
    .tuple(key, fc.nat({ max: 6 }))
    .map(([at, maxSizeBytes]) =>
      operation(`get ${at} ${maxSizeBytes}`, (store) =>
        Effect.map(store.get(at, maxSizeBytes), (bytes) => [...bytes])
      )
    ),
  fc
    .tuple(key, fc.nat({ max: 7 }), fc.nat({ max: 7 }))
    .map(([at, offset, lengthBytes]) =>
      operation(`getRange ${at} ${offset} ${lengthBytes}`, (store) =>
        Effect.map(store.getRange(at, { offset, lengthBytes }), (bytes) => [...bytes])
      )
    ),
  key.map((at) =>
    operation(`head ${at}`, (store) => Effect.map(store.head(at), ({ sizeBytes }) => sizeBytes))
  ),
  fc
    .tuple(
      prefix,
      fc.option(fc.constantFrom(...keys, "a/", "zz"), { nil: "" }),
      fc.integer({ min: 1, max: 5 })
    )
    .map(([below, after, pageSize]) =>
      operation(`list ${below} after ${after}, ${pageSize}`, (store) =>
        Effect.map(
          store.list({ prefix: below, pageSize, ...(after === "" ? {} : { after }) }),
          ({ objects, next }) => [objects.map((object) => [object.key, object.sizeBytes]), next]
        )
      )
    ),
  fc
    .array(key, { maxLength: 4 })
    .map((batch) => operation(`deleteMany ${batch.join(" ")}`, (store) => store.deleteMany(batch))),
  fc
    .tuple(key, key)
    .map(([from, to]) => operation(`copy ${from} ${to}`, (store) => Effect.asVoid(store.copy(from, to))))
)

const answerOf = (effect: Effect.Effect<unknown, ObjectStoreError>): Effect.Effect<unknown> =>
  Effect.match(effect, {
    onFailure: ({ reason, key: subject }) => ({ reason, subject }),
    onSuccess: (answer) => ({ answer })
  })

const inFolder = <A>(use: (folder: string) => Effect.Effect<A>): Effect.Effect<A> =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "granary-test-"))),
    use,
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )

describe("a folder and memory", () => {
  it("answer alike", async () => {
    const agree = (sequence: ReadonlyArray<Operation>) =>
      inFolder((folder) =>
        Effect.gen(function* () {
          yield* Effect.orDie(DirectoryObjectStore.create(folder))
          const directory = yield* DirectoryObjectStore.make(folder, { sync: false })
          const memory = MemoryObjectStore.make(new MemoryBucket())
          for (const { name, run } of sequence) {
            const expected = yield* answerOf(run(memory))
            assert.deepStrictEqual(yield* answerOf(run(directory)), expected, name)
          }
        }).pipe(Effect.provide(NodeFiles.layer))
      )
    await fc.assert(
      fc.asyncProperty(fc.array(operations, { minLength: 5, maxLength: 40 }), (sequence) =>
        Effect.runPromise(agree(sequence))
      ),
      { numRuns: 150 }
    )
  }, 60_000)
})
