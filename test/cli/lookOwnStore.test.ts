import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { vi } from "vitest"
import { granary, granaryJson } from "./lookRun.ts"

vi.mock("node:fs", async (original) => (await import("./lookCapture.ts")).capturing(await original()))

const fixedKeyPath = join(import.meta.dirname, "../golden/keys/fixed.key.json")
const golden = join(import.meta.dirname, "../golden")

/** A new datastore has 65536 folders: on a disk that takes a while, in memory it does not. */
const scratchParent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()
const storeTimeoutMillis = 300_000

const succeed = (args: ReadonlyArray<string>) =>
  Effect.map(granary(args), (outcome) => {
    assert.strictEqual(outcome.code, 0, outcome.errors)
    return outcome
  })

describe("looking into a datastore of our own", () => {
  const scratch = mkdtempSync(join(scratchParent, "granary-look-"))
  const store = join(scratch, "store")
  const tree = join(scratch, "tree")
  const first = "host/box/2026-01-01T00:00:00Z"
  const second = "host/box/2026-01-02T00:00:00Z"
  const inStore = (...args: ReadonlyArray<string>) => [...args, "-r", store]

  const makeTree = (): void => {
    mkdirSync(join(tree, "sub/deep"), { recursive: true })
    writeFileSync(join(tree, "stays.txt"), "stays")
    writeFileSync(join(tree, "sub/old.txt"), "old")
    writeFileSync(join(tree, "sub/deep/edited.txt"), "before")
    symlinkSync("stays.txt", join(tree, "link"))
    linkSync(join(tree, "stays.txt"), join(tree, "zz-hard"))
  }

  const changeTree = (): void => {
    rmSync(join(tree, "sub/old.txt"))
    writeFileSync(join(tree, "sub/new.txt"), "new")
    writeFileSync(join(tree, "sub/deep/edited.txt"), "after!")
    utimesSync(join(tree, "sub/deep/edited.txt"), 5, 5)
    chmodSync(join(tree, "stays.txt"), 0o600)
  }

  const backUp = (time: string, ...more: ReadonlyArray<string>) =>
    succeed(inStore("backup", `root.pxar:${tree}`, "--backup-id", "box", "--backup-time", time, ...more))

  beforeAll(async () => {
    const setUp = Effect.gen(function* () {
      makeTree()
      yield* succeed(["init", store])
      yield* backUp("2026-01-01T00:00:00Z")
      changeTree()
      yield* backUp("2026-01-02T00:00:00Z", "--change-detection", "data", "--keyfile", fixedKeyPath)
    })
    await Effect.runPromise(setUp)
  }, storeTimeoutMillis)
  afterAll(() => rmSync(scratch, { recursive: true, force: true }), storeTimeoutMillis)

  it.live("lists, finds and prints", () =>
    Effect.gen(function* () {
      const key = ["--keyfile", fixedKeyPath]
      for (const [snapshot, more] of [
        [first, []],
        [second, key]
      ] as const) {
        const { json } = yield* granaryJson(inStore("ls", snapshot, "root.pxar", ...more))
        assert.deepStrictEqual(
          json.map(({ path, type }: Record<string, string>) => `${type} ${path}`),
          ["l /link", "f /stays.txt", "d /sub", "h /zz-hard"]
        )
        const { text } = yield* succeed(inStore("cat", snapshot, "root.pxar", "zz-hard", ...more))
        assert.strictEqual(text, "stays")
        const found = yield* granaryJson(inStore("find", snapshot, "*.txt", ...more))
        const names = found.json.map(({ path }: Record<string, string>) => path)
        assert.include(names, "/sub/deep/edited.txt")
        assert.strictEqual(names.length, 3)
      }
    })
  )

  it.live("tells what changed between a plain and an encrypted snapshot", () =>
    Effect.gen(function* () {
      const args = inStore("diff", first, second, "root.pxar", "--keyfile", fixedKeyPath)
      const { text } = yield* succeed(args)
      const changes = text.trimEnd().split("\n")
      const notDirectories = changes.filter((line) => !line.endsWith("/"))
      assert.deepStrictEqual(notDirectories, [
        "m  /stays.txt",
        "M  /sub/deep/edited.txt",
        "+  /sub/new.txt",
        "-  /sub/old.txt",
        "m  /zz-hard"
      ])
    })
  )

  it.live("keeps notes and protection", () =>
    Effect.gen(function* () {
      yield* succeed(inStore("notes", second, "before the upgrade\nmore"))
      assert.strictEqual((yield* succeed(inStore("notes", "host/box"))).text, "before the upgrade\nmore\n")
      yield* succeed(inStore("protect", first, second))
      const { json } = yield* granaryJson(inStore("snapshots", "host/box"))
      assert.deepStrictEqual(
        json.map((each: Record<string, unknown>) => [each["comment"], each["protected"]]),
        [
          ["before the upgrade", true],
          [null, true]
        ]
      )
      const refused = yield* granary(inStore("forget", first))
      assert.strictEqual(refused.code, 1)
      assert.include(refused.errors, "take its protection away first")
      yield* succeed(inStore("unprotect", first, "host/box/latest"))
      yield* succeed(inStore("notes", second, ""))
      const cleared = yield* granaryJson(inStore("notes", second))
      assert.deepStrictEqual(cleared.json, { snapshot: second, notes: null })
      // The signature does not cover notes: the snapshot still opens with its key.
      yield* succeed(inStore("ls", second, "root.pxar", "--keyfile", fixedKeyPath))
    })
  )

  it.live("forgets one snapshot at once, a group after a yes", () =>
    Effect.gen(function* () {
      for (const name of ["one", "two"]) {
        const time = (day: number) => ["--backup-time", `2026-02-0${day}T00:00:00Z`]
        for (const day of [1, 2, 3]) {
          yield* succeed(inStore("backup", `root.pxar:${tree}`, "--backup-id", name, ...time(day)))
        }
      }
      const one = yield* granaryJson(inStore("forget", "host/one/2026-02-01T00:00:00Z"))
      assert.deepStrictEqual(one.json, [{ snapshot: "host/one/2026-02-01T00:00:00Z", removed: true }])
      const asked = yield* granary(inStore("forget", "host/one"))
      assert.deepStrictEqual([asked.code, asked.text], [2, ""])
      assert.include(asked.errors, "--yes")
      yield* succeed(inStore("protect", "host/one/latest"))
      const many = yield* granaryJson(inStore("forget", "host/one", "host/two/latest", "--yes"))
      assert.strictEqual(many.code, 1)
      assert.deepStrictEqual(
        many.json.map(({ snapshot, removed }: Record<string, unknown>) => [snapshot, removed]),
        [
          ["host/one/2026-02-03T00:00:00Z", false],
          ["host/one/2026-02-02T00:00:00Z", true],
          ["host/two/2026-02-03T00:00:00Z", true]
        ]
      )
      const missing = yield* granary(inStore("forget", "host/two/2026-02-01T00:00:00Z", "host/none", "--yes"))
      assert.strictEqual(missing.code, 1)
      assert.strictEqual((yield* granaryJson(inStore("snapshots", "host/two"))).json.length, 2)
    })
  )
})

describe("keys", () => {
  const scratch = mkdtempSync(join(tmpdir(), "granary-keys-"))
  const path = join(scratch, "my.key")
  const passphrases = join(scratch, "passphrases")
  afterAll(() => rmSync(scratch, { recursive: true, force: true }))

  it.live("are created for their owner only, and never overwritten", () =>
    Effect.gen(function* () {
      writeFileSync(passphrases, "long enough\nsecond line\n")
      const flags = ["--kdf", "pbkdf2", "--hint", "the usual", "--passphrase-file", passphrases]
      const { json } = yield* granaryJson(["key", "create", path, ...flags])
      assert.deepStrictEqual([json.kdf, json.hint], ["pbkdf2", "the usual"])
      assert.strictEqual(statSync(path).mode & 0o777, 0o600)
      const before = readFileSync(path, "utf8")
      const again = yield* granary(["key", "create", path, "--kdf", "none"])
      assert.strictEqual(again.code, 1)
      assert.include(again.errors, "exists already")
      assert.strictEqual(readFileSync(path, "utf8"), before)
      assert.deepStrictEqual((yield* granaryJson(["key", "show", path])).json, json)
    })
  )

  it.live("take a passphrase that is typed twice alike", () =>
    Effect.gen(function* () {
      const answers = (typed: ReadonlyArray<string>) => {
        const rest = [...typed]
        return () => Effect.succeed(rest.shift())
      }
      const typed = join(scratch, "typed.key")
      const create = ["key", "create", typed, "--kdf", "pbkdf2"]
      const differ = yield* granary(create, answers(["secret one", "secret two"]))
      assert.include(differ.errors, "the two passphrases differ")
      const short = yield* granary(create, answers(["abc", "abc"]))
      assert.include(short.errors, "at least 5 bytes")
      const nobody = yield* granary(create)
      assert.strictEqual(nobody.code, 2)
      assert.include(nobody.errors, "GRANARY_KEY_PASSPHRASE")
      assert.strictEqual((yield* granary(create, answers(["secret one", "secret one"]))).code, 0)
    })
  )

  it.live("that do not fit are told apart", () =>
    Effect.gen(function* () {
      const blob = join(golden, "blobs/text.encrypted.blob")
      const inspect = (...more: ReadonlyArray<string>) => granary(["inspect", blob, ...more])
      const sealed = join(golden, "keys/pbkdf2.key.json")
      const wrong = yield* inspect("--keyfile", sealed, "--passphrase-file", passphrases)
      assert.include(wrong.errors, "the passphrase does not open the key")
      const foreign = yield* inspect("--keyfile", passphrases)
      assert.include(foreign.errors, "this is not a key file")
      const missing = yield* inspect("--keyfile", join(scratch, "none"))
      assert.include(missing.errors, "no such file")
      const opened = yield* granary(["inspect", blob, "--keyfile", sealed], () =>
        Effect.succeed("test-password")
      )
      assert.include(opened.text, "data size     700 B")
    })
  )
})

describe("inspect", () => {
  it.live("shows files of every kind as text and as JSON", () =>
    Effect.gen(function* () {
      const names = [
        ["blobs/text.compress-requested.blob", "blob", "digest"],
        ["manifests/ct_100_2024-02-29T12_34_56Z.index.json.blob", "blob", '"backup-id": "100"'],
        ["index/zeros-40M.didx", "dynamic-index", "(good)"],
        ["index/part-5000000.fidx", "fixed-index", "4.00 MiB"],
        ["catalog/tree.pcat1", "catalog", "417 entries"],
        ["pxar/tiny-mix.v1.pxar", "pxar", "/z-hard = /d/f"],
        ["pxar/tiny-mix.v2.mpxar", "pxar", "version 2"],
        ["pxar/tiny-mix.v2.ppxar", "pxar-payload", "contents"],
        ["keys/scrypt.key.json", "key-file", "scrypt"]
      ] as const
      for (const [name, kind, text] of names) {
        const path = join(golden, name)
        assert.strictEqual((yield* granaryJson(["inspect", path])).json.kind, kind)
        assert.include((yield* succeed(["inspect", path])).text, text)
      }
    })
  )

  it.live("lists the chunks of an index and of any file", () =>
    Effect.gen(function* () {
      const index = join(golden, "index/prng-1M.avg65536.didx")
      const { json } = yield* granaryJson(["inspect", index, "--chunks"])
      assert.strictEqual(json.chunks.length, json.count)
      assert.strictEqual(json.chunks.at(-1).end, json.size)
      const cuts = yield* granaryJson(["inspect", "chunks", index, "--average", "256"])
      assert.isAbove(cuts.json.length, 1)
      assert.strictEqual(cuts.json.at(-1).end, statSync(index).size)
      assert.match(cuts.json[0].digest, /^[0-9a-f]{64}$/)
      const odd = yield* granary(["inspect", "chunks", index, "--average", "1000"])
      assert.deepStrictEqual([odd.code, odd.text], [2, ""])
      assert.include(odd.errors, "power of two")
    })
  )

  it.live("refuses what it does not know", () =>
    Effect.gen(function* () {
      const outcome = yield* granary(["inspect", join(golden, "blobs/text.bin")])
      assert.strictEqual(outcome.code, 1)
      assert.include(outcome.errors, "no kind of file known here")
      assert.strictEqual((yield* granary(["inspect"])).code, 2)
    })
  )
})
