/**
 * How an archive is protected: not at all, encrypted, or only covered by the manifest's signature.
 *
 * An `encrypt` archive must consist of encrypted blobs only, the other two of plain ones only.
 */
export type CryptMode = "none" | "encrypt" | "sign-only"

export const isCryptMode = (text: unknown): text is CryptMode =>
  text === "none" || text === "encrypt" || text === "sign-only"
