/**
 * What follows from an encryption key: the key for the data, the key for names and signatures, and the
 * fingerprint.
 *
 * The id key is derived from the data key, so that digests of encrypted chunks and signatures of manifests
 * depend on the key without telling anything about it: whoever has no key can neither guess a chunk by its
 * digest nor sign.
 *
 *     id key      = PBKDF2-HMAC-SHA256(encryption key, "_id_key", 10 iterations, 32 bytes)
 *     fingerprint = SHA-256(SHA-256("Proxmox Backup Encryption Key Fingerprint") || id key)
 *
 * Data is encrypted with AES-256-GCM under a fresh random 16-byte initialisation vector (not the usual 12),
 * without additional data.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  pbkdf2Sync,
  randomBytes
} from "node:crypto"
import * as Digest from "../model/Digest.ts"

export interface Encrypted {
  readonly iv: Uint8Array
  readonly tag: Uint8Array
  readonly ciphertext: Uint8Array
}

export interface CryptConfig {
  /** Encrypts data; 32 bytes. */
  readonly encKey: Uint8Array
  /** Enters chunk digests and signs manifests; 32 bytes. */
  readonly idKey: Uint8Array
  /** Names the key without revealing it; 32 bytes. */
  readonly fingerprint: Uint8Array
  /** The fingerprint as `aa:bb:...`. */
  readonly fingerprintText: string
  /** The digest under which data is stored when encrypted: SHA-256(data || id key). */
  readonly chunkDigest: (data: Uint8Array) => Digest.Digest
  /** HMAC-SHA256 of the data under the id key. */
  readonly authTag: (data: Uint8Array | string) => Uint8Array
  /** An initialisation vector must never be used twice; it is given only where known output is wanted. */
  readonly encrypt: (data: Uint8Array, iv?: Uint8Array) => Encrypted
  /** The plain data, or undefined when the tag does not fit: other key or changed bytes. */
  readonly decrypt: (encrypted: Encrypted) => Uint8Array | undefined
}

export const keySizeBytes = 32

export const ivSizeBytes = 16

export const tagSizeBytes = 16

const algorithm = "aes-256-gcm"

const idKeyIterations = 10

const fingerprintPrefix = createHash("sha256").update("Proxmox Backup Encryption Key Fingerprint").digest()

/**
 * Encrypts with any 32-byte key; `CryptConfig` uses its data key, key files the one derived from a
 * passphrase.
 */
export const seal = (key: Uint8Array, data: Uint8Array, iv: Uint8Array): Encrypted => {
  const cipher = createCipheriv(algorithm, key, iv, { authTagLength: tagSizeBytes })
  const ciphertext = cipher.update(data)
  // GCM is a stream mode: `final` adds nothing, it only makes the tag.
  cipher.final()
  return { iv, tag: cipher.getAuthTag(), ciphertext }
}

/** The opposite of `seal`; undefined when the tag does not fit. */
export const unseal = (key: Uint8Array, encrypted: Encrypted): Uint8Array | undefined => {
  const decipher = createDecipheriv(algorithm, key, encrypted.iv, { authTagLength: tagSizeBytes })
  decipher.setAuthTag(encrypted.tag)
  const data = decipher.update(encrypted.ciphertext)
  try {
    decipher.final()
    return data
  } catch {
    return undefined
  }
}

const fingerprintToText = (fingerprint: Uint8Array): string =>
  Array.from(fingerprint, (byte) => byte.toString(16).padStart(2, "0")).join(":")

/** Derives everything from the raw 32-byte key. */
export const fromKey = (raw: Uint8Array): CryptConfig => {
  if (raw.length !== keySizeBytes) throw new RangeError(`a key has ${keySizeBytes} bytes, not ${raw.length}`)
  const encKey = Uint8Array.from(raw)
  const idKey = pbkdf2Sync(encKey, "_id_key", idKeyIterations, keySizeBytes, "sha256")
  const fingerprint = createHash("sha256").update(fingerprintPrefix).update(idKey).digest()
  return {
    encKey,
    idKey,
    fingerprint,
    fingerprintText: fingerprintToText(fingerprint),
    chunkDigest: (data) => Digest.fromBytes(createHash("sha256").update(data).update(idKey).digest()),
    authTag: (data) => createHmac("sha256", idKey).update(data).digest(),
    encrypt: (data, iv = randomBytes(ivSizeBytes)) => seal(encKey, data, iv),
    decrypt: (encrypted) => unseal(encKey, encrypted)
  }
}
