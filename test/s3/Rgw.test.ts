/**
 * The real server: that it starts, keeps what it acknowledged over a sudden end, and leaves nothing behind; and that
 * the double in `S3Endpoint` says what the real one says.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import * as FaultProxy from "./FaultProxy.ts"
import * as Rgw from "./Rgw.ts"
import * as S3Endpoint from "./S3Endpoint.ts"
import { type HandMade, sendSigned } from "./sendSigned.ts"

/** What must be the same, whoever serves: a request, and what of the answer counts. */
const dialogue: ReadonlyArray<HandMade & { readonly name: string }> = [
  { name: "put", method: "PUT", target: "/B/a/k%20%2B", body: "hello" },
  { name: "create", method: "PUT", target: "/B/once", body: "1", headers: { "if-none-match": "*" } },
  { name: "create again", method: "PUT", target: "/B/once", body: "2", headers: { "if-none-match": "*" } },
  { name: "get", method: "GET", target: "/B/a/k%20%2B" },
  { name: "get a range", method: "GET", target: "/B/a/k%20%2B", headers: { range: "bytes=1-2" } },
  { name: "get the end", method: "GET", target: "/B/a/k%20%2B", headers: { range: "bytes=3-99" } },
  { name: "get a suffix", method: "GET", target: "/B/a/k%20%2B", headers: { range: "bytes=-2" } },
  { name: "get behind the end", method: "GET", target: "/B/a/k%20%2B", headers: { range: "bytes=5-6" } },
  { name: "get what is missing", method: "GET", target: "/B/none" },
  { name: "head", method: "HEAD", target: "/B/a/k%20%2B" },
  { name: "head what is missing", method: "HEAD", target: "/B/none" },
  { name: "head the bucket", method: "HEAD", target: "/B" },
  { name: "another bucket", method: "GET", target: "/no-such-bucket/k" },
  { name: "copy", method: "PUT", target: "/B/copy", headers: { "x-amz-copy-source": "/B/a/k%20%2B" } },
  { name: "copy nothing", method: "PUT", target: "/B/copy", headers: { "x-amz-copy-source": "/B/none" } },
  { name: "the copy", method: "GET", target: "/B/copy" },
  { name: "list", method: "GET", target: "/B?list-type=2&prefix=a%2F&encoding-type=url" },
  { name: "list a page", method: "GET", target: "/B?list-type=2&max-keys=2" },
  { name: "list behind", method: "GET", target: "/B?list-type=2&start-after=copy" },
  { name: "list nothing", method: "GET", target: "/B?list-type=2&prefix=none%2F" },
  { name: "a body that was changed", method: "PUT", target: "/B/bad", body: "abc", sentBody: "abd" },
  {
    name: "a wrong sum",
    method: "PUT",
    target: "/B/bad",
    body: "a",
    headers: { "content-md5": "AAAAAAAAAAAAAAAAAAAAAA==" }
  },
  {
    name: "delete a batch",
    method: "POST",
    target: "/B?delete",
    body: "<Delete><Object><Key>once</Key></Object><Object><Key>none</Key></Object></Delete>"
  },
  { name: "delete", method: "DELETE", target: "/B/copy" },
  { name: "delete again", method: "DELETE", target: "/B/copy" },
  { name: "what is left", method: "GET", target: "/B?list-type=2" }
]

/** Elements whose text is the same on every server. */
const telling = /<(Code|Key|Size|IsTruncated|MaxKeys|KeyCount|ETag)>([^<]*)</g

/** What an XML answer says, apart from liberties that servers take: quotes of ETags, and how a key is encoded. */
const essence = (xml: string): ReadonlyArray<string> =>
  [...xml.matchAll(telling)]
    .filter(([, element]) => element !== "Key" || !xml.includes("<Error>"))
    .map(([, element, text = ""]) => {
      const isEncoded = element === "Key" && xml.includes("<EncodingType>url")
      const plain = isEncoded ? decodeURIComponent(text.replaceAll("+", " ")) : text
      return `${element} ${plain.replaceAll("&quot;", "")}`
    })
    .toSorted()

const answers = async (server: Parameters<typeof sendSigned>[0] & { readonly bucket: string }) => {
  const said: Record<string, unknown> = {}
  for (const { name, ...request } of dialogue) {
    const headers = Object.fromEntries(
      Object.entries(request.headers ?? {}).map(([header, value]) => [
        header,
        value.replace("/B/", `/${server.bucket}/`)
      ])
    )
    const target = request.target.replace("/B", `/${server.bucket}`)
    const { status, headers: got, text } = await sendSigned(server, { ...request, target, headers })
    const isXml = text.startsWith("<?xml")
    said[name] = {
      status,
      content: isXml ? essence(text) : text,
      etag: got.etag,
      range: status === 206 ? got["content-range"] : undefined,
      length: request.method === "HEAD" && status === 200 ? got["content-length"] : undefined
    }
  }
  return said
}

const isAnswered = (server: Parameters<typeof sendSigned>[0], request: HandMade) =>
  Effect.promise(() =>
    sendSigned(server, request).then(
      () => true,
      () => false
    )
  )

it("the gateway is installed where it is needed", () => assert.isTrue(Rgw.available || !Rgw.needed))

describe.skipIf(!Rgw.available)("Rgw", () => {
  it.live("says what the double says", () =>
    Effect.gen(function* () {
      const real = yield* Rgw.shared
      const double = yield* S3Endpoint.start()
      const [saidByReal, saidByDouble] = yield* Effect.promise(() =>
        Promise.all([answers(real), answers(double)])
      )
      assert.deepStrictEqual(saidByDouble, saidByReal)
    })
  )

  it.live(
    "keeps what it acknowledged over a sudden end, and leaves nothing behind",
    () =>
      Effect.gen(function* () {
        const folder = yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* Rgw.startWith({ store: "bluestore" })
            const target = `/${server.bucket}/kept`
            const put = { method: "PUT", target, body: "still here" }
            assert.strictEqual((yield* Effect.promise(() => sendSigned(server, put))).status, 200)
            yield* server.kill
            assert.isFalse(yield* isAnswered(server, { method: "GET", target }))
            yield* server.restart
            const got = yield* Effect.promise(() => sendSigned(server, { method: "GET", target }))
            assert.strictEqual(got.text, "still here")
            assert.isTrue(existsSync(server.folder))
            return server.folder
          })
        )
        assert.isFalse(existsSync(folder))
      }),
    120_000
  )

  it.live("ends with the process that owns it", () =>
    Effect.gen(function* () {
      const owner = spawn("sleep", ["600"])
      const server = yield* Rgw.startWith({ ownerProcessId: owner.pid ?? 0 })
      assert.isTrue(existsSync(server.folder))
      owner.kill()
      while (existsSync(server.folder)) yield* Effect.sleep("100 millis")
      assert.isFalse(yield* isAnswered(server, { method: "HEAD", target: `/${server.bucket}` }))
    })
  )

  it.live("is reached through the proxy that spoils requests", () =>
    Effect.gen(function* () {
      const server = yield* Rgw.shared
      const proxy = yield* FaultProxy.start(server.url, FaultProxy.first(1, { kind: "reset after" }))
      const spoiled = { ...server, url: proxy.url }
      const target = `/${server.bucket}/spoiled`
      const create = { method: "PUT", target, headers: { "if-none-match": "*" }, body: "mine" }
      assert.isFalse(yield* isAnswered(spoiled, create))
      assert.strictEqual((yield* Effect.promise(() => sendSigned(spoiled, create))).status, 412)
      const got = yield* Effect.promise(() => sendSigned(spoiled, { method: "GET", target }))
      assert.strictEqual(got.text, "mine")
    })
  )
})
