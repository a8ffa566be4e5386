/**
 * S3 as ObjectStore: the conformance suite over real HTTP with signatures that are checked, with the quirks of
 * providers, with the bucket in the host's name, and against a real server where there is one.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import * as S3ObjectStore from "../../../src/objectstore/s3/S3ObjectStore.ts"
import type { SettingTexts } from "../../../src/objectstore/s3/S3Settings.ts"
import { nastyNames, reasonOf } from "../../conformance/objectStoreSubject.ts"
import { objectStoreSuite } from "../../conformance/objectStoreSuite.ts"
import * as S3Endpoint from "../../s3/S3Endpoint.ts"
import { settingsOf } from "./buckets.ts"

const prefix = ObjectKey.parsePrefix("store/")

const sceneWith = (options: S3Endpoint.Options, more: SettingTexts = {}) =>
  Effect.gen(function* () {
    const endpoint = yield* S3Endpoint.start(options)
    const settings = settingsOf(endpoint, more)
    return {
      store: yield* S3ObjectStore.make(settings),
      other: yield* S3ObjectStore.make(settings),
      prefix,
      putForeign: (key: string) =>
        Effect.map(
          Clock.currentTimeMillis,
          (nowMillis) => void endpoint.memory.put(key, Buffer.from("x"), nowMillis)
        )
    }
  }).pipe(Effect.orDie)

const missingBucket = (more: SettingTexts = {}) =>
  Effect.gen(function* () {
    const endpoint = yield* S3Endpoint.start()
    return yield* S3ObjectStore.make(settingsOf(endpoint, { bucket: "another-bucket", ...more }))
  }).pipe(Effect.orDie)

const has = { other: true, putForeign: true }

const oneByOne = { "provider-quirks": "delete-objects-via-delete-object" }

objectStoreSuite("S3ObjectStore", { scene: sceneWith({}), missingBucket: missingBucket(), has })
objectStoreSuite("S3ObjectStore, deleting one by one", {
  scene: sceneWith({ quirks: { batchDelete: "unsupported" } }, oneByOne),
  missingBucket: missingBucket(oneByOne),
  has
})
objectStoreSuite("S3ObjectStore with the bucket in the host's name", {
  scene: Effect.gen(function* () {
    const endpoint = yield* S3Endpoint.start()
    const settings = settingsOf(endpoint, {
      endpoint: `http://{{bucket}}.{{region}}.localhost:${endpoint.port}`,
      "path-style": "false"
    })
    return { store: yield* S3ObjectStore.make(settings), prefix }
  }).pipe(Effect.orDie)
})

const key = ObjectKey.parse("store/a")
const body = Buffer.from("body")

describe("S3ObjectStore with quirks", () => {
  it.live("batches carry the MD5 that older servers want", () =>
    Effect.gen(function* () {
      const { store } = yield* sceneWith({ quirks: { contentMd5: "required" } })
      const keys = ["store/a", "store/b&<c"].map(ObjectKey.parse)
      for (const each of keys) yield* store.put(each, body)
      assert.deepStrictEqual((yield* store.deleteMany(keys)).deleted, keys)
      assert.deepStrictEqual((yield* store.list({ prefix })).objects, [])
    })
  )

  it.live("one request deletes a batch, and with the quirk each key has its own", () =>
    Effect.gen(function* () {
      const endpoint = yield* S3Endpoint.start()
      const keys = ["a", "b", "c"].map(ObjectKey.parse)
      const operationsFor = (more: SettingTexts) =>
        Effect.gen(function* () {
          const before = endpoint.served.length
          yield* (yield* S3ObjectStore.make(settingsOf(endpoint, more))).deleteMany(keys)
          return endpoint.served.slice(before).map(({ operation }) => operation)
        })
      assert.deepStrictEqual(yield* operationsFor({}), ["DeleteObjects"])
      assert.deepStrictEqual(yield* operationsFor(oneByOne), ["DeleteObject", "DeleteObject", "DeleteObject"])
    })
  )

  it.live("one key without rights keeps the others back neither way", () =>
    Effect.gen(function* () {
      const isAllowed = (operation: string, name: string) => operation !== "DeleteObject" || name !== "b"
      const { store } = yield* sceneWith({ quirks: { isAllowed } }, oneByOne)
      const report = yield* store.deleteMany(["a", "b", "c"].map(ObjectKey.parse))
      assert.deepStrictEqual(report.deleted.map(String), ["a", "c"])
      assert.deepStrictEqual(
        report.failed.map(({ key: name, error }) => [String(name), error.reason]),
        [["b", "AccessDenied"]]
      )
    })
  )

  it.live("a provider without conditional puts is not asked for one", () =>
    Effect.gen(function* () {
      const endpoint = yield* S3Endpoint.start()
      const settings = settingsOf(endpoint, { "provider-quirks": "skip-if-none-match-header" })
      const store = yield* S3ObjectStore.make(settings)
      const error = yield* Effect.flip(store.putIfAbsent(key, body))
      assert.strictEqual(error.reason, "NotImplemented")
      assert.include(error.message, "skip-if-none-match-header")
      assert.deepStrictEqual(endpoint.served, [])
      yield* store.put(key, body)
    })
  )

  it.live("a server that answers whole objects to ranges is found out", () =>
    Effect.gen(function* () {
      const { store } = yield* sceneWith({ quirks: { rangeReads: "ignored" } })
      yield* store.put(key, body)
      assert.strictEqual(
        yield* reasonOf(store.getRange(key, { offset: 1, lengthBytes: 2 })),
        "NotImplemented"
      )
    })
  )
})

describe("S3ObjectStore with names that need care", () => {
  it.live("copies from and to each of them, and deletes them in a batch", () =>
    Effect.gen(function* () {
      const { store } = yield* sceneWith({})
      const keys = nastyNames.map((name) => ObjectKey.join(prefix, name))
      for (const from of keys) {
        yield* store.put(from, Buffer.from(from))
        yield* store.copy(from, ObjectKey.join(prefix, `copy/${ObjectKey.relativeTo(from, prefix)}`))
      }
      const copies = keys.map((from) => ObjectKey.join(prefix, `copy/${ObjectKey.relativeTo(from, prefix)}`))
      for (const [index, copied] of copies.entries()) {
        assert.strictEqual(Buffer.from(yield* store.get(copied, 2000)).toString(), keys[index])
      }
      assert.sameMembers([...(yield* store.deleteMany(keys)).deleted], keys)
      const { objects } = yield* store.list({ prefix })
      assert.deepStrictEqual(
        objects.map((object) => object.key),
        copies
      )
    })
  )
})

describe("S3ObjectStore with bad keys, clocks and rights", () => {
  const reasonWith = (options: S3Endpoint.Options, more: SettingTexts) =>
    Effect.gen(function* () {
      const endpoint = yield* S3Endpoint.start(options)
      const store = yield* S3ObjectStore.make(settingsOf(endpoint, more))
      const list = yield* Effect.flip(store.list({ prefix }))
      const head = yield* Effect.flip(store.head(key))
      return { list, head }
    })

  const cases: ReadonlyArray<
    readonly [string, S3Endpoint.Options, SettingTexts, list: string, head: string]
  > = [
    ["an unknown access key", {}, { "access-key": "other" }, "WrongKeys", "AccessDenied"],
    ["a wrong secret key", {}, { "secret-key": "other" }, "WrongKeys", "AccessDenied"],
    ["another region", {}, { region: "eu-west-9" }, "WrongRegion", "Rejected"],
    ["a clock far ahead", { quirks: { clockSkewSeconds: 3600 } }, {}, "WrongClock", "WrongClock"],
    ["a clock far behind", { quirks: { clockSkewSeconds: -3600 } }, {}, "WrongClock", "WrongClock"],
    [
      "a key without a right",
      { quirks: { isAllowed: (operation) => operation === "PutObject" } },
      {},
      "AccessDenied",
      "AccessDenied"
    ]
  ]
  for (const [name, options, more, list, head] of cases) {
    it.live(`${name}: ${list}, in one line that names no secret`, () =>
      Effect.gen(function* () {
        const found = yield* reasonWith(options, more)
        assert.deepStrictEqual([found.list.reason, found.head.reason], [list, head])
        for (const error of Object.values(found)) {
          assert.notInclude(error.message, "\n")
          assert.notInclude(JSON.stringify(error) + error.message + error.hint, "test-secret")
          assert.isFalse(error.retryable)
        }
      })
    )
  }

  it.live("a wrong clock stays wrong: nothing is corrected in silence", () =>
    Effect.gen(function* () {
      const endpoint = yield* S3Endpoint.start({ quirks: { clockSkewSeconds: 3600 } })
      const store = yield* S3ObjectStore.make(settingsOf(endpoint))
      for (let round = 0; round < 3; round++) {
        assert.strictEqual(yield* reasonOf(store.put(key, body)), "WrongClock")
      }
    })
  )
})
