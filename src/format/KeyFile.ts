/**
 * The key file of a client: one 32-byte encryption key, stored as JSON, bare or sealed with a passphrase.
 *
 *     { "kdf": null | {"Scrypt": {"n", "r", "p", "salt"}} | {"PBKDF2": {"iter", "salt"}},
 *       "created", "modified": RFC 3339, "data": base64, "fingerprint": "aa:bb:..", "hint": text }
 *
 * Without kdf the data is the key. Otherwise it is IV (16) || tag (16) || AES-256-GCM of the key under 32
 * bytes derived from the passphrase. Whoever stores one must make the file readable for its owner only (mode
 * 0600).
 */
import * as Data from "effect/Data"
import * as BackupTime from "../model/BackupTime.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as CanonicalJson from "./CanonicalJson.ts"
import { isObject, type Json, type JsonObject } from "./CanonicalJson.ts"
import * as CryptConfig from "./CryptConfig.ts"
import { fail } from "./FormatError.ts"
import * as KeyDerivation from "./KeyDerivation.ts"
import type { Kdf } from "./KeyDerivation.ts"

export interface KeyFile {
  readonly kdf: Kdf
  /** Seconds since 1970. */
  readonly created: number
  /** Seconds since 1970. */
  readonly modified: number
  /** The key, or IV, tag and sealed key. */
  readonly data: Uint8Array
  /** Old files have none. */
  readonly fingerprint: string | undefined
  /** What the user wrote down to remember the passphrase by. */
  readonly hint: string | undefined
}

export class KeyError extends Data.TaggedError("KeyError")<{
  readonly reason: "PassphraseNeeded" | "PassphraseTooShort" | "WrongPassphrase" | "FingerprintMismatch"
  readonly detail: string
}> {
  override get message(): string {
    return this.detail
  }
}

const format = "key file"

const fileSizeMaxBytes = 64 * 1024

export const passphraseMinBytes = 5

const sealedSizeBytes = CryptConfig.ivSizeBytes + CryptConfig.tagSizeBytes + CryptConfig.keySizeBytes

const passphraseBytes = (passphrase: string | undefined): Uint8Array => {
  if (passphrase === undefined) {
    throw new KeyError({ reason: "PassphraseNeeded", detail: "the key is protected: give its passphrase" })
  }
  const bytes = Buffer.from(passphrase)
  if (bytes.length < passphraseMinBytes) {
    const detail = `a passphrase has at least ${passphraseMinBytes} bytes, this one ${bytes.length}`
    throw new KeyError({ reason: "PassphraseTooShort", detail })
  }
  return bytes
}

const openData = (keyFile: KeyFile, passphrase: string | undefined): Uint8Array => {
  const { data, kdf } = keyFile
  if (kdf.kind === "none") return data
  const key = KeyDerivation.derive(kdf, passphraseBytes(passphrase))
  const tagStart = CryptConfig.ivSizeBytes
  const sealedStart = tagStart + CryptConfig.tagSizeBytes
  const raw = CryptConfig.unseal(key, {
    iv: data.subarray(0, tagStart),
    tag: data.subarray(tagStart, sealedStart),
    ciphertext: data.subarray(sealedStart)
  })
  if (raw !== undefined) return raw
  const hint = keyFile.hint === undefined ? "" : ` (hint: ${JSON.stringify(keyFile.hint)})`
  throw new KeyError({ reason: "WrongPassphrase", detail: `the passphrase does not open the key${hint}` })
}

/** The raw key. Synchronous and slow where a passphrase protects it; a wrong passphrase is a `KeyError`. */
export const unlock = (keyFile: KeyFile, passphrase?: string): Uint8Array => {
  const raw = Uint8Array.from(openData(keyFile, passphrase))
  const { fingerprintText } = CryptConfig.fromKey(raw)
  if (keyFile.fingerprint === undefined || keyFile.fingerprint === fingerprintText) return raw
  const detail = `the key file names fingerprint ${keyFile.fingerprint}, its key has ${fingerprintText}`
  throw new KeyError({ reason: "FingerprintMismatch", detail })
}

export type CreateOptions = {
  /** The 32-byte key. */
  readonly raw: Uint8Array
  /** Seconds since 1970. */
  readonly created: number
  /** Seconds since 1970; `created` when absent. */
  readonly modified?: number
  readonly hint?: string
} & (
  | { readonly kdf: "none" }
  | {
      readonly kdf: "scrypt" | "pbkdf2"
      readonly passphrase: string
      /** 32 random bytes. */
      readonly salt: Uint8Array
      /** 16 random bytes. */
      readonly iv: Uint8Array
    }
)

const sealData = (options: CreateOptions): { readonly kdf: Kdf; readonly data: Uint8Array } => {
  if (options.kdf === "none") return { kdf: { kind: "none" }, data: Uint8Array.from(options.raw) }
  const { salt } = options
  const kdf = options.kdf === "scrypt" ? KeyDerivation.scrypt(salt) : KeyDerivation.pbkdf2(salt)
  const key = KeyDerivation.derive(kdf, passphraseBytes(options.passphrase))
  const { iv, tag, ciphertext } = CryptConfig.seal(key, options.raw, options.iv)
  return { kdf, data: Buffer.concat([iv, tag, ciphertext]) }
}

/**
 * A new key file with the reference's cost of derivation. Synchronous, and slow when a passphrase is to
 * protect it.
 */
export const create = (options: CreateOptions): KeyFile => {
  const { fingerprintText } = CryptConfig.fromKey(options.raw)
  return {
    ...sealData(options),
    created: options.created,
    modified: options.modified ?? options.created,
    fingerprint: fingerprintText,
    hint: options.hint
  }
}

const refuse = (key: string, expected: string): never =>
  fail(format, 0, `"${key}" to be ${expected}`, "something else")

const readText = (object: JsonObject, key: string): string => {
  const value = object[key]
  return typeof value === "string" ? value : refuse(key, "a text")
}

const readOptionalText = (object: JsonObject, key: string): string | undefined =>
  (object[key] ?? null) === null ? undefined : readText(object, key)

const readNumber = (object: JsonObject, key: string): number => {
  const value = object[key]
  return typeof value === "number" ? value : refuse(key, "a number")
}

const readBytes = (object: JsonObject, key: string): Uint8Array => {
  const text = readText(object, key)
  const bytes = Buffer.from(text, "base64")
  return bytes.toString("base64") === text ? bytes : refuse(key, "base64")
}

const timePattern = /^(.{19})(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))$/

const readTime = (object: JsonObject, key: string): number => {
  const [matched, time = "", sign, hours = "0", minutes = "0"] = timePattern.exec(readText(object, key)) ?? []
  if (matched === undefined) return refuse(key, "a time as in RFC 3339")
  const offsetSeconds = (Number(hours) * 60 + Number(minutes)) * 60
  try {
    return BackupTime.parse(`${time}Z`) - (sign === "-" ? -offsetSeconds : offsetSeconds)
  } catch (error) {
    if (error instanceof InvalidName) return refuse(key, error.expected)
    throw error
  }
}

const readKdf = (value: Json): Kdf => {
  if (value === null) return { kind: "none" }
  if (!isObject(value)) return refuse("kdf", "null or an object")
  const { Scrypt: scrypt, PBKDF2: pbkdf2 } = value
  if (isObject(scrypt)) {
    const [n, r, p] = [readNumber(scrypt, "n"), readNumber(scrypt, "r"), readNumber(scrypt, "p")]
    return { kind: "scrypt", n, r, p, salt: readBytes(scrypt, "salt") }
  }
  if (!isObject(pbkdf2)) return refuse("kdf", "null, Scrypt or PBKDF2")
  return { kind: "pbkdf2", iterations: readNumber(pbkdf2, "iter"), salt: readBytes(pbkdf2, "salt") }
}

/** Reads the JSON of a key file. */
export const decode = (bytes: Uint8Array): KeyFile => {
  if (bytes.length > fileSizeMaxBytes) fail(format, 0, `at most ${fileSizeMaxBytes} bytes`, `${bytes.length}`)
  const object = CanonicalJson.parse(format, bytes)
  if (!isObject(object)) return fail(format, 0, "an object", "something else")
  const kdf = readKdf(object["kdf"] ?? null)
  KeyDerivation.check(kdf)
  const data = readBytes(object, "data")
  const sizeBytes = kdf.kind === "none" ? CryptConfig.keySizeBytes : sealedSizeBytes
  if (data.length !== sizeBytes) fail(format, 0, `${sizeBytes} bytes of data`, `${data.length}`)
  return {
    kdf,
    created: readTime(object, "created"),
    modified: readTime(object, "modified"),
    data,
    fingerprint: readOptionalText(object, "fingerprint"),
    hint: readOptionalText(object, "hint")
  }
}

const toBase64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

const kdfToJson = (kdf: Kdf): Json => {
  if (kdf.kind === "none") return null
  const salt = toBase64(kdf.salt)
  if (kdf.kind === "pbkdf2") return { PBKDF2: { iter: kdf.iterations, salt } }
  return { Scrypt: { n: kdf.n, r: kdf.r, p: kdf.p, salt } }
}

const timeToText = (seconds: number): string => BackupTime.format(seconds).replace("Z", "+00:00")

/** The JSON of a key file, keys in the reference's order. */
export const encode = (keyFile: KeyFile): Uint8Array =>
  Buffer.from(
    JSON.stringify({
      kdf: kdfToJson(keyFile.kdf),
      created: timeToText(keyFile.created),
      modified: timeToText(keyFile.modified),
      data: toBase64(keyFile.data),
      fingerprint: keyFile.fingerprint,
      hint: keyFile.hint
    })
  )
