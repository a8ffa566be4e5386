/**
 * The manifest of a snapshot (`index.json.blob`): which archives it has, with their sizes and checksums,
 * signed when the backup has a key, plus notes and states that may change later (`unprotected`). It is JSON
 * in a data blob that is never encrypted.
 *
 * The JSON object is kept as it was read (`raw`), unknown keys included: they are part of what was signed and
 * survive every rewrite. Everything else in a `Manifest` is derived from it, so manifests are made by the
 * functions here only. Manifests from before crypt modes have neither `crypt-mode` nor `unprotected`.
 *
 * The signature is HMAC-SHA256, under the key that encrypts the backup, over the canonical JSON of `raw`
 * without `signature` and `unprotected`. The unprotected part names the key by its fingerprint, so that a
 * wrong key can be told from a manifest that was changed. What else is noted there: `ManifestNotes`.
 */
import * as Data from "effect/Data"
import { timingSafeEqual } from "node:crypto"
import * as ArchiveName from "../model/ArchiveName.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import { type CryptMode, isCryptMode } from "../model/CryptMode.ts"
import * as Digest from "../model/Digest.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as CanonicalJson from "./CanonicalJson.ts"
import { isObject, type Json, type JsonObject } from "./CanonicalJson.ts"
import type { CryptConfig } from "./CryptConfig.ts"
import * as DataBlob from "./DataBlob.ts"
import { fail } from "./FormatError.ts"

export interface ManifestFile {
  /** Name of the stored file, such as `root.pxar.didx`. */
  readonly filename: string
  readonly cryptMode: CryptMode
  /** Of an index the size of the archive, of a blob the size of the stored file. */
  readonly sizeBytes: number
  /** Of an index its checksum, of a blob the SHA-256 of the stored file. */
  readonly csum: Digest.Digest
}

export interface Manifest {
  readonly snapshot: Snapshot.Snapshot
  readonly files: ReadonlyArray<ManifestFile>
  /** Not covered by the signature. */
  readonly unprotected: JsonObject
  /** 64 hex digits; null when the manifest is not signed. */
  readonly signature: string | null
  readonly raw: JsonObject
}

export class SignatureError extends Data.TaggedError("SignatureError")<{
  /**
   * `WrongKey`: the manifest names another key. `BadSignature`: the manifest is not the one that was signed.
   */
  readonly reason: "WrongKey" | "BadSignature"
  /** The snapshot as text. */
  readonly snapshot: string
  readonly detail: string
}> {
  override get message(): string {
    return `manifest of ${this.snapshot}: ${this.detail}`
  }
}

const format = "manifest"

/** Room for about eighty thousand archives. */
export const sizeMaxBytes = 16 * 1024 * 1024

const describe = (value: Json | undefined): string =>
  value === undefined ? "nothing" : JSON.stringify(value).slice(0, 80)

const refuse = (key: string, expected: string, value: Json | undefined): never =>
  fail(format, 0, `"${key}" to be ${expected}`, describe(value))

const readText = (object: JsonObject, key: string): string => {
  const value = object[key]
  return typeof value === "string" ? value : refuse(key, "a text", value)
}

const readWhole = (object: JsonObject, key: string): number => {
  const value = object[key]
  return typeof value === "number" && Number.isSafeInteger(value)
    ? value
    : refuse(key, "a whole number", value)
}

const readSnapshot = (raw: JsonObject): Snapshot.Snapshot => {
  const type = readText(raw, "backup-type")
  if (!BackupGroup.isBackupType(type)) return refuse("backup-type", '"vm", "ct" or "host"', type)
  return Snapshot.make(BackupGroup.make(type, readText(raw, "backup-id")), readWhole(raw, "backup-time"))
}

const readFile = (entry: Json): ManifestFile => {
  if (!isObject(entry)) return refuse("files", "a list of objects", entry)
  const cryptMode = entry["crypt-mode"] ?? "none"
  if (!isCryptMode(cryptMode)) return refuse("crypt-mode", '"none", "encrypt" or "sign-only"', cryptMode)
  const sizeBytes = readWhole(entry, "size")
  if (sizeBytes < 0) refuse("size", "at least 0", sizeBytes)
  return {
    filename: ArchiveName.fromFile(readText(entry, "filename")).file,
    cryptMode,
    sizeBytes,
    csum: Digest.parse(readText(entry, "csum"))
  }
}

const readFiles = (raw: JsonObject): ReadonlyArray<ManifestFile> => {
  const value = raw["files"]
  if (!Array.isArray(value)) return refuse("files", "a list", value)
  const files = value.map(readFile)
  const names = new Set<string>()
  for (const { filename } of files) {
    if (names.has(filename)) refuse("files", "a list of different files", filename)
    names.add(filename)
  }
  return files
}

const readUnprotected = (raw: JsonObject): JsonObject => {
  const value = raw["unprotected"] ?? {}
  return isObject(value) ? value : refuse("unprotected", "an object", value)
}

const readSignature = (raw: JsonObject): string | null => {
  const value = raw["signature"] ?? null
  if (value === null || (typeof value === "string" && /^[0-9a-fA-F]{64}$/.test(value))) return value
  return refuse("signature", "64 hex digits", value)
}

/** Reads the JSON of a manifest. */
export const fromJson = (raw: Json): Manifest => {
  if (!isObject(raw)) return fail(format, 0, "an object", describe(raw))
  try {
    return {
      snapshot: readSnapshot(raw),
      files: readFiles(raw),
      unprotected: readUnprotected(raw),
      signature: readSignature(raw),
      raw
    }
  } catch (error) {
    if (error instanceof InvalidName)
      return fail(format, 0, error.expected, JSON.stringify(error.text.slice(0, 80)))
    throw error
  }
}

/** Reads the bytes of `index.json.blob`. */
export const decode = (blobBytes: Uint8Array): Manifest =>
  fromJson(CanonicalJson.parse(format, DataBlob.decode(blobBytes, { maxSizeBytes: sizeMaxBytes })))

/**
 * The bytes of `index.json.blob`: a compressed blob of indented JSON with sorted keys, as the reference
 * writes it.
 */
export const encode = (manifest: Manifest): Uint8Array => {
  const text = JSON.stringify(CanonicalJson.sorted(manifest.raw), null, 2)
  return DataBlob.encode(Buffer.from(text), { compress: true })
}

const fileToJson = (file: ManifestFile): JsonObject => ({
  "crypt-mode": file.cryptMode,
  csum: file.csum,
  filename: file.filename,
  size: file.sizeBytes
})

/** A new manifest without signature. */
export const make = (snapshot: Snapshot.Snapshot, files: ReadonlyArray<ManifestFile>): Manifest =>
  fromJson({
    "backup-id": snapshot.group.id,
    "backup-time": snapshot.time,
    "backup-type": snapshot.group.type,
    files: files.map(fileToJson),
    signature: null,
    unprotected: {}
  })

/** The archive stored under that name. */
export const findFile = (manifest: Manifest, filename: string): ManifestFile | undefined =>
  manifest.files.find((file) => file.filename === filename)

const without = (object: JsonObject, ...keys: ReadonlyArray<string>): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([key]) => !keys.includes(key)))

/** Replaces one key of the unprotected part; undefined removes it. */
export const withUnprotected = (manifest: Manifest, key: string, value: Json | undefined): Manifest => {
  const rest = without(manifest.unprotected, key)
  const unprotected = value === undefined ? rest : Object.fromEntries([...Object.entries(rest), [key, value]])
  return fromJson({ ...manifest.raw, unprotected })
}

const keyFingerprintKey = "key-fingerprint"

/** Fingerprint of the key that encrypted or signed, as `aa:bb:...`. */
export const keyFingerprint = (manifest: Manifest): string | undefined => {
  const value = manifest.unprotected[keyFingerprintKey]
  return typeof value === "string" ? value : undefined
}

/** The text that a signature covers. */
export const signedText = (manifest: Manifest): string =>
  CanonicalJson.canonical(format, without(manifest.raw, "unprotected", "signature"))

/** Signs with the key and names it. */
export const sign = (manifest: Manifest, crypt: CryptConfig): Manifest => {
  const signature = Buffer.from(crypt.authTag(signedText(manifest))).toString("hex")
  const named = withUnprotected(manifest, keyFingerprintKey, crypt.fingerprintText)
  return fromJson({ ...named.raw, signature })
}

/**
 * Throws a `SignatureError` when the manifest names another key or its signature does not fit. A manifest
 * without signature passes as `unsigned`; whether that will do is for the caller to say.
 */
export const verifySignature = (manifest: Manifest, crypt: CryptConfig): "valid" | "unsigned" => {
  const refuseWith = (reason: SignatureError["reason"], detail: string): never => {
    throw new SignatureError({ reason, snapshot: Snapshot.format(manifest.snapshot), detail })
  }
  const named = keyFingerprint(manifest)
  if (named !== undefined && named !== crypt.fingerprintText) {
    refuseWith("WrongKey", `made with key ${named.slice(0, 95)}, the key given is ${crypt.fingerprintText}`)
  }
  if (manifest.signature === null) return "unsigned"
  const isGenuine = timingSafeEqual(
    Buffer.from(manifest.signature, "hex"),
    crypt.authTag(signedText(manifest))
  )
  if (isGenuine) return "valid"
  return refuseWith("BadSignature", "the signature does not fit: it was changed, or signed with another key")
}
