/**
 * The proxy that spoils requests, before the S3 double: signed requests pass unharmed, and each fault does what it
 * says, seen from both sides: what the client got and what the server did.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FaultProxy from "./FaultProxy.ts"
import * as S3Endpoint from "./S3Endpoint.ts"
import { type HandMade, type Said, sendSigned } from "./sendSigned.ts"

interface Scene {
  readonly endpoint: S3Endpoint.S3Endpoint
  readonly proxy: FaultProxy.FaultProxy
  /** Sends through the proxy, signed for it. */
  readonly ask: (request: HandMade) => Promise<Said>
  readonly target: string
}

const withProxy = (title: string, script: FaultProxy.Script, test: (scene: Scene) => Promise<void>): void =>
  it.live(title, () =>
    Effect.gen(function* () {
      const endpoint = yield* S3Endpoint.start()
      const proxy = yield* FaultProxy.start(endpoint.url, script)
      const ask = (request: HandMade) => sendSigned({ ...endpoint, url: proxy.url }, request)
      yield* Effect.promise(() => test({ endpoint, proxy, ask, target: `/${endpoint.bucket}/k` }))
    })
  )

/** The code of the failure; an answer is a failure of the test. */
const failureOf = async (sent: Promise<Said>): Promise<string> => {
  try {
    const { status } = await sent
    return `answered with ${status}`
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
}

const elapsed = async (work: Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work
  return performance.now() - start
}

const large = "0123456789".repeat(20_000)

describe("FaultProxy", () => {
  withProxy(
    "changes nothing without a fault",
    FaultProxy.nothing,
    async ({ endpoint, proxy, ask, target }) => {
      assert.strictEqual((await ask({ method: "PUT", target, body: large })).status, 200)
      const got = await ask({ method: "GET", target, headers: { range: "bytes=5-7" } })
      assert.deepStrictEqual(
        [got.status, got.text, got.headers["content-range"]],
        [206, "567", "bytes 5-7/200000"]
      )
      assert.strictEqual((await ask({ method: "GET", target })).text, large)
      const head = await ask({ method: "HEAD", target })
      assert.deepStrictEqual([head.status, head.headers["content-length"]], [200, "200000"])
      assert.strictEqual((await ask({ method: "GET", target: `${target}x` })).status, 404)
      assert.strictEqual((await ask({ method: "DELETE", target })).status, 204)
      assert.lengthOf(endpoint.served, 6)
      assert.deepStrictEqual(
        proxy.passed.map(({ number, method }) => `${number} ${method}`),
        ["0 PUT", "1 GET", "2 GET", "3 HEAD", "4 GET", "5 DELETE"]
      )
    }
  )

  withProxy(
    "keeps signatures of the server behind it",
    FaultProxy.nothing,
    async ({ endpoint, ask, target }) => {
      const { host } = new URL(endpoint.url)
      assert.strictEqual((await ask({ method: "PUT", target, headers: { host }, body: "x" })).status, 200)
    }
  )

  withProxy("delays", FaultProxy.always({ kind: "latency", milliseconds: 120 }), async ({ ask, target }) => {
    assert.isAtLeast(await elapsed(ask({ method: "PUT", target, body: "x" })), 115)
  })

  for (const status of [409, 429, 500, 503] as const) {
    const script = FaultProxy.first(1, { kind: "status", status, retryAfterSeconds: 3 })
    withProxy(`answers ${status} once, in place of the server`, script, async ({ endpoint, ask, target }) => {
      const said = await ask({ method: "PUT", target, body: "x" })
      assert.deepStrictEqual([said.status, said.headers["retry-after"]], [status, "3"])
      assert.match(said.text, /<Code>\w+</)
      assert.lengthOf(endpoint.served, 0)
      assert.strictEqual((await ask({ method: "PUT", target, body: "x" })).status, 200)
    })
  }

  withProxy(
    "answers HTML like a proxy that does not know S3",
    FaultProxy.always({ kind: "status", status: 502, body: "<html>bad gateway</html>" }),
    async ({ ask, target }) => {
      const said = await ask({ method: "GET", target })
      assert.deepStrictEqual(
        [said.headers["content-type"], said.text],
        ["text/html", "<html>bad gateway</html>"]
      )
    }
  )

  withProxy(
    "resets before the server hears of it",
    FaultProxy.first(1, { kind: "reset before" }),
    async ({ endpoint, ask, target }) => {
      assert.strictEqual(await failureOf(ask({ method: "PUT", target, body: "x" })), "ECONNRESET")
      assert.deepStrictEqual(endpoint.memory.keys(), [])
      assert.strictEqual((await ask({ method: "PUT", target, body: "x" })).status, 200)
    }
  )

  withProxy(
    "resets after the server has done it",
    FaultProxy.first(1, { kind: "reset after" }, ({ method }) => method === "PUT"),
    async ({ endpoint, ask, target }) => {
      assert.strictEqual((await ask({ method: "GET", target })).status, 404)
      const headers = { "if-none-match": "*" }
      const create = () => ask({ method: "PUT", target, headers, body: "mine" })
      assert.strictEqual(await failureOf(create()), "ECONNRESET")
      assert.deepStrictEqual(endpoint.memory.keys(), ["k"])
      assert.strictEqual((await create()).status, 412)
    }
  )

  withProxy("cuts bodies short", FaultProxy.nothing, async ({ proxy, ask, target }) => {
    await ask({ method: "PUT", target, body: large })
    for (const afterBytes of [0, 1, 100_000]) {
      proxy.follow(FaultProxy.always({ kind: "truncated", afterBytes }))
      assert.strictEqual(await failureOf(ask({ method: "GET", target })), "ECONNRESET", String(afterBytes))
    }
  })

  for (const afterBytes of [undefined, 0, 1000]) {
    const fault = { kind: "stall", ...(afterBytes === undefined ? {} : { afterBytes }) } as const
    withProxy(
      `falls silent after ${afterBytes} bytes, and stays there`,
      FaultProxy.nothing,
      async (scene) => {
        const { endpoint, proxy, ask, target } = scene
        await ask({ method: "PUT", target, body: large })
        proxy.follow(FaultProxy.first(1, fault))
        const silent = ask({ method: "GET", target }).then(
          () => "answered",
          () => "broken"
        )
        const later = new Promise((resolve) => setTimeout(() => resolve("silent"), 200))
        assert.strictEqual(await Promise.race([silent, later]), "silent")
        assert.deepStrictEqual(
          endpoint.served.map(({ operation }) => operation),
          ["PutObject", "GetObject"]
        )
        // Others are served meanwhile.
        assert.strictEqual((await ask({ method: "GET", target })).text, large)
      }
    )
  }

  withProxy("caps the speed of both directions", FaultProxy.nothing, async ({ proxy, ask, target }) => {
    proxy.follow(FaultProxy.always({ kind: "bandwidth", bytesPerSecond: 1_000_000 }))
    assert.isAtLeast(await elapsed(ask({ method: "PUT", target, body: large })), 190)
    const started = performance.now()
    assert.strictEqual((await ask({ method: "GET", target })).text, large)
    assert.isAtLeast(performance.now() - started, 190)
  })

  withProxy(
    "joins faults",
    FaultProxy.always({ kind: "latency", milliseconds: 80 }, { kind: "reset before" }),
    async ({ ask, target }) => {
      assert.isAtLeast(await elapsed(failureOf(ask({ method: "GET", target }))), 75)
    }
  )
})
