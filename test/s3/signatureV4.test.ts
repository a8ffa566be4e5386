/**
 * Signatures, against the examples that AWS publishes for S3 (with keys and results), and against every change of a
 * signed request: each must be noticed.
 */
import { assert, describe, it } from "@effect/vitest"
import { S3Failure } from "./S3Failure.ts"
import {
  type Credentials,
  emptyHash,
  encode,
  parseTarget,
  sign,
  verify,
  type WireRequest
} from "./signatureV4.ts"

const credentials: Credentials = {
  accessKey: "AKIAIOSFODNN7EXAMPLE",
  secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  region: "us-east-1"
}
const host = "examplebucket.s3.amazonaws.com"
const then = Date.UTC(2013, 4, 24)

const published = [
  {
    name: "GET Object",
    request: { method: "GET", target: "/test.txt", headers: { host, range: "bytes=0-9" } },
    body: "",
    signature: "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
  },
  {
    name: "PUT Object",
    request: {
      method: "PUT",
      target: "/test%24file.text",
      headers: { host, date: "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY" }
    },
    body: "Welcome to Amazon S3.",
    signature: "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
  },
  {
    name: "GET Bucket Lifecycle",
    request: { method: "GET", target: "/?lifecycle", headers: { host } },
    body: "",
    signature: "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
  },
  {
    name: "GET Bucket (List Objects)",
    request: { method: "GET", target: "/?max-keys=2&prefix=J", headers: { host } },
    body: "",
    signature: "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
  }
]

const codeOf = (request: WireRequest, keys = credentials, nowMillis = then): string => {
  try {
    verify(request, keys, nowMillis)
    return "accepted"
  } catch (error) {
    return error instanceof S3Failure ? error.code : String(error)
  }
}

describe("signatures as published", () => {
  for (const { name, request, body, signature } of published) {
    it(name, () => {
      const headers = sign(request, body, credentials, then)
      assert.match(headers["authorization"] ?? "", new RegExp(`Signature=${signature}$`))
      assert.strictEqual(codeOf({ ...request, headers }), "accepted")
    })
  }
})

describe("what a signature covers", () => {
  const plain = { method: "PUT", target: "/bucket/a%20key?x=1&y=2", headers: { host: "localhost:1234" } }
  const headers = sign(plain, "body", credentials, then)
  const signed = { ...plain, headers }

  const changes: ReadonlyArray<readonly [string, WireRequest, string]> = [
    ["method", { ...signed, method: "DELETE" }, "SignatureDoesNotMatch"],
    ["path", { ...signed, target: "/bucket/b%20key?x=1&y=2" }, "SignatureDoesNotMatch"],
    ["query", { ...signed, target: "/bucket/a%20key?x=1&y=3" }, "SignatureDoesNotMatch"],
    ["host", { ...signed, headers: { ...headers, host: "other" } }, "SignatureDoesNotMatch"],
    [
      "hash of the body",
      { ...signed, headers: { ...headers, "x-amz-content-sha256": emptyHash } },
      "SignatureDoesNotMatch"
    ],
    ["an added header", { ...signed, headers: { ...headers, "x-amz-copy-source": "/b/k" } }, "AccessDenied"],
    ["no signature", { ...plain, headers: { ...plain.headers } }, "AccessDenied"],
    [
      "another form",
      { ...signed, headers: { ...headers, authorization: "AWS x:y" } },
      "AuthorizationHeaderMalformed"
    ]
  ]
  for (const [name, request, code] of changes) it(name, () => assert.strictEqual(codeOf(request), code))

  it("the host must be among what is signed", () => {
    const headless = sign({ ...plain, headers: {} }, "body", credentials, then)
    assert.strictEqual(codeOf({ ...plain, headers: headless }), "AccessDenied")
  })

  it("spelling and order do not matter", () => {
    assert.strictEqual(codeOf({ ...signed, target: "/bucket/%61%20key?y=2&x=1" }), "accepted")
  })

  it("the wrong key, secret and region have names of their own", () => {
    assert.strictEqual(codeOf(signed, { ...credentials, accessKey: "X" }), "InvalidAccessKeyId")
    assert.strictEqual(codeOf(signed, { ...credentials, secretKey: "X" }), "SignatureDoesNotMatch")
    assert.strictEqual(codeOf(signed, { ...credentials, region: "eu" }), "AuthorizationHeaderMalformed")
  })

  it("a quarter of an hour is the most that clocks may differ", () => {
    const quarter = 15 * 60 * 1000
    for (const sign of [1, -1]) {
      assert.strictEqual(codeOf(signed, credentials, then + sign * quarter), "accepted")
      assert.strictEqual(codeOf(signed, credentials, then + sign * (quarter + 1)), "RequestTimeTooSkewed")
    }
  })
})

describe("targets", () => {
  it("are decoded, and refused when they cannot be", () => {
    assert.deepStrictEqual(parseTarget("/a%2Fb/%C3%A9?q=a+b&r=%2B&delete"), {
      path: "/a/b/é",
      query: [
        ["q", "a b"],
        ["r", "+"],
        ["delete", ""]
      ]
    })
    assert.throws(() => parseTarget("/%ff"), S3Failure)
  })

  it("are encoded but for letters, digits and four signs", () => {
    assert.strictEqual(encode("aZ09-._~ /+!*'()é"), "aZ09-._~%20%2F%2B%21%2A%27%28%29%C3%A9")
  })
})
