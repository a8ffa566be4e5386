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
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  type Decipheriv,
  pbkdf2Sync,
  randomBytes
} from "node:crypto"
import * as Digest from "../model/Digest.ts"
import { releaseOwnMemory } from "./releaseMemory.ts"

export interface Encrypted {
  readonly iv: Uint8Array
  readonly tag: Uint8Array
  readonly ciphertext: Uint8Array
}

export interface EncryptOptions {
  /** An initialisation vector must never be used twice; it is given only where known output is wanted. */
  readonly iv?: Uint8Array
  /** Where the ciphertext goes; as long as the data at least. */
  readonly room?: Uint8Array
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
  readonly encrypt: (data: Uint8Array, options?: EncryptOptions) => Encrypted
  /**
   * The plain data, or undefined when the tag does not fit: other key or changed bytes. It goes into `room`, which may
   * be the memory of the ciphertext; what fails leaves nothing of use there.
   */
  readonly decrypt: (encrypted: Encrypted, room?: Uint8Array) => Uint8Array | undefined
}

export const keySizeBytes = 32

export const ivSizeBytes = 16

export const tagSizeBytes = 16

const algorithm = "aes-256-gcm"

const idKeyIterations = 10

const fingerprintPrefix = createHash("sha256").update("Proxmox Backup Encryption Key Fingerprint").digest()

/** What lies in the processor's cache while it is copied. */
const pieceBytes = 128 * 1024

/** Through the cipher into `room`, piece by piece; without room into memory of its own. */
const pass = (cipher: Cipheriv | Decipheriv, data: Uint8Array, room: Uint8Array | undefined): Uint8Array => {
  if (room === undefined) return cipher.update(data)
  for (let from = 0; from < data.length; from += pieceBytes) {
    const piece = cipher.update(data.subarray(from, from + pieceBytes))
    room.set(piece, from)
    // The cipher makes memory for each, and dozens of them would wait for the garbage collector.
    releaseOwnMemory(piece)
  }
  return room.subarray(0, data.length)
}

/**
 * Encrypts with any 32-byte key; `CryptConfig` uses its data key, key files the one derived from a
 * passphrase.
 */
export const seal = (key: Uint8Array, data: Uint8Array, iv: Uint8Array, room?: Uint8Array): Encrypted => {
  const cipher = createCipheriv(algorithm, key, iv, { authTagLength: tagSizeBytes })
  const ciphertext = pass(cipher, data, room)
  // GCM is a stream mode: `final` adds nothing, it only makes the tag.
  cipher.final()
  return { iv, tag: cipher.getAuthTag(), ciphertext }
}

/** The opposite of `seal`; undefined when the tag does not fit. The room may be the memory of the ciphertext. */
export const unseal = (key: Uint8Array, encrypted: Encrypted, room?: Uint8Array): Uint8Array | undefined => {
  const decipher = createDecipheriv(algorithm, key, encrypted.iv, { authTagLength: tagSizeBytes })
  decipher.setAuthTag(encrypted.tag)
  const data = pass(decipher, encrypted.ciphertext, room)
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
    encrypt: (data, { iv = randomBytes(ivSizeBytes), room } = {}) => seal(encKey, data, iv, room),
    decrypt: (encrypted, room) => unseal(encKey, encrypted, room)
  }
}
