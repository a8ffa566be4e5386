import { assert, describe, it } from "@effect/vitest"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import { describeGolden } from "./goldenFolders.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("the key of 32 nines", () => {
  const crypt = CryptConfig.fromKey(new Uint8Array(32).fill(9))

  it("derives the known id key, fingerprint and chunk digest", () => {
    assert.strictEqual(hex(crypt.idKey), "d8574fc7e9bcffc3127c21c78bebf73504a3be683e4dba652865f23435609353")
    const fingerprint = "1ac82c72fbbb6206ec158977f8f9e8743fbe4f783f314f45c82fa087f9b5cd8a"
    assert.strictEqual(hex(crypt.fingerprint), fingerprint)
    assert.strictEqual(crypt.fingerprintText.replaceAll(":", ""), fingerprint)
    assert.strictEqual(
      crypt.chunkDigest(Buffer.from("hello")),
      "b851432e039cc5e9bf9e739081632202c2c9d4204289ebf0cca6910b851ae5f1"
    )
  })

  it("decrypts what it encrypted and nothing else", () => {
    const data = Buffer.from("some data")
    const encrypted = crypt.encrypt(data)
    assert.strictEqual(encrypted.iv.length, 16)
    assert.strictEqual(encrypted.tag.length, 16)
    assert.strictEqual(encrypted.ciphertext.length, data.length)
    assert.strictEqual(hex(crypt.decrypt(encrypted) ?? new Uint8Array(0)), hex(data))
    const changed = Uint8Array.from(encrypted.ciphertext)
    changed[0] = (changed[0] ?? 0) ^ 1
    assert.isUndefined(crypt.decrypt({ ...encrypted, ciphertext: changed }))
    assert.isUndefined(CryptConfig.fromKey(new Uint8Array(32)).decrypt(encrypted))
  })

  it.each([0, 1, 1_048_576, 3_500_000])(
    "%i bytes go piece by piece into memory that is given",
    (sizeBytes) => {
      const data = Buffer.alloc(sizeBytes, "some data, repeated ")
      const iv = Buffer.alloc(16, 1)
      const expected = crypt.encrypt(data, { iv })
      const memory = new Uint8Array(sizeBytes + 10)
      const encrypted = crypt.encrypt(data, { iv, room: memory.subarray(5) })
      assert.strictEqual(encrypted.ciphertext.buffer, memory.buffer)
      assert.isTrue(Buffer.from(encrypted.ciphertext).equals(expected.ciphertext))
      assert.isTrue(Buffer.from(encrypted.tag).equals(expected.tag))
      // Over the ciphertext itself.
      const decrypted = crypt.decrypt(encrypted, encrypted.ciphertext)
      assert.strictEqual(decrypted?.buffer, memory.buffer)
      assert.isTrue(data.equals(decrypted ?? new Uint8Array(0)))
      assert.isTrue([...memory.subarray(0, 5), ...memory.subarray(-5)].every((byte) => byte === 0))
      memory[5] = (memory[5] ?? 0) ^ 1
      if (sizeBytes > 0) assert.isUndefined(crypt.decrypt(encrypted, encrypted.ciphertext))
    }
  )

  it("keeps its own copy of the raw key, and takes 32 bytes only", () => {
    const raw = new Uint8Array(32).fill(9)
    const copied = CryptConfig.fromKey(raw)
    raw.fill(0)
    assert.strictEqual(hex(copied.encKey), "09".repeat(32))
    assert.throws(() => CryptConfig.fromKey(new Uint8Array(31)), RangeError)
  })
})

describeGolden("keys", (golden) => {
  for (const name of ["fixed", "plain", "scrypt", "pbkdf2"]) {
    it(`computes what the reference computes with the key ${name}`, () => {
      const info = golden.json(`${name}.info.json`)
      const sample = golden.read("sample.txt")
      const crypt = CryptConfig.fromKey(Buffer.from(info.enc_key, "hex"))
      assert.strictEqual(hex(crypt.fingerprint), info.fingerprint)
      assert.strictEqual(crypt.chunkDigest(sample), info.compute_digest)
      assert.strictEqual(hex(crypt.authTag(sample)), info.compute_auth_tag)
    })
  }
})
