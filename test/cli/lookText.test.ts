import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import * as EntryText from "../../src/cli/EntryText.ts"
import { localTime } from "../../src/cli/LocalTime.ts"
import * as PathText from "../../src/cli/PathText.ts"
import * as SnapshotArgument from "../../src/cli/SnapshotArgument.ts"
import { makeFileMetadata, MODE_TYPE } from "../../src/model/FileMetadata.ts"

describe("modeText", () => {
  const textOf = (mode: number) =>
    EntryText.modeText("file", makeFileMetadata({ mode: MODE_TYPE.file | mode }))

  it("writes permissions and special bits as ls does", () => {
    assert.deepStrictEqual([0o644, 0o755, 0o4755, 0o4644, 0o2711, 0o2666, 0o1777, 0o1776, 0].map(textOf), [
      "-rw-r--r--",
      "-rwxr-xr-x",
      "-rwsr-xr-x",
      "-rwSr--r--",
      "-rwx--s--x",
      "-rw-rwSrw-",
      "-rwxrwxrwt",
      "-rwxrwxrwT",
      "----------"
    ])
  })

  it("marks what has attributes, and the kind", () => {
    const xattrs = [{ name: new Uint8Array(1), value: new Uint8Array(0) }]
    const metadata = makeFileMetadata({ mode: MODE_TYPE.directory | 0o700, xattrs })
    assert.strictEqual(EntryText.modeText("directory", metadata), "drwx------+")
  })
})

describe("aligner", () => {
  it("never makes columns narrower", () => {
    const align = EntryText.aligner()
    const row = (size: string, name: string) => ["-rw-r--r--", "0", "0", size, "now", name]
    const first = align([row("12345 B", "a"), row("1 B", "b")])
    const second = align([row("1 B", "c")])
    assert.strictEqual(first, "-rw-r--r--  0  0  12345 B  now  a\n-rw-r--r--  0  0      1 B  now  b\n")
    assert.strictEqual(second, "-rw-r--r--  0  0      1 B  now  c\n")
  })
})

describe("localTime", () => {
  it("is a time of the local calendar, whatever the seconds", () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_000_000_000, max: 250_000_000_000 }), (seconds) => {
        const text = localTime(seconds)
        assert.match(text, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
        // An hour that a clock change repeats is read as the first of the two.
        assert.isAtMost(Math.abs(Date.parse(text.replace(" ", "T")) - seconds * 1000), 3 * 3_600_000)
      })
    )
  })

  it("does not fail beyond the calendar", () => {
    assert.strictEqual(localTime(Number.MAX_SAFE_INTEGER), `@${Number.MAX_SAFE_INTEGER}`)
    assert.strictEqual(localTime(-1e15), "@-1000000000000000")
  })
})

describe("PathText", () => {
  it("takes back what it shows", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (path) => {
        const { text = "", ...more } = PathText.toJson("text", path)
        const typed = more["text-base64"] === undefined ? text : `base64:${more["text-base64"]}`
        if (typed.startsWith("base64:") && more["text-base64"] === undefined) return
        assert.deepStrictEqual(Buffer.from(Effect.runSync(PathText.parse(typed))), Buffer.from(path))
      })
    )
  })

  it("refuses what is not base64", () => {
    assert.include(Effect.runSync(Effect.flip(PathText.parse("base64:a"))).message, "not base64")
  })
})

describe("SnapshotArgument", () => {
  const kindOf = (text: string) => Effect.runSync(SnapshotArgument.parse(text)).kind

  it("knows a snapshot, the latest and a group", () => {
    assert.strictEqual(kindOf("host/x/2026-01-01T00:00:00Z"), "snapshot")
    assert.strictEqual(kindOf("host/x/latest"), "latest")
    assert.strictEqual(kindOf("host/latest"), "group")
    assert.strictEqual(kindOf("vm/100/"), "group")
  })

  it("says how it is written", () => {
    for (const text of ["", "x", "host/x/yesterday", "disk/x", "host/x/2026-01-01T00:00:00Z/root.pxar"]) {
      assert.include(Effect.runSync(Effect.flip(SnapshotArgument.parse(text))).hint, "host/laptop/latest")
    }
  })
})
