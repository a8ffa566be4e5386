/**
 * The signature of a manifest: HMAC-SHA256, under the key that encrypts the backup, over the canonical JSON of the
 * manifest without `signature` and `unprotected`. The unprotected part names the key by its fingerprint, which lets
 * a reader tell a wrong key from a manifest that was changed.
 */
import * as Data from "effect/Data"
import { timingSafeEqual } from "node:crypto"
import * as Snapshot from "../model/Snapshot.ts"
import type { CryptConfig } from "./CryptConfig.ts"
import * as Manifest from "./Manifest.ts"
import { keyFingerprint, keyFingerprintKey } from "./ManifestNotes.ts"

export class SignatureError extends Data.TaggedError("SignatureError")<{
  /** `WrongKey`: the manifest names another key. `BadSignature`: the manifest is not the one that was signed. */
  readonly reason: "WrongKey" | "BadSignature"
  /** The snapshot as text. */
  readonly snapshot: string
  readonly detail: string
}> {
  override get message(): string {
    return `manifest of ${this.snapshot}: ${this.detail}`
  }
}

const signatureOf = (manifest: Manifest.Manifest, crypt: CryptConfig): Uint8Array =>
  crypt.authTag(Manifest.signedText(manifest))

/** Signs with the key and names it. */
export const sign = (manifest: Manifest.Manifest, crypt: CryptConfig): Manifest.Manifest => {
  const named = Manifest.withUnprotected(manifest, keyFingerprintKey, crypt.fingerprintText)
  return Manifest.withSignature(named, Buffer.from(signatureOf(named, crypt)).toString("hex"))
}

/**
 * Throws a `SignatureError` when the manifest names another key or its signature does not fit. A manifest without
 * signature passes as `unsigned`; whether that will do is for the caller to say.
 */
export const verifySignature = (manifest: Manifest.Manifest, crypt: CryptConfig): "valid" | "unsigned" => {
  const snapshot = Snapshot.format(manifest.snapshot)
  const named = keyFingerprint(manifest)
  if (named !== undefined && named !== crypt.fingerprintText) {
    const detail = `made with the key ${named.slice(0, 95)}, the key given is ${crypt.fingerprintText}`
    throw new SignatureError({ reason: "WrongKey", snapshot, detail })
  }
  if (manifest.signature === null) return "unsigned"
  if (!timingSafeEqual(Buffer.from(manifest.signature, "hex"), signatureOf(manifest, crypt))) {
    const detail = "the signature does not fit: it was changed, or signed with another key"
    throw new SignatureError({ reason: "BadSignature", snapshot, detail })
  }
  return "valid"
}
