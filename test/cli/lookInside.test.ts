import { createHash } from "node:crypto"
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import {
  copyFixtureStore,
  fixedKeyPath,
  fixtures,
  fixturesExist,
  removeStore
} from "../restore/browseStore.ts"
import { granary, granaryJson } from "./lookRun.ts"

vi.mock("node:fs", async (original) => (await import("./lookCapture.ts")).capturing(await original()))

const plain = "host/v1-plain/2024-01-01T00:00:00Z"
const split = "host/v2-plain/2024-01-01T00:00:00Z"

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

interface Entry {
  readonly path: string
  readonly type: string
}

describe.skipIf(!fixturesExist)("looking into the reference datastore", () => {
  let folder = ""
  beforeEach(() => {
    folder = copyFixtureStore()
  })
  afterEach(() => removeStore(folder))

  const inStore = (...args: ReadonlyArray<string>) => [...args, "-r", folder]

  it.live("snapshots: one object a snapshot, with the promised fields", () =>
    Effect.gen(function* () {
      const { code, json } = yield* granaryJson(inStore("snapshots"))
      assert.strictEqual(code, 0)
      assert.strictEqual(json.length, 8)
      const signed = json.find((each: Record<string, unknown>) => each["backup-id"] === "102")
      assert.deepStrictEqual(signed, {
        "backup-type": "ct",
        "backup-id": "102",
        "backup-time": 1709210096,
        files: [
          { filename: "root.pxar.didx", size: 820, "crypt-mode": "sign-only" },
          { filename: "pct.conf.blob", size: 37, "crypt-mode": "sign-only" },
          { filename: "catalog.pcat1.didx", size: 98, "crypt-mode": "sign-only" }
        ],
        size: 955,
        owner: "root@pam",
        protected: false,
        comment: null,
        fingerprint:
          "0e:ab:d4:46:0b:6e:b9:ca:34:50:23:de:e2:b7:78:c7:90:e5:4a:16:83:b9:65:9c:0a:57:ae:19:90:90:15:9b",
        verification: null
      })
    })
  )

  it.live("snapshots: unfinished ones are listed and marked", () =>
    Effect.gen(function* () {
      rmSync(join(folder, "ct/103/2024-02-29T12:34:56Z/index.json.blob"))
      const { json } = yield* granaryJson(inStore("snapshots", "ct/103"))
      assert.deepStrictEqual([json[0].files, json[0].size], [[], null])
      const { text } = yield* granary(inStore("snapshots", "ct/103"))
      assert.include(text, "unfinished")
    })
  )

  it.live("groups and namespaces", () =>
    Effect.gen(function* () {
      const groups = yield* granaryJson(inStore("groups"))
      assert.deepStrictEqual(groups.json[4], {
        "backup-type": "host",
        "backup-id": "v1-plain",
        "last-backup": 1704153600,
        "backup-count": 2,
        files: ["catalog.pcat1.didx", "index.json.blob", "pct.conf.blob", "root.pxar.didx"],
        owner: "root@pam",
        comment: null
      })
      const namespaces = yield* granaryJson(inStore("namespaces"))
      assert.deepStrictEqual(
        namespaces.json.map(({ ns }: { ns: string }) => ns),
        ["", "team", "team/dev"]
      )
      const below = yield* granaryJson(inStore("snapshots", "--ns", "team/dev"))
      assert.strictEqual(below.json[0].owner, "alice@pbs!tok")
    })
  )

  it.live("ls -R lists what the reference lists, in its order", () =>
    Effect.gen(function* () {
      const expected = readFileSync(join(fixtures, "pxar/tree.v1.entries.jsonl"), "utf8")
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
        .filter(({ kind }) => !kind.startsWith("GoodbyeTable"))
        .map(({ path_hex }) => path_hex)
      const pathOf = (entry: Record<string, string>): Buffer =>
        entry["path-base64"] === undefined
          ? Buffer.from(entry["path"] ?? "")
          : Buffer.from(entry["path-base64"], "base64")
      for (const snapshot of [plain, split]) {
        const { json } = yield* granaryJson(inStore("ls", snapshot, "root.pxar", "-R"))
        assert.deepStrictEqual(
          json.map((entry: Record<string, string>) => pathOf(entry).toString("hex")),
          expected
        )
      }
    })
  )

  it.live("ls: types, sizes, targets, names that are not UTF-8", () =>
    Effect.gen(function* () {
      const { json } = yield* granaryJson(inStore("ls", plain, "root.pxar"))
      const raw = json.find((each: Record<string, unknown>) => each["path-base64"] !== undefined)
      assert.match(raw.path, /^\/non-utf8-.*\.bin$/)
      const again = yield* granaryJson(inStore("ls", plain, "root.pxar", `base64:${raw["path-base64"]}`))
      assert.deepStrictEqual(again.json, [raw])
      const { json: special } = yield* granaryJson(inStore("ls", plain, "root.pxar", "special"))
      assert.deepStrictEqual(
        special.map(({ path, type }: Entry) => `${type} ${path}`),
        [
          "b /special/blk-7-0",
          "c /special/chr-1-3",
          "c /special/chr-large-minor",
          "p /special/fifo",
          "s /special/socket"
        ]
      )
      assert.deepStrictEqual(special[0].device, { major: 7, minor: 0 })
      const link = yield* granaryJson(inStore("ls", plain, "root.pxar", "/symlink-rel"))
      assert.deepStrictEqual([link.json[0].type, link.json[0].size], ["l", null])
      assert.isString(link.json[0].target)
    })
  )

  it.live("ls: no name plays tricks on the terminal", () =>
    Effect.gen(function* () {
      const { text } = yield* granary(inStore("ls", plain, "root.pxar"))
      assert.include(text, "new\\x0aline")
      assert.match(text, /^-rwsr-xr-x .* setuid-file$/m)
      assert.match(text, /^drwxrwxrwt .* sticky-dir$/m)
    })
  )

  it.live("cat: files, hard links, blobs, images, whole archives", () =>
    Effect.gen(function* () {
      const key = ["--keyfile", fixedKeyPath]
      const ct = "ct/101/latest"
      assert.strictEqual((yield* granary(inStore("cat", ct, "root.pxar", "d/f", ...key))).text, "data")
      assert.strictEqual((yield* granary(inStore("cat", ct, "root.pxar", "/z-hard", ...key))).text, "data")
      assert.include((yield* granary(inStore("cat", ct, "pct.conf", ...key))).text, "arch: amd64")
      const image = yield* granary(inStore("cat", "vm/200", "drive-scsi0.img", ...key))
      assert.strictEqual(image.bytes.length, 8 * 1024 * 1024)
      const archive = yield* granary(inStore("cat", "ct/103", "root.pxar"))
      assert.strictEqual(sha256(archive.bytes), sha256(readFileSync(join(fixtures, "pxar/tiny-mix.v1.pxar"))))
      const big = yield* granary(inStore("cat", plain, "root.pxar", "/big/hex-6M"))
      const lines = readFileSync(join(fixtures, "pxar/tree.v1.entries.jsonl"), "utf8").trimEnd().split("\n")
      const line = lines.map((each) => JSON.parse(each)).find(({ path }) => path === "/big/hex-6M")
      assert.strictEqual(sha256(big.bytes), line.content_sha256)
    })
  )

  it.live("find: the same in catalog and archive, with the archive's name", () =>
    Effect.gen(function* () {
      const [fromCatalog, fromArchive] = [
        yield* granaryJson(inStore("find", plain, "f29[0-9]", "/acl/*")),
        yield* granaryJson(inStore("find", split, "f29[0-9]", "/acl/*"))
      ]
      assert.strictEqual(fromCatalog.json.length, 13)
      assert.deepStrictEqual(fromCatalog.json, fromArchive.json)
      assert.strictEqual(fromCatalog.json[0].archive, "root.pxar")
      assert.deepStrictEqual((yield* granaryJson(inStore("find", plain, "no-such-name"))).json, [])
      const { text } = yield* granary(inStore("find", plain, "/acl/file"))
      assert.match(text, /root\.pxar:\/acl\/file$/m)
    })
  )

  it.live("diff: of different trees, and nothing for the same one in both versions", () =>
    Effect.gen(function* () {
      const { json } = yield* granaryJson(inStore("diff", plain, "host/v1-plain/latest", "root.pxar"))
      const changes = new Map(json.map(({ path, change }: Record<string, string>) => [path, change]))
      assert.strictEqual(changes.get("/d/f"), "added")
      assert.strictEqual(changes.get("/acl/file"), "removed")
      assert.strictEqual(changes.get("/empty"), "metadata")
      const args = ["diff", plain, split, "root.pxar", "--compare-contents"]
      assert.deepStrictEqual((yield* granaryJson(inStore(...args))).json, [])
    })
  )

  it.live("fails with one line that says what to do", () =>
    Effect.gen(function* () {
      const cases = [
        [["ls", "ct/100", "root.pxar"], 1, /is encrypted \(give the right key with --keyfile\)/],
        [["ls", plain, "home.pxar"], 1, /it has root\.pxar/],
        [["ls", plain, "root.pxar", "/nowhere"], 1, /"\/nowhere": the archive has no such path/],
        [["cat", plain, "root.pxar", "/acl"], 1, /not a regular file/],
        [["cat", split, "root.pxar"], 2, /split into root\.mpxar and root\.ppxar/],
        [["files", "host/none"], 1, /no such backup group/],
        [["files", "host/v1-plain/2024-01-01T00:00:01Z"], 1, /no such snapshot/],
        [["files", "nonsense"], 2, /TYPE\/ID\/TIME/],
        [["find", plain, "[a"], 2, /path pattern/],
        [["ls", plain, "root.pxar", "base64:?"], 2, /not base64/]
      ] as const
      for (const [args, code, errors] of cases) {
        const outcome = yield* granary(inStore(...args))
        assert.deepStrictEqual([args, outcome.code], [args, code])
        assert.match(outcome.errors, errors)
        assert.strictEqual(outcome.errors.trimEnd().split("\n").length, 1)
        assert.strictEqual(outcome.text, "")
      }
      const json = yield* granary(inStore("files", "host/none", "--output", "json"))
      assert.strictEqual(JSON.parse(json.errors).error.tag, "StoreError")
    })
  )
})
