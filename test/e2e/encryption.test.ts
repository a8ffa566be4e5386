/** Encrypted and signed backups: with the right key, without one, with another one. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import { assertFails, chunkFiles, document, fastFolder, granary, makeStore, succeed } from "./cli.ts"

const folder = fastFolder()
const inFolder = (...parts: ReadonlyArray<string>): string => path.join(folder.path, ...parts)
const passphrase = { environment: { GRANARY_KEY_PASSPHRASE: "correct horse" } }
const secret = "nobody else may read this ".repeat(1000)
let store = ""

const keyed = (name: string): ReadonlyArray<string> => ["--keyfile", inFolder(name)]
const archives = () => [`docs.pxar:${inFolder("docs")}`, `a.conf:${inFolder("docs/secret")}`]

const backUp = (id: string, ...rest: ReadonlyArray<string>) => [
  "backup",
  "-r",
  store,
  "--backup-id",
  id,
  ...rest,
  ...archives()
]

const readBack = (id: string, ...rest: ReadonlyArray<string>) => [
  "cat",
  "-r",
  store,
  ...rest,
  `host/${id}`,
  "docs.pxar",
  "secret"
]

beforeAll(async () => {
  mkdirSync(inFolder("docs"))
  writeFileSync(inFolder("docs/secret"), secret)
  store = makeStore(folder.path)
  await succeed(["key", "create", inFolder("bare.key"), "--kdf", "none"])
  await succeed(["key", "create", inFolder("other.key"), "--kdf", "none"])
  await succeed(["key", "create", inFolder("scrypt.key"), "--kdf", "scrypt"], passphrase)
})
afterAll(folder.remove)

describe("a key file", () => {
  it("is its owner's only, is shown without the key, and is never overwritten", async () => {
    assert.strictEqual(statSync(inFolder("scrypt.key")).mode & 0o777, 0o600)
    const shown = await document<Record<string, unknown>>(["key", "show", inFolder("scrypt.key")])
    assert.strictEqual(shown["kdf"], "scrypt")
    assert.match(String(shown["fingerprint"]), /^[0-9a-f]{2}(:[0-9a-f]{2})+$/)
    const before = readFileSync(inFolder("bare.key"))
    assertFails(await granary(["key", "create", inFolder("bare.key"), "--kdf", "none"]), 1, /exists already/)
    assert.isTrue(readFileSync(inFolder("bare.key")).equals(before))
  })
})

describe("an encrypted backup", () => {
  beforeAll(async () => {
    const { text } = await succeed([...backUp("secret", ...keyed("bare.key")), "--output", "json"])
    for (const file of JSON.parse(text).files) assert.strictEqual(file["crypt-mode"], "encrypt")
  })

  it("holds nothing readable", () => {
    const everything = Buffer.concat(chunkFiles(store).map((file) => readFileSync(file)))
    assert.isFalse(everything.includes("nobody else may read"))
  })

  it("comes back with its key", async () => {
    assert.strictEqual((await succeed(readBack("secret", ...keyed("bare.key")))).text, secret)
    await succeed(["verify", "-r", store, ...keyed("bare.key")])
    await succeed(["verify", "-r", store])
  })

  it("does not come back without one, or with another one", async () => {
    assertFails(await granary(readBack("secret")), 1, /host\/secret.*key.*--keyfile/)
    assertFails(await granary(readBack("secret", ...keyed("other.key"))), 1, /key.*--keyfile/)
    const target = inFolder("refused")
    const restore = ["restore", "-r", store, ...keyed("other.key"), "host/secret", "docs.pxar", target]
    assertFails(await granary(restore), 1, /key/)
    const blob = ["restore", "-r", store, "host/secret", "a.conf", "-"]
    assertFails(await granary(blob), 1, /key/)
  })

  it("stores nothing again with the same key, and everything with another one", async () => {
    const before = chunkFiles(store).length
    await succeed(backUp("secret", ...keyed("bare.key")))
    assert.strictEqual(chunkFiles(store).length, before)
    await succeed(backUp("others", ...keyed("other.key")))
    assert.isAbove(chunkFiles(store).length, before)
  })
})

describe("a key with a passphrase", () => {
  it("opens with it: from the environment and from a file", async () => {
    await succeed(backUp("phrase", ...keyed("scrypt.key")), passphrase)
    writeFileSync(inFolder("phrase"), "correct horse\n", { mode: 0o600 })
    const args = readBack("phrase", ...keyed("scrypt.key"), "--passphrase-file", inFolder("phrase"))
    assert.strictEqual((await succeed(args)).text, secret)
  })

  it("does not open with a wrong one, or none", async () => {
    const wrong = { environment: { GRANARY_KEY_PASSPHRASE: "battery staple" } }
    const args = readBack("phrase", ...keyed("scrypt.key"))
    assertFails(await granary(args, wrong), 1, /scrypt\.key: .*passphrase/)
    const ended = await granary(args)
    assert.notStrictEqual(ended.code, 0)
    assert.match(ended.errors, /scrypt\.key: .*passphrase.*GRANARY_KEY_PASSPHRASE/)
  })
})

describe("a signed backup", () => {
  it("can be read without a key, and is checked with one", async () => {
    await succeed(backUp("signed", ...keyed("bare.key"), "--crypt-mode", "sign-only"))
    assert.strictEqual((await succeed(readBack("signed"))).text, secret)
    assert.strictEqual((await succeed(readBack("signed", ...keyed("bare.key")))).text, secret)
    assertFails(await granary(readBack("signed", ...keyed("other.key"))), 1, /host\/signed.*(?:key|sign)/)
  })
})
