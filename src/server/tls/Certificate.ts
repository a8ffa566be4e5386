/**
 * Certificate: by what a server is known: `proxy.pem` and its key `proxy.key` (0600) in the configuration folder, as
 * Proxmox Backup Server calls them. Both may be put there by hand (a certificate of an authority); what is missing is
 * made once, and never replaced: clients have learnt the fingerprint.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { createPrivateKey, X509Certificate } from "node:crypto"
import * as path from "node:path"
import { ConfigError } from "../../config/ConfigError.ts"
import * as ConfigFolder from "../../config/ConfigFolder.ts"
import * as BackupTime from "../../model/BackupTime.ts"
import { Entropy } from "../../platform/Entropy.ts"
import { Files, type FilesError, isNotFound } from "../../platform/Files.ts"
import { Host } from "../../platform/Host.ts"
import * as selfSigned from "./selfSigned.ts"

export interface Certificate {
  readonly certificatePem: string
  readonly keyPem: string
  /** SHA-256 of the certificate: pairs of lower-case hex digits with colons. */
  readonly fingerprint: string
}

const fileMaxBytes = 256 * 1024

const namesIn = (folder: string) => ({
  certificate: path.join(folder, "proxy.pem"),
  key: path.join(folder, "proxy.key")
})

const textOf = (file: string) =>
  Effect.gen(function* () {
    const files = yield* Files
    return yield* files.readFile(file, fileMaxBytes).pipe(
      Effect.map((bytes): string | undefined => Buffer.from(bytes).toString()),
      Effect.catchIf(isNotFound, () => Effect.succeed(undefined))
    )
  })

/** Node writes it in capitals. */
const fingerprintOf = (certificate: X509Certificate): string => certificate.fingerprint256.toLowerCase()

const checked = (
  folder: string,
  certificatePem: string,
  keyPem: string
): Effect.Effect<Certificate, ConfigError> =>
  Effect.suspend(() => {
    const { certificate } = namesIn(folder)
    const hint = "put a certificate and its key there in PEM, or move both files away and a new pair is made"
    try {
      const parsed = new X509Certificate(certificatePem)
      if (parsed.checkPrivateKey(createPrivateKey(keyPem))) {
        return Effect.succeed({ certificatePem, keyPem, fingerprint: fingerprintOf(parsed) })
      }
      return Effect.fail(new ConfigError({ subject: certificate, detail: "its key is another one", hint }))
    } catch {
      // The cause could quote the key.
      return Effect.fail(
        new ConfigError({ subject: certificate, detail: "this or its key cannot be read", hint })
      )
    }
  })

/** A day before now, for clients whose clocks are behind. */
const marginSeconds = 86_400

const makeNew = (folder: string) =>
  Effect.gen(function* () {
    const files = yield* Files
    const host = yield* Host
    const entropy = yield* Entropy
    const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const made = selfSigned.make({
      names: [host.nodeName, "localhost", "127.0.0.1", "::1"],
      serial: entropy(16),
      validFrom: BackupTime.format(nowSeconds - marginSeconds),
      validTo: BackupTime.format(nowSeconds + selfSigned.lifeSeconds)
    })
    const names = namesIn(folder)
    yield* ConfigFolder.makeFolders(folder)
    // The key first: a certificate without its key would be refused at the next start.
    yield* files.replaceFile(names.key, [Buffer.from(made.keyPem)], { mode: 0o600, sync: true })
    yield* files.replaceFile(names.certificate, [Buffer.from(made.certificatePem)], {
      mode: 0o644,
      sync: true
    })
    return yield* checked(folder, made.certificatePem, made.keyPem)
  })

/** The folder's certificate; made when there is none. */
export const obtain = (folder: string): Effect.Effect<Certificate, ConfigError | FilesError, Files> =>
  Effect.gen(function* () {
    const names = namesIn(folder)
    const certificatePem = yield* textOf(names.certificate)
    const keyPem = yield* textOf(names.key)
    // A key alone is what a start left behind that was cut off.
    if (certificatePem === undefined) return yield* makeNew(folder)
    if (keyPem !== undefined) return yield* checked(folder, certificatePem, keyPem)
    const hint = "put its key beside it, or move the certificate away and a new pair is made"
    return yield* new ConfigError({ subject: names.key, detail: "the certificate's key is missing", hint })
  })
