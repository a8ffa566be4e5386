/**
 * Opens and lists directories by descriptor. Children are reached through the open parent only, never through a path
 * from the root: paths may be longer than the system takes, and a parent may be renamed or replaced meanwhile.
 */
import { closeSync, constants, readdirSync, statfsSync } from "node:fs"
import { kindOfMode } from "../../model/FileMetadata.ts"
import * as Posix from "../../platform/Posix.ts"

/** What a directory says of a child, without a look at the child itself. */
export interface Child {
  readonly name: Uint8Array
  readonly kind: "directory" | "file" | "other"
}

const SLASH = 0x2f

/** The same on all Linux machines, unlike the others, which Node therefore provides. */
const O_CLOEXEC = 0o2000000
export const O_PATH = 0o10000000

const READ_FLAGS = constants.O_RDONLY | constants.O_NOCTTY | O_CLOEXEC

/** A file that is replaced by a fifo at the wrong moment must not block. */
export const FILE_FLAGS = READ_FLAGS | constants.O_NOFOLLOW | constants.O_NONBLOCK
export const DIRECTORY_FLAGS = READ_FLAGS | constants.O_NOFOLLOW | constants.O_DIRECTORY
/** The root may be given as a symbolic link. */
export const ROOT_FLAGS = READ_FLAGS | constants.O_DIRECTORY

/** A path for calls that take no descriptor. */
export const descriptorPath = (fd: number): string => `/proc/self/fd/${fd}`

/** Opens a child for reading, without a new access time where we are allowed that. */
export const openChild = (directoryFd: number, name: Uint8Array, flags: number): number => {
  try {
    return Posix.openAt(directoryFd, name, flags | constants.O_NOATIME)
  } catch (error) {
    if (!(error instanceof Posix.PosixError) || error.code !== "EPERM") throw error
    return Posix.openAt(directoryFd, name, flags)
  }
}

/** Opens a file anywhere below an open directory for reading, following no symbolic link on the way. */
export const openFileBelow = (directoryFd: number, path: Uint8Array): number => {
  const slash = path.indexOf(SLASH)
  if (slash === -1) return openChild(directoryFd, path, FILE_FLAGS)
  const fd = openChild(directoryFd, path.subarray(0, slash), DIRECTORY_FLAGS)
  try {
    return openFileBelow(fd, path.subarray(slash + 1))
  } finally {
    closeSync(fd)
  }
}

/** Symbolic errno of what a call to the system throws; other errors are thrown on. */
export const errnoOf = (error: unknown): string => {
  if (error instanceof Error && "code" in error && typeof error.code === "string") {
    // Node's own complaints about arguments are called ERR_SOMETHING.
    if (/^E[A-Z0-9]+$/.test(error.code)) return error.code
  }
  throw error
}

/** Children of an open directory, ordered by the bytes of their names. */
export const listChildren = (directoryFd: number): Array<Child> => {
  const path = descriptorPath(directoryFd)
  const children = listWithKinds(path) ?? listAndStat(path, directoryFd)
  return children.sort((left, right) => Buffer.compare(left.name, right.name))
}

/** Undefined when the file system keeps no kinds in its directories and a child vanished while it was looked at. */
const listWithKinds = (path: string): Array<Child> | undefined => {
  try {
    return readdirSync(path, { encoding: "buffer", withFileTypes: true }).map((entry) => ({
      name: entry.name,
      kind: entry.isDirectory() ? "directory" : entry.isFile() ? "file" : "other"
    }))
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined
    throw error
  }
}

const listAndStat = (path: string, directoryFd: number): Array<Child> =>
  readdirSync(path, { encoding: "buffer" }).map((name) => ({ name, kind: kindOfChild(directoryFd, name) }))

const kindOfChild = (directoryFd: number, name: Uint8Array): Child["kind"] => {
  try {
    const kind = kindOfMode(Posix.statAt(directoryFd, name).mode)
    return kind === "directory" || kind === "file" ? kind : "other"
  } catch {
    // The walk will find out what is the matter with it.
    return "other"
  }
}

/** Numbers that statfs tells of file systems without content of their own. */
const VIRTUAL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0x0000_1cd1, // devpts
  0x0000_9fa0, // proc
  0x0027_e0eb, // cgroup
  0x4249_4e4d, // binfmt_misc
  0x4341_5d53, // smackfs
  0x6165_676c, // pstore
  0x6265_6570, // configfs
  0x6265_6572, // sysfs
  0x6367_7270, // cgroup2
  0x6462_6720, // debugfs
  0x6573_5543, // fusectl
  0x6759_6969, // rpc_pipefs
  0x6e66_7364, // nfsd
  0x7363_6673, // securityfs
  0x7472_6163, // tracefs
  0x1980_0202, // mqueue
  0x9584_58f6, // hugetlbfs
  0xde5e_81e4, // efivarfs
  0xf97c_ff8c, // selinuxfs
  0xcafe_4a11 // bpf
])

/** Whether an open directory belongs to a file system such as proc, which is never part of a backup. */
export const isVirtual = (directoryFd: number): boolean =>
  VIRTUAL_FILE_SYSTEMS.has(statfsSync(descriptorPath(directoryFd)).type >>> 0)
