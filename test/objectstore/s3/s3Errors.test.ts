/** What answers of servers, and of what is not one, come to: reason, what is known of the outcome, and words. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as net from "node:net"
import type { AddressInfo } from "node:net"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import { deleteOne, type ObjectStore } from "../../../src/objectstore/ObjectStore.ts"
import type { ObjectStoreError, ObjectStoreReason } from "../../../src/objectstore/ObjectStoreError.ts"
import * as S3ObjectStore from "../../../src/objectstore/s3/S3ObjectStore.ts"
import { type Said, s3Error, saying, start } from "./AnsweringServer.ts"
import { placeAt } from "./buckets.ts"

type Store = ObjectStore["Service"]

const key = ObjectKey.parse("store/a b")
const prefix = ObjectKey.parsePrefix("store/")
const body = Buffer.from("body")

const operations = {
  put: (store: Store) => store.put(key, body),
  putIfAbsent: (store: Store) => store.putIfAbsent(key, body),
  get: (store: Store) => store.get(key, 99),
  getRange: (store: Store) => store.getRange(key, { offset: 0, lengthBytes: 1 }),
  list: (store: Store) => store.list({ prefix }),
  deleteMany: (store: Store) => store.deleteMany([key, ObjectKey.parse("b")]),
  copy: (store: Store) => store.copy(key, ObjectKey.parse("b"))
}

const failures = (
  said: Said,
  ...names: ReadonlyArray<keyof typeof operations>
): Effect.Effect<ReadonlyArray<ObjectStoreError>> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { port } = yield* start(saying(said))
      const store = yield* S3ObjectStore.make(placeAt(port))
      const chosen = names.length === 0 ? Object.values(operations) : names.map((name) => operations[name])
      return yield* Effect.forEach(chosen, (operation) => {
        const run: Effect.Effect<unknown, ObjectStoreError> = operation(store)
        return Effect.flip(run)
      })
    })
  ).pipe(Effect.orDie)

const html = { "content-type": "text/html; charset=utf-8" }
const page = "<!DOCTYPE html><html><body><p>Please log in</p><br></body></html>"

const verdicts: ReadonlyArray<readonly [string, Said, ObjectStoreReason]> = [
  ["301 PermanentRedirect", s3Error(301, "PermanentRedirect"), "WrongRegion"],
  [
    "307 TemporaryRedirect",
    s3Error(307, "TemporaryRedirect", { location: "http://127.0.0.1:1/" }),
    "WrongRegion"
  ],
  ["400 AuthorizationHeaderMalformed", s3Error(400, "AuthorizationHeaderMalformed"), "WrongRegion"],
  ["400 InvalidArgument", s3Error(400, "InvalidArgument"), "Rejected"],
  ["400 ExpiredToken", s3Error(400, "ExpiredToken"), "ExpiredKeys"],
  ["400 EntityTooLarge", s3Error(400, "EntityTooLarge"), "TooLarge"],
  ["400 RequestTimeout", s3Error(400, "RequestTimeout"), "Unavailable"],
  ["401", { status: 401 }, "AccessDenied"],
  ["403 AccessDenied", s3Error(403, "AccessDenied"), "AccessDenied"],
  ["403 InvalidAccessKeyId", s3Error(403, "InvalidAccessKeyId"), "WrongKeys"],
  ["403 SignatureDoesNotMatch", s3Error(403, "SignatureDoesNotMatch"), "WrongKeys"],
  ["403 RequestTimeTooSkewed", s3Error(403, "RequestTimeTooSkewed"), "WrongClock"],
  ["403 QuotaExceeded", s3Error(403, "QuotaExceeded"), "NoSpace"],
  [
    "403 without a code, an hour apart",
    { status: 403, headers: { date: "Sat, 01 Jan 2000 00:00:00 GMT" } },
    "WrongClock"
  ],
  ["403 of an unknown code", s3Error(403, "SomethingNew"), "AccessDenied"],
  ["404 NoSuchBucket", s3Error(404, "NoSuchBucket"), "NoBucket"],
  ["404 of an unknown code", s3Error(404, "NoSuchUpload"), "Rejected"],
  ["404 of nobody", { status: 404 }, "NotS3"],
  ["404 as a web page", { status: 404, headers: html, body: page }, "NotS3"],
  ["405", s3Error(405, "MethodNotAllowed"), "NotImplemented"],
  ["409", s3Error(409, "ConditionalRequestConflict"), "Conflict"],
  ["411", s3Error(411, "MissingContentLength"), "Rejected"],
  ["413", { status: 413 }, "TooLarge"],
  ["416", s3Error(416, "InvalidRange"), "InvalidRange"],
  ["429", s3Error(429, "TooManyRequests"), "Throttled"],
  ["429 as a web page", { status: 429, headers: html, body: page }, "Throttled"],
  ["500", s3Error(500, "InternalError"), "Unavailable"],
  ["501", s3Error(501, "NotImplemented"), "NotImplemented"],
  ["502 as a web page", { status: 502, headers: html, body: page }, "Unavailable"],
  ["503 SlowDown", s3Error(503, "SlowDown"), "Throttled"],
  ["503 ServiceUnavailable", s3Error(503, "ServiceUnavailable"), "Unavailable"],
  ["503 of nobody", { status: 503 }, "Unavailable"],
  ["504", { status: 504, headers: html, body: page }, "Unavailable"],
  ["507", { status: 507 }, "NoSpace"],
  ["418", { status: 418 }, "Rejected"],
  ["403 as a web page", { status: 403, headers: html, body: page }, "NotS3"],
  ["302 to a web page", { status: 302, headers: { ...html, location: "/login" } }, "NotS3"],
  ["200 as a web page", { status: 200, headers: html, body: page }, "NotS3"]
]

describe("answers of servers", () => {
  for (const [name, said, reason] of verdicts) {
    it.live(`${name} is ${reason} for every operation`, () =>
      Effect.gen(function* () {
        for (const error of yield* failures(said)) {
          assert.strictEqual(error.reason, reason, error.message)
          assert.strictEqual(error.httpStatus, said.status)
          assert.notInclude(error.message, "\n")
          assert.notInclude(error.message, "Please log in")
        }
      })
    )
  }

  it.live("404 NoSuchKey is NotFound", () =>
    Effect.gen(function* () {
      const errors = yield* failures(s3Error(404, "NoSuchKey"), "get", "getRange", "copy")
      for (const { reason } of errors) assert.strictEqual(reason, "NotFound")
    })
  )

  it.live("412 is present for putIfAbsent, and Rejected elsewhere", () =>
    Effect.gen(function* () {
      const { port } = yield* start(saying(s3Error(412, "PreconditionFailed")))
      const store = yield* S3ObjectStore.make(placeAt(port))
      assert.strictEqual((yield* store.putIfAbsent(key, body)).outcome, "present")
      assert.strictEqual((yield* Effect.flip(store.put(key, body))).reason, "Rejected")
    })
  )

  it.live("words, request and waiting time of the server are passed on", () =>
    Effect.gen(function* () {
      const [error] = yield* failures(s3Error(503, "SlowDown", { "retry-after": "7" }), "put")
      assert.strictEqual(error?.retryAfterSeconds, 7)
      assert.strictEqual(
        error?.message,
        "cannot write store/a b: the server asks for fewer requests: SlowDown: words of the server " +
          "(status 503, request tx0001)"
      )
    })
  )

  it.live("a waiting time given as a date is compared with the server's clock", () =>
    Effect.gen(function* () {
      const dates = {
        date: "Sat, 01 Jan 2000 00:00:00 GMT",
        "retry-after": "Sat, 01 Jan 2000 00:01:30 GMT"
      }
      const [error] = yield* failures(s3Error(503, "SlowDown", dates), "get")
      assert.strictEqual(error?.retryAfterSeconds, 90)
      const [nonsense] = yield* failures(s3Error(503, "SlowDown", { "retry-after": "soon" }), "get")
      assert.isUndefined(nonsense?.retryAfterSeconds)
    })
  )

  it.live("the right region is named where the server tells it", () =>
    Effect.gen(function* () {
      const [byHeader] = yield* failures(
        s3Error(301, "PermanentRedirect", { "x-amz-bucket-region": "eu-west-3" }),
        "list"
      )
      assert.include(byHeader?.message, "it is in eu-west-3")
      const malformed = s3Error(400, "AuthorizationHeaderMalformed", {}, "<Region>eu-north-1</Region>")
      const [byElement] = yield* failures(malformed, "get")
      assert.include(byElement?.message, "it is in eu-north-1")
      assert.include(byElement?.hint, "region")
    })
  )
})

describe("head, whose answers have no body", () => {
  /** HEAD is answered with a status alone, GET as given. */
  const headOf = (status: number, said: Said) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { port, asked } = yield* start((incoming, outgoing) =>
          saying(incoming.method === "HEAD" ? { status } : said)(incoming, outgoing)
        )
        const store = yield* S3ObjectStore.make(placeAt(port))
        const error = yield* Effect.flip(store.head(key))
        return { reason: error.reason, methods: asked.map(({ method }) => method) }
      })
    )

  const cases: ReadonlyArray<readonly [string, number, Said, ObjectStoreReason, ReadonlyArray<string>]> = [
    ["a missing object", 404, s3Error(404, "NoSuchKey"), "NotFound", ["HEAD", "GET"]],
    ["a missing bucket", 404, s3Error(404, "NoSuchBucket"), "NoBucket", ["HEAD", "GET"]],
    ["an object put since", 404, { status: 206, body: "x" }, "NotFound", ["HEAD", "GET"]],
    ["an empty object put since", 404, s3Error(416, "InvalidRange"), "NotFound", ["HEAD", "GET"]],
    ["a proxy's 404", 404, { status: 404, headers: html, body: page }, "NotS3", ["HEAD", "GET"]],
    ["trouble while asking again", 404, s3Error(500, "InternalError"), "Unavailable", ["HEAD", "GET"]],
    ["a refusal", 403, s3Error(403, "AccessDenied"), "AccessDenied", ["HEAD"]],
    ["trouble", 503, s3Error(503, "SlowDown"), "Unavailable", ["HEAD"]]
  ]
  for (const [name, status, said, reason, methods] of cases) {
    it.live(`${name} is ${reason}`, () =>
      Effect.map(headOf(status, said), (found) => assert.deepStrictEqual(found, { reason, methods }))
    )
  }

  it.live("an answer without time or size is NotS3", () =>
    Effect.gen(function* () {
      const { port } = yield* start(saying({ status: 200, headers: { etag: '"1"' } }))
      const store = yield* S3ObjectStore.make(placeAt(port))
      assert.strictEqual((yield* Effect.flip(store.head(key))).reason, "NotS3")
    })
  )
})

describe("success that is none", () => {
  const xml = { "content-type": "application/xml" }

  it.live("a put without ETag may have happened, and may not", () =>
    Effect.gen(function* () {
      const said = { status: 200, headers: xml, body: "<CopyObjectResult></CopyObjectResult>" }
      for (const error of yield* failures(said, "put", "putIfAbsent", "copy")) {
        assert.strictEqual(error.reason, "NotS3")
        assert.isTrue(error.outcomeUnknown)
        assert.isFalse(error.retryable)
      }
    })
  )

  it.live("a listing that is none is not an empty bucket", () =>
    Effect.gen(function* () {
      const bodies = ["", "<Other></Other>", "<ListBucketResult>", '{"error":"no"}', "plain words"]
      for (const text of bodies) {
        const [error] = yield* failures({ status: 200, headers: xml, body: text }, "list")
        assert.strictEqual(error?.reason, "NotS3", text)
      }
    })
  )

  it.live("copies that fail late fail", () =>
    Effect.gen(function* () {
      const late = { ...s3Error(200, "InternalError"), status: 200 }
      for (const error of yield* failures(late, "copy", "deleteMany")) {
        assert.strictEqual(error.reason, "Unavailable", error.message)
        assert.isTrue(error.outcomeUnknown)
      }
    })
  )

  it.live("of a batch, every key is answered for by the server or failed", () =>
    Effect.gen(function* () {
      const answer =
        "<DeleteResult><Deleted><Key>a</Key></Deleted>" +
        "<Error><Key>b</Key><Code>AccessDenied</Code><Message>locked</Message></Error>" +
        "<Error><Key>c</Key><Code>SlowDown</Code><Message>wait</Message></Error>" +
        "<Error><Key>d</Key><Code>NoSuchKey</Code><Message>none</Message></Error></DeleteResult>"
      const { port } = yield* start(saying({ status: 200, headers: xml, body: answer }))
      const store = yield* S3ObjectStore.make(placeAt(port))
      const keys = ["a", "b", "c", "d", "e"].map((name) => ObjectKey.parse(name))
      const { deleted, failed } = yield* store.deleteMany(keys)
      assert.deepStrictEqual([...deleted].map(String), ["a", "d"])
      assert.deepStrictEqual(
        failed.map(({ key: name, error }) => [name, error.reason, error.key]),
        [
          ["b", "AccessDenied", "b"],
          ["c", "Throttled", "c"],
          ["e", "Unavailable", "e"]
        ]
      )
      assert.include(failed[0]?.error.message, "cannot delete b: access denied: AccessDenied: locked")
    })
  )
})

describe("trouble on the way", () => {
  it.live("a port where nobody listens is Unreachable, and nothing happened", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(start(saying({ status: 200 })))
      const store = yield* S3ObjectStore.make(placeAt(port))
      const error = yield* Effect.flip(store.put(key, body))
      assert.strictEqual(error.reason, "Unreachable")
      assert.isFalse(error.outcomeUnknown)
      assert.isTrue(error.retryable)
    })
  )

  it.live("a connection that breaks before the answer is Disconnected, and the outcome unknown", () =>
    Effect.gen(function* () {
      const { port } = yield* start((incoming) => incoming.socket.destroy())
      const store = yield* S3ObjectStore.make(placeAt(port))
      const deleted = yield* Effect.flip(deleteOne(store, key))
      assert.strictEqual(deleted.reason, "Disconnected")
      for (const operation of Object.values(operations)) {
        const run: Effect.Effect<unknown, ObjectStoreError> = operation(store)
        const error = yield* Effect.flip(run)
        assert.strictEqual(error.reason, "Disconnected", error.message)
        assert.isTrue(error.outcomeUnknown)
      }
    })
  )

  it.live("whoever does not speak HTTP is NotS3", () =>
    Effect.gen(function* () {
      const server = net.createServer((socket) =>
        socket.on("error", () => undefined).end("SSH-2.0-OpenSSH\r\n")
      )
      yield* Effect.acquireRelease(
        Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
        () => Effect.sync(() => void server.close())
      )
      const { port } = server.address() as AddressInfo
      const plain = yield* S3ObjectStore.make(placeAt(port))
      assert.strictEqual((yield* Effect.flip(plain.get(key, 9))).reason, "NotS3")
      const secure = yield* S3ObjectStore.make(placeAt(port, { endpoint: `https://127.0.0.1:${port}` }))
      assert.strictEqual((yield* Effect.flip(secure.get(key, 9))).reason, "NotS3")
    })
  )

  it.live("a name that no server has is Unreachable", () =>
    Effect.gen(function* () {
      const settings = placeAt(1, { endpoint: "https://no-such-host.invalid" })
      const store = yield* S3ObjectStore.make(settings)
      assert.strictEqual((yield* Effect.flip(store.head(key))).reason, "Unreachable")
    })
  )
})
