/**
 * What every implementation of ObjectStore must do: one test or more for each obligation written in the port, by the
 * obligation's number. Runs on an empty part of a bucket, so that a real server will do.
 *
 * What an implementation cannot offer (a second connection, a missing bucket, keys of others) is left out of its
 * subject, and the test is shown as skipped.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { deleteOne } from "../../src/objectstore/ObjectStore.ts"
import { deletingTests, listingTests } from "./objectStoreListing.ts"
import {
  bytes,
  maxBytes,
  nastyNames,
  type ObjectStoreSubject,
  readText,
  reasonOf,
  type Run,
  type Store,
  type Test
} from "./objectStoreSubject.ts"

export const objectStoreSuite = (name: string, subject: ObjectStoreSubject): void => {
  const run: Run = (title, test, isGiven = true) =>
    it.live.skipIf(!isGiven)(
      title,
      () =>
        Effect.flatMap(subject.scene, (scene) =>
          test({ ...scene, at: (relative) => ObjectKey.join(scene.prefix, relative) })
        ),
      60_000
    )

  describe(`${name} as ObjectStore`, () => {
    describe("writing", () => writingTests(run, subject))
    describe("conditional writing", () => conditionalTests(run, subject))
    describe("reading", () => readingTests(run))
    describe("listing", () => listingTests(run, subject))
    describe("deleting", () => deletingTests(run))
    describe("copying", () => copyingTests(run))
    it.live.skipIf(subject.missingBucket === undefined)("5. a missing bucket is NoBucket", () =>
      Effect.flatMap(subject.missingBucket ?? Effect.die("a subject without it"), missingBucketTest)
    )
  })
}

const writingTests = (run: Run, { has }: ObjectStoreSubject): void => {
  /** What head and a listing say of an object; where listings do not tell, head speaks for both. */
  const etagsOf = ({ store, prefix, at }: Parameters<Test>[0], name: string) =>
    Effect.gen(function* () {
      const { etag } = yield* store.head(at(name))
      const { objects } = yield* store.list({ prefix })
      const listed = objects.find(({ key }) => key === at(name))?.etag
      if (has?.listedEtags === false) assert.isUndefined(listed)
      return [etag, has?.listedEtags === false ? etag : listed]
    })

  run("1, 3. put replaces, and what was put is read", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("a"), bytes("old and longer"))
      yield* store.put(at("a"), bytes("new"))
      assert.strictEqual(yield* readText(store, at("a")), "new")
      assert.strictEqual((yield* store.head(at("a"))).sizeBytes, 3)
    })
  )

  run("1. a reader sees a whole body, whatever is written meanwhile", ({ store, at, other }) =>
    Effect.gen(function* () {
      const bodies = [1, 2, 3].map((fill) => new Uint8Array(200_000 + fill * 1000).fill(fill))
      yield* store.put(at("a"), bodies[0]!)
      const write = Effect.forEach([...bodies, ...bodies, ...bodies], (body) => store.put(at("a"), body))
      const read = Effect.gen(function* () {
        for (let round = 0; round < 20; round++) {
          const body = yield* (other ?? store).get(at("a"), maxBytes)
          const first = body[0] ?? 0
          assert.strictEqual(body.length, 200_000 + first * 1000)
          assert.isTrue(body.every((byte) => byte === first))
        }
      })
      yield* Effect.all([write, read], { concurrency: 2, discard: true })
    })
  )

  run("an empty body is a body", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("marker"), new Uint8Array(0))
      assert.strictEqual((yield* store.get(at("marker"), 0)).length, 0)
      assert.strictEqual((yield* store.head(at("marker"))).sizeBytes, 0)
    })
  )

  run("13. bodies of some MiB, in any memory, come back as they were", ({ store, at }) =>
    Effect.gen(function* () {
      const body = Uint8Array.from({ length: 5 * 1024 * 1024 + 7 }, (_, index) => (index * 31) % 251)
      yield* store.put(at("large"), body)
      assert.isTrue(Buffer.from(body).equals(yield* store.get(at("large"), body.length)))
      const shared = new Uint8Array(new SharedArrayBuffer(body.length + 9)).subarray(9)
      shared.set(body)
      assert.strictEqual((yield* store.putIfAbsent(at("shared"), shared)).outcome, "created")
      assert.isTrue(Buffer.from(body).equals(yield* store.get(at("shared"), body.length)))
    })
  )

  run("keys that begin alike are objects apart", ({ store, at }) =>
    Effect.gen(function* () {
      for (const name of nastyNames) yield* store.put(at(name), bytes(`body of ${name}`))
      for (const name of nastyNames) {
        assert.strictEqual(yield* readText(store, at(name)), `body of ${name}`)
      }
    })
  )

  run("11. the time is that of the last write", ({ store, prefix, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("a"), bytes("1"))
      const first = yield* store.head(at("a"))
      yield* Effect.sleep(1100)
      yield* store.put(at("a"), bytes("1"))
      const second = yield* store.head(at("a"))
      assert.isTrue(Number.isInteger(first.lastModifiedSeconds))
      assert.isAtLeast(second.lastModifiedSeconds - first.lastModifiedSeconds, 1)
      assert.isAtMost(second.lastModifiedSeconds - first.lastModifiedSeconds, 30)
      const { objects } = yield* store.list({ prefix })
      assert.strictEqual(objects[0]?.lastModifiedSeconds, second.lastModifiedSeconds)
    })
  )

  run("12. another body has another etag; head and listings tell the one of the last write", (scene) =>
    Effect.gen(function* () {
      const { store, at } = scene
      const first = yield* store.put(at("a"), bytes("1"))
      assert.deepStrictEqual(yield* etagsOf(scene, "a"), [first.etag, first.etag])
      const second = yield* store.put(at("a"), bytes("2"))
      assert.notStrictEqual(second.etag, first.etag)
      assert.deepStrictEqual(yield* etagsOf(scene, "a"), [second.etag, second.etag])
      const copied = yield* store.copy(at("a"), at("b"))
      assert.deepStrictEqual(yield* etagsOf(scene, "b"), [copied.etag, copied.etag])
    })
  )

  run("13. bodies belong to the caller, before and after", ({ store, at }) =>
    Effect.gen(function* () {
      const body = bytes("mine")
      yield* store.put(at("a"), body)
      body.fill(0)
      const read = yield* store.get(at("a"), 9)
      assert.strictEqual(Buffer.from(read).toString(), "mine")
      read.fill(0)
      assert.strictEqual(yield* readText(store, at("a")), "mine")
    })
  )
}

const conditionalTests = (run: Run, { has }: ObjectStoreSubject): void => {
  run("2, 12. putIfAbsent creates, tells the etag, and never overwrites", ({ store, at }) =>
    Effect.gen(function* () {
      const first = yield* store.putIfAbsent(at("a"), bytes("first"))
      const { etag } = yield* store.head(at("a"))
      assert.deepStrictEqual(first, { outcome: "created", etag })
      assert.strictEqual((yield* store.putIfAbsent(at("a"), bytes("second"))).outcome, "present")
      assert.strictEqual(yield* readText(store, at("a")), "first")
      assert.strictEqual((yield* store.head(at("a"))).etag, etag)
    })
  )

  run("2. what put wrote is present, and what was deleted is absent again", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("a/b"), bytes("put"))
      assert.strictEqual((yield* store.putIfAbsent(at("a/b"), bytes("second"))).outcome, "present")
      assert.strictEqual((yield* store.putIfAbsent(at("a"), bytes("a key above"))).outcome, "created")
      yield* deleteOne(store, at("a/b"))
      assert.strictEqual((yield* store.putIfAbsent(at("a/b"), bytes("third"))).outcome, "created")
      assert.strictEqual(yield* readText(store, at("a/b")), "third")
    })
  )

  run("2. of many at once exactly one wins, and its body stays", (scene) => raceTest(scene, scene.store))

  run(
    "2. the same between two connections",
    (scene) => raceTest(scene, scene.other ?? scene.store),
    has?.other ?? false
  )
}

/** Conflicts (409) may come in a race; asking again must answer. */
const raceTest = (
  { store, at }: { readonly store: Store; readonly at: (name: string) => ObjectKey.ObjectKey },
  other: Store
) =>
  Effect.gen(function* () {
    for (let round = 0; round < 10; round++) {
      const key = at(`race/${round}`)
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 16 }, (_, index) => index),
        (index) =>
          (index % 2 === 0 ? store : other)
            .putIfAbsent(key, new Uint8Array(2000).fill(index + 1))
            .pipe(Effect.retry({ times: 20, while: ({ reason }) => reason === "Conflict" })),
        { concurrency: "unbounded" }
      )
      const winners = outcomes.flatMap((outcome, index) => (outcome.outcome === "created" ? [index + 1] : []))
      assert.lengthOf(winners, 1)
      const body = yield* store.get(key, 2000)
      assert.deepStrictEqual([...new Set(body)], winners)
      assert.lengthOf(body, 2000)
    }
  })

const readingTests = (run: Run): void => {
  run("5. a missing object is NotFound for every reader", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("a/b"), bytes("x"))
      for (const name of ["none", "a", "a/b/c"]) {
        assert.strictEqual(yield* reasonOf(store.get(at(name), 9)), "NotFound")
        assert.strictEqual(
          yield* reasonOf(store.getRange(at(name), { offset: 0, lengthBytes: 1 })),
          "NotFound"
        )
        assert.strictEqual(yield* reasonOf(store.head(at(name))), "NotFound")
      }
    })
  )

  run("6. get fails with TooLarge for one byte more than asked for", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("a"), bytes("12345"))
      assert.strictEqual(yield* reasonOf(store.get(at("a"), 4)), "TooLarge")
      assert.lengthOf(yield* store.get(at("a"), 5), 5)
    })
  )

  run("7. getRange answers what was asked for, and less only at the end", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("a"), bytes("0123456789"))
      const part = (offset: number, lengthBytes: number) =>
        Effect.map(store.getRange(at("a"), { offset, lengthBytes }), (body) => Buffer.from(body).toString())
      assert.strictEqual(yield* part(0, 10), "0123456789")
      assert.strictEqual(yield* part(3, 4), "3456")
      assert.strictEqual(yield* part(9, 1), "9")
      assert.strictEqual(yield* part(8, 100), "89")
    })
  )

  run("7. a range that is empty or lies behind the end is InvalidRange", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("a"), bytes("0123456789"))
      yield* store.put(at("empty"), new Uint8Array(0))
      const reason = (name: string, offset: number, lengthBytes: number) =>
        reasonOf(store.getRange(at(name), { offset, lengthBytes }))
      assert.strictEqual(yield* reason("a", 10, 1), "InvalidRange")
      assert.strictEqual(yield* reason("a", 11, 1), "InvalidRange")
      assert.strictEqual(yield* reason("a", 3, 0), "InvalidRange")
      assert.strictEqual(yield* reason("a", -1, 2), "InvalidRange")
      assert.strictEqual(yield* reason("empty", 0, 1), "InvalidRange")
    })
  )

  run("errors name the operation and the key, and say what to do", ({ store, at }) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(store.get(at("none"), 9))
      assert.strictEqual(error.key, at("none"))
      assert.strictEqual(error.operation, "get")
      assert.include(error.message, "cannot read")
      assert.include(error.message, at("none"))
      assert.isFalse(error.retryable)
      assert.isNotEmpty(error.hint)
    })
  )
}

const copyingTests = (run: Run): void => {
  run("10. copy gives the target the source's bytes, over what was there", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("from"), bytes("content"))
      yield* store.put(at("to/0.bad"), bytes("old"))
      const { etag } = yield* store.copy(at("from"), at("to/0.bad"))
      assert.strictEqual(yield* readText(store, at("to/0.bad")), "content")
      assert.strictEqual((yield* store.head(at("to/0.bad"))).etag, etag)
      assert.strictEqual(yield* readText(store, at("from")), "content")
    })
  )

  run("10. a source that is missing is NotFound, and the target stays", ({ store, at }) =>
    Effect.gen(function* () {
      yield* store.put(at("to"), bytes("old"))
      assert.strictEqual(yield* reasonOf(store.copy(at("none"), at("to"))), "NotFound")
      assert.strictEqual(yield* readText(store, at("to")), "old")
    })
  )
}

const missingBucketTest = (store: Store) =>
  Effect.gen(function* () {
    const key = ObjectKey.parse("a/b")
    const reasons = yield* Effect.all({
      put: reasonOf(store.put(key, bytes("x"))),
      shallow: reasonOf(store.put(ObjectKey.parse("a"), bytes("x"))),
      putIfAbsent: reasonOf(store.putIfAbsent(key, bytes("x"))),
      get: reasonOf(store.get(key, 9)),
      getRange: reasonOf(store.getRange(key, { offset: 0, lengthBytes: 1 })),
      head: reasonOf(store.head(key)),
      list: reasonOf(store.list({ prefix: ObjectKey.everything })),
      deleteMany: reasonOf(store.deleteMany([key])),
      copy: reasonOf(store.copy(key, ObjectKey.parse("c")))
    })
    assert.deepStrictEqual([...new Set(Object.values(reasons))], ["NoBucket"])
  })
