/**
 * The manifest of a snapshot (`index.json.blob`): which archives it has, with their sizes and checksums, signed when
 * the backup has a key, plus notes and states that may change later (`unprotected`). It is JSON in a data blob that is
 * never encrypted.
 *
 * The JSON object is kept as it was read (`raw`), unknown keys included: they are part of what was signed and survive
 * every rewrite. Everything else in a `Manifest` is derived from it, so manifests are made by the functions here only.
 * Manifests from before crypt modes have neither `crypt-mode` nor `unprotected`.
 */
import * as ArchiveName from "../model/ArchiveName.ts"
import * as BackupGroup from "../model/BackupGroup.ts"
import { type CryptMode, isCryptMode } from "../model/CryptMode.ts"
import * as Digest from "../model/Digest.ts"
import { InvalidName } from "../model/InvalidName.ts"
import * as Snapshot from "../model/Snapshot.ts"
import * as CanonicalJson from "./CanonicalJson.ts"
import { isObject, type Json, type JsonObject } from "./CanonicalJson.ts"
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

/** The bytes of `index.json.blob`: a compressed blob of indented JSON with sorted keys, as the reference writes it. */
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

/** The text that a signature covers: everything except the signature and what may change without it. */
export const signedText = (manifest: Manifest): string =>
  CanonicalJson.canonical(format, without(manifest.raw, "unprotected", "signature"))

/** Replaces one key of the unprotected part; undefined removes it. */
export const withUnprotected = (manifest: Manifest, key: string, value: Json | undefined): Manifest => {
  const rest = without(manifest.unprotected, key)
  const unprotected = value === undefined ? rest : Object.fromEntries([...Object.entries(rest), [key, value]])
  return fromJson({ ...manifest.raw, unprotected })
}

/** Replaces the signature. */
export const withSignature = (manifest: Manifest, signature: string | null): Manifest =>
  fromJson({ ...manifest.raw, signature })
