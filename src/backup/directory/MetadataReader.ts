/**
 * Reads what an archive keeps of a file besides its content, from an open descriptor: inode flags, extended attributes,
 * access control lists, capabilities and the quota project.
 *
 * Only files and directories have more than their stat; the reference implementation neither stores nor restores
 * attributes of links, devices, fifos and sockets. What a file system does not offer is remembered by device and kind,
 * so that it is asked once and not for every file. What cannot be read is left out with a warning.
 */
import {
  type ExtendedAttribute,
  type FileMetadata,
  kindOfMode,
  makeFileMetadata
} from "../../model/FileMetadata.ts"
import * as Posix from "../../platform/Posix.ts"
import { fileFlagsOfInode } from "../../model/InodeFlags.ts"
import { parseAcl } from "./PosixAcl.ts"

type Warn = (message: string) => void

const CAPABILITY = "security.capability"
const ACCESS_ACL = "system.posix_acl_access"
const DEFAULT_ACL = "system.posix_acl_default"
const KEPT_NAMESPACES = ["user.", "trusted.", "security."]

const NO_XATTRS: ReadonlyArray<ExtendedAttribute> = []

/** What calls say that a file system does not implement at all. */
const UNSUPPORTED: ReadonlySet<string> = new Set(["ENOTTY", "ENOSYS", "ENOTSUP", "EOPNOTSUPP"])

/** What they say that it does not implement for this file. */
const INAPPLICABLE: ReadonlySet<string> = new Set(["EINVAL", "EBADF"])

/** Identifies the device that a file is on. */
export const deviceOf = (stat: Posix.PosixStat): number => stat.deviceMajor * 0x1_0000_0000 + stat.deviceMinor

/** Metadata of what cannot be opened or has no more than this. */
export const metadataOfStat = (stat: Posix.PosixStat): FileMetadata =>
  makeFileMetadata({
    mode: stat.mode,
    uid: stat.uid,
    gid: stat.gid,
    mtimeSeconds: stat.mtimeSeconds,
    mtimeNanos: stat.mtimeNanos
  })

export class MetadataReader {
  readonly #withoutFlags = new Set<number>()
  readonly #withoutProjects = new Set<number>()

  /** Reads the metadata of an open file or directory. */
  read(fd: number, stat: Posix.PosixStat, warn: Warn): FileMetadata {
    const place = deviceOf(stat) * 2 + (kindOfMode(stat.mode) === "directory" ? 1 : 0)
    const flags = ask(this.#withoutFlags, place, "inode flags", warn, () => Posix.getInodeFlags(fd))
    const projectId = ask(this.#withoutProjects, place, "quota project", warn, () => Posix.getProjectId(fd))
    return {
      mode: stat.mode,
      flags: fileFlagsOfInode(flags),
      uid: stat.uid,
      gid: stat.gid,
      mtimeSeconds: stat.mtimeSeconds,
      mtimeNanos: stat.mtimeNanos,
      ...readAttributes(fd, warn),
      quotaProjectId: projectId === 0 ? undefined : BigInt(projectId)
    }
  }
}

/** Asks for a number that not every file system has; `without` holds the places where it is known to be absent. */
const ask = (without: Set<number>, place: number, what: string, warn: Warn, call: () => number): number => {
  if (without.has(place)) return 0
  try {
    return call()
  } catch (error) {
    if (!(error instanceof Posix.PosixError)) throw error
    if (UNSUPPORTED.has(error.code)) without.add(place)
    else if (!INAPPLICABLE.has(error.code)) warn(`its ${what} cannot be read (${error.code})`)
    return 0
  }
}

type Attributes = Pick<FileMetadata, "xattrs" | "acl" | "fcaps">

const NO_ATTRIBUTES: Attributes = { xattrs: NO_XATTRS, acl: undefined, fcaps: undefined }

const readAttributes = (fd: number, warn: Warn): Attributes => {
  try {
    const names = Posix.listXattrs(fd)
    return names.length === 0 ? NO_ATTRIBUTES : collectAttributes(fd, names, warn)
  } catch (error) {
    if (!(error instanceof Posix.PosixError)) throw error
    if (!UNSUPPORTED.has(error.code) && !INAPPLICABLE.has(error.code)) {
      warn(`its extended attributes cannot be read (${error.code})`)
    }
    return NO_ATTRIBUTES
  }
}

/** Keeps attributes in the order in which the file system lists them, as the reference does. */
const collectAttributes = (fd: number, names: ReadonlyArray<Uint8Array>, warn: Warn): Attributes => {
  const xattrs: Array<ExtendedAttribute> = []
  const special = new Map<string, Uint8Array>()
  for (const name of names) {
    // Latin-1 keeps bytes apart that are no valid text.
    const text = Buffer.from(name).toString("latin1")
    const isSpecial = text === CAPABILITY || text === ACCESS_ACL || text === DEFAULT_ACL
    if (!isSpecial && !KEPT_NAMESPACES.some((namespace) => text.startsWith(namespace))) continue
    const value = readValue(fd, name, text, warn)
    if (value === undefined) continue
    if (isSpecial) special.set(text, value)
    else xattrs.push({ name, value })
  }
  return {
    xattrs: xattrs.length === 0 ? NO_XATTRS : xattrs,
    acl: parseAcl(special.get(ACCESS_ACL), special.get(DEFAULT_ACL), () =>
      warn("its access control list is malformed and was left out")
    ),
    fcaps: special.get(CAPABILITY)
  }
}

const readValue = (fd: number, name: Uint8Array, text: string, warn: Warn): Uint8Array | undefined => {
  try {
    return Posix.getXattr(fd, name)
  } catch (error) {
    if (!(error instanceof Posix.PosixError)) throw error
    warn(`its extended attribute ${JSON.stringify(text)} cannot be read (${error.code})`)
    return undefined
  }
}
