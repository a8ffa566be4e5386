import { assert, describe, it } from "@effect/vitest"
import { generateKeyPairSync } from "node:crypto"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as DataBlob from "../../src/format/DataBlob.ts"
import { FormatError } from "../../src/format/FormatError.ts"
import * as KeyFile from "../../src/format/KeyFile.ts"
import * as MasterKey from "../../src/format/MasterKey.ts"
import { describeGolden, smallGolden } from "./goldenFolders.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

const raw = Uint8Array.from({ length: 32 }, (_, index) => index)

const refuses = (run: () => unknown, pattern: RegExp): void => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, FormatError)
    assert.match(error.message, pattern)
    return
  }
  assert.fail("expected a FormatError")
}

const failsKey = (run: () => unknown, reason: KeyFile.KeyError["reason"]): void => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, KeyFile.KeyError)
    assert.strictEqual(error.reason, reason)
    return
  }
  assert.fail("expected a KeyError")
}

describeGolden("keys", (golden) => {
  for (const name of ["fixed", "plain", "scrypt", "pbkdf2"]) {
    it(`unlocks ${name}.key.json and writes it byte for byte`, () => {
      const bytes = golden.read(`${name}.key.json`)
      const keyFile = KeyFile.decode(bytes)
      assert.strictEqual(
        hex(KeyFile.unlock(keyFile, "test-password")),
        golden.json(`${name}.info.json`).enc_key
      )
      assert.strictEqual(Buffer.from(KeyFile.encode(keyFile)).toString(), bytes.toString().trim())
      assert.strictEqual(keyFile.created, 1_795_235_577)
    })
  }

  for (const name of ["scrypt", "pbkdf2"]) {
    it(`tells why ${name}.key.json does not open`, () => {
      const keyFile = KeyFile.decode(golden.read(`${name}.key.json`))
      failsKey(() => KeyFile.unlock(keyFile), "PassphraseNeeded")
      failsKey(() => KeyFile.unlock(keyFile, "test"), "PassphraseTooShort")
      failsKey(() => KeyFile.unlock(keyFile, "test-passwort"), "WrongPassphrase")
      failsKey(
        () => KeyFile.unlock({ ...keyFile, fingerprint: "00:11" }, "test-password"),
        "FingerprintMismatch"
      )
    })

    it(`writes the data of ${name}.key.json from the same salt and initialisation vector`, () => {
      const golden1 = KeyFile.decode(golden.read(`${name}.key.json`))
      if (golden1.kdf.kind === "none") return assert.fail("a key without kdf")
      const created = KeyFile.create({
        raw,
        kdf: golden1.kdf.kind,
        passphrase: "test-password",
        salt: golden1.kdf.salt,
        iv: golden1.data.subarray(0, 16),
        created: golden1.created,
        ...(golden1.hint === undefined ? {} : { hint: golden1.hint })
      })
      const expected = golden.read(`${name}.key.json`).toString().trim()
      assert.strictEqual(Buffer.from(KeyFile.encode(created)).toString(), expected)
    })
  }

  it("decrypts rsa-encrypted.key.blob with the master key", () => {
    const info = golden.json("rsa-encrypted.info.json")
    const pem = golden.read("master-private.pem").toString()
    const keyFile = MasterKey.decrypt(pem, golden.read("rsa-encrypted.key.blob"))
    assert.strictEqual(hex(KeyFile.unlock(keyFile)), info.key)
    assert.strictEqual(keyFile.created, info.created)
    assert.isTrue(keyFile.fingerprint?.startsWith(info.fingerprint))
  })

  it("encrypts so that the master key decrypts", () => {
    const keyFile = KeyFile.create({ raw, kdf: "none", created: 1_700_000_000 })
    const blob = MasterKey.encrypt(golden.read("master-public.pem").toString(), keyFile)
    assert.strictEqual(blob.length, golden.read("rsa-encrypted.key.blob").length)
    const read = MasterKey.decrypt(golden.read("master-private.pem").toString(), blob)
    assert.deepStrictEqual({ ...read, data: hex(read.data) }, { ...keyFile, data: hex(keyFile.data) })
  })
})

describe("a key file", () => {
  const text = (change: object): Buffer => {
    const base = {
      kdf: null,
      created: "2026-11-21T04:32:57+00:00",
      modified: "2026-11-21T06:32:57+02:00",
      data: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    }
    return Buffer.from(JSON.stringify({ ...base, ...change }))
  }

  it("may have no fingerprint and any offset from UTC", () => {
    const keyFile = KeyFile.decode(text({}))
    assert.strictEqual(keyFile.modified, keyFile.created)
    assert.isUndefined(keyFile.fingerprint)
    assert.strictEqual(hex(KeyFile.unlock(keyFile)), hex(raw))
    assert.strictEqual(KeyFile.decode(text({ created: "1970-01-01T00:00:00Z" })).created, 0)
    assert.strictEqual(KeyFile.decode(text({ created: "1970-01-01T00:00:00-01:30" })).created, 5400)
  })

  it("needs a passphrase of five bytes to be protected", () => {
    const options = {
      raw,
      kdf: "pbkdf2",
      salt: new Uint8Array(32),
      iv: new Uint8Array(16),
      created: 0
    } as const
    failsKey(() => KeyFile.create({ ...options, passphrase: "1234" }), "PassphraseTooShort")
    const keyFile = KeyFile.decode(KeyFile.encode(KeyFile.create({ ...options, passphrase: "12ä4" })))
    assert.strictEqual(hex(KeyFile.unlock(keyFile, "12ä4")), hex(raw))
  })

  const sealed = Buffer.alloc(64).toString("base64")
  const cases: ReadonlyArray<readonly [string, object, RegExp]> = [
    ["no data", { data: undefined }, /"data" to be a text/],
    ["data that is not base64", { data: "%%%%" }, /base64/],
    ["data of another length", { data: "AAAA" }, /32 bytes of data/],
    ["sealed data of another length", { kdf: { PBKDF2: { iter: 1, salt: "" } } }, /64 bytes of data/],
    ["an unknown kdf", { kdf: { Argon2: {} } }, /Scrypt or PBKDF2/],
    ["a time that is none", { created: "yesterday" }, /RFC 3339/],
    ["a time that does not exist", { created: "2026-02-30T00:00:00+00:00" }, /calendar/],
    ["a hint that is no text", { hint: 5 }, /"hint" to be a text/],
    ["endless PBKDF2", { kdf: { PBKDF2: { iter: 4e9, salt: "" } }, data: sealed }, /iterations/],
    ["no PBKDF2", { kdf: { PBKDF2: { iter: 0, salt: "" } }, data: sealed }, /iterations/]
  ]

  for (const [what, change, pattern] of cases) {
    it(`is refused with ${what}`, () => refuses(() => KeyFile.decode(text(change)), pattern))
  }

  for (const [n, r, p] of [
    [2 ** 40, 8, 1],
    [2 ** 20, 9, 1],
    [65_536, 2 ** 30, 1],
    [65_536, 8, 1000],
    [2, 1, 2 ** 40],
    [65_535, 8, 1],
    [65_536, 1, 1],
    [1, 8, 1],
    [0, 8, 1],
    [-2, 8, 1],
    [65_536, 0, 1],
    [65_536, 8, 0.5]
  ] as const) {
    it(`is refused with scrypt of n=${n} r=${r} p=${p}`, () => {
      const kdf = { Scrypt: { n, r, p, salt: "" } }
      refuses(() => KeyFile.decode(text({ kdf, data: sealed })), /scrypt/)
    })
  }

  it("is refused when longer than any key file", () => {
    refuses(() => KeyFile.decode(Buffer.alloc(100_000, " ")), /at most 65536 bytes/)
  })
})

describe("a master key", () => {
  const golden = smallGolden("keys")
  const blob = golden.read("rsa-encrypted.key.blob")
  const pem = golden.read("master-private.pem").toString()

  it("of other people, or for another ciphertext, does not decrypt", () => {
    const other = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" }
    })
    refuses(() => MasterKey.decrypt(other.privateKey, blob), /encrypted for this private key/)
    const ciphertext = Uint8Array.from(DataBlob.decode(blob))
    ciphertext[100] = (ciphertext[100] ?? 0) ^ 1
    for (const changed of [ciphertext, ciphertext.subarray(1), new Uint8Array(0)]) {
      const wrapped = DataBlob.encode(changed, { compress: false })
      refuses(() => MasterKey.decrypt(pem, wrapped), /encrypted for this private key/)
    }
    const huge = DataBlob.encode(new Uint8Array(5000), { compress: false })
    refuses(() => MasterKey.decrypt(pem, huge), /at most 2048 bytes/)
  })

  it("must be an RSA key in PEM, and large enough", () => {
    const keyFile = KeyFile.create({ raw, kdf: "none", created: 0 })
    refuses(() => MasterKey.encrypt("junk", keyFile), /an RSA public key in PEM/)
    refuses(() => MasterKey.decrypt("junk", blob), /an RSA private key in PEM/)
    const curve = generateKeyPairSync("ed25519", {
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" }
    })
    refuses(() => MasterKey.encrypt(curve.publicKey, keyFile), /ed25519/)
    const hint = "h".repeat(400)
    const long = KeyFile.create({ raw, kdf: "none", created: 0, hint })
    refuses(() => MasterKey.encrypt(golden.read("master-public.pem").toString(), long), /large enough/)
  })

  it("may be protected by a passphrase of its own", () => {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", {
      modulusLength: 3072,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" }
    })
    const encrypted = MasterKey.encrypt(publicKey, KeyFile.create({ raw, kdf: "none", created: 0 }))
    const keyFile = MasterKey.decrypt(privateKey, encrypted, "secret")
    assert.strictEqual(CryptConfig.fromKey(KeyFile.unlock(keyFile)).fingerprintText, keyFile.fingerprint)
    refuses(() => MasterKey.decrypt(privateKey, encrypted), /private key in PEM/)
    refuses(() => MasterKey.decrypt(privateKey, encrypted, "wrong"), /private key in PEM/)
  })
})
