/**
 * The S3 server for tests, seen through the SDK that the library uses: every operation, and every refusal by
 * code and status. What the SDK would never send is sent by hand. Bad servers: `S3EndpointFaults.test.ts`.
 */
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client
} from "@aws-sdk/client-s3"
import { assert, describe } from "@effect/vitest"
import { createHash } from "node:crypto"
import { Readable } from "node:stream"
import { refusal, withEndpoint } from "./endpointScene.ts"
import { sendSigned } from "./sendSigned.ts"

const readText = async (client: S3Client, Bucket: string, Key: string, Range?: string): Promise<string> => {
  const command = new GetObjectCommand({ Bucket, Key, ...(Range === undefined ? {} : { Range }) })
  const { Body } = await client.send(command)
  return (await Body?.transformToString()) ?? ""
}

const md5 = (text: string): string => `"${createHash("md5").update(text).digest("hex")}"`

describe("S3Endpoint as a good server", () => {
  withEndpoint("keeps what it is given", async ({ client, Bucket }) => {
    const put = await client.send(new PutObjectCommand({ Bucket, Key: "a/b c+d%é", Body: "hello" }))
    assert.strictEqual(put.ETag, md5("hello"))
    assert.strictEqual(await readText(client, Bucket, "a/b c+d%é"), "hello")
    const head = await client.send(new HeadObjectCommand({ Bucket, Key: "a/b c+d%é" }))
    assert.strictEqual(head.ContentLength, 5)
    assert.strictEqual(head.ETag, md5("hello"))
    assert.approximately(head.LastModified?.getTime() ?? 0, Date.now(), 5000)
  })

  withEndpoint("knows its bucket", async ({ client, Bucket }) => {
    const { Buckets } = await client.send(new ListBucketsCommand({}))
    assert.deepStrictEqual(
      Buckets?.map(({ Name }) => Name),
      [Bucket]
    )
    await client.send(new HeadBucketCommand({ Bucket }))
    const { LocationConstraint } = await client.send(new GetBucketLocationCommand({ Bucket }))
    assert.isTrue(LocationConstraint === undefined || String(LocationConstraint) === "")
    const missing = { Bucket: "none", Key: "a" }
    assert.strictEqual(await refusal(client.send(new GetObjectCommand(missing))), "404 NoSuchBucket")
    assert.strictEqual(
      await refusal(client.send(new PutObjectCommand({ ...missing, Body: "x" }))),
      "404 NoSuchBucket"
    )
    assert.match(await refusal(client.send(new HeadBucketCommand({ Bucket: "none" }))), /^404/)
  })

  withEndpoint("reads ranges", async ({ client, Bucket }) => {
    await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "0123456789" }))
    await client.send(new PutObjectCommand({ Bucket, Key: "empty", Body: new Uint8Array() }))
    for (const [Range, text, ContentRange] of [
      ["bytes=0-3", "0123", "bytes 0-3/10"],
      ["bytes=7-", "789", "bytes 7-9/10"],
      ["bytes=-2", "89", "bytes 8-9/10"],
      ["bytes=5-99", "56789", "bytes 5-9/10"],
      ["bytes=9-9", "9", "bytes 9-9/10"],
      ["lines=1-2", "0123456789", undefined]
    ] as const) {
      const part = await client.send(new GetObjectCommand({ Bucket, Key: "k", Range }))
      assert.strictEqual(await part.Body?.transformToString(), text, Range)
      assert.strictEqual(part.ContentRange, ContentRange)
      assert.strictEqual(part.$metadata.httpStatusCode, ContentRange === undefined ? 200 : 206)
    }
    assert.strictEqual(await refusal(readText(client, Bucket, "k", "bytes=10-12")), "416 InvalidRange")
    assert.strictEqual(await refusal(readText(client, Bucket, "empty", "bytes=0-0")), "416 InvalidRange")
  })

  withEndpoint("creates an object once", async ({ client, Bucket }) => {
    const create = (Body: string) =>
      client.send(new PutObjectCommand({ Bucket, Key: "once", Body, IfNoneMatch: "*" }))
    const bodies = Array.from({ length: 16 }, (_, index) => `body ${index}`)
    const outcomes = await Promise.allSettled(bodies.map(create))
    const winners = bodies.filter((_, index) => outcomes[index]?.status === "fulfilled")
    assert.lengthOf(winners, 1)
    assert.strictEqual(await readText(client, Bucket, "once"), winners[0])
    assert.strictEqual(await refusal(create("late")), "412 PreconditionFailed")
  })

  withEndpoint("copies and deletes", async ({ client, Bucket }) => {
    await client.send(new PutObjectCommand({ Bucket, Key: "from é", Body: "x" }))
    const CopySource = `${Bucket}/${encodeURIComponent("from é")}`
    const copied = await client.send(new CopyObjectCommand({ Bucket, Key: "to", CopySource }))
    assert.strictEqual(copied.CopyObjectResult?.ETag, md5("x"))
    const copy = (Key: string, source: string) =>
      refusal(client.send(new CopyObjectCommand({ Bucket, Key, CopySource: source })))
    assert.strictEqual(await copy("to", `${Bucket}/none`), "404 NoSuchKey")
    assert.strictEqual(await copy("to", "elsewhere/to"), "404 NoSuchBucket")
    assert.strictEqual(await copy("to", `${Bucket}/to`), "400 InvalidRequest")
    const remove = new DeleteObjectCommand({ Bucket, Key: "to" })
    assert.strictEqual((await client.send(remove)).$metadata.httpStatusCode, 204)
    assert.strictEqual((await client.send(remove)).$metadata.httpStatusCode, 204)
    assert.strictEqual(await refusal(readText(client, Bucket, "to")), "404 NoSuchKey")
  })

  withEndpoint("deletes in batches", async ({ client, Bucket, endpoint }) => {
    for (const Key of ["a&<b>\"'", "b", "c"])
      await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))
    const batch = (keys: ReadonlyArray<string>, Quiet = false) =>
      client.send(
        new DeleteObjectsCommand({ Bucket, Delete: { Quiet, Objects: keys.map((Key) => ({ Key })) } })
      )
    const { Deleted, Errors } = await batch(["a&<b>\"'", "b", "none"])
    assert.deepStrictEqual(
      Deleted?.map(({ Key }) => Key),
      ["a&<b>\"'", "b", "none"]
    )
    assert.isUndefined(Errors)
    assert.deepStrictEqual(endpoint.memory.keys(), ["c"])
    assert.isUndefined((await batch(["c"], true)).Deleted)
    const tooMany = Array.from({ length: 1001 }, (_, index) => `k${index}`)
    assert.strictEqual(await refusal(batch(tooMany)), "400 MalformedXML")
  })

  withEndpoint("answers HEAD of what is missing without a body", async ({ client, Bucket }) => {
    assert.strictEqual(
      await refusal(client.send(new HeadObjectCommand({ Bucket, Key: "none" }))),
      "404 NotFound"
    )
  })

  withEndpoint("speaks to virtual hosts", async ({ endpoint, Bucket }) => {
    const host = `${Bucket}.localhost:${endpoint.port}`
    const answer = await sendSigned(endpoint, { method: "PUT", target: "/k", headers: { host }, body: "v" })
    assert.strictEqual(answer.status, 200)
    assert.deepStrictEqual(endpoint.memory.keys(), ["k"])
  })
})

describe("S3Endpoint lists", () => {
  const names = ["a b", "a+b", "a/b", "ab", "b/c", "é", "\uFFFD", "\u{1F600}"]

  for (const pageSize of [1, 3, 1000]) {
    withEndpoint(`in pages of ${pageSize}, by bytes`, async ({ client, Bucket }) => {
      for (const Key of names.toReversed())
        await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }))
      const seen: Array<string> = []
      for (let token: string | undefined; ;) {
        const page = await client.send(
          new ListObjectsV2Command({
            Bucket,
            MaxKeys: pageSize,
            ContinuationToken: token,
            EncodingType: "url"
          })
        )
        for (const { Key = "", Size, ETag } of page.Contents ?? []) {
          const key = decodeURIComponent(Key.replaceAll("+", " "))
          seen.push(key)
          assert.strictEqual(Size, Buffer.byteLength(key))
          assert.strictEqual(ETag, md5(key))
        }
        assert.strictEqual(page.IsTruncated, page.NextContinuationToken !== undefined)
        token = page.NextContinuationToken
        if (token === undefined) break
        assert.isBelow(seen.length, names.length)
      }
      assert.deepStrictEqual(seen, names)
    })
  }

  withEndpoint("below a prefix, and behind a key", async ({ client, Bucket }) => {
    for (const Key of names) await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }))
    const list = async (request: { Prefix?: string; StartAfter?: string; MaxKeys?: number }) => {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, ...request }))
      return Contents.map(({ Key }) => Key)
    }
    assert.deepStrictEqual(await list({ Prefix: "a/" }), ["a/b"])
    assert.deepStrictEqual(await list({ Prefix: "a", StartAfter: "a+b" }), ["a/b", "ab"])
    assert.deepStrictEqual(await list({ StartAfter: "é" }), ["\uFFFD", "\u{1F600}"])
    assert.deepStrictEqual(await list({ MaxKeys: 0 }), [])
  })

  withEndpoint("keys of others with their sizes", async ({ client, Bucket, endpoint }) => {
    endpoint.memory.put("a//b", new Uint8Array(7), 0)
    endpoint.memory.put("ctl\u0001", new Uint8Array(8), 0)
    endpoint.memory.put("space +/", new Uint8Array(9), 0)
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, EncodingType: "url" }))
    assert.deepStrictEqual(
      Contents.map(({ Key, Size }) => [Key, Size]),
      [
        ["a//b", 7],
        ["ctl%01", 8],
        ["space+%2B/", 9]
      ]
    )
  })
})

describe("S3Endpoint refuses", () => {
  const get = (Bucket: string) => new GetObjectCommand({ Bucket, Key: "k" })

  withEndpoint("wrong keys, secrets, regions and clocks", async ({ endpoint, other, Bucket }) => {
    const { accessKey: accessKeyId } = endpoint
    const keys = (accessKeyId: string, secretAccessKey: string) => ({
      credentials: { accessKeyId, secretAccessKey }
    })
    for (const [config, said] of [
      [keys("nobody", endpoint.secretKey), "403 InvalidAccessKeyId"],
      [keys(accessKeyId, "wrong"), "403 SignatureDoesNotMatch"],
      [{ region: "eu-west-9" }, "400 AuthorizationHeaderMalformed"],
      [{ systemClockOffset: -3_600_000 }, "403 RequestTimeTooSkewed"],
      [{ systemClockOffset: 3_600_000 }, "403 RequestTimeTooSkewed"]
    ] as const) {
      assert.strictEqual(await refusal(other(config).send(get(Bucket))), said)
    }
  })

  withEndpoint("bodies that are not what was signed or summed", async ({ endpoint, client, Bucket }) => {
    const target = `/${Bucket}/k`
    const tampered = await sendSigned(endpoint, { method: "PUT", target, body: "abc", sentBody: "abd" })
    assert.match(tampered.text, /<Code>XAmzContentSHA256Mismatch</)
    assert.strictEqual(tampered.status, 400)
    for (const [sum, said] of [
      [{ ContentMD5: "AAAAAAAAAAAAAAAAAAAAAA==" }, "400 BadDigest"],
      [{ ContentMD5: "AAAA" }, "400 InvalidDigest"],
      [{ ChecksumCRC32: "AAAAAA==" }, "400 BadDigest"],
      [{ ChecksumSHA256: "AAAA" }, "400 BadDigest"]
    ] as const) {
      const put = new PutObjectCommand({ Bucket, Key: "k", Body: "abc", ...sum })
      assert.strictEqual(await refusal(client.send(put)), said)
    }
    assert.deepStrictEqual(endpoint.memory.keys(), [])
    const right = new PutObjectCommand({ Bucket, Key: "k", Body: "abc", ChecksumAlgorithm: "CRC32" })
    await client.send(right)
    assert.deepStrictEqual(endpoint.memory.keys(), ["k"])
  })

  withEndpoint("streamed bodies", async ({ endpoint, other, Bucket }) => {
    const Body = Readable.from([Buffer.from("streamed")])
    const put = new PutObjectCommand({ Bucket, Key: "k", Body, ContentLength: 8 })
    const say = (): void => {}
    const logger = { debug: say, info: say, warn: say, error: say }
    const streaming = other({ requestChecksumCalculation: "WHEN_SUPPORTED", logger })
    assert.match(await refusal(streaming.send(put)), /^411 /)
    const headers = { "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" }
    const measured = { method: "PUT", target: `/${Bucket}/k`, headers, body: "streamed" }
    assert.strictEqual((await sendSigned(endpoint, measured)).status, 411)
    assert.deepStrictEqual(endpoint.memory.keys(), [])
  })

  withEndpoint("what it does not know", async ({ endpoint, client, Bucket }) => {
    const unknown = await sendSigned(endpoint, { method: "GET", target: `/${Bucket}?uploads` })
    assert.strictEqual(unknown.status, 501)
    const tagged = await sendSigned(endpoint, { method: "PUT", target: `/${Bucket}/k?tagging`, body: "x" })
    assert.strictEqual(tagged.status, 501)
    const ifMatch = new PutObjectCommand({ Bucket, Key: "k", Body: "x", IfMatch: '"0"' })
    assert.match(await refusal(client.send(ifMatch)), /^501 /)
    const long = new PutObjectCommand({ Bucket, Key: "k".repeat(1025), Body: "x" })
    assert.strictEqual(await refusal(client.send(long)), "400 KeyTooLongError")
    assert.deepStrictEqual(endpoint.memory.keys(), [])
  })

  withEndpoint(
    "operations that the key may not do",
    async ({ endpoint, client, Bucket }) => {
      await client.send(new PutObjectCommand({ Bucket, Key: "k", Body: "x" }))
      const remove = new DeleteObjectCommand({ Bucket, Key: "k" })
      assert.strictEqual(await refusal(client.send(remove)), "403 AccessDenied")
      assert.deepStrictEqual(
        endpoint.served.map(({ operation, key, status }) => [operation, key, status]),
        [
          ["PutObject", "k", 200],
          ["DeleteObject", "k", 403]
        ]
      )
    },
    { quirks: { isAllowed: (operation) => operation !== "DeleteObject" } }
  )
})
