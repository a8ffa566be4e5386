/**
 * Clients that mean no good, or know no better: whatever they send, the server answers or hangs up soon, and others'
 * sessions go on.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as tls from "node:tls"
import * as client from "./client.ts"
import * as scene from "./scene.ts"

const time = 1_750_000_000

/** Sends bytes over TLS; answers what came back at once, or nothing when nothing comes. */
const send = async (port: number, bytes: Uint8Array | string, waitMillis = 300): Promise<string> =>
  await new Promise((resolve) => {
    const pieces: Array<Buffer> = []
    const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () =>
      socket.write(bytes)
    )
    const end = (): void => {
      socket.destroy()
      resolve(Buffer.concat(pieces).toString("latin1"))
    }
    socket.on("data", (piece: Buffer) => {
      pieces.push(piece)
      setTimeout(end, 50)
    })
    socket.on("close", end)
    socket.on("error", end)
    setTimeout(end, waitMillis)
  })

const live = (title: string, test: (scene: scene.Scene) => Promise<void>) =>
  it.live(title, () => Effect.flatMap(scene.make, (made) => Effect.promise(() => test(made))))

const anyText = fc.oneof(
  fc.string({ maxLength: 60, unit: "binary" }),
  fc.constantFrom(
    "",
    "0",
    "-1",
    "9007199254740993",
    "1e99",
    "../..",
    "\u0000",
    "%00",
    "a".repeat(300),
    "true",
    "[]"
  )
)

const names = [
  "archive-name",
  "backup-id",
  "backup-time",
  "backup-type",
  "chunk-count",
  "csum",
  "digest",
  "digest-list",
  "encoded-size",
  "file-name",
  "ns",
  "offset-list",
  "size",
  "store",
  "wid"
]

const anyQuery = fc.dictionary(fc.constantFrom(...names), anyText, { maxKeys: 6 })

const calls: ReadonlyArray<readonly [string, string]> = [
  ["GET", "/previous"],
  ["POST", "/blob"],
  ["POST", "/dynamic_index"],
  ["PUT", "/dynamic_index"],
  ["POST", "/dynamic_chunk"],
  ["POST", "/dynamic_close"],
  ["POST", "/fixed_index"],
  ["PUT", "/fixed_index"],
  ["POST", "/fixed_chunk"],
  ["POST", "/fixed_close"]
]

describe.concurrent("hostile clients", () => {
  live("get an answer for every call with any parameters and any body", async (made) => {
    const session = await scene.openSession(made, "backup", scene.snapshotQuery("fuzz", time))
    const anyBody = fc.oneof(
      fc.record({ json: fc.jsonValue() }),
      fc.record({ body: fc.uint8Array({ maxLength: 400 }) }),
      fc.constant({})
    )
    const property = fc.asyncProperty(
      fc.constantFrom(...calls),
      anyQuery,
      anyBody,
      async ([method, path], query, body) => {
        const answer = await session.ask(method, path, { query, ...body })
        assert.include([200, 400, 404, 414], answer.status, `${method} ${path}: ${answer.text}`)
      }
    )
    await fc.assert(property, { numRuns: 80 })
    assert.strictEqual(await scene.good(session.ask("GET", "/previous_backup_time")), null)
    await session.close()
  })

  live("get an answer for every path and every header of HTTP/1.1", async (made) => {
    const property = fc.asyncProperty(anyText, anyQuery, fc.jsonValue(), async (path, query, json) => {
      const target = `/api2/json/admin/datastore/store1/${encodeURIComponent(path.isWellFormed() ? path : "x")}`
      const answer = await client.ask(made.port, target, { method: "POST", headers: made.admin, query, json })
      assert.include([200, 400, 404, 414, 431], answer.status, answer.text)
    })
    await fc.assert(property, { numRuns: 15 })
    for (const bytes of [
      "GET / HTTP/1.1\r\n\r\n",
      "\u0000\u0001\u0002",
      `GET / HTTP/1.1\r\nhost: x\r\n${"x: y\r\n".repeat(5000)}\r\n`,
      "POST /api2/json/access/ticket HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n",
      "GET /api2/json/backup HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n",
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    ]) {
      assert.notInclude(await send(made.port, bytes), "HTTP/1.1 2")
    }
    assert.strictEqual(
      (await client.ask(made.port, "/api2/json/version", { headers: made.admin })).status,
      200
    )
  })

  live("cannot disturb the sessions of others by breaking HTTP/2", async (made) => {
    const good = await scene.openSession(made, "backup", scene.snapshotQuery("good", time))
    await scene.backUp(made, "base", time, [
      { name: "a.didx", chunks: [scene.chunkOf(scene.content(1, 100))] }
    ])
    const query = `store=store1&backup-type=host&backup-id=base&backup-time=${time}`
    const opening = [
      `GET /api2/json/reader?${query} HTTP/1.1`,
      "host: x",
      `authorization: ${made.admin["authorization"]}`,
      "connection: upgrade",
      "upgrade: proxmox-backup-reader-protocol-v1"
    ]
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    const anyStart = fc.constantFrom("", preface, `${preface}\0\0\0\x04\0\0\0\0\0`)
    const anyBytes = fc.uint8Array({ minLength: 1, maxLength: 200 })
    const property = fc.asyncProperty(anyStart, anyBytes, async (start, bytes) => {
      const head = Buffer.from(`${opening.join("\r\n")}\r\n\r\n${start}`, "latin1")
      assert.include(await send(made.port, Buffer.concat([head, bytes]), 10_000), "HTTP/1.1 101")
    })
    await fc.assert(property, { numRuns: 10 })
    assert.strictEqual(await scene.good(good.ask("GET", "/previous_backup_time")), null)
    await good.close()
  })

  live("wait with what is more than fits, and get it all stored in the end", async (made) => {
    const session = await scene.openSession(made, "backup", scene.snapshotQuery("wide", time))
    await scene.good(session.ask("POST", "/dynamic_index", { query: { "archive-name": "a.didx" } }))
    // They claim 16 MiB each, so that hardly any two fit at once.
    const uploads = Array.from({ length: 20 }, (_, number) => {
      const chunk = scene.chunkOf(scene.content(number, 1000))
      const query = { wid: 1, digest: chunk.digest, size: 16 * 1024 * 1024, "encoded-size": 16 * 1024 * 1024 }
      return session.ask("POST", "/dynamic_chunk", { query, body: chunk.blob })
    })
    const answers = await Promise.all(uploads)
    assert.isTrue(answers.every(({ text }) => text === "uploaded chunk has unexpected size."))
    await session.close()
  })
})

describe("the end of a server", () => {
  it.live("cuts sessions after their time, and undoes what they had begun", () =>
    Effect.gen(function* () {
      const { base, session } = yield* Effect.scoped(
        Effect.gen(function* () {
          const made = yield* scene.make
          const opened = yield* Effect.promise(() =>
            scene.openSession(made, "backup", scene.snapshotQuery("late", time))
          )
          yield* Effect.promise(() =>
            scene.good(opened.ask("POST", "/dynamic_index", { query: { "archive-name": "a.didx" } }))
          )
          assert.isDefined(scene.namesIn(made.base, "host/late/2025-06-15T15:06:40Z"))
          return { base: made.base, session: opened }
        })
      )
      assert.isUndefined(scene.namesIn(base, "host/late"))
      yield* Effect.promise(() => scene.eventually(() => session.socket.destroyed, "the connection's end"))
    })
  )
})
