/**
 * Gives a restored thing its metadata, in the order in which nothing undoes what was set before: owner (takes
 * setuid bits and capabilities away), extended attributes (while the owner may still write), mode, access
 * control lists (their mask is part of the mode), capabilities, quota project, times, and last the flags,
 * after which nothing can be changed.
 *
 * Whatever the system refuses is counted in the report and the rest is set all the same, with one exception:
 * where the owner is not the archive's, setuid and setgid bits are dropped, as they would lend the rights of
 * somebody else.
 */
import { chmodSync, closeSync } from "node:fs"
import type { FileMetadata } from "../../model/FileMetadata.ts"
import * as Posix from "../../platform/Posix.ts"
import { ACCESS_XATTR, accessAcl, DEFAULT_XATTR, defaultAcl, NO_ACL } from "./AclXattr.ts"
import { inodeFlagsOfFile, knownInodeFlags } from "../../model/InodeFlags.ts"
import { OPEN_PATH } from "./OpenFlags.ts"
import type { RefusalKind, Report } from "./Report.ts"

const PERMISSION_BITS = 0o7777
const SET_ID_BITS = 0o6000
const UNCHANGED = 0xffff_ffff
const NO_NAME = new Uint8Array(0)
const CAPABILITY_XATTR = new TextEncoder().encode("security.capability")
const USER_PREFIX = new TextEncoder().encode("user.")
const MAXIMUM_PROJECT_ID = 0xffff_ffffn

/** Runs one step; what it throws goes to the report. Answers whether it went well. */
const attempt = (report: Report, kind: RefusalKind, step: () => void): boolean => {
  try {
    step()
    return true
  } catch (error) {
    report.refused(kind, error)
    return false
  }
}

const isUserXattr = (name: Uint8Array): boolean => USER_PREFIX.every((byte, index) => name[index] === byte)

const applyXattrs = (place: Posix.XattrPlace, metadata: FileMetadata, report: Report): void => {
  for (const { name, value } of metadata.xattrs) {
    const kind = isUserXattr(name) ? "user attributes" : "privileged attributes"
    attempt(report, kind, () => Posix.setXattr(place, name, value))
  }
}

/** Whether owner and group are the archive's afterwards. */
const applyOwner = (
  directoryFd: number,
  name: Uint8Array,
  { gid, uid }: FileMetadata,
  found: Posix.PosixStat,
  report: Report
): boolean => {
  if (found.uid === uid && found.gid === gid) return true
  const isOwner = attempt(report, "owner", () => Posix.changeOwnerAt(directoryFd, name, uid, gid))
  if (!isOwner && found.gid !== gid) {
    try {
      // Whoever owns a file may at least give it to another group of theirs.
      Posix.changeOwnerAt(directoryFd, name, UNCHANGED, gid)
    } catch (error) {
      if (!(error instanceof Posix.PosixError)) throw error
    }
  }
  return isOwner
}

const allowedMode = (metadata: FileMetadata, isOwner: boolean): number =>
  metadata.mode & (isOwner ? PERMISSION_BITS : PERMISSION_BITS & ~SET_ID_BITS)

/** Takes away the lists that a new file or directory inherits from a default list of its parent. */
export const clearAcls = (place: Posix.XattrPlace, kind: "file" | "directory"): void => {
  Posix.setXattr(place, ACCESS_XATTR, NO_ACL)
  if (kind === "directory") Posix.setXattr(place, DEFAULT_XATTR, NO_ACL)
}

const applyAcls = (fd: number, metadata: FileMetadata, report: Report): void => {
  const kind = "access control list"
  attempt(report, kind, () => {
    const access = accessAcl(metadata)
    if (access !== undefined) Posix.setXattr(fd, ACCESS_XATTR, access)
  })
  attempt(report, kind, () => {
    const inherited = defaultAcl(metadata)
    if (inherited !== undefined) Posix.setXattr(fd, DEFAULT_XATTR, inherited)
  })
}

const applyCapabilities = (fd: number, { fcaps }: FileMetadata, report: Report): void => {
  if (fcaps === undefined) return
  attempt(report, "capabilities", () => Posix.setXattr(fd, CAPABILITY_XATTR, fcaps))
}

const applyQuotaProject = (fd: number, { quotaProjectId }: FileMetadata, report: Report): void => {
  if (quotaProjectId === undefined) return
  attempt(report, "quota project", () => {
    if (quotaProjectId > MAXIMUM_PROJECT_ID) throw new Posix.PosixError({ syscall: "ioctl", code: "EINVAL" })
    Posix.setProjectId(fd, Number(quotaProjectId))
  })
}

const setFlags = (fd: number, flags: number): void => {
  const wanted = inodeFlagsOfFile(flags)
  if (wanted === 0) throw new Posix.PosixError({ syscall: "ioctl", code: "EOPNOTSUPP" })
  Posix.setInodeFlags(fd, (Posix.getInodeFlags(fd) & ~knownInodeFlags) | wanted)
}

/** Sets the flags of the archive; those that the archive does not know stay as they are. */
export const applyFlags = (fd: number, flags: number, report: Report): void => {
  if (flags !== 0) attempt(report, "flags", () => setFlags(fd, flags))
}

/** The same before there is content. A refusal is no news yet: `applyFlags` will meet it again. */
export const applyEarlyFlags = (fd: number, flags: number): void => {
  try {
    setFlags(fd, flags)
  } catch (error) {
    if (!(error instanceof Posix.PosixError)) throw error
  }
}

/** Everything but the flags, for an open file or directory that `found` describes. */
export const applyToDescriptor = (
  fd: number,
  metadata: FileMetadata,
  found: Posix.PosixStat,
  report: Report
): void => {
  const isOwner = applyOwner(fd, NO_NAME, metadata, found, report)
  applyXattrs(fd, metadata, report)
  const mode = allowedMode(metadata, isOwner)
  if ((found.mode & PERMISSION_BITS) !== mode || (mode & SET_ID_BITS) !== 0) {
    attempt(report, "mode", () => Posix.changeMode(fd, mode))
  }
  if (metadata.acl !== undefined) applyAcls(fd, metadata, report)
  applyCapabilities(fd, metadata, report)
  applyQuotaProject(fd, metadata, report)
  attempt(report, "times", () => Posix.setTimes(fd, metadata.mtimeSeconds, metadata.mtimeNanos))
}

/** Everything for a new symbolic link, device, fifo or socket, which none of can be opened. */
export const applyToName = (
  directoryFd: number,
  name: Uint8Array,
  kind: "symlink" | "special",
  metadata: FileMetadata,
  report: Report
): void => {
  const found = Posix.statAt(directoryFd, name)
  const isOwner = applyOwner(directoryFd, name, metadata, found, report)
  if (kind === "special") {
    attempt(report, "mode", () => changeModeOfNode(directoryFd, name, allowedMode(metadata, isOwner), found))
  }
  if (metadata.xattrs.length > 0) applyXattrs(Posix.childPath(directoryFd, name), metadata, report)
  attempt(report, "times", () => {
    Posix.setTimesAt(directoryFd, name, metadata.mtimeSeconds, metadata.mtimeNanos)
  })
}

/**
 * There is no chmod that leaves links alone, so the node itself is pinned first and then named by its
 * descriptor.
 */
const changeModeOfNode = (
  directoryFd: number,
  name: Uint8Array,
  mode: number,
  expected: Posix.PosixStat
): void => {
  const fd = Posix.openAt(directoryFd, name, OPEN_PATH)
  try {
    if (Posix.statAt(fd, NO_NAME).inode !== expected.inode) {
      throw new Posix.PosixError({ syscall: "fchmodat", code: "ESTALE" })
    }
    chmodSync(`/proc/self/fd/${fd}`, mode)
  } finally {
    closeSync(fd)
  }
}
