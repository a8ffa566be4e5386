/**
 * Recoding: whether a snapshot is encrypted on its way (a push with a key) or decrypted (a pull with its key), and what
 * its manifest becomes.
 *
 * Only a snapshot of which nothing is encrypted is encrypted. Only one that is encrypted and signed as a whole, with a
 * key that was given, is decrypted; its signature is proven first. What is encrypted stays as it is in a push, and what
 * no key fits in a pull. A copy is another snapshot as far as checksums go, so its manifest remembers which one it was
 * made from: `sync-source-signature` is the signature of the source's manifest under the key.
 */
import * as Effect from "effect/Effect"
import * as CanonicalJson from "../format/CanonicalJson.ts"
import type { CryptConfig } from "../format/CryptConfig.ts"
import * as Manifest from "../format/Manifest.ts"
import * as ArchiveName from "../model/ArchiveName.ts"
import { decodeOrCorrupt } from "./decodeManifest.ts"
import { type SyncError, syncError } from "./SyncError.ts"
import type { CheckedOptions } from "./SyncOptions.ts"

export interface Recoding {
  /** Opens what the source has. */
  readonly from: CryptConfig | undefined
  /** Closes what the target gets. */
  readonly to: CryptConfig | undefined
}

export type Choice = Recoding | "as it is" | "partly encrypted"

const sourceSignatureKey = "sync-source-signature"

/** The client's log has its own rules, and the key encrypted with a master key is of no use without encryption. */
const isCounted = ({ filename }: Manifest.ManifestFile): boolean =>
  filename !== ArchiveName.clientLogFile && filename !== ArchiveName.rsaKey.file

const forEncryption = (to: CryptConfig, files: ReadonlyArray<Manifest.ManifestFile>): Choice => {
  if (files.every(({ cryptMode }) => cryptMode === "none")) return { from: undefined, to }
  return files.every(({ cryptMode }) => cryptMode === "encrypt") ? "as it is" : "partly encrypted"
}

const archive = ArchiveName.manifestFile

const proveSignature = (manifest: Manifest.Manifest, from: CryptConfig): Effect.Effect<Choice, SyncError> =>
  Effect.suspend(() => {
    const fail = (detail: string) => Effect.fail(syncError("Corrupt", detail, { side: "source", archive }))
    try {
      if (Manifest.verifySignature(manifest, from) === "unsigned")
        return fail("it is encrypted, and not signed")
      return Effect.succeed({ from, to: undefined })
    } catch (error) {
      return error instanceof Manifest.SignatureError ? fail(error.detail) : Effect.die(error)
    }
  })

export const choose = (
  { decryptWith, encryptWith }: Pick<CheckedOptions, "decryptWith" | "encryptWith">,
  manifest: Manifest.Manifest
): Effect.Effect<Choice, SyncError> => {
  const files = manifest.files.filter(isCounted)
  if (encryptWith !== undefined) return Effect.succeed(forEncryption(encryptWith, files))
  const fingerprint = Manifest.keyFingerprint(manifest)
  const key = decryptWith.find(({ fingerprintText }) => fingerprintText === fingerprint)
  const isWhole = files.length > 0 && files.every(({ cryptMode }) => cryptMode === "encrypt")
  return key !== undefined && isWhole ? proveSignature(manifest, key) : Effect.succeed("as it is")
}

/** Files that the copy has as well. */
export const filesOf = (
  { to }: Recoding,
  { files }: Manifest.Manifest
): ReadonlyArray<Manifest.ManifestFile> =>
  files.filter(({ filename }) => to !== undefined || filename !== ArchiveName.rsaKey.file)

/** By which the copy knows what it was made from. */
export const sourceSignature = (
  { to }: Recoding,
  manifest: Manifest.Manifest
): Effect.Effect<string, SyncError> =>
  decodeOrCorrupt("source", archive, () =>
    to === undefined
      ? (manifest.signature ?? "")
      : Buffer.from(to.authTag(Manifest.signedText(manifest))).toString("hex")
  )

/** What the source's own key and verification say of it is not true of the copy. */
const notCopied: ReadonlySet<string> = new Set(["key-fingerprint", "verify_state"])

const withNotesOf = (
  copy: Manifest.Manifest,
  source: Manifest.Manifest,
  signature: string
): Manifest.Manifest => {
  const kept = Object.entries(copy.unprotected).filter(([key]) => notCopied.has(key))
  const taken = Object.entries(source.unprotected).filter(([key]) => !notCopied.has(key))
  const unprotected = Object.fromEntries([...taken, ...kept, [sourceSignatureKey, signature]])
  return Manifest.fromJson({ ...copy.raw, unprotected })
}

/** The copy's manifest. */
export const manifestOf = (
  { to }: Recoding,
  source: Manifest.Manifest,
  files: ReadonlyArray<Manifest.ManifestFile>,
  signature: string
): Manifest.Manifest => {
  const plain = Manifest.make(source.snapshot, files)
  return withNotesOf(to === undefined ? plain : Manifest.sign(plain, to), source, signature)
}

const textOf = ({ raw }: Manifest.Manifest): string => JSON.stringify(CanonicalJson.sorted(raw))

/** A copy that is there, with what was noted on the source since; undefined when that is nothing. */
export const renewed = (
  own: Manifest.Manifest,
  source: Manifest.Manifest,
  signature: string
): Effect.Effect<Manifest.Manifest | undefined, SyncError> => {
  if (own.unprotected[sourceSignatureKey] !== signature) {
    const detail = "the target has another snapshot of this time, or one that was not made with this key"
    return Effect.fail(syncError("Conflict", detail, { side: "target" }))
  }
  const wanted = withNotesOf(own, source, signature)
  return Effect.succeed(textOf(wanted) === textOf(own) ? undefined : wanted)
}
