/**
 * The name of one archive in a snapshot, as the client calls it (`root.pxar`) and as the file is called
 * (`root.pxar.didx`). The last extension alone says how the file is built.
 *
 * Names come out of manifests that anybody may have written and become paths and terminal output here, so a
 * name is exactly one visible path component: no slash, no control characters, no leading dot.
 */
import { refuse } from "./InvalidName.ts"

export type ArchiveKind = "fixed" | "dynamic" | "blob"

export interface ArchiveName {
  /** The name without the extension of the storage form. */
  readonly client: string
  /** The name of the file in the snapshot's folder. */
  readonly file: string
  readonly kind: ArchiveKind
}

const kind = "archive name"

const fileNameLengthMaxBytes = 255

const kindOfExtension: ReadonlyMap<string, ArchiveKind> = new Map([
  [".fidx", "fixed"],
  [".didx", "dynamic"],
  [".blob", "blob"]
])

/** What the storage form adds to a client's extension. */
const storedExtension: ReadonlyMap<string, string> = new Map([
  [".pxar", ".didx"],
  [".mpxar", ".didx"],
  [".ppxar", ".didx"],
  [".pcat1", ".didx"],
  [".img", ".fidx"],
  [".conf", ".blob"],
  [".json", ".blob"],
  [".key", ".blob"],
  [".log", ".blob"]
])

const extensionOf = (name: string): string => {
  const dot = name.lastIndexOf(".")
  return dot === -1 ? "" : name.slice(dot)
}

const forbidden = /[/\p{Cc}]/u

const isPlainFileName = (name: string): boolean =>
  name !== "" &&
  !name.startsWith(".") &&
  !forbidden.test(name) &&
  name.isWellFormed() &&
  Buffer.byteLength(name) <= fileNameLengthMaxBytes

/** Reads the name of a file in a snapshot's folder, such as those a manifest lists. */
export const fromFile = (text: string): ArchiveName => {
  if (!isPlainFileName(text)) {
    return refuse(kind, text, "one file name without slash, control characters or leading dot")
  }
  const extension = extensionOf(text)
  const archiveKind = kindOfExtension.get(extension)
  if (archiveKind === undefined) return refuse(kind, text, "the extension .fidx, .didx or .blob")
  return { client: text.slice(0, -extension.length), file: text, kind: archiveKind }
}

/** Reads the name a client gives; the name of the stored file is accepted too. */
export const fromClient = (text: string): ArchiveName => {
  const extension = extensionOf(text)
  if (kindOfExtension.has(extension)) return fromFile(text)
  const added = storedExtension.get(extension)
  if (added === undefined) {
    return refuse(kind, text, `one of the extensions ${[...storedExtension.keys()].join(" ")}`)
  }
  return fromFile(text + added)
}

/** The manifest: a snapshot is finished when this file exists. */
export const manifestFile = "index.json.blob"

/** The client's log: optional, never listed in a manifest. */
export const clientLogFile = "client.log.blob"

/** The marker file of a protected snapshot. */
export const protectedFile = ".protected"

export const clientLog: ArchiveName = fromFile(clientLogFile)

export const catalog: ArchiveName = fromFile("catalog.pcat1.didx")

/** The encryption key of the backup, itself encrypted with a master key. */
export const rsaKey: ArchiveName = fromFile("rsa-encrypted.key.blob")
