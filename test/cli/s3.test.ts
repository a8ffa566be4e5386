/** `granary s3`: servers by name, their buckets, and what is found out about them, by the program, once as a process. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails } from "../e2e/cli.ts"
import * as AnsweringServer from "../objectstore/s3/AnsweringServer.ts"
import { keysOf, type S3Scene, type SceneOptions, start, tell } from "./s3Scene.ts"

const withScene = (
  title: string,
  test: (scene: S3Scene) => Promise<void>,
  options: SceneOptions = {}
): void => it.live(title, () => Effect.flatMap(start(options), (scene) => Effect.promise(() => test(scene))))

interface Finding {
  readonly check: string
  readonly ok: boolean
  readonly detail: string
}

const s3Checks = [
  "connection",
  "credentials",
  "bucket",
  "read after write",
  "conditional put",
  "list after write",
  "batch delete",
  "range read",
  "clock skew",
  "clean up",
  "latency",
  "throughput"
]

describe("granary s3 endpoint", () => {
  withScene(
    "keeps servers by name, and shows no key",
    async ({ createEndpoint, document, endpoint, folder, run, succeed }) => {
      const made = await createEndpoint()
      assert.match(made.text, /made endpoint minio in .*s3\.cfg/)
      const file = path.join(folder, "config/granary/s3.cfg")
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.include(readFileSync(file, "utf8"), `\tsecret-key ${endpoint.secretKey}\n`)
      const listed = await document<ReadonlyArray<object>>(["s3", "endpoint", "list"])
      const expected = {
        id: "minio",
        endpoint: endpoint.url,
        region: "us-east-1",
        "path-style": "true",
        "has-keys": true
      }
      assert.deepStrictEqual(listed, [expected])
      const changed = await document(["s3", "endpoint", "update", "minio", "--put-rate-limit", "100"])
      assert.deepStrictEqual(changed, { ...expected, "put-rate-limit": "100" })
      const table = await succeed(["s3", "endpoint", "list"])
      assert.match(table.text, /minio +http:.* us-east-1 +path +kept +put-rate-limit 100/)
      for (const { text, errors } of [
        made,
        table,
        await succeed(["s3", "endpoint", "list", "--output", "json"])
      ]) {
        assert.notInclude(text + errors, endpoint.secretKey)
        assert.notInclude(text + errors, endpoint.accessKey)
      }
      assertFails(
        await run(["s3", "endpoint", "create", "minio", "--endpoint", "a.example"]),
        1,
        /minio: .*has a section/
      )
      await succeed(["s3", "endpoint", "remove", "minio"])
      assertFails(await run(["s3", "endpoint", "remove", "minio"]), 1, /minio: there is no such endpoint/)
      assert.deepStrictEqual(await document(["s3", "endpoint", "list"]), [])
    },
    { asProcess: true }
  )

  withScene(
    "takes keys from files, and a folder of one's own",
    async ({ endpoint, folder, succeed, run }) => {
      const [one, both] = [path.join(folder, "one"), path.join(folder, "both")]
      writeFileSync(one, `${endpoint.secretKey}\n`)
      writeFileSync(both, `access-key ${endpoint.accessKey}\nsecret-key ${endpoint.secretKey}\n`)
      const config = ["--config-dir", path.join(folder, "other/place")]
      const server = ["--endpoint", endpoint.url, "--path-style", "--region", endpoint.region, ...config]
      const create = (id: string, ...rest: ReadonlyArray<string>) =>
        succeed(["s3", "endpoint", "create", id, ...server, ...rest])
      await create("one", "--access-key", endpoint.accessKey, "--secret-key-file", one)
      await create("both", "--secret-key-file", both)
      assert.include((await create("none")).text, "its keys are not kept")
      for (const id of ["one", "both"]) await succeed(["s3", "buckets", id, ...config])
      assertFails(await run(["s3", "buckets", "none", ...config]), 2, /access-key: expected the access key/)
      await succeed(["s3", "buckets", "none", ...config], { environment: keysOf(endpoint) })
    }
  )

  withScene("refuses what could not be used", async ({ run }) => {
    const create = (...args: ReadonlyArray<string>) => run(["s3", "endpoint", "create", ...args])
    assertFails(await create("a/b", "--endpoint", "a.example"), 1, /"a\/b": this is no name/)
    assertFails(await create("name"), 2, /setting endpoint: expected/)
    assertFails(await create("name", "--endpoint", "http://a.example"), 2, /expected https.*insecure-http/)
    assertFails(await create("name", "--endpoint", "a.example", "--port", "x"), 2, /port "x"/)
    assertFails(await run(["s3", "endpoint", "update", "name"]), 2, /nothing to change/)
  })
})

describe("granary s3 buckets", () => {
  withScene(
    "lists them, for a server with a name and for one that is told in full",
    async ({ createEndpoint, document, endpoint, succeed }) => {
      await createEndpoint()
      const expected = [{ name: "test-bucket", created: 0 }]
      assert.deepStrictEqual(await document(["s3", "buckets", "minio"]), expected)
      assert.deepStrictEqual(await document(["s3", "buckets", "any", ...tell(endpoint)]), expected)
      assert.match((await succeed(["s3", "buckets", "minio"])).text, /^bucket +created\ntest-bucket /)
    }
  )
})

describe("granary s3 check", () => {
  withScene(
    "finds a good server good, and leaves nothing",
    async ({ createEndpoint, document, endpoint, succeed }) => {
      await createEndpoint()
      const findings = await document<ReadonlyArray<Finding>>(["s3", "check", "minio/test-bucket"])
      assert.deepStrictEqual(
        findings.map(({ check }) => check),
        s3Checks
      )
      assert.deepStrictEqual(
        findings.filter(({ ok }) => !ok),
        []
      )
      assert.deepStrictEqual(endpoint.memory.keys(), [])
      const { errors, text } = await succeed(["s3", "endpoint", "check", "-r", "s3:minio/test-bucket/store"])
      assert.match(text, /conditional put +ok +what is there is never overwritten/)
      assert.match(text, /latency +ok +write [\d.]+ ms \(worst [\d.]+ ms\), read .*, list /)
      assert.match(text, /throughput +ok +[\d.]+ [KMG]iB\/s up, [\d.]+ [KMG]iB\/s down/)
      assert.match(
        errors,
        /^s3: [\d,]+ requests \(\d+ put, \d+ get, \d+ list, \d+ delete\), .* sent, .* received\n$/
      )
      assert.isTrue(endpoint.served.some(({ key }) => key.startsWith("store/.granary-probe/")))
      assert.deepStrictEqual(endpoint.memory.keys(), [])
    }
  )

  withScene(
    "finds a bad one bad",
    async ({ createEndpoint, endpoint, run }) => {
      await createEndpoint()
      const ended = await run(["s3", "check", "minio/test-bucket", "--output", "json"])
      assert.strictEqual(ended.code, 1)
      const findings: ReadonlyArray<Finding> = JSON.parse(ended.text)
      assert.deepStrictEqual(
        findings.filter(({ ok }) => !ok).map(({ check }) => check),
        ["conditional put", "batch delete", "clock skew"]
      )
      const [usage, error] = ended.errors
        .trim()
        .split("\n")
        .map((line): unknown => JSON.parse(line))
      assert.deepInclude(usage, { type: "s3-usage" })
      assert.nestedInclude(error, { "error.tag": "CommandFailed" })
      assert.match(
        JSON.stringify(error),
        /not safe in this bucket: conditional put, batch delete, clock skew/
      )
      assert.deepStrictEqual(endpoint.memory.keys(), [])
    },
    { quirks: { conditionalPut: "ignored", batchDelete: "unsupported", clockSkewSeconds: 400 } }
  )

  withScene("tells which step fails first", async ({ createEndpoint, endpoint, run }) => {
    await createEndpoint()
    const check = async (place: string, ...args: ReadonlyArray<string>) => {
      const ended = await run(["s3", "check", place, "--output", "json", ...args])
      assert.strictEqual(ended.code, 1, ended.errors)
      assert.match(ended.errors, /the bucket could not be checked: (connection|credentials|bucket)"/)
      const findings: ReadonlyArray<Finding> = JSON.parse(ended.text)
      const last = findings.at(-1)
      assert.deepStrictEqual(
        findings.filter(({ ok }) => !ok),
        last === undefined ? [] : [last]
      )
      assert.deepStrictEqual(
        findings.map(({ check }) => check),
        s3Checks.slice(0, findings.length)
      )
      return `${last?.check}: ${last?.detail}`
    }
    assert.match(
      await check("minio/test-bucket", "--s3-secret-key", "wrong"),
      /^credentials: .*does not accept the keys/
    )
    assert.match(
      await check("minio/test-bucket", "--s3-access-key", "wrong"),
      /^credentials: .*does not accept the keys/
    )
    assert.match(await check("minio/another"), /^bucket: .*no such bucket/)
    assert.match(await check("minio/test-bucket", "--s3-region", "eu-central-1"), /^bucket: .*another region/)
    const closed = ["--s3-endpoint", "http://127.0.0.1:1"]
    assert.match(await check("minio/test-bucket", ...closed), /^connection: .*no connection/)
    assert.notInclude(JSON.stringify(endpoint.served), "PutObject")
  })
})

describe("an S3 server that cannot be used", () => {
  withScene("is told in one line", async ({ createEndpoint, run }) => {
    await createEndpoint()
    const buckets = (...args: ReadonlyArray<string>) => run(["s3", "buckets", "minio", ...args])
    assertFails(
      await buckets("--s3-secret-key", "wrong"),
      1,
      /cannot list all buckets: .*not accept the keys/
    )
    assertFails(await buckets("--s3-region", "eu-central-1"), 1, /another region/)
    assertFails(await buckets("--s3-endpoint", "http://192.0.2.1"), 2, /expected https/)
    assertFails(
      await run(["s3", "buckets", "other"]),
      1,
      /other: there is no such endpoint in .*granary s3 endpoint create/
    )
    assertFails(await run(["s3", "check"]), 2, /no bucket was named/)
    assertFails(await run(["s3", "check", "minio"]), 2, /bad bucket "minio"/)
  })

  it.live("when it is a proxy that answers with a page", () =>
    Effect.gen(function* () {
      const { run } = yield* start()
      const page = {
        status: 200,
        headers: { "content-type": "text/html" },
        body: "<html>Please log in</html>"
      }
      const proxy = yield* AnsweringServer.start(AnsweringServer.saying(page))
      const url = `http://127.0.0.1:${proxy.port}`
      const told = ["--s3-endpoint", url, "--s3-path-style", "--s3-access-key", "a", "--s3-secret-key", "b"]
      const buckets = yield* Effect.promise(() => run(["s3", "buckets", "any", ...told]))
      assertFails(buckets, 1, /the answer is not that of an S3 server/)
      const check = yield* Effect.promise(() => run(["s3", "check", "any/bucket", ...told]))
      assert.strictEqual(check.code, 1)
      assert.match(check.text, /connection +BAD +.*not that of an S3 server/)
    })
  )
})
