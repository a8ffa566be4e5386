/** A server that lies, breaks off or is none at all: the client says what is wrong, and never takes it for content. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { hash } from "node:crypto"
import * as http2 from "node:http2"
import * as DataBlob from "../../src/format/DataBlob.ts"
import * as FixedIndex from "../../src/format/FixedIndex.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Namespace from "../../src/model/Namespace.ts"
import type * as Remote from "../../src/remote/Remote.ts"
import * as RemoteReading from "../../src/remote/RemoteReading.ts"
import { platform } from "../store/stores.ts"
import { type Asked, type Behaviour, clientOf, json, type Reply } from "./lyingServer.ts"
import { image, snapshot, time } from "./reading.ts"

const answering = (reply: Reply): Behaviour => ({ rest: () => reply })

const failureOf = (
  behaviour: Behaviour,
  run: (remote: Remote.Remote) => Effect.Effect<unknown, unknown, Scope.Scope>
) => Effect.flatMap(clientOf(behaviour), (remote) => Effect.flip(run(remote)))

const version = (remote: Remote.Remote) => remote.call("GET", "/version")

const reasons: ReadonlyArray<readonly [title: string, reply: Reply, reason: string, text: string]> = [
  ["a web page", { type: "text/html", body: "<html>hello</html>" }, "BadAnswer", "web page"],
  ["a web page that says it is JSON", { body: "<!doctype html>" }, "BadAnswer", "web page"],
  ["a page about an error", { status: 404, type: "text/html", body: "<h1>no</h1>" }, "BadAnswer", "404"],
  ["what is no JSON", { body: "{" }, "BadAnswer", "no JSON"],
  ["JSON without data", { body: "{}" }, "BadAnswer", "no data"],
  ["a redirect", { status: 301, headers: { location: "https://elsewhere" } }, "BadAnswer", "301"],
  ["an answer that breaks off", { body: "{", breaks: true }, "Disconnected", "broke"],
  ["a refusal", { status: 403, body: "permission check failed" }, "Refused", "permission check failed"],
  ["a refused login", { status: 401, body: "authentication failed" }, "Login", "authentication failed"],
  ["what is not there", { status: 404, body: "Path not found." }, "Missing", "Path not found."],
  ["a lock", { status: 400, body: "unable to acquire lock" }, "Busy", "unable to acquire lock"],
  ["a gateway in trouble", { status: 502, type: "text/html", body: "<html>" }, "Busy", "502"],
  [
    "control characters",
    { status: 400, body: `one\u001b[31m\ntwo ${"x".repeat(1000)}` },
    "Refused",
    "one [31m two xxx"
  ]
]

describe("a call that is answered with", () => {
  it.live.each(reasons)("%s", ([, reply, reason, text]) =>
    Effect.gen(function* () {
      const error = yield* failureOf(answering(reply), (remote) => remote.call("POST", "/version"))
      assert.deepInclude(error, { _tag: "RemoteError", reason })
      const { message } = error as Error
      assert.include(message, text)
      assert.isBelow(message.length, 400)
      assert.notMatch(message, /\p{Cc}/u)
    })
  )

  it.live("an endless answer, within its bound and in its time", () =>
    Effect.gen(function* () {
      const behaviour = answering({ goesOn: true })
      const error = yield* failureOf(behaviour, (remote) => remote.bytes("/x", {}, 1_000_000))
      assert.deepInclude(error, { reason: "TooLarge" })
    })
  )

  it.live("trouble that passes is asked again, a change is not", () =>
    Effect.gen(function* () {
      let count = 0
      const flaky = (): Reply => ((count += 1) < 3 ? { status: 503, body: "later" } : json("here"))
      const remote = yield* clientOf({ rest: flaky })
      assert.strictEqual(yield* version(remote), "here")
      count = 0
      const error = yield* Effect.flip(remote.call("DELETE", "/x"))
      assert.deepInclude(error, { reason: "Busy" })
      assert.strictEqual(count, 1)
    })
  )
})

describe("a password", () => {
  const tickets = () => {
    const asked: Array<Asked> = []
    let number = 0
    const rest = (request: Asked): Reply => {
      asked.push(request)
      if (request.target === "/access/ticket") {
        number += 1
        return json({
          username: "root@pam",
          ticket: `PBS:root@pam:${number}`,
          CSRFPreventionToken: `c${number}`
        })
      }
      // The first ticket is not taken.
      const isOld = String(request.headers["cookie"]).endsWith(":1")
      return isOld ? { status: 401, body: "invalid ticket" } : json("here")
    }
    return { asked, rest }
  }

  it.live("becomes a ticket, and a new one when that is not taken any more", () =>
    Effect.gen(function* () {
      const { asked, rest } = tickets()
      const remote = yield* clientOf({ rest }, "root@pam")
      assert.strictEqual(yield* remote.call("DELETE", "/x"), "here")
      assert.strictEqual(yield* version(remote), "here")
      const logins = asked.filter(({ target }) => target === "/access/ticket")
      assert.deepStrictEqual(
        logins.map(({ body }) => JSON.parse(body)),
        [1, 2].map(() => ({ username: "root@pam", password: "the secret" }))
      )
      const last = asked.at(-1)
      assert.include(last?.headers, { cookie: "PBSAuthCookie=PBS:root@pam:2", csrfpreventiontoken: "c2" })
    })
  )

  it.live("needs no second factor", () =>
    Effect.gen(function* () {
      const challenge = json({ ticket: "PBS:!tfa!x", CSRFPreventionToken: "invalid" })
      const remote = yield* clientOf(answering(challenge), "root@pam")
      const error = yield* Effect.flip(version(remote))
      assert.strictEqual(error.reason, "Login")
      assert.include(error.hint, "API token")
    })
  )

  it.live("is not sent where a ticket could not be a header", () =>
    Effect.gen(function* () {
      const bad = json({ ticket: "a\r\nx: y", CSRFPreventionToken: "c" })
      const remote = yield* clientOf(answering(bad), "root@pam")
      assert.strictEqual((yield* Effect.flip(version(remote))).reason, "BadAnswer")
    })
  )

  it.live("of a token is escaped as its header wants it", () =>
    Effect.gen(function* () {
      let header: unknown
      const rest = ({ headers }: Asked): Reply => {
        header = headers["authorization"]
        return json(1)
      }
      yield* version(yield* clientOf({ rest }))
      assert.strictEqual(header, "PBSAPIToken root@pam!t:the%20secret")
    })
  )
})

const content = Buffer.from("what the chunk holds")
const digest = Digest.parse(hash("sha256", content, "hex"))
const index = FixedIndex.encode({
  uuid: new Uint8Array(16),
  ctime: time,
  sizeBytes: content.length,
  entries: [digest]
}).bytes

const listings = ({ target }: Asked): Reply => {
  if (target.includes("/namespace")) return json([{ ns: "" }, { ns: "../etc" }, 7, { ns: "a/b" }])
  const group = { "backup-type": "host", "backup-id": "a" }
  if (target.includes("/groups")) {
    return json([{ ...group, owner: "root@pam" }, { "backup-type": "host", "backup-id": "../x" }, null])
  }
  const files = [{ filename: image.file, size: 20 }, { filename: 3 }]
  return json([
    { ...group, "backup-time": time, files },
    { ...group, "backup-time": -5, files: [] }
  ])
}

/** A datastore whose index is fine, and whose chunks are answered like this. */
const withChunks = (title: string, reply: () => Reply, test: (outcome: unknown) => void): void =>
  it.live(title, () =>
    Effect.gen(function* () {
      const stream = (target: string): Reply => (target.startsWith("/chunk") ? reply() : { body: index })
      const remote = yield* clientOf({ rest: listings, stream })
      const store = yield* Effect.provide(RemoteReading.open(remote), platform)
      yield* store.snapshotFiles.index(Namespace.root, snapshot, image)
      const chunk = { digest, sizeBytes: content.length, crypt: undefined }
      test(yield* Effect.result(store.chunks.read(chunk)))
    })
  )

const failed = (fields: Readonly<Record<string, unknown>>) => (outcome: unknown) =>
  assert.deepInclude((outcome as { readonly failure: object }).failure, fields)

describe("a chunk for which comes", () => {
  withChunks(
    "its content",
    () => ({ body: DataBlob.encode(content, { compress: false }) }),
    (outcome) => assert.deepStrictEqual(Buffer.from((outcome as { success: Uint8Array }).success), content)
  )

  withChunks(
    "another content",
    () => ({ body: DataBlob.encode(Buffer.from("something of this size!"), { compress: false }) }),
    failed({ _tag: "ChunkError", reason: "Corrupt" })
  )

  withChunks(
    "a page",
    () => ({ body: "<html>sorry</html>" }),
    failed({ _tag: "ChunkError", reason: "Corrupt" })
  )
  withChunks("no end", () => ({ goesOn: true }), failed({ _tag: "ChunkError", reason: "Corrupt" }))

  withChunks(
    "word that it is not there",
    () => ({ status: 404, body: "open file failed - not found" }),
    failed({ _tag: "ChunkError", reason: "Missing" })
  )

  withChunks(
    "word that it may not be had",
    () => ({ status: 401, body: "download chunk not allowed" }),
    failed({ _tag: "FilesError", reason: "PermissionDenied" })
  )

  withChunks(
    "half of it, and then nothing",
    () => ({ body: "x", breaks: true }),
    failed({ _tag: "FilesError", reason: "Io" })
  )
})

describe("a session", () => {
  const hanging = (paths: Array<string>, codes: Array<number> = []): Behaviour => ({
    rest: () => json(null),
    onClosed: (code) => codes.push(code),
    stream: (target) => {
      paths.push(target)
      return target === "/now" ? { body: "here" } : { hangs: true }
    }
  })

  it.live("resets what is interrupted, and goes on", () =>
    Effect.gen(function* () {
      const codes: Array<number> = []
      const remote = yield* clientOf(hanging([], codes))
      const session = yield* remote.begin("reader", {})
      yield* Effect.timeoutOption(session.bytes("/never", {}, 10), 100)
      assert.strictEqual(Buffer.from(yield* session.bytes("/now", {}, 10)).toString(), "here")
      assert.deepStrictEqual(codes.slice(0, 1), [http2.constants.NGHTTP2_CANCEL])
    })
  )

  const codes = [http2.constants.NGHTTP2_CANCEL, http2.constants.NGHTTP2_INTERNAL_ERROR] as const

  it.live.each(codes)("never takes a stream that was reset for a whole one (code %d)", (resets) =>
    Effect.gen(function* () {
      const remote = yield* clientOf({
        rest: () => json(null),
        stream: (target) => (target === "/half" ? { body: "half", resets } : { body: "here" })
      })
      const session = yield* remote.begin("reader", {})
      const error = yield* Effect.flip(session.bytes("/half", {}, 100))
      assert.strictEqual(error.reason, "Disconnected")
      assert.strictEqual(Buffer.from(yield* session.bytes("/now", {}, 10)).toString(), "here")
    })
  )

  it.live("has 80 calls under way, and fails all when its connection breaks", () =>
    Effect.gen(function* () {
      const paths: Array<string> = []
      const remote = yield* clientOf(hanging(paths))
      const own = yield* Scope.make()
      const session = yield* Scope.provide(remote.begin("backup", {}), own)
      const calls = Array.from({ length: 100 }, () => Effect.flip(session.call("GET", "/never", {})))
      const all = yield* Effect.forkChild(Effect.all(calls, { concurrency: "unbounded" }))
      yield* Effect.sleep(200)
      assert.lengthOf(paths, 80)
      yield* Scope.close(own, Exit.void)
      for (const { reason } of yield* Fiber.join(all)) assert.strictEqual(reason, "Disconnected")
      assert.isFalse(yield* session.isOpen)
    })
  )
})

describe("a listing with", () => {
  it.live("names that break the rules shows the others", () =>
    Effect.gen(function* () {
      const remote = yield* clientOf({ rest: listings })
      const store = yield* Effect.provide(RemoteReading.open(remote), platform)
      const found = yield* store.hierarchy.namespaces(Namespace.root)
      assert.deepStrictEqual([...found], ["", "a", "a/b"])
      const groups = yield* store.hierarchy.groups(Namespace.root)
      assert.deepStrictEqual(groups, [snapshot.group])
      const [only, ...more] = yield* store.hierarchy.snapshots(Namespace.root, snapshot.group)
      assert.deepStrictEqual([only?.files, only?.finished, more], [[image.file], false, []])
    })
  )

  it.live("something else in its place is no list", () =>
    Effect.gen(function* () {
      const remote = yield* clientOf(answering(json({ a: 1 })))
      const error = yield* Effect.flip(Effect.provide(RemoteReading.open(remote), platform))
      assert.include(error.message, "no list")
    })
  )
})
