/** The parts of the command line for buckets that need no process: names, sizes, budgets, limits, first contact. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { firstContact } from "../../src/objectstore/decorators/firstContact.ts"
import * as RepositoryName from "../../src/cli/RepositoryName.ts"
import * as S3Budget from "../../src/cli/S3Budget.ts"
import * as Sizes from "../../src/cli/Sizes.ts"
import * as CostText from "../../src/cli/CostText.ts"
import * as StoreUsage from "../../src/cli/StoreUsage.ts"
import { InvalidName } from "../../src/model/InvalidName.ts"
import { Meter } from "../../src/objectstore/decorators/metered.ts"
import { around } from "../../src/objectstore/decorators/ObjectRequest.ts"
import * as RequestCosts from "../../src/objectstore/RequestCosts.ts"
import * as ObjectKey from "../../src/objectstore/ObjectKey.ts"
import { ObjectStoreError, type ObjectStoreReason } from "../../src/objectstore/ObjectStoreError.ts"
import { rateLimits } from "../../src/objectstore/s3/rateLimits.ts"
import { MemoryBucket } from "../../src/testing/MemoryBucket.ts"
import * as MemoryObjectStore from "../../src/testing/MemoryObjectStore.ts"
import { placeAt } from "../objectstore/s3/buckets.ts"

describe("names of repositories", () => {
  it("are folders, or stores in buckets", () => {
    const place = { kind: "s3", endpoint: "minio", bucket: "my-bucket", store: "store" } as const
    assert.deepStrictEqual(RepositoryName.parse("s3:minio/my-bucket/store"), place)
    assert.strictEqual(RepositoryName.format(place), "s3:minio/my-bucket/store")
    for (const path of ["/mnt/store", "./store", "./s3:a/b", "a@b", "dir/a@b:c"]) {
      assert.deepStrictEqual(RepositoryName.parse(path), { kind: "folder", path })
    }
    for (const bad of [
      "s3:",
      "s3:a",
      "s3:a/b",
      "s3:a/b/c/d",
      "s3:a/b/",
      "s3:/b/c",
      "s3:a/../c",
      "root@pam@ho st:store"
    ]) {
      assert.throws(() => RepositoryName.parse(bad), InvalidName)
    }
    const { store, ...bucket } = RepositoryName.parseBucket("minio/my-bucket")
    assert.deepStrictEqual([bucket, store], [{ endpoint: "minio", bucket: "my-bucket" }, undefined])
  })
})

describe("sizes and budgets", () => {
  it("are read as people write them", () => {
    const sizes = { "0": 0, "512": 512, "1.5KiB": 1536, "20 GiB": 20 * 2 ** 30, "4m": 4e6, "1TB": 1e12 }
    for (const [text, size] of Object.entries(sizes)) assert.strictEqual(Sizes.parse(text), size)
    for (const bad of ["", "-1", "1e3", "GiB", "1 XB", "99999999TiB"]) {
      assert.throws(() => Sizes.parse(bad), InvalidName)
    }
    assert.deepStrictEqual(S3Budget.parse("put=10, get=0,list=3,delete=4,in=2KiB,out=1KB"), {
      putRequests: 10,
      getRequests: 0,
      listRequests: 3,
      deleteRequests: 4,
      bytesIn: 2048,
      bytesOut: 1000
    })
    for (const bad of ["", "put", "put=", "put=x", "put=1=2", "puts=1", "in=lots", "put=1KiB"]) {
      assert.throws(() => S3Budget.parse(bad), InvalidName)
    }
  })
})

describe("limits of an endpoint", () => {
  it("are those of its settings", () => {
    assert.isUndefined(rateLimits(placeAt(1)))
    const texts = { "put-rate-limit": "5", "rate-in": "1KiB", "burst-in": "2KiB", "rate-out": "3KiB" }
    assert.deepStrictEqual(rateLimits(placeAt(1, texts)), {
      puts: { perSecond: 5 },
      bytesIn: { perSecond: 1024, burst: 2048 },
      bytesOut: { perSecond: 3072 }
    })
  })
})

describe("what a command has asked of a server", () => {
  it.effect("is told in one line", () =>
    Effect.gen(function* () {
      const meter = new Meter()
      meter.begin("put", 1024)
      meter.begin("copy", 0)
      meter.begin("get", 0)
      meter.end("get", "success", 2048)
      const usage = yield* meter.usage
      const told = CostText.text(RequestCosts.ofUsage(usage), undefined)
      assert.strictEqual(told, "3 requests (2 put, 1 get), 1.00 KiB sent, 2.00 KiB received")
      const json = { snapshot: "a" }
      const counted = {
        requests: 3,
        "put-requests": 2,
        "get-requests": 1,
        "list-requests": 0,
        "delete-requests": 0,
        "bytes-in": 2048,
        "bytes-out": 1024
      }
      const withUsage = (document: unknown) =>
        Effect.provideService(StoreUsage.withUsage(document), StoreUsage.StoreUsage, { meter })
      assert.deepStrictEqual(yield* withUsage(json), { ...json, s3: counted })
      assert.deepStrictEqual(yield* withUsage([json]), [json])
      assert.deepStrictEqual(yield* StoreUsage.withUsage(json), json)
    })
  )
})

describe("first contact", () => {
  const key = ObjectKey.parse("a")

  /** Counts attempts; fails as told, or answers. */
  const counting = (failures: (attempt: number) => ObjectStoreReason | undefined) => {
    const calls = { count: 0 }
    const store = around(MemoryObjectStore.make(new MemoryBucket()), ({ operation }, run) =>
      Effect.suspend(() => {
        calls.count += 1
        const reason = failures(calls.count)
        return reason === undefined ? run : Effect.fail(new ObjectStoreError({ operation, key, reason }))
      })
    )
    return { calls, store }
  }

  const settled = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(Effect.exit(effect))
      yield* TestClock.adjust("1 hour")
      return yield* Fiber.join(running)
    })

  it.effect("is given up soon when nobody answers", () =>
    Effect.gen(function* () {
      const { calls, store } = counting(() => "Unreachable")
      const met = yield* firstContact(store)
      assert.strictEqual((yield* settled(met.head(key)))._tag, "Failure")
      assert.strictEqual(calls.count, 3)
    })
  )

  it.effect("gives patience to a server that has answered, were it only that something is missing", () =>
    Effect.gen(function* () {
      for (const answer of [undefined, "NotFound"] as const) {
        const { calls, store } = counting((attempt) => (attempt === 1 ? answer : "Unavailable"))
        const met = yield* firstContact(store)
        yield* settled(met.list({ prefix: ObjectKey.everything }))
        yield* settled(met.head(key))
        assert.strictEqual(calls.count, 11)
      }
    })
  )
})
