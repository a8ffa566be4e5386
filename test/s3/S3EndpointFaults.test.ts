/** The S3 double as a bad server: each trait and each fault, as it looks to the SDK and to the bucket. */
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client
} from "@aws-sdk/client-s3"
import { assert, describe } from "@effect/vitest"
import { times } from "../../src/testing/MemoryObjectStore.ts"
import { refusal, type Scene, withEndpoint } from "./endpointScene.ts"
import type { Quirks } from "./S3Endpoint.ts"
import { sendSigned } from "./sendSigned.ts"

const withQuirks = (title: string, quirks: Quirks, test: (scene: Scene) => Promise<void>): void =>
  withEndpoint(title, test, { quirks })

const put = (client: S3Client, Bucket: string, Key: string, Body: string, IfNoneMatch?: string) =>
  client.send(
    new PutObjectCommand({ Bucket, Key, Body, ...(IfNoneMatch === undefined ? {} : { IfNoneMatch }) })
  )

const read = async (client: S3Client, Bucket: string, Key: string, Range?: string): Promise<string> => {
  const { Body } = await client.send(
    new GetObjectCommand({ Bucket, Key, ...(Range === undefined ? {} : { Range }) })
  )
  return (await Body?.transformToString()) ?? ""
}

const batch = (client: S3Client, Bucket: string, ...keys: ReadonlyArray<string>) =>
  client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }))

describe("traits of bad servers", () => {
  withQuirks("conditions that are passed over", { conditionalPut: "ignored" }, async ({ client, Bucket }) => {
    await put(client, Bucket, "k", "first", "*")
    await put(client, Bucket, "k", "second", "*")
    assert.strictEqual(await read(client, Bucket, "k"), "second")
  })

  withQuirks(
    "conditions that are 501",
    { conditionalPut: "unsupported" },
    async ({ client, Bucket, endpoint }) => {
      assert.strictEqual(await refusal(put(client, Bucket, "k", "x", "*")), "501 NotImplemented")
      assert.deepStrictEqual(endpoint.memory.keys(), [])
    }
  )

  withQuirks("no batches", { batchDelete: "unsupported" }, async ({ client, Bucket, endpoint }) => {
    await put(client, Bucket, "k", "x")
    assert.strictEqual(await refusal(batch(client, Bucket, "k")), "501 NotImplemented")
    assert.deepStrictEqual(endpoint.memory.keys(), ["k"])
    await client.send(new DeleteObjectCommand({ Bucket, Key: "k" }))
    assert.deepStrictEqual(endpoint.memory.keys(), [])
  })

  withQuirks("batches only with Content-MD5", { contentMd5: "required" }, async ({ client, Bucket }) => {
    assert.strictEqual(await refusal(batch(client, Bucket, "k")), "400 InvalidRequest")
  })

  withQuirks("ranges that are passed over", { rangeReads: "ignored" }, async ({ client, Bucket }) => {
    await put(client, Bucket, "k", "0123456789")
    const answer = await client.send(new GetObjectCommand({ Bucket, Key: "k", Range: "bytes=2-3" }))
    assert.strictEqual(answer.$metadata.httpStatusCode, 200)
    assert.strictEqual(await answer.Body?.transformToString(), "0123456789")
  })

  withQuirks("small pages", { pageSizeMax: 2 }, async ({ client, Bucket }) => {
    for (const key of ["a", "b", "c"]) await put(client, Bucket, key, "x")
    const { Contents, IsTruncated } = await client.send(new ListObjectsV2Command({ Bucket }))
    assert.deepStrictEqual([Contents?.length, IsTruncated], [2, true])
  })

  withQuirks("listings that lag behind", { listing: "weak" }, async ({ client, Bucket, endpoint }) => {
    endpoint.memory.put("old", new Uint8Array(1), Date.now() - 3_600_000)
    await put(client, Bucket, "new", "x")
    await client.send(new DeleteObjectCommand({ Bucket, Key: "old" }))
    const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }))
    assert.deepStrictEqual(
      Contents?.map(({ Key }) => Key),
      ["old"]
    )
    assert.strictEqual(await read(client, Bucket, "new"), "x")
  })

  withQuirks("a clock that is some minutes off", { clockSkewSeconds: 600 }, async ({ client, Bucket }) => {
    await put(client, Bucket, "k", "x")
    const { LastModified } = await client.send(new HeadObjectCommand({ Bucket, Key: "k" }))
    assert.approximately((LastModified?.getTime() ?? 0) - Date.now(), 600_000, 5000)
  })

  withQuirks("a clock that is an hour off", { clockSkewSeconds: 3600 }, async ({ client, Bucket }) => {
    assert.strictEqual(await refusal(put(client, Bucket, "k", "x")), "403 RequestTimeTooSkewed")
  })
})

describe("faults of bad servers", () => {
  const once = times(1)
  const faulty = (...faults: NonNullable<Quirks["faults"]>): Quirks => ({ faults, decide: times(1) })

  withQuirks("a lost request", faulty("lost request"), async ({ client, Bucket, endpoint }) => {
    assert.match(await refusal(put(client, Bucket, "k", "x")), /^ECONNRESET/)
    assert.deepStrictEqual(endpoint.memory.keys(), [])
    await put(client, Bucket, "k", "x")
  })

  withQuirks("a lost answer", faulty("lost answer"), async ({ client, Bucket, endpoint }) => {
    assert.match(await refusal(put(client, Bucket, "k", "mine", "*")), /^ECONNRESET/)
    assert.deepStrictEqual(endpoint.memory.keys(), ["k"])
    assert.strictEqual(await refusal(put(client, Bucket, "k", "mine", "*")), "412 PreconditionFailed")
  })

  withQuirks("throttling", { faults: ["throttled"], decide: once, retryAfterSeconds: 7 }, async (scene) => {
    const { endpoint, Bucket } = scene
    const request = { method: "PUT", target: `/${Bucket}/k`, body: "x" }
    const { status, headers, text } = await sendSigned(endpoint, request)
    assert.deepStrictEqual([status, headers["retry-after"]], [503, "7"])
    assert.match(text, /<Code>SlowDown</)
    assert.strictEqual((await sendSigned(endpoint, request)).status, 200)
  })

  withQuirks("trouble of its own", faulty("unavailable"), async ({ client, Bucket, endpoint }) => {
    assert.strictEqual(await refusal(put(client, Bucket, "k", "x")), "500 InternalError")
    assert.deepStrictEqual(endpoint.memory.keys(), [])
  })

  withQuirks("trouble afterwards", faulty("late failure"), async ({ client, Bucket, endpoint }) => {
    assert.strictEqual(await refusal(put(client, Bucket, "k", "x")), "500 InternalError")
    assert.deepStrictEqual(endpoint.memory.keys(), ["k"])
  })

  withQuirks("another write under way", faulty("conflict"), async ({ client, Bucket, endpoint }) => {
    assert.strictEqual(await refusal(put(client, Bucket, "k", "x", "*")), "409 ConditionalRequestConflict")
    assert.deepStrictEqual(endpoint.memory.keys(), [])
  })

  withQuirks("bodies that end too early", faulty("truncated"), async ({ client, Bucket }) => {
    const text = "0123456789".repeat(1000)
    await put(client, Bucket, "k", text)
    assert.match(await refusal(read(client, Bucket, "k")), /ECONNRESET/)
    assert.strictEqual(await read(client, Bucket, "k"), text)
    await put(client, Bucket, "part", text)
    assert.match(await refusal(read(client, Bucket, "part", "bytes=10-99")), /ECONNRESET/)
  })

  withQuirks("one deletion of a batch", faulty("failed deletion"), async ({ client, Bucket, endpoint }) => {
    for (const key of ["a", "b"]) await put(client, Bucket, key, "x")
    const { Deleted, Errors } = await batch(client, Bucket, "a", "b")
    assert.isUndefined(Deleted)
    assert.deepStrictEqual(
      Errors?.map(({ Key, Code }) => [Key, Code]),
      [
        ["a", "InternalError"],
        ["b", "InternalError"]
      ]
    )
    const again = await batch(client, Bucket, "a", "b")
    assert.deepStrictEqual(
      again.Deleted?.map(({ Key }) => Key),
      ["a", "b"]
    )
    assert.deepStrictEqual(endpoint.memory.keys(), [])
    assert.strictEqual(endpoint.served.at(-1)?.operation, "DeleteObjects")
  })
})
