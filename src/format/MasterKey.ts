/**
 * The master key: an RSA key pair whose public half encrypts the key of every backup into the backup itself
 * (`rsa-encrypted.key.blob`), so that who holds the private half can restore when the backup's key is lost.
 *
 * The blob's data is PKCS#1 v1.5 encryption of the JSON of an unprotected key file; the blob itself is not
 * encrypted. OpenSSL answers a wrong private key or a changed ciphertext with random bytes instead of an
 * error (so that nobody can probe a key with crafted ciphertexts); here both come out as "not a key file".
 */
import {
  constants,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  privateDecrypt,
  publicEncrypt
} from "node:crypto"
import * as DataBlob from "./DataBlob.ts"
import { fail, FormatError } from "./FormatError.ts"
import * as KeyFile from "./KeyFile.ts"

const format = "master key"

/** RSA of 16384 bits; larger moduli are refused by OpenSSL too. */
const ciphertextMaxBytes = 2048

const padding = constants.RSA_PKCS1_PADDING

const paddingSizeBytes = 11

const importKey = (kind: string, read: () => KeyObject): KeyObject => {
  let key: KeyObject
  try {
    key = read()
  } catch (error) {
    return fail(
      format,
      0,
      `an RSA ${kind} key in PEM`,
      error instanceof Error ? error.message : String(error)
    )
  }
  if (key.asymmetricKeyType === "rsa") return key
  return fail(format, 0, `an RSA ${kind} key`, `a key of type ${key.asymmetricKeyType}`)
}

/**
 * The bytes of `rsa-encrypted.key.blob` for a key, which must not be protected by a passphrase in the key
 * file.
 */
export const encrypt = (publicPem: string, keyFile: KeyFile.KeyFile): Uint8Array => {
  const key = importKey("public", () => createPublicKey(publicPem))
  const text = KeyFile.encode(keyFile)
  const roomBytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8 - paddingSizeBytes
  if (text.length > roomBytes) {
    fail(
      format,
      0,
      `a key large enough to encrypt ${text.length} bytes`,
      `room for ${Math.max(0, roomBytes)}`
    )
  }
  return DataBlob.encode(publicEncrypt({ key, padding }, text), { compress: false })
}

const importPrivate = (pem: string, passphrase: string | undefined): KeyObject =>
  importKey("private", () => createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase }))

/** Fails unless it is a private key that the passphrase opens. */
export const provePrivate = (pem: string, passphrase?: string): void => void importPrivate(pem, passphrase)

/** Whether a private key in PEM needs a passphrase (PKCS#8, or OpenSSL's older way). */
export const isProtected = (privatePem: string): boolean => /ENCRYPTED/.test(privatePem)

const isBlob = (bytes: Uint8Array): boolean => {
  try {
    DataBlob.peekKind(bytes)
    return true
  } catch {
    return false
  }
}

/**
 * Reads `rsa-encrypted.key.blob`, or what a restore made of it (its data), with the private key and its passphrase
 * when the PEM is encrypted.
 */
export const decrypt = (privatePem: string, sealed: Uint8Array, passphrase?: string): KeyFile.KeyFile => {
  const key = importPrivate(privatePem, passphrase)
  const ciphertext = isBlob(sealed) ? DataBlob.decode(sealed, { maxSizeBytes: ciphertextMaxBytes }) : sealed
  try {
    return KeyFile.decode(privateDecrypt({ key, padding }, ciphertext))
  } catch (error) {
    const found = error instanceof FormatError ? "other bytes" : "a ciphertext of other length"
    return fail(format, 0, "a key file encrypted for this private key", found)
  }
}
