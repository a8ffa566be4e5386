/**
 * Access control lists in the form that Linux takes as extended attributes: a u32 version, then entries of
 * u16 tag, u16 permissions and u32 id (acl(5), linux/posix_acl_xattr.h). The kernel wants the tags in
 * ascending order, ids in ascending order within a tag, and a mask wherever a user or group is named.
 */
import type { Acl, AclEntry, FileMetadata } from "../../model/FileMetadata.ts"
import { PosixError } from "../../platform/Posix.ts"

export const ACCESS_XATTR = new TextEncoder().encode("system.posix_acl_access")
export const DEFAULT_XATTR = new TextEncoder().encode("system.posix_acl_default")

const VERSION = 2
const HEADER_BYTES = 4
const ENTRY_BYTES = 8
const NO_ID = 0xffff_ffff
const TAG = { userObject: 1, user: 2, groupObject: 4, group: 8, mask: 16, other: 32 } as const

interface FullAcl {
  readonly userObject: number
  readonly users: ReadonlyArray<AclEntry>
  readonly groupObject: number
  readonly groups: ReadonlyArray<AclEntry>
  readonly mask: number | undefined
  readonly other: number
}

/** A list without entries: setting it takes the list of a file away. */
export const NO_ACL = new Uint8Array([VERSION, 0, 0, 0])

const ascending = (entries: ReadonlyArray<AclEntry>): ReadonlyArray<AclEntry> =>
  entries.toSorted((left, right) => left.id - right.id)

const encode = (acl: FullAcl): Uint8Array => {
  const entries: Array<readonly [tag: number, permissions: number, id: number]> = []
  entries.push([TAG.userObject, acl.userObject, NO_ID])
  for (const { id, permissions } of ascending(acl.users)) entries.push([TAG.user, permissions, id])
  entries.push([TAG.groupObject, acl.groupObject, NO_ID])
  for (const { id, permissions } of ascending(acl.groups)) entries.push([TAG.group, permissions, id])
  if (acl.mask !== undefined) entries.push([TAG.mask, acl.mask, NO_ID])
  entries.push([TAG.other, acl.other, NO_ID])
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + entries.length * ENTRY_BYTES))
  view.setUint32(0, VERSION, true)
  let at = HEADER_BYTES
  for (const [tag, permissions, id] of entries) {
    // A wider id would be cut to that of somebody else.
    if (id > NO_ID) throw new PosixError({ syscall: "fsetxattr", code: "EINVAL" })
    view.setUint16(at, tag, true)
    view.setUint16(at + 2, permissions, true)
    view.setUint32(at + 4, id, true)
    at += ENTRY_BYTES
  }
  return new Uint8Array(view.buffer)
}

/** The attribute with the access list; undefined when the mode says it all. */
export const accessAcl = (metadata: FileMetadata): Uint8Array | undefined => {
  const { acl, mode } = metadata
  if (acl === undefined) return undefined
  const { groupObject, groups, users } = acl
  if (groupObject === undefined && groups.length === 0 && users.length === 0) return undefined
  // With a list, the group bits of the mode are its mask.
  const mask = (mode >> 3) & 7
  return encode({
    userObject: (mode >> 6) & 7,
    users,
    groupObject: groupObject ?? mask,
    groups,
    mask,
    other: mode & 7
  })
}

const unionOfGroupClass = (acl: Acl, groupObject: number): number =>
  [...acl.defaultUsers, ...acl.defaultGroups].reduce((all, { permissions }) => all | permissions, groupObject)

/** The attribute with the default list of a directory; undefined when it has none. */
export const defaultAcl = ({ acl, mode }: FileMetadata): Uint8Array | undefined => {
  if (acl === undefined) return undefined
  const { default: base, defaultGroups: groups, defaultUsers: users } = acl
  const isNamed = users.length > 0 || groups.length > 0
  if (base === undefined && !isNamed) return undefined
  // What a list may not lack but this one does comes from the directory's own permissions, as with setfacl.
  const groupObject = base?.groupObject ?? (mode >> 3) & 7
  return encode({
    userObject: base?.userObject ?? (mode >> 6) & 7,
    users,
    groupObject,
    groups,
    mask: base?.mask ?? (isNamed ? unionOfGroupClass(acl, groupObject) : undefined),
    other: base?.other ?? mode & 7
  })
}
