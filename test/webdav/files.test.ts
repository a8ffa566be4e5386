/** Files over HTTP: whole, in ranges, under conditions; what cannot be read is never taken for complete. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { vfsError } from "../../src/vfs/VfsError.ts"
import * as ByteRanges from "../../src/webdav/ByteRanges.ts"
import { type Answer, open, withServer } from "./scene.ts"
import { computedFile, file, folder, link } from "./smallTree.ts"

const digits = Buffer.from("0123456789")
const mebibyte = 1024 * 1024

/** Every byte tells where it is. */
const patterned = (sizeBytes: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: sizeBytes }, (_, at) => (at * 7 + (at >> 8) * 13) & 0xff))

const large = patterned(mebibyte + 17)

const shared = file("two names")
const tree = folder({
  "digits.txt": file(digits),
  "large.bin": file(large),
  empty: file(""),
  "page.html": file("<script>1</script>"),
  "picture.svg": file("<svg/>"),
  photo: file("?"),
  one: shared,
  two: shared,
  "link.txt": link("digits.txt"),
  old: file("1", { mtimeSeconds: -1 }),
  ancient: file("1", { mtimeSeconds: -1e15 })
})

describe("a file", () => {
  withServer("is given whole, with what is known of it", tree, async ({ ask }) => {
    const { body, headers, status } = await ask("/digits.txt")
    assert.deepStrictEqual([status, body], [200, digits])
    assert.strictEqual(headers["content-length"], "10")
    assert.strictEqual(headers["content-type"], "text/plain")
    assert.strictEqual(headers["last-modified"], "Tue, 14 Nov 2023 22:13:20 GMT")
    assert.strictEqual(headers["accept-ranges"], "bytes")
    assert.strictEqual(headers["cache-control"], "private, no-cache")
    assert.match(headers["etag"] ?? "", /^"[^"]+"$/)
  })

  withServer("of many pieces comes as it is", tree, async ({ ask }) => {
    assert.isTrue((await ask("/large.bin")).body.equals(large))
    assert.strictEqual((await ask("/empty")).headers["content-length"], "0")
  })

  withServer("is told of without its content", tree, async ({ ask }) => {
    const { body, headers, status } = await ask("/large.bin", {
      method: "HEAD",
      headers: { range: "bytes=0-1" }
    })
    assert.deepStrictEqual([status, body.length], [200, 0])
    assert.strictEqual(headers["content-length"], String(large.length))
  })

  withServer("has a type by its name, and carries out nothing", tree, async ({ ask }) => {
    assert.strictEqual((await ask("/photo")).headers["content-type"], "application/octet-stream")
    assert.isUndefined((await ask("/photo")).headers["content-security-policy"])
    for (const path of ["/page.html", "/picture.svg"]) {
      const { headers } = await ask(path)
      assert.strictEqual(headers["content-security-policy"], "sandbox", path)
      assert.strictEqual(headers["x-content-type-options"], "nosniff", path)
      assert.strictEqual(headers["cross-origin-resource-policy"], "same-origin", path)
    }
  })

  withServer("has one tag under all its names, and another one than other files", tree, async ({ ask }) => {
    const tagOf = async (path: string) => (await ask(path, { method: "HEAD" })).headers["etag"]
    assert.strictEqual(await tagOf("/one"), await tagOf("/two"))
    assert.strictEqual(await tagOf("/link.txt"), await tagOf("/digits.txt"))
    assert.notStrictEqual(await tagOf("/one"), await tagOf("/digits.txt"))
  })

  withServer("may be older than HTTP can say", tree, async ({ ask }) => {
    assert.strictEqual((await ask("/old")).headers["last-modified"], "Wed, 31 Dec 1969 23:59:59 GMT")
    const { headers, status } = await ask("/ancient")
    assert.deepStrictEqual([status, headers["last-modified"]], [200, undefined])
  })

  it.live("has another tag in another tree", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* open(tree), yield* open(tree)]
      const [one, two] = yield* Effect.promise(() => Promise.all([first.ask("/one"), second.ask("/one")]))
      assert.notStrictEqual(one.headers["etag"], two.headers["etag"])
    })
  )
})

describe("conditions", () => {
  const date = "Tue, 14 Nov 2023 22:13:20 GMT"
  const earlier = "Tue, 14 Nov 2023 22:13:19 GMT"

  withServer("are answered in the order of the standard", tree, async ({ ask }) => {
    const etag = (await ask("/digits.txt")).headers["etag"] ?? ""
    const cases: ReadonlyArray<readonly [Record<string, string>, number]> = [
      [{ "if-none-match": etag }, 304],
      [{ "if-none-match": `"other", W/${etag}` }, 304],
      [{ "if-none-match": "*" }, 304],
      [{ "if-none-match": `"other"` }, 200],
      [{ "if-none-match": `"other"`, "if-modified-since": date }, 200],
      [{ "if-modified-since": date }, 304],
      [{ "if-modified-since": "Tuesday, 14-Nov-23 22:13:20 GMT" }, 304],
      [{ "if-modified-since": "Tue Nov 14 22:13:20 2023" }, 304],
      [{ "if-modified-since": earlier }, 200],
      [{ "if-modified-since": "Tue Nov 14 22:13:19 2023" }, 200],
      [{ "if-modified-since": "yesterday" }, 200],
      [{ "if-modified-since": "2023" }, 200],
      [{ "if-match": etag }, 200],
      [{ "if-match": "*" }, 200],
      [{ "if-match": `W/${etag}` }, 412],
      [{ "if-match": `"other"` }, 412],
      [{ "if-match": etag, "if-unmodified-since": earlier }, 200],
      [{ "if-unmodified-since": date }, 200],
      [{ "if-unmodified-since": earlier }, 412],
      [{ "if-match": etag, "if-none-match": etag }, 304]
    ]
    for (const [headers, status] of cases) {
      for (const method of ["GET", "HEAD"]) {
        const answer = await ask("/digits.txt", { method, headers })
        assert.strictEqual(answer.status, status, JSON.stringify(headers))
        if (status === 304) assert.deepStrictEqual([answer.text, answer.headers["etag"]], ["", etag])
      }
    }
  })

  withServer("of a range allow it for the exact tag alone", tree, async ({ ask }) => {
    const etag = (await ask("/digits.txt")).headers["etag"] ?? ""
    const statusFor = async (ifRange: string) =>
      (await ask("/digits.txt", { headers: { range: "bytes=2-3", "if-range": ifRange } })).status
    assert.strictEqual(await statusFor(etag), 206)
    for (const other of [`W/${etag}`, `"other"`, date, "*"])
      assert.strictEqual(await statusFor(other), 200, other)
  })
})

describe("ranges", () => {
  withServer("are taken as the standard says", tree, async ({ ask }) => {
    const cases: ReadonlyArray<readonly [string, number, string, string | undefined]> = [
      ["bytes=0-0", 206, "0", "bytes 0-0/10"],
      ["bytes=2-4", 206, "234", "bytes 2-4/10"],
      ["bytes=7-", 206, "789", "bytes 7-9/10"],
      ["bytes=-3", 206, "789", "bytes 7-9/10"],
      ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
      ["bytes=8-99999999999999999999", 206, "89", "bytes 8-9/10"],
      ["Bytes = 1-2", 206, "12", "bytes 1-2/10"],
      ["bytes=1-2,99-", 206, "12", "bytes 1-2/10"],
      ["bytes=1-4,3-6", 206, "123456", "bytes 1-6/10"],
      ["bytes=10-", 416, "The file has no such bytes.\n", "bytes */10"],
      ["bytes=-0", 416, "The file has no such bytes.\n", "bytes */10"],
      ["bytes=5-2", 200, "0123456789", undefined],
      ["bytes=a-b", 200, "0123456789", undefined],
      ["bytes=-", 200, "0123456789", undefined],
      ["bytes=", 200, "0123456789", undefined],
      ["lines=1-2", 200, "0123456789", undefined],
      [`bytes=${Array.from({ length: 17 }, () => "0-0").join()}`, 200, "0123456789", undefined]
    ]
    for (const [range, status, text, contentRange] of cases) {
      const answer = await ask("/digits.txt", { headers: { range } })
      assert.deepStrictEqual(
        [answer.status, answer.text, answer.headers["content-range"]],
        [status, text, contentRange],
        range
      )
    }
    assert.strictEqual((await ask("/empty", { headers: { range: "bytes=0-" } })).status, 416)
  })

  withServer("of several stretches come as parts", tree, async ({ ask }) => {
    const { headers, text } = await ask("/digits.txt", { headers: { range: "bytes=6-7, 0-1, -1" } })
    const [, boundary = ""] =
      /^multipart\/byteranges; boundary=(\w+)$/.exec(headers["content-type"] ?? "") ?? []
    const part = (range: string, content: string) =>
      `--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes ${range}/10\r\n\r\n${content}\r\n`
    assert.strictEqual(text, `${part("6-7", "67")}${part("0-1", "01")}${part("9-9", "9")}--${boundary}--\r\n`)
    assert.strictEqual(headers["content-length"], String(text.length))
  })

  withServer(
    "that overlap are one part, and those with a gap between them are not",
    tree,
    async ({ ask }) => {
      const rangesOf = async (range: string) =>
        (await ask("/digits.txt", { headers: { range } })).text.match(/(?<=^Content-Range: bytes ).*(?=\r)/gm)
      assert.deepStrictEqual(await rangesOf("bytes=0-1,1-2,4-5"), ["0-2/10", "4-5/10"])
      assert.deepStrictEqual(await rangesOf("bytes=8-9,5-6,0-3,2-4"), ["0-6/10", "8-9/10"])
    }
  )
})

/** The bytes that an answer holds, each with its place in the file. */
const stretchesOf = ({ body, headers, status }: Answer): ReadonlyArray<readonly [number, Buffer]> => {
  if (status === 200) return [[0, body]]
  const startOf = (text: string) => Number(/bytes (\d+)-/.exec(text)?.[1])
  const [, boundary] = /boundary=(\w+)/.exec(headers["content-type"] ?? "") ?? []
  if (boundary === undefined) return [[startOf(headers["content-range"] ?? ""), body]]
  const parts = body.toString("latin1").split(`--${boundary}`).slice(1, -1)
  return parts.map((part) => {
    const end = part.indexOf("\r\n\r\n")
    return [startOf(part.slice(0, end)), Buffer.from(part.slice(end + 4, -2), "latin1")] as const
  })
}

const bound = fc.oneof(
  fc.nat(40),
  fc.nat(large.length + 10),
  fc.constantFrom(65_535, 65_536, 589_823, 589_824)
)
const range = fc.oneof(
  fc.tuple(bound, bound).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
  bound.map((start) => `${start}-`),
  bound.map((length) => `-${length}`)
)

/** What the standard says of ranges that are well-formed, byte by byte. */
const wantedBytes = (header: string, sizeBytes: number): Uint8Array => {
  const wanted = new Uint8Array(sizeBytes)
  for (const part of header.split(",")) {
    const [first = "", last = ""] = part.split("-")
    const start = first === "" ? Math.max(0, sizeBytes - Number(last)) : Number(first)
    const end = first === "" || last === "" ? sizeBytes : Number(last) + 1
    wanted.fill(1, Math.min(start, sizeBytes), Math.max(Math.min(end, sizeBytes), Math.min(start, sizeBytes)))
  }
  return wanted
}

describe("any ranges", () => {
  withServer("give the bytes of the file, all that were asked for and each once", tree, async ({ ask }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(range, { minLength: 1, maxLength: 4 }), async (ranges) => {
        const list = ranges.join(",")
        const answer = await ask("/large.bin", { headers: { range: `bytes=${list}` } })
        const wanted = wantedBytes(list, large.length)
        if (!wanted.includes(1)) return assert.strictEqual(answer.status, 416)
        assert.strictEqual(answer.status, 206)
        const given = new Uint8Array(large.length)
        for (const [start, bytes] of stretchesOf(answer)) {
          assert.isTrue(bytes.equals(large.subarray(start, start + bytes.length)), list)
          assert.isFalse(given.subarray(start, start + bytes.length).includes(1), list)
          given.fill(1, start, start + bytes.length)
        }
        assert.isTrue(Buffer.from(given).equals(wanted), list)
      }),
      { numRuns: 60 }
    )
  })

  it("are parsed without a fault", () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(20), (header, sizeBytes) => {
        const ranges = ByteRanges.parse(`bytes=${header}`, sizeBytes)
        if (typeof ranges === "string") return
        for (const { end, start } of ranges) assert.isTrue(start >= 0 && start < end && end <= sizeBytes)
      })
    )
  })
})

describe("a file that cannot be read", () => {
  const failing = (reason: Parameters<typeof vfsError>[0], from: number) =>
    computedFile(4 * mebibyte, (offset, lengthBytes) =>
      offset + lengthBytes > from
        ? Effect.fail(vfsError(reason, "host/a root.pxar", "chunk abc is bad"))
        : Effect.succeed(new Uint8Array(lengthBytes))
    )
  const broken = folder({
    damaged: failing("Damaged", 0),
    locked: failing("KeyNeeded", 0),
    away: failing("Unreachable", 0),
    forgotten: failing("Gone", 0),
    later: failing("Damaged", 2 * mebibyte),
    short: computedFile(2 * mebibyte, (offset) =>
      Effect.succeed(offset === 0 ? large.subarray(0, 10) : large)
    ),
    defect: computedFile(10, () => Effect.die("a fault")),
    lateDefect: computedFile(2 * mebibyte, (offset, lengthBytes) =>
      offset > mebibyte ? Effect.die("a late fault") : Effect.succeed(new Uint8Array(lengthBytes))
    )
  })

  withServer("says why", broken, async ({ ask, log }) => {
    const damaged = await ask("/damaged")
    assert.deepStrictEqual([damaged.status, damaged.text], [500, "host/a root.pxar: chunk abc is bad\n"])
    assert.strictEqual((await ask("/locked")).status, 403)
    assert.strictEqual((await ask("/forgotten")).status, 404)
    const away = await ask("/away")
    assert.deepStrictEqual([away.status, away.headers["retry-after"]], [503, "10"])
    assert.strictEqual((await ask("/defect")).status, 500)
    assert.deepStrictEqual(log.slice(0, 2), Array(2).fill("host/a root.pxar: chunk abc is bad"))
    assert.strictEqual(log[2], "a fault of the file server,a fault")
  })

  withServer("is cut off where it breaks, and good before", broken, async ({ ask, log }) => {
    const outcome = await ask("/later").then(
      () => "complete",
      (error: Error) => error.message
    )
    assert.strictEqual(outcome, "aborted")
    assert.deepStrictEqual(log, ["host/a root.pxar: chunk abc is bad"])
    const part = await ask("/later", { headers: { range: "bytes=0-99" } })
    assert.deepStrictEqual([part.status, part.body.length], [206, 100])
    assert.strictEqual((await ask("/short")).status, 500)
    assert.strictEqual(await ask("/lateDefect").catch((error: Error) => error.message), "aborted")
    assert.include(log, "a fault of the file server,a late fault")
  })
})
