/** The buckets of an endpoint: from the S3 double, from a server with several pages, and from what is no S3 server. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { listBuckets } from "../../../src/objectstore/s3/listBuckets.ts"
import * as S3Endpoint from "../../s3/S3Endpoint.ts"
import * as AnsweringServer from "./AnsweringServer.ts"
import { placeAt, settingsOf } from "./buckets.ts"

const namespace = `xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`

const page = (names: ReadonlyArray<string>, token: string): string =>
  `<ListAllMyBucketsResult ${namespace}><Owner><ID>o</ID></Owner><Buckets>` +
  names.map((name) => `<Bucket><Name>${name}</Name></Bucket>`).join("") +
  `</Buckets>${token === "" ? "" : `<ContinuationToken>${token}</ContinuationToken>`}</ListAllMyBucketsResult>`

const serving = (pages: Readonly<Record<string, string>>) =>
  AnsweringServer.start((incoming, outgoing) => {
    const token = new URL(incoming.url ?? "", "http://any").searchParams.get("continuation-token") ?? ""
    outgoing.writeHead(200, { "content-type": "application/xml" }).end(pages[token] ?? "")
  })

describe("listBuckets", () => {
  it.live("names the buckets, with path style and with a template for the bucket", () =>
    Effect.gen(function* () {
      const endpoint = yield* S3Endpoint.start({ bucket: "the-bucket" })
      const expected = [{ name: "the-bucket", createdSeconds: 0 }]
      const styles = [
        {},
        { "path-style": "false", endpoint: `http://{{bucket}}.{{region}}.localhost:${endpoint.port}` }
      ]
      for (const style of styles) {
        assert.deepStrictEqual(
          yield* listBuckets(settingsOf({ ...endpoint, bucket: "another" }, style)),
          expected
        )
      }
      assert.deepStrictEqual(
        endpoint.served.map(({ operation, status }) => [operation, status]),
        styles.map(() => ["ListBuckets", 200])
      )
    })
  )

  it.live("asks the host without a bucket", () =>
    Effect.gen(function* () {
      const server = yield* serving({ "": page([], "") })
      const endpoint = `http://{{bucket}}.{{region}}.localhost:${server.port}`
      yield* listBuckets(placeAt(server.port, { endpoint, "path-style": "false" }))
      const [asked] = server.asked
      assert.strictEqual(asked?.headers.host, `us-west-1.localhost:${server.port}`)
      assert.match(asked?.url ?? "", /^\/(?:\?|$)/)
    })
  )

  it.live("reads all pages", () =>
    Effect.gen(function* () {
      const server = yield* serving({ "": page(["a", "b"], "next"), next: page(["c"], "") })
      const found = yield* listBuckets(placeAt(server.port))
      assert.deepStrictEqual(
        found.map(({ name }) => name),
        ["a", "b", "c"]
      )
      assert.isUndefined(found[0]?.createdSeconds)
    })
  )

  it.live("knows none from nothing", () =>
    Effect.gen(function* () {
      const server = yield* serving({ "": page([], "") })
      assert.deepStrictEqual(yield* listBuckets(placeAt(server.port)), [])
    })
  )

  it.live("fails typed", () =>
    Effect.gen(function* () {
      const endpoint = yield* S3Endpoint.start({
        quirks: { isAllowed: (operation) => operation !== "ListBuckets" }
      })
      const denied = yield* Effect.flip(listBuckets(settingsOf(endpoint)))
      assert.strictEqual(denied.reason, "AccessDenied")
      assert.match(denied.message, /^cannot list all buckets: access denied/)
      const wrong = yield* Effect.flip(listBuckets(settingsOf({ ...endpoint, secretKey: "wrong" })))
      assert.strictEqual(wrong.reason, "WrongKeys")
      const page = yield* serving({ "": "<html><body>hello</body></html>" })
      assert.strictEqual((yield* Effect.flip(listBuckets(placeAt(page.port)))).reason, "NotS3")
    })
  )
})
