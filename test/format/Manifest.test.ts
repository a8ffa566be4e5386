import { assert, describe, it } from "@effect/vitest"
import { scryptSync } from "node:crypto"
import type { Json } from "../../src/format/CanonicalJson.ts"
import * as CryptConfig from "../../src/format/CryptConfig.ts"
import * as DataBlob from "../../src/format/DataBlob.ts"
import { FormatError } from "../../src/format/FormatError.ts"
import * as Manifest from "../../src/format/Manifest.ts"
import * as ManifestNotes from "../../src/format/ManifestNotes.ts"
import * as Digest from "../../src/model/Digest.ts"
import * as Snapshot from "../../src/model/Snapshot.ts"
import * as TaskId from "../../src/model/TaskId.ts"
import { describeGolden } from "./goldenFolders.ts"

const fixedKey = CryptConfig.fromKey(Uint8Array.from({ length: 32 }, (_, index) => index))

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

const failsSignature = (run: () => unknown, reason: Manifest.SignatureError["reason"]): void => {
  try {
    run()
  } catch (error) {
    assert.instanceOf(error, Manifest.SignatureError)
    assert.strictEqual(error.reason, reason)
    assert.include(error.message, "manifest of ")
    return
  }
  assert.fail("expected a SignatureError")
}

const blobOf = (json: unknown): Uint8Array =>
  DataBlob.encode(Buffer.from(typeof json === "string" ? json : JSON.stringify(json)), { compress: true })

describeGolden("manifests", (golden) => {
  for (const name of golden.stems(".index.json.blob")) {
    it(`reads ${name} as the reference does`, () => {
      const blob = golden.read(`${name}.index.json.blob`)
      const expected = golden.json(`${name}.check-with-key.json`)
      const manifest = Manifest.decode(blob)
      assert.deepStrictEqual(manifest.raw, expected.manifest)
      assert.strictEqual(DataBlob.peekKind(blob), "zstd")
      const { snapshot } = manifest
      assert.strictEqual(snapshot.group.type, expected.manifest["backup-type"])
      assert.strictEqual(snapshot.group.id, expected.manifest["backup-id"])
      assert.strictEqual(snapshot.time, expected.manifest["backup-time"])
      assert.deepStrictEqual(
        manifest.files,
        expected.manifest.files.map((file: Record<string, unknown>) => ({
          filename: file["filename"],
          cryptMode: file["crypt-mode"],
          sizeBytes: file["size"],
          csum: file["csum"]
        }))
      )
    })

    it(`computes the signature of ${name}`, () => {
      const expected = golden.json(`${name}.check-with-key.json`)
      const manifest = Manifest.decode(golden.read(`${name}.index.json.blob`))
      assert.strictEqual(Manifest.signedText(manifest), expected.canonical_signed_json)
      assert.strictEqual(expected.fingerprint_check, "ok")
      const result = Manifest.verifySignature(manifest, fixedKey)
      assert.strictEqual(result, expected.manifest.signature === null ? "unsigned" : "valid")
      const signed = Manifest.sign(manifest, fixedKey)
      assert.strictEqual(signed.signature, expected.signature_computed)
      assert.strictEqual(Manifest.keyFingerprint(signed), fixedKey.fingerprintText)
      assert.strictEqual(Manifest.verifySignature(signed, fixedKey), "valid")
    })

    it(`writes ${name} with the same JSON, byte for byte`, () => {
      const blob = golden.read(`${name}.index.json.blob`)
      const text = Buffer.from(DataBlob.decode(blob)).toString()
      const manifest = Manifest.decode(blob)
      assert.strictEqual(Buffer.from(DataBlob.decode(Manifest.encode(manifest))).toString(), text)
    })

    it(`reads what is noted on ${name}`, () => {
      const manifest = Manifest.decode(golden.read(`${name}.index.json.blob`))
      const { verify_state: state, chunk_upload_stats: stats } = golden.json(`${name}.check-with-key.json`)
        .manifest.unprotected
      assert.deepStrictEqual(ManifestNotes.verifyState(manifest), state)
      if (state !== undefined) assert.strictEqual(TaskId.parse(state.upid).workerType, "verify_snapshot")
      const read = ManifestNotes.chunkUploadStats(manifest)
      assert.strictEqual(read?.sizeBytes, stats?.size)
      assert.strictEqual(read?.compressedSizeBytes, stats?.compressed_size)
    })
  }
})

describe("the known signature", () => {
  const crypt = CryptConfig.fromKey(
    scryptSync("test", "", 32, { N: 65_536, r: 8, p: 1, maxmem: 128 * 1024 * 1024 })
  )
  const manifest = Manifest.make(Snapshot.parse("host/elsa/2020-06-26T13:56:05Z"), [
    {
      filename: "test1.img.fidx",
      cryptMode: "encrypt",
      sizeBytes: 200,
      csum: Digest.parse("01".repeat(32))
    },
    { filename: "abc.blob", cryptMode: "none", sizeBytes: 200, csum: Digest.parse("02".repeat(32)) }
  ])
  const signature = "d7b446fb7db081662081d4b40fedd858a1d6307a5aff4ecff7d5bf4fd35679e9"

  it("comes out of signing", () => {
    assert.strictEqual(manifest.signature, null)
    const signed = Manifest.sign(manifest, crypt)
    assert.strictEqual(signed.signature, signature)
    const read = Manifest.decode(Manifest.encode(signed))
    assert.deepStrictEqual(read, signed)
    assert.strictEqual(Manifest.verifySignature(read, crypt), "valid")
  })

  it("does not fit another key or changed files, and does not cover the unprotected part", () => {
    const signed = Manifest.sign(manifest, crypt)
    failsSignature(() => Manifest.verifySignature(signed, fixedKey), "WrongKey")
    const unnamed = Manifest.withUnprotected(signed, "key-fingerprint", undefined)
    failsSignature(() => Manifest.verifySignature(unnamed, fixedKey), "BadSignature")
    const changed = Manifest.fromJson({ ...signed.raw, "backup-id": "other" })
    failsSignature(() => Manifest.verifySignature(changed, crypt), "BadSignature")
    const unknown = Manifest.fromJson({ ...signed.raw, extra: 1 })
    failsSignature(() => Manifest.verifySignature(unknown, crypt), "BadSignature")
    const noted = ManifestNotes.withNotes(signed, "first line\nsecond")
    assert.strictEqual(Manifest.verifySignature(noted, crypt), "valid")
    const unsigned = Manifest.fromJson({ ...signed.raw, signature: null })
    assert.strictEqual(Manifest.verifySignature(unsigned, crypt), "unsigned")
    failsSignature(() => Manifest.verifySignature(unsigned, fixedKey), "WrongKey")
  })
})

const sample = {
  "backup-id": "x",
  "backup-time": 1_700_000_000,
  "backup-type": "host",
  files: [{ filename: "root.pxar.didx", size: 7, csum: "ab".repeat(32) }] as ReadonlyArray<Json>
}

describe("a manifest", () => {
  it("of old age has neither crypt modes nor an unprotected part", () => {
    const manifest = Manifest.decode(blobOf(sample))
    assert.strictEqual(manifest.files[0]?.cryptMode, "none")
    assert.deepStrictEqual(manifest.unprotected, {})
    assert.strictEqual(manifest.signature, null)
    assert.strictEqual(Manifest.findFile(manifest, "root.pxar.didx")?.sizeBytes, 7)
    assert.isUndefined(Manifest.findFile(manifest, "root.pxar"))
  })

  it("keeps keys it does not know through every change", () => {
    const text = `{"__proto__":{"x":1},"new":[1,2.5,{"b":null,"a":"ü"}],${JSON.stringify(sample).slice(1)}`
    const noted = ManifestNotes.withNotes(Manifest.decode(blobOf(text)), "note")
    const json = JSON.parse(Buffer.from(DataBlob.decode(Manifest.encode(noted))).toString())
    assert.deepStrictEqual(json["new"], [1, 2.5, { b: null, a: "ü" }])
    assert.deepStrictEqual(Object.getOwnPropertyDescriptor(json, "__proto__")?.value, { x: 1 })
    assert.deepStrictEqual(json["unprotected"], { notes: "note" })
    assert.deepStrictEqual(json["files"], sample.files)
  })

  it("takes, replaces and loses what is noted on it", () => {
    const stats = { count: 3, sizeBytes: 30, compressedSizeBytes: 20, duplicates: 1 }
    let manifest = ManifestNotes.withNotes(Manifest.decode(blobOf(sample)), "one")
    manifest = ManifestNotes.withNotes(manifest, "two")
    manifest = ManifestNotes.withChunkUploadStats(manifest, stats)
    manifest = ManifestNotes.withVerifyState(manifest, { state: "failed", upid: "UPID:x" })
    manifest = Manifest.decode(Manifest.encode(manifest))
    assert.strictEqual(ManifestNotes.notes(manifest), "two")
    assert.deepStrictEqual(ManifestNotes.chunkUploadStats(manifest), stats)
    assert.deepStrictEqual(ManifestNotes.verifyState(manifest), { state: "failed", upid: "UPID:x" })
    assert.isUndefined(ManifestNotes.notes(ManifestNotes.withNotes(manifest, undefined)))
    for (const junk of [null, 1, "x", [], {}, { state: "odd", upid: "u" }, { count: -1 }]) {
      const odd = Manifest.fromJson({
        ...manifest.raw,
        unprotected: { notes: 1, verify_state: junk, chunk_upload_stats: junk, "key-fingerprint": 5 }
      })
      assert.isUndefined(ManifestNotes.notes(odd))
      assert.isUndefined(ManifestNotes.verifyState(odd))
      assert.isUndefined(ManifestNotes.chunkUploadStats(odd))
      assert.isUndefined(Manifest.keyFingerprint(odd))
    }
  })
})

describe("decode refuses", () => {
  const cases: ReadonlyArray<readonly [string, unknown, RegExp]> = [
    ["no JSON", "{", /JSON/],
    ["a list", [], /an object/],
    ["an unknown type", { ...sample, "backup-type": "lxc" }, /backup-type/],
    ["a bad id", { ...sample, "backup-id": "../x" }, /letters, digits/],
    ["a time as text", { ...sample, "backup-time": "now" }, /backup-time/],
    ["a time beyond the calendar", { ...sample, "backup-time": 1e15 }, /years 0000 to 9999/],
    ["files that are no list", { ...sample, files: {} }, /a list/],
    ["a file that is no object", { ...sample, files: [[]] }, /a list of objects/],
    [
      "a path as file name",
      { ...sample, files: [{ ...Object(sample.files[0]), filename: "../a.blob" }] },
      /slash/
    ],
    [
      "a file of unknown kind",
      { ...sample, files: [{ ...Object(sample.files[0]), filename: "a.txt" }] },
      /\.fidx/
    ],
    ["the same file twice", { ...sample, files: [...sample.files, ...sample.files] }, /different files/],
    ["a negative size", { ...sample, files: [{ ...Object(sample.files[0]), size: -1 }] }, /at least 0/],
    ["a broken size", { ...sample, files: [{ ...Object(sample.files[0]), size: 1.5 }] }, /whole number/],
    ["a huge size", { ...sample, files: [{ ...Object(sample.files[0]), size: 2 ** 53 }] }, /below 2\^53/],
    [
      "a bad checksum",
      { ...sample, files: [{ ...Object(sample.files[0]), csum: "AB" }] },
      /64 lower-case hex/
    ],
    [
      "an unknown crypt mode",
      { ...sample, files: [{ ...Object(sample.files[0]), "crypt-mode": "x" }] },
      /crypt-mode/
    ],
    ["an unprotected part that is no object", { ...sample, unprotected: [] }, /unprotected/],
    ["a signature that is none", { ...sample, signature: "00" }, /64 hex digits/],
    ["deep nesting", `${"[".repeat(200)}${"]".repeat(200)}`, /levels of JSON/],
    ["very deep nesting", `${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`, /levels of JSON|JSON/],
    ["half a character", `{"a":"\\ud800"}`, /well-formed Unicode/],
    ["half a character in a key", `{"\\udfff":1}`, /well-formed Unicode/],
    ["an infinite number", `{"a":1e999}`, /below 2\^53/]
  ]

  for (const [what, json, pattern] of cases) {
    it(what, () => refuses(() => Manifest.decode(blobOf(json)), pattern))
  }

  it("an encrypted blob and bytes that are not UTF-8", () => {
    const blob = DataBlob.encode(Buffer.from(JSON.stringify(sample)), { compress: true, crypt: fixedKey })
    refuses(() => Manifest.decode(blob), /encrypted blob/)
    refuses(
      () => Manifest.decode(DataBlob.encode(Uint8Array.of(0x22, 0xff, 0x22), { compress: false })),
      /UTF-8/
    )
  })

  it("more than a manifest can be", () => {
    refuses(() => Manifest.decode(blobOf(" ".repeat(Manifest.sizeMaxBytes + 1))), /at most 16777216 bytes/)
  })
})
