/**
 * S3 over connections that break, stall or are not to be trusted: nothing is taken for whole that is not, nothing is
 * sent to strangers, and what is interrupted is over.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as http from "node:http"
import * as net from "node:net"
import * as tls from "node:tls"
import * as ObjectKey from "../../../src/objectstore/ObjectKey.ts"
import * as S3ObjectStore from "../../../src/objectstore/s3/S3ObjectStore.ts"
import type { SettingTexts } from "../../../src/objectstore/s3/S3Settings.ts"
import { reasonOf } from "../../conformance/objectStoreSubject.ts"
import * as S3Endpoint from "../../s3/S3Endpoint.ts"
import { saying, start } from "./AnsweringServer.ts"
import { placeAt, settingsOf } from "./buckets.ts"
import { cert, fingerprint, key as privateKey } from "./certificate.ts"

const key = ObjectKey.parse("store/a")
const prefix = ObjectKey.parsePrefix("store/")
const body = Buffer.from("0123456789")
const s3Headers = { "x-amz-request-id": "tx1", etag: '"1"' }

/** Says how long the body is, sends `sent` of it, and then breaks, waits or ends. */
const cutBody =
  (
    length: number | undefined,
    sent: string,
    end: "break" | "wait" | "end",
    status = 200
  ): http.RequestListener =>
  (incoming, outgoing) => {
    incoming.resume()
    const range = status === 206 ? { "content-range": "bytes 0-9/10" } : {}
    outgoing.writeHead(status, {
      ...s3Headers,
      ...range,
      ...(length === undefined ? {} : { "content-length": length })
    })
    outgoing.write(sent, () => {
      if (end === "break") outgoing.destroy()
      if (end === "end") outgoing.end()
    })
  }

const storeAt = (listener: http.RequestListener, options?: S3ObjectStore.S3Options) =>
  Effect.gen(function* () {
    const server = yield* start(listener)
    return { ...server, store: yield* S3ObjectStore.make(placeAt(server.port), options) }
  })

describe("bodies", () => {
  it.live("one that breaks off is Truncated, for get and getRange", () =>
    Effect.gen(function* () {
      const whole = yield* storeAt(cutBody(10, "01234", "break"))
      const error = yield* Effect.flip(whole.store.get(key, 99))
      assert.strictEqual(error.reason, "Truncated", error.message)
      assert.isTrue(error.retryable)
      const part = yield* storeAt(cutBody(10, "01234", "break", 206))
      assert.strictEqual(
        yield* reasonOf(part.store.getRange(key, { offset: 0, lengthBytes: 10 })),
        "Truncated"
      )
    })
  )

  it.live("without a length it is bounded all the same, and a break is seen", () =>
    Effect.gen(function* () {
      const good = yield* storeAt(cutBody(undefined, "0123456789", "end"))
      assert.strictEqual(Buffer.from(yield* good.store.get(key, 10)).toString(), "0123456789")
      assert.strictEqual(yield* reasonOf(good.store.get(key, 9)), "TooLarge")
      const broken = yield* storeAt(cutBody(undefined, "01234", "break"))
      assert.strictEqual(yield* reasonOf(broken.store.get(key, 99)), "Truncated")
    })
  )

  it.live("one that stalls is given up after the idle time", () =>
    Effect.gen(function* () {
      const { store } = yield* storeAt(cutBody(10, "01234", "wait"), { idleTimeoutSeconds: 0.2 })
      const error = yield* Effect.flip(store.get(key, 99))
      assert.strictEqual(error.reason, "Truncated", error.message)
    })
  )

  it.live("one that is too large is refused before any of it is kept, and gives its connection back", () =>
    Effect.gen(function* () {
      // Nobody could allocate this.
      const { store } = yield* storeAt(cutBody(Number.MAX_SAFE_INTEGER, "01234", "wait"), { maxSockets: 1 })
      assert.strictEqual(yield* reasonOf(store.get(key, 99)), "TooLarge")
      assert.strictEqual(yield* reasonOf(store.get(key, 99)), "TooLarge")
    })
  )

  it.live("a part that is not the one asked for is never taken for it", () =>
    Effect.gen(function* () {
      const ranges = ["bytes 1-4/10", "bytes 0-2/10", "bytes 0-3/3", "0-3", undefined]
      for (const range of ranges) {
        const headers = { ...s3Headers, ...(range === undefined ? {} : { "content-range": range }) }
        const { store } = yield* storeAt(saying({ status: 206, headers, body: "0123" }))
        const reason = yield* reasonOf(store.getRange(key, { offset: 0, lengthBytes: 4 }))
        assert.strictEqual(reason, "Truncated", range)
      }
    })
  )

  it.live("a listing that breaks off is Truncated", () =>
    Effect.gen(function* () {
      const { store } = yield* storeAt(cutBody(500, "<ListBucketResult><Name>b</Name>", "break"))
      assert.strictEqual(yield* reasonOf(store.list({ prefix })), "Truncated")
    })
  )

  it.live("the answer to a change that breaks off leaves the outcome unknown", () =>
    Effect.gen(function* () {
      const { store } = yield* storeAt(cutBody(500, "<CopyObjectResult>", "break"))
      const copied = yield* Effect.flip(store.copy(key, ObjectKey.parse("b")))
      const deleted = yield* Effect.flip(store.deleteMany([key, ObjectKey.parse("b")]))
      const put = yield* Effect.flip(store.put(key, Buffer.from("body")))
      const added = yield* Effect.flip(store.putIfAbsent(key, Buffer.from("body")))
      for (const { outcomeUnknown, reason } of [copied, deleted, put, added]) {
        assert.strictEqual(reason, "Disconnected")
        assert.isTrue(outcomeUnknown)
      }
    })
  )
})

const silent: http.RequestListener = (incoming) => void incoming.resume()

describe("time", () => {
  it.live("an answer that does not come is Disconnected after the idle time", () =>
    Effect.gen(function* () {
      const { store } = yield* storeAt(silent, { idleTimeoutSeconds: 0.2 })
      const error = yield* Effect.flip(store.put(key, body))
      assert.strictEqual(error.reason, "Disconnected", error.message)
      assert.isTrue(error.outcomeUnknown)
    })
  )

  it.live("a request that goes on for ever ends after its time", () =>
    Effect.gen(function* () {
      const trickle: http.RequestListener = (_, outgoing) => {
        outgoing.writeHead(200, { ...s3Headers, "content-length": 1_000_000 })
        const timer = setInterval(() => outgoing.write("x"), 20)
        outgoing.on("close", () => clearInterval(timer))
      }
      const { store } = yield* storeAt(trickle, { requestTimeoutSeconds: 0.5 })
      const error = yield* Effect.flip(store.get(key, 1_000_000))
      assert.strictEqual(error.reason, "Disconnected")
      assert.include(error.message, "not done within 0.5 seconds")
    })
  )

  it.live("never more requests at a time than connections, and waiting costs no time of theirs", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const slow: http.RequestListener = (incoming, outgoing) => {
        most = Math.max(most, (running += 1))
        setTimeout(() => {
          running -= 1
          saying({ status: 200, headers: s3Headers })(incoming, outgoing)
        }, 60)
      }
      const { store } = yield* storeAt(slow, {
        maxSockets: 3,
        requestTimeoutSeconds: 0.5,
        connectTimeoutSeconds: 0.5
      })
      const keys = Array.from({ length: 36 }, (_, index) => ObjectKey.parse(`${index}`))
      yield* Effect.forEach(keys, (each) => store.put(each, body), { concurrency: "unbounded" })
      assert.strictEqual(most, 3)
    })
  )
})

describe("interruption", () => {
  const interrupted = (listener: http.RequestListener, operate: "get" | "put") =>
    Effect.gen(function* () {
      const seen = { closed: 0 }
      const { store, asked, connections } = yield* storeAt((incoming, outgoing) => {
        outgoing.on("close", () => (seen.closed += 1))
        listener(incoming, outgoing)
      })
      const run: Effect.Effect<unknown, unknown> =
        operate === "get" ? store.get(key, 99) : store.put(key, body)
      const fiber = yield* Effect.forkChild(run)
      while (asked.length === 0) yield* Effect.sleep(5)
      yield* Effect.sleep(30)
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      // The other side hears of it a moment later.
      for (let look = 0; look < 100 && seen.closed === 0; look++) yield* Effect.sleep(10)
      assert.strictEqual(seen.closed, 1)
      assert.strictEqual(yield* connections, 0)
    })

  it.live("ends a request that waits for its answer", () => interrupted(silent, "put"))
  it.live("ends a body that is on its way", () => interrupted(cutBody(10, "01234", "wait"), "get"))

  it.live("of one that waits for its turn sends nothing", () =>
    Effect.gen(function* () {
      const { store, asked } = yield* storeAt(silent, { maxSockets: 1 })
      const first = yield* Effect.forkChild(store.put(key, body))
      while (asked.length === 0) yield* Effect.sleep(5)
      const second = yield* Effect.forkChild(store.put(ObjectKey.parse("second"), body))
      yield* Effect.sleep(20)
      yield* Fiber.interrupt(second)
      yield* Fiber.interrupt(first)
      yield* Effect.sleep(50)
      assert.lengthOf(asked, 1)
    })
  )
})

describe("connections", () => {
  it.live("are used again, and closed with the scope", () =>
    Effect.gen(function* () {
      const server = yield* start(saying({ status: 200, headers: s3Headers }))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const store = yield* S3ObjectStore.make(placeAt(server.port))
          for (let round = 0; round < 5; round++) yield* store.put(key, body)
          assert.strictEqual(yield* server.connections, 1)
        })
      )
      for (let look = 0; look < 100 && (yield* server.connections) > 0; look++) yield* Effect.sleep(10)
      assert.strictEqual(yield* server.connections, 0)
    })
  )

  it.live("settings alone decide: what other programs are told is not looked at", () =>
    Effect.gen(function* () {
      const foreign = {
        AWS_PROFILE: "none-such",
        AWS_CONFIG_FILE: "/none/such",
        AWS_ENDPOINT_URL: "http://127.0.0.1:1",
        AWS_ENDPOINT_URL_S3: "http://127.0.0.1:1",
        AWS_REGION: "nowhere-1",
        AWS_ACCESS_KEY_ID: "other",
        AWS_SECRET_ACCESS_KEY: "other",
        AWS_USE_FIPS_ENDPOINT: "true",
        AWS_USE_DUALSTACK_ENDPOINT: "true",
        AWS_MAX_ATTEMPTS: "9",
        AWS_REQUEST_CHECKSUM_CALCULATION: "WHEN_SUPPORTED"
      }
      const before = Object.fromEntries(Object.keys(foreign).map((name) => [name, process.env[name]]))
      yield* Effect.acquireRelease(
        Effect.sync(() => void Object.assign(process.env, foreign)),
        () =>
          Effect.sync(() => {
            for (const [name, value] of Object.entries(before)) {
              if (value === undefined) delete process.env[name]
              else process.env[name] = value
            }
          })
      )
      const endpoint = yield* S3Endpoint.start()
      const store = yield* S3ObjectStore.make(settingsOf(endpoint))
      yield* store.put(key, body)
      assert.strictEqual(Buffer.from(yield* store.get(key, 99)).toString(), body.toString())
      const { store: failing, asked } = yield* storeAt(saying({ status: 500 }))
      assert.strictEqual(yield* reasonOf(failing.put(key, body)), "Unavailable")
      assert.lengthOf(asked, 1)
      const sums = Object.keys(asked[0]?.headers ?? {}).filter((name) => name.includes("checksum"))
      assert.deepStrictEqual(sums, [])
    })
  )
})

describe("certificates", () => {
  const other = fingerprint.replace(/^../, "00")

  const secure = (more: SettingTexts) =>
    Effect.gen(function* () {
      const endpoint = yield* S3Endpoint.start({ tls: { key: privateKey, cert } })
      return { endpoint, store: yield* S3ObjectStore.make(settingsOf(endpoint, more)) }
    })

  it.live("the pinned one is good, for many requests", () =>
    Effect.gen(function* () {
      const { store } = yield* secure({ fingerprint })
      const keys = Array.from({ length: 20 }, (_, index) => ObjectKey.parse(`store/${index}`))
      yield* Effect.forEach(keys, (each) => store.put(each, body), { concurrency: 8 })
      assert.lengthOf((yield* store.list({ prefix })).objects, 20)
    })
  )

  for (const [name, more] of [
    ["one that nobody vouches for", {}],
    ["another than the pinned one", { fingerprint: other }]
  ] as const) {
    it.live(`${name} is Untrusted, and the server hears nothing`, () =>
      Effect.gen(function* () {
        const { store, endpoint } = yield* secure(more)
        for (let round = 0; round < 3; round++) {
          const error = yield* Effect.flip(store.put(key, body))
          assert.strictEqual(error.reason, "Untrusted", error.message)
          assert.isFalse(error.outcomeUnknown)
        }
        assert.deepStrictEqual(endpoint.served, [])
      })
    )
  }

  it.live("the error names the fingerprint that was found", () =>
    Effect.gen(function* () {
      const { store } = yield* secure({ fingerprint: other })
      const error = yield* Effect.flip(store.get(key, 9))
      assert.include(error.message, fingerprint)
    })
  )

  it.live("one that the system trusts is good, pinned or not", () =>
    Effect.gen(function* () {
      const before = tls.getCACertificates("default")
      yield* Effect.acquireRelease(
        Effect.sync(() => tls.setDefaultCACertificates([...before, cert])),
        () => Effect.sync(() => tls.setDefaultCACertificates(before))
      )
      for (const more of [{}, { fingerprint }, { fingerprint: other }]) {
        const { store } = yield* secure(more)
        yield* store.put(key, body)
      }
    })
  )

  it.live("a server that never finishes the greeting is Unreachable", () =>
    Effect.gen(function* () {
      const mute = net.createServer((socket) => void socket.on("error", () => undefined))
      yield* Effect.acquireRelease(
        Effect.promise(
          () => new Promise<void>((resolve) => void mute.listen(0, "127.0.0.1", () => resolve()))
        ),
        () => Effect.sync(() => void mute.close())
      )
      const { port } = mute.address() as net.AddressInfo
      const settings = placeAt(port, { endpoint: `https://127.0.0.1:${port}`, fingerprint })
      const store = yield* S3ObjectStore.make(settings, { connectTimeoutSeconds: 0.3 })
      assert.strictEqual(yield* reasonOf(store.put(key, body)), "Unreachable")
    })
  )
})
