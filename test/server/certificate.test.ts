/** The certificate that a server makes for itself: judged by those who have to accept it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { X509Certificate } from "node:crypto"
import { readFileSync, statSync, unlinkSync, writeFileSync } from "node:fs"
import * as path from "node:path"
import * as tls from "node:tls"
import * as NodeFiles from "../../src/platform/NodeFiles.ts"
import * as Certificate from "../../src/server/tls/Certificate.ts"
import * as selfSigned from "../../src/server/tls/selfSigned.ts"
import { scratchFolder } from "../platform/scratch.ts"

const made = (names: selfSigned.CertificateOptions["names"]) =>
  selfSigned.make({
    names,
    serial: new Uint8Array(16).fill(0xff),
    validFrom: "2026-01-31T10:00:00Z",
    validTo: "2036-01-31T10:00:00Z"
  })

describe("selfSigned", () => {
  it("makes what says whose it is, from when to when", () => {
    const { certificatePem, keyPem } = made(["backup", "localhost", "127.0.0.1", "::1", "fe80::1:2"])
    const certificate = new X509Certificate(certificatePem)
    assert.strictEqual(certificate.subject, "CN=backup")
    assert.strictEqual(certificate.issuer, "CN=backup")
    assert.strictEqual(certificate.validFromDate.toISOString(), "2026-01-31T10:00:00.000Z")
    assert.strictEqual(certificate.validToDate.toISOString(), "2036-01-31T10:00:00.000Z")
    assert.isFalse(certificate.ca)
    assert.isTrue(certificate.verify(certificate.publicKey))
    assert.strictEqual(certificate.checkHost("localhost"), "localhost")
    assert.strictEqual(certificate.checkIP("127.0.0.1"), "127.0.0.1")
    assert.strictEqual(certificate.checkIP("fe80:0:0:0:0:0:1:2"), "fe80:0:0:0:0:0:1:2")
    assert.isUndefined(certificate.checkHost("elsewhere"))
    assert.include(keyPem, "BEGIN PRIVATE KEY")
    assert.notStrictEqual(made(["backup"]).keyPem, keyPem)
  })

  it("is trusted by who trusts it, by name", async () => {
    const { certificatePem, keyPem } = selfSigned.make({
      names: ["localhost", "127.0.0.1"],
      serial: new Uint8Array(16),
      validFrom: "2020-01-01T00:00:00Z",
      validTo: "2090-01-01T00:00:00Z"
    })
    const server = tls.createServer({ cert: certificatePem, key: keyPem }, (socket) => socket.end("hello"))
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const received = await new Promise<string>((resolve, reject) => {
      const socket = tls.connect({ host: "127.0.0.1", port, ca: certificatePem, servername: "localhost" })
      let text = ""
      socket.on("data", (bytes) => (text += String(bytes)))
      socket.on("end", () => resolve(text))
      socket.on("error", reject)
    })
    await new Promise((resolve) => server.close(resolve))
    assert.strictEqual(received, "hello")
  })
})

describe("Certificate", () => {
  it.live("is made once, and kept", () =>
    Effect.gen(function* () {
      const folder = path.join(yield* scratchFolder, "granary")
      const first = yield* Certificate.obtain(folder)
      assert.match(first.fingerprint, /^(?:[\da-f]{2}:){31}[\da-f]{2}$/)
      assert.strictEqual(statSync(path.join(folder, "proxy.key")).mode & 0o777, 0o600)
      assert.deepStrictEqual(yield* Certificate.obtain(folder), first)
      const now = new X509Certificate(first.certificatePem)
      assert.isBelow(now.validFromDate.getTime(), Date.now())
      assert.isAbove(now.validToDate.getTime(), Date.now() + 9 * 365 * 86_400_000)
    }).pipe(Effect.provide(NodeFiles.layer))
  )

  it.live("is never used with another key, and never replaced", () =>
    Effect.gen(function* () {
      const folder = path.join(yield* scratchFolder, "granary")
      const first = yield* Certificate.obtain(folder)
      const key = path.join(folder, "proxy.key")
      writeFileSync(key, made(["other"]).keyPem)
      assert.match((yield* Effect.flip(Certificate.obtain(folder))).message, /its key is another one/)
      writeFileSync(key, "nonsense")
      const unreadable = yield* Effect.flip(Certificate.obtain(folder))
      assert.match(unreadable.message, /cannot be read/)
      assert.notInclude(unreadable.message, "nonsense")
      unlinkSync(key)
      assert.match((yield* Effect.flip(Certificate.obtain(folder))).message, /key is missing/)
      assert.strictEqual(readFileSync(path.join(folder, "proxy.pem"), "utf8"), first.certificatePem)
      unlinkSync(path.join(folder, "proxy.pem"))
      writeFileSync(key, first.keyPem)
      assert.notStrictEqual(
        (yield* Effect.flip(Effect.flip(Certificate.obtain(folder)))).fingerprint,
        first.fingerprint
      )
    }).pipe(Effect.provide(NodeFiles.layer))
  )
})
