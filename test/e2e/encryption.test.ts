/** Encrypted and signed backups: with the right key, without one, with another one. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import {
  assertFails,
  chunkFiles,
  document,
  fastFolder,
  granary,
  makeStore,
  snapshotFolders,
  succeed
} from "./cli.ts"

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

describe("a master key", () => {
  const master = { environment: { GRANARY_MASTER_KEY_PASSPHRASE: "a master's passphrase" } }
  const [publicFile, privateFile] = [inFolder("m-public.pem"), inFolder("m-private.pem")]
  const open = (sealed: string, key: string, masterKey = privateFile) => [
    "key",
    "import-with-master-key",
    inFolder(key),
    "--kdf",
    "none",
    "--encrypted-keyfile",
    sealed,
    "--master-keyfile",
    masterKey
  ]

  beforeAll(async () => {
    await succeed(["key", "create-master-key", inFolder("m")], master)
    await succeed(backUp("sealed", ...keyed("scrypt.key"), "--master-pubkey-file", publicFile), passphrase)
  })

  it("is made once, and its private half is its owner's only and protected", async () => {
    assert.strictEqual(statSync(privateFile).mode & 0o777, 0o600)
    assert.match(readFileSync(privateFile, "utf8"), /BEGIN ENCRYPTED PRIVATE KEY/)
    const before = readFileSync(privateFile)
    assertFails(await granary(["key", "create-master-key", inFolder("m")], master), 1, /exists already/)
    assert.isTrue(readFileSync(privateFile).equals(before))
    assertFails(
      await granary(["key", "create-master-key", inFolder("n")]),
      2,
      /GRANARY_MASTER_KEY_PASSPHRASE/
    )
    assert.isFalse(existsSync(inFolder("n-public.pem")))
  })

  it("brings back the key of a backup, from what a restore or a copy of the store has", async () => {
    const listed = await document<ReadonlyArray<{ filename: string }>>(["files", "-r", store, "host/sealed"])
    assert.include(
      listed.map(({ filename }) => filename),
      "rsa-encrypted.key.blob"
    )
    const restored = inFolder("sealed")
    await succeed(["restore", "-r", store, "host/sealed", "rsa-encrypted.key", restored])
    const [directory = ""] = snapshotFolders(store, "host/sealed")
    const blob = path.join(store, "host/sealed", directory, "rsa-encrypted.key.blob")
    for (const [number, sealed] of [restored, blob].entries()) {
      await succeed(open(sealed, `back${number}.key`), master)
      assert.strictEqual((await succeed(readBack("sealed", ...keyed(`back${number}.key`)))).text, secret)
    }
    const shown = await document<Record<string, unknown>>(["key", "show", inFolder("back0.key")])
    const own = await document<Record<string, unknown>>(["key", "show", inFolder("scrypt.key")])
    assert.deepInclude(shown, { fingerprint: own["fingerprint"], created: own["created"], kdf: "none" })
  })

  it("is refused where it does not fit", async () => {
    await succeed(["restore", "-r", store, "host/sealed", "rsa-encrypted.key", inFolder("sealed2")])
    const wrong = { environment: { GRANARY_MASTER_KEY_PASSPHRASE: "something else" } }
    assertFails(
      await granary(open(inFolder("sealed2"), "x.key"), wrong),
      1,
      /m-private.*RSA private key.*passphrase/
    )
    await succeed(["key", "create-master-key", inFolder("o")], master)
    const foreign = open(inFolder("sealed2"), "x.key", inFolder("o-private.pem"))
    assertFails(await granary(foreign, master), 1, /sealed2.*encrypted for this private key/)
    assertFails(await granary(open(inFolder("docs/secret"), "x.key"), master), 1, /secret/)
    assert.isFalse(existsSync(inFolder("x.key")))
    const unsealed = backUp("plain", "--master-pubkey-file", publicFile)
    assertFails(await granary(unsealed), 2, /--master-pubkey-file needs a key.*--keyfile/)
    const junk = backUp("junk", ...keyed("bare.key"), "--master-pubkey-file", inFolder("docs/secret"))
    assertFails(await granary(junk), 1, /docs\/secret.*RSA public key.*create-master-key/)
  })
})
