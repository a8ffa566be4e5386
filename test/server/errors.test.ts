/**
 * What is refused, and in which words: the cases that were tried against Proxmox Backup Server, with the answers it
 * gave. Where ours are others, it is said why.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as client from "./client.ts"
import * as scene from "./scene.ts"

const time = 1_750_000_000
const hello = scene.chunkOf(Buffer.from("hello world"))
const other = scene.chunkOf(Buffer.from("hello there"))
const unknown = "1".repeat(64)

type Step = readonly [method: string, path: string, asked: client.Asked, status: number, expected: unknown]

const chunkQuery = (wid: number, chunk: scene.Chunk) => ({
  wid,
  digest: chunk.digest,
  size: chunk.data.length,
  "encoded-size": chunk.blob.length
})

const withBadCrc = (blob: Uint8Array): Uint8Array => {
  const bad = Buffer.from(blob)
  bad[8] = (bad[8] ?? 0) ^ 0xff
  return bad
}

const blobQuery = (name: string, sizeBytes: number) => ({ "file-name": name, "encoded-size": sizeBytes })

const parameter = (name: string, problem: string) => `parameter verification failed - '${name}': ${problem}`

const run = async (session: client.Session, steps: ReadonlyArray<Step>): Promise<void> => {
  for (const [method, path, asked, status, expected] of steps) {
    const answer = await session.ask(method, path, asked)
    const what = `${method} ${path} ${JSON.stringify(asked.query ?? asked.json ?? {})}: ${answer.text.slice(0, 120)}`
    assert.strictEqual(answer.status, status, what)
    if (expected instanceof RegExp) assert.match(answer.text, expected, what)
    else if (status === 200) assert.deepStrictEqual(answer.data, expected, what)
    else assert.strictEqual(answer.text, expected, what)
  }
}

const index = "/dynamic_index"
const append = (
  wid: number,
  digests: ReadonlyArray<string>,
  offsets: ReadonlyArray<number>
): client.Asked => ({
  json: { wid, "digest-list": digests, "offset-list": offsets }
})
const closing = (wid: number, count: number, size: number, csum = unknown): client.Asked => ({
  query: { wid, "chunk-count": count, size, csum }
})

const kinds = ["dynamic_chunk dynamic_close dynamic_index", "finish", "fixed_chunk fixed_close fixed_index"]
const directories = `blob ${kinds.join(" ")} previous previous_backup_time speedtest`.split(" ")

const dynamicSteps: ReadonlyArray<Step> = [
  ["GET", "/previous", { query: { "archive-name": "x.didx" } }, 400, "no valid previous backup"],
  ["POST", "/finish", {}, 400, "backup does not contain valid files (file count == 0)"],
  [
    "POST",
    "/blob",
    { query: blobQuery("a.txt", 23), body: hello.blob },
    400,
    "wrong blob file extension: 'a.txt'"
  ],
  [
    "POST",
    "/blob",
    { query: blobQuery("a.blob", 22), body: hello.blob },
    400,
    "got blob with unexpected length (23 != 22)"
  ],
  [
    "POST",
    "/blob",
    { query: blobQuery("a.blob", 23), body: withBadCrc(hello.blob) },
    400,
    "Data blob has wrong CRC checksum."
  ],
  ["POST", "/blob", { query: blobQuery("a.blob", 23), body: hello.blob }, 200, null],
  ["POST", "/blob", { query: blobQuery("a.blob", 23), body: hello.blob }, 200, null],
  ["POST", index, { query: { "archive-name": "x.fidx" } }, 400, "wrong archive extension: 'x.fidx'"],
  ["POST", index, { query: { "archive-name": "r.didx" } }, 200, 1],
  ["POST", index, { json: { "archive-name": "s.didx" } }, 200, 2],
  // PBS takes a second writer of the same name; of the two the last one closed would win.
  [
    "POST",
    index,
    { query: { "archive-name": "s.didx" } },
    400,
    "archive 's.didx' is already written in this backup"
  ],
  [
    "POST",
    "/dynamic_chunk",
    { query: { ...chunkQuery(1, hello), digest: other.digest }, body: hello.blob },
    400,
    "detected chunk with wrong digest."
  ],
  [
    "POST",
    "/dynamic_chunk",
    { query: { ...chunkQuery(1, hello), size: 12 }, body: hello.blob },
    400,
    "detected chunk with wrong length (11 != 12)"
  ],
  [
    "POST",
    "/dynamic_chunk",
    { query: { ...chunkQuery(1, hello), "encoded-size": 24 }, body: hello.blob },
    400,
    "uploaded chunk has unexpected size."
  ],
  [
    "POST",
    "/dynamic_chunk",
    { query: { ...chunkQuery(1, hello), "encoded-size": 22 }, body: hello.blob },
    400,
    "uploaded chunk is larger than announced."
  ],
  [
    "POST",
    "/dynamic_chunk",
    { query: { ...chunkQuery(1, hello), digest: hello.digest.toUpperCase() }, body: hello.blob },
    400,
    parameter("digest", "value does not match the regex pattern")
  ],
  [
    "POST",
    "/dynamic_chunk",
    { query: chunkQuery(77, hello), body: hello.blob },
    400,
    "dynamic writer '77' not registered"
  ],
  ["PUT", index, append(1, [unknown], [0]), 400, `no such chunk ${unknown}`],
  // Stored above, but with no writer: not known.
  ["PUT", index, append(1, [hello.digest], [0]), 400, `no such chunk ${hello.digest}`],
  [
    "POST",
    "/dynamic_chunk",
    { query: chunkQuery(1, hello), body: withBadCrc(hello.blob) },
    200,
    hello.digest
  ],
  [
    "PUT",
    index,
    append(1, [hello.digest], [5]),
    400,
    "dynamic writer 'r.didx' append chunk failed - got strange chunk offset (0 != 5)"
  ],
  ["PUT", index, append(1, [hello.digest], []), 400, "offset list has wrong length (0 != 1)"],
  ["PUT", index, append(1, [hello.digest], [0]), 200, null],
  ["PUT", index, { query: { wid: 1, "digest-list": hello.digest, "offset-list": 11 } }, 200, null],
  ["POST", "/finish", {}, 400, "found open index writer - unable to finish backup"],
  [
    "POST",
    "/dynamic_close",
    closing(1, 9, 22),
    400,
    "dynamic writer 'r.didx' close failed - unexpected chunk count (2 != 9)"
  ],
  [
    "POST",
    "/dynamic_close",
    closing(1, 2, 22),
    400,
    "dynamic writer 'r.didx' close failed - got unexpected checksum"
  ],
  [
    "POST",
    "/dynamic_close",
    closing(1, 2, 22, scene.indexSum("dynamic", [hello, hello])),
    400,
    "dynamic writer 'r.didx' close failed - already closed"
  ],
  ["GET", "/nope", {}, 404, "Path '/nope' not found."],
  ["GET", "/finish", {}, 404, "Path '/finish' not found."],
  ["GET", "/", {}, 200, directories.map((subdir) => ({ subdir }))],
  [
    "PUT",
    index,
    { body: "x", headers: { "content-type": "text/plain" } },
    400,
    'unsupported content type Ok("text/plain")'
  ],
  ["PUT", index, { json: { wid: 2, filler: "x".repeat(600_000) } }, 400, "Request body too large"]
]

const fixedChunk = scene.chunkOf(scene.content(1, 4_194_304))

const fixedSteps: ReadonlyArray<Step> = [
  [
    "POST",
    "/fixed_index",
    { query: { "archive-name": "a.fidx", size: 10, "reuse-csum": unknown } },
    400,
    "cannot reuse index - no valid previous backup exists"
  ],
  ["POST", "/fixed_index", { query: { "archive-name": "a.fidx", size: 2 ** 52 } }, 200, 1],
  ["POST", "/fixed_index", { query: { "archive-name": "b.fidx" } }, 200, 2],
  [
    "POST",
    "/fixed_chunk",
    { query: chunkQuery(1, fixedChunk), body: fixedChunk.blob },
    200,
    fixedChunk.digest
  ],
  ["PUT", "/fixed_index", append(1, [fixedChunk.digest], [8_388_608]), 200, null],
  ["PUT", "/fixed_index", append(1, [fixedChunk.digest], [100]), 400, "got unaligned chunk (pos = 100)"],
  ["PUT", "/fixed_index", append(1, [fixedChunk.digest], [8_388_608]), 200, null],
  ["POST", "/fixed_chunk", { query: chunkQuery(2, hello), body: hello.blob }, 200, hello.digest],
  [
    "POST",
    "/fixed_chunk",
    { query: chunkQuery(2, other), body: other.blob },
    400,
    "fixed writer '2' - detected multiple end chunks (chunk size too small)"
  ],
  ["PUT", "/fixed_index", append(1, [hello.digest], [0]), 400, "chunk with unexpected length (11 != 4194304"],
  ["PUT", "/fixed_index", append(3, [hello.digest], [0]), 400, "fixed writer '3' not registered"],
  ["PUT", "/dynamic_index", append(1, [hello.digest], [0]), 400, "dynamic writer '1' not registered"],
  ["POST", "/fixed_close", closing(1, 2, 2 ** 52), 400, /close failed - unexpected chunk count/],
  ["PUT", "/fixed_index", append(2, [hello.digest], [0]), 200, null],
  ["POST", "/fixed_close", closing(2, 1, 11, scene.indexSum("fixed", [hello])), 200, null],
  ["POST", "/speedtest", { body: scene.content(2, 3_000_000) }, 200, null]
]

const live = (title: string, test: (scene: scene.Scene) => Promise<void>) =>
  it.live(title, () => Effect.flatMap(scene.make, (made) => Effect.promise(() => test(made))))

describe.concurrent("what is refused", () => {
  live("in a backup session, and the session goes on", async (made) => {
    const session = await scene.openSession(made, "backup", scene.snapshotQuery("neg", time))
    await run(session, dynamicSteps)
    await session.close()
    const second = await scene.openSession(made, "backup", scene.snapshotQuery("fix", time))
    await run(second, fixedSteps)
    await second.close()
  })

  live("when a backup is finished", async (made) => {
    const archive = { name: "r.didx", chunks: [hello] }
    const session = await scene.openSession(made, "backup", scene.snapshotQuery("fin", time))
    for (const request of scene.archiveRequests(archive, 1)) await scene.good(session.ask(...request))
    const wrongTime = scene.manifestRequest(scene.manifestOf("fin", time + 1, [archive]))
    assert.match((await session.ask(...wrongTime)).text, /this manifest belongs to host\/fin\//)
    const right = scene.manifestOf("fin", time, [archive])
    await scene.good(session.ask(...scene.manifestRequest(right)))
    await run(session, [
      ["POST", "/finish", {}, 200, null],
      ["POST", "/finish", {}, 400, "backup already marked as finished."],
      // PBS takes blobs after the end as well.
      [
        "POST",
        "/blob",
        { query: blobQuery("a.blob", 23), body: hello.blob },
        400,
        "backup already marked as finished."
      ]
    ])
    await session.cut()
    const listed = await client.ask(made.port, "/api2/json/admin/datastore/store1/snapshots", {
      headers: made.admin
    })
    assert.lengthOf(listed.data as ReadonlyArray<unknown>, 1)
    const next = await scene.openSession(made, "backup", scene.snapshotQuery("fin", time + 10))
    await run(next, [
      [
        "GET",
        "/previous",
        { query: { "archive-name": "zz.img.fidx" } },
        400,
        /^Unable to open fixed index .*No such file/
      ],
      [
        "GET",
        "/previous",
        { query: { "archive-name": "zz.blob" } },
        404,
        /^open file .* failed - not found$/
      ],
      ["GET", "/previous", { query: { "archive-name": "owner" } }, 400, 'unknown archive type: "owner"'],
      ["POST", "/blob", { query: blobQuery("a.blob", 23), body: hello.blob }, 200, null],
      ["POST", "/finish", {}, 400, /^unable to update manifest blob/]
    ])
    await next.close()
  })

  live("when the manifest names what did not come", async (made) => {
    const session = await scene.openSession(made, "backup", scene.snapshotQuery("lie", time))
    const archive = { name: "r.didx", chunks: [hello] }
    await scene.good(session.ask("POST", "/blob", { query: blobQuery("a.blob", 23), body: hello.blob }))
    await scene.good(session.ask(...scene.manifestRequest(scene.manifestOf("lie", time, [archive]))))
    await run(session, [
      ["POST", "/finish", {}, 400, "the manifest names 'r.didx', which was not uploaded in this backup"],
      ["POST", "/finish", {}, 400, "backup already marked as finished."]
    ])
    await session.close()
    await scene.eventually(() => scene.namesIn(made.base, "host/lie") === undefined, "the removal")
  })

  live("in a reader session", async (made) => {
    await scene.backUp(made, "t1", time)
    const session = await scene.openSession(made, "reader", scene.snapshotQuery("t1", time))
    const [archive] = scene.sampleArchives()
    const digest = archive?.chunks[0]?.digest ?? ""
    const started = performance.now()
    await run(session, [
      ["GET", "/chunk", { query: { digest } }, 401, `download chunk ${digest} not allowed`],
      [
        "GET",
        "/download",
        { query: { "file-name": "client.log.blob" } },
        404,
        /^open file .* failed - not found$/
      ],
      ["GET", "/download", { query: { "file-name": "x.img.fidx" } }, 400, /^Unable to open fixed index/],
      ["GET", "/download", { query: { "file-name": "owner" } }, 400, 'unknown archive type: "owner"'],
      [
        "GET",
        "/download",
        { query: { "file-name": "../owner.blob" } },
        400,
        parameter("file-name", "value does not match the regex pattern")
      ]
    ])
    assert.isAtLeast(performance.now() - started, 2900, "a guess is held back")
    await session.close()
  })
})

describe.concurrent("an upgrade", () => {
  live("is refused in the order in which PBS refuses it", async (made) => {
    const query = scene.snapshotQuery("t1", time)
    const refused = async (path: string, opening: client.Opening) => {
      const opened = await client.upgrade(made.port, path, { headers: made.admin, ...opening })
      if (scene.isSession(opened)) return assert.fail("it was granted")
      return [opened.status, opened.text] as const
    }
    const backup = "//api2/json/backup"
    assert.deepStrictEqual(await refused(backup, { query: { ...query, store: "nostore" } }), [
      400,
      "no such datastore 'nostore'"
    ])
    const missing = ["backup-id", "backup-time", "backup-type"].map(
      (name) => `\n- '${name}': parameter is missing and it is not optional.`
    )
    assert.deepStrictEqual(await refused(backup, { query: { store: "store1" } }), [
      400,
      `parameter verification failed:${missing.join("")}`
    ])
    assert.deepStrictEqual(await refused(backup, { query, protocol: "websocket" }), [
      400,
      "invalid protocol name"
    ])
    assert.deepStrictEqual(await refused(backup, { query: { ...query, foo: 1 } }), [
      400,
      parameter("foo", "schema does not allow additional properties.")
    ])
    assert.deepStrictEqual(await refused(backup, { query: { ...query, "backup-type": "xx" } }), [
      400,
      parameter("backup-type", "value 'xx' is not defined in the enumeration.")
    ])
    assert.deepStrictEqual(await refused(backup, { query: { ...query, benchmark: true } }), [
      400,
      "benchmark flags is only allowed on 'host/benchmark'"
    ])
    assert.deepStrictEqual(await refused("/api2/json/version", { query: {} }), [
      404,
      "Path '/api2/json/version' not found."
    ])
    const plain = await client.ask(made.port, "/api2/json/backup", { headers: made.admin, query })
    assert.deepStrictEqual([plain.status, plain.text], [400, "missing Upgrade header"])
    await scene.backUp(made, "t1", time)
    assert.deepStrictEqual(await refused(backup, { query }), [
      400,
      "backup timestamp is older than last backup."
    ])
    assert.deepStrictEqual(
      await refused("/api2/json/reader", { query: scene.snapshotQuery("t1", time + 1) }),
      [400, "snapshot host/t1/2025-06-15T15:06:41Z does not exist."]
    )
  })

  live("of a benchmark leaves nothing", async (made) => {
    const query = { ...scene.snapshotQuery("benchmark", time), benchmark: true }
    const session = await scene.openSession(made, "backup", query)
    await scene.good(session.ask("POST", "/speedtest", { body: scene.content(1, 1_000_000) }))
    await session.close()
    await scene.eventually(() => scene.namesIn(made.base, "host/benchmark") === undefined, "the removal")
  })
})
