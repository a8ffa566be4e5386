/** What the server does not do: change anything, leave the tree, listen to strangers, fall over. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as Listen from "../../src/webdav/Listen.ts"
import * as RequestPath from "../../src/webdav/RequestPath.ts"
import * as WebDav from "../../src/webdav/WebDav.ts"
import { Vfs } from "../../src/vfs/Vfs.ts"
import { open, withServer } from "./scene.ts"
import { file, folder, link, make } from "./smallTree.ts"

const tree = folder({ "a.txt": file("content"), docs: folder({ b: file("b") }), link: link("docs/b") })

describe("methods", () => {
  const allowed = "OPTIONS, GET, HEAD, PROPFIND"

  withServer("that write are refused", tree, async ({ ask }) => {
    const writing = ["PUT", "DELETE", "MKCOL", "COPY", "MOVE", "PROPPATCH", "LOCK", "UNLOCK", "POST", "PATCH"]
    for (const method of [...writing, "TRACE", "REPORT", "SEARCH"]) {
      for (const path of ["/", "/a.txt", "/new"]) {
        const { headers, status } = await ask(path, {
          method,
          body: method === "TRACE" ? "" : "x".repeat(1000)
        })
        assert.deepStrictEqual([status, headers["allow"]], [405, allowed], `${method} ${path}`)
      }
    }
    assert.strictEqual((await ask("/a.txt")).text, "content")
  })

  withServer("are told to who asks", tree, async ({ ask }) => {
    for (const path of ["/", "/a.txt", "*", "/none"]) {
      const { headers, status } = await ask(path, { method: "OPTIONS" })
      assert.deepStrictEqual(
        [status, headers["dav"], headers["allow"], headers["ms-author-via"]],
        [200, "1", allowed, "DAV"]
      )
    }
  })

  withServer("with a body that is not wanted do not wait for it", tree, async ({ send }) => {
    const head = "PUT /a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n"
    assert.match(await send(`${head}Expect: 100-continue\r\n\r\n`), /^HTTP\/1.1 405 /)
    assert.match(await send(`${head}\r\n`), /^HTTP\/1.1 405 /)
  })
})

describe("paths", () => {
  withServer("never leave the tree", tree, async ({ ask }) => {
    const refused = [
      "/..",
      "/../etc/passwd",
      "/docs/../a.txt",
      "/docs/./b",
      "/%2e%2e/a.txt",
      "/.%2E",
      "/docs%2fb",
      "/docs%2F..%2Fa.txt",
      "/a.txt%00",
      "/%",
      "/%4",
      "/%zz",
      "/a%-1"
    ]
    for (const path of refused) {
      for (const method of ["GET", "HEAD", "PROPFIND", "OPTIONS"]) {
        const { status } = await ask(path, { method, headers: { depth: "0" } })
        assert.strictEqual(status, 400, `${method} ${path}`)
      }
    }
  })

  withServer("are found in whatever form they come", tree, async ({ ask, send }) => {
    for (const path of ["/docs/b", "//docs///b", "/docs/b?x=/../y", "/docs/%62", "/%64ocs/b"]) {
      assert.strictEqual((await ask(path)).text, "b", path)
    }
    const whole = (target: string) =>
      send(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    assert.match(await whole("http://localhost:1/docs/b"), /^HTTP\/1.1 200 [^]*\r\n\r\nb$/)
    assert.match(await whole("http://localhost/docs/../a.txt"), /^HTTP\/1.1 400 /)
    assert.match(await whole("http://localhost"), /^HTTP\/1.1 200 [^]*a\.txt/)
    for (const path of ["/a.txt/", "/a.txt/b", "/none", "/docs/b/c"]) {
      assert.strictEqual((await ask(path)).status, 404, path)
    }
  })

  it("are names and nothing else, and come back as they were written", () => {
    const name = fc
      .uint8Array({ min: 1, minLength: 1, maxLength: 20 })
      .map((bytes) => bytes.map((value) => (value === 0x2f ? 0x30 : value)))
      .filter((bytes) => !/^\.{1,2}$/.test(Buffer.from(bytes).toString("latin1")))
    fc.assert(
      fc.property(fc.array(name, { maxLength: 5 }), fc.boolean(), (names, isDirectory) => {
        const parsed = RequestPath.parse(RequestPath.format(names, isDirectory))
        assert.deepStrictEqual(
          parsed?.names.map((found) => [...found]),
          names.map((given) => [...given])
        )
        assert.strictEqual(parsed?.isDirectory, isDirectory || names.length === 0)
      })
    )
    const piece = fc.oneof(fc.constantFrom("/", "..", ".", "%2e", "%2F", "%00", "%", "a", "\\"), fc.string())
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        for (const found of RequestPath.parse(`/${pieces.join("")}`)?.names ?? []) {
          const text = Buffer.from(found).toString("latin1")
          assert.isFalse(text === "" || text === "." || text === ".." || /[/\0]/.test(text), text)
        }
      }),
      { numRuns: 500 }
    )
  })
})

describe("strangers", () => {
  const get = (host: string) => `GET /a.txt HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`

  withServer("cannot make a page read files by a name of their own", tree, async ({ send, serving }) => {
    for (const host of [
      "evil.example",
      "evil.example:8765",
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "10.0.0.1",
      ""
    ]) {
      assert.match(await send(get(host)), /^HTTP\/1.1 421 /, host)
    }
    for (const host of [
      `127.0.0.1:${serving.port}`,
      "localhost",
      "granary.localhost:1",
      "[::1]:80",
      "127.9.9.9"
    ]) {
      assert.match(await send(get(host)), /^HTTP\/1.1 200 /, host)
    }
    assert.match(await send("GET /a.txt HTTP/1.0\r\n\r\n"), /^HTTP\/1.1 200 /)
  })

  it.live("are let in only when that was asked for", () =>
    Effect.gen(function* () {
      const vfs = Effect.provideService(Vfs, make(tree))
      for (const host of ["0.0.0.0", "::", "192.0.2.1", "somewhere.example"]) {
        const error = yield* vfs(Effect.flip(WebDav.serve({ host, port: 0 })))
        assert.strictEqual(error.reason, "OpenToOthers", host)
        assert.include(error.hint, "--allow-remote")
      }
      const scene = yield* open(tree, { host: "0.0.0.0", allowRemote: true })
      assert.strictEqual(scene.serving.url, `http://0.0.0.0:${scene.serving.port}/`)
      const answer = yield* Effect.promise(() => scene.send(get("nas.example")))
      assert.match(answer, /^HTTP\/1.1 200 /)
    })
  )

  it("are told from this machine by their address", () => {
    for (const host of [
      "127.0.0.1",
      "127.1.2.3",
      "::1",
      "::ffff:127.0.0.1",
      "localhost",
      "a.localhost",
      "LOCALHOST."
    ]) {
      assert.isTrue(Listen.isLoopback(host), host)
    }
    for (const host of [
      "0.0.0.0",
      "::",
      "128.0.0.1",
      "127.example",
      "::2",
      "::ffff:1.2.3.4",
      "localhost.example",
      ""
    ]) {
      assert.isFalse(Listen.isLoopback(host), host)
    }
  })
})

describe("the address", () => {
  it("is read as people write it", () => {
    const cases: ReadonlyArray<readonly [string, string, number]> = [
      ["127.0.0.1:80", "127.0.0.1", 80],
      ["0.0.0.0:0", "0.0.0.0", 0],
      ["[::1]:8765", "::1", 8765],
      ["localhost:99", "localhost", 99],
      [":99", "127.0.0.1", 99],
      ["99", "127.0.0.1", 99]
    ]
    for (const [text, host, port] of cases) assert.deepStrictEqual(Listen.parse(text), { host, port }, text)
    for (const text of [
      "",
      "a",
      "::1:80",
      "[::1]",
      "[x]:80",
      "a:65536",
      "a:-1",
      "a b:1",
      "http://a:1",
      "a/b:1"
    ]) {
      assert.isUndefined(Listen.parse(text), text)
    }
    assert.strictEqual(Listen.urlOf({ host: "::1", port: 80 }), "http://[::1]:80/")
  })

  it.live("that is taken or not this machine's is told of", () =>
    Effect.gen(function* () {
      const { serving } = yield* open(tree)
      const failure = (options: WebDav.ServeOptions) =>
        Effect.flip(WebDav.serve(options)).pipe(Effect.provideService(Vfs, make(tree)))
      const taken = yield* failure({ port: serving.port })
      assert.deepStrictEqual(
        [taken.reason, taken.message],
        ["AddressInUse", `127.0.0.1:${serving.port}: something else listens there`]
      )
      const foreign = yield* failure({ host: "192.0.2.1", port: 0, allowRemote: true })
      assert.deepStrictEqual(
        [foreign.reason, foreign.message],
        ["CannotListen", "192.0.2.1:0: is no address of this machine"]
      )
    })
  )
})

const pathPiece = fc.oneof(
  fc.constantFrom(
    "/",
    "//",
    "..",
    ".",
    "%2e%2e",
    "%2f",
    "%00",
    "%",
    "%zz",
    "a.txt",
    "docs",
    "link",
    "b",
    "?",
    "#",
    "\\",
    ";"
  ),
  fc.string({ unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)) })
)
const headerValue = fc.oneof(
  fc.constantFrom(
    "bytes=0-",
    "bytes=-1",
    "bytes=0-0,2-2",
    "*",
    `"x"`,
    "0",
    "1",
    "infinity",
    "identity",
    "Tue, 14 Nov 2023 22:13:20 GMT"
  ),
  fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    maxLength: 40
  })
)
const headerName = fc.constantFrom(
  "range",
  "if-range",
  "if-match",
  "if-none-match",
  "if-modified-since",
  "if-unmodified-since",
  "if",
  "depth",
  "accept",
  "accept-encoding",
  "cookie",
  "authorization",
  "origin",
  "content-type",
  "x-forwarded-host",
  "prefer",
  "te"
)
const requests = fc.record({
  method: fc.constantFrom("GET", "HEAD", "OPTIONS", "PROPFIND", "PUT", "LOCK"),
  path: fc.array(pathPiece, { maxLength: 6 }).map((pieces) => `/${pieces.join("")}`),
  headers: fc.dictionary(headerName, headerValue, { maxKeys: 5 }),
  body: fc.oneof(fc.constant(""), fc.string(), fc.constant(`<propfind xmlns="DAV:"><allprop/></propfind>`))
})

describe("whatever is sent", () => {
  withServer("is answered, and never with a fault of the server", tree, async ({ ask, log }) => {
    await fc.assert(
      fc.asyncProperty(requests, async ({ body, headers, method, path }) => {
        const { status } = await ask(path, { method, headers, ...(body === "" ? {} : { body }) })
        assert.isTrue(status >= 200 && status < 500, `${status} ${method} ${path}`)
      }),
      { numRuns: 400 }
    )
    assert.deepStrictEqual(log, [])
  })

  withServer("as bytes that are no request does no harm", tree, async ({ ask, log, send }) => {
    const start = fc.constantFrom(
      "GET / HTTP/1.1\r\n",
      "GET \xff HTTP/1.1\r\n",
      "PROPFIND / HTTP/1.1\r\nHost: a\r\n",
      "\0",
      ""
    )
    const junk = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1"))
    await fc.assert(
      fc.asyncProperty(start, junk, async (head, rest) => {
        const answer = await send(
          `${head}${rest}\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nBad Header\r\n\r\n`
        )
        for (const [, status] of answer.matchAll(/^HTTP\/1.1 (\d+) /gm)) assert.isBelow(Number(status), 500)
      }),
      { numRuns: 100 }
    )
    assert.strictEqual((await ask("/a.txt")).text, "content")
    assert.deepStrictEqual(log, [])
  })

  withServer("in headers has an end", tree, async ({ send }) => {
    const long = await send(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(20_000)}\r\n\r\n`)
    assert.match(long, /^HTTP\/1.1 431 /)
    const path = await send(`GET /${"x".repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    assert.match(path, /^HTTP\/1.1 (?:414|431) /)
  })
})
