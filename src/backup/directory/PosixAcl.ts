/**
 * POSIX access control lists as Linux keeps them in `system.posix_acl_access` and `system.posix_acl_default`: a u32
 * version (2), then entries of 8 bytes, u16 tag, u16 permissions, u32 id, little endian.
 *
 * The access list says in part what the mode says. An archive keeps only the rest: users, groups, and the owning
 * group's permissions when there is a mask, because the mode's group bits hold the mask then.
 */
import { type Acl, type AclDefault, type AclEntry } from "../../model/FileMetadata.ts"

const VERSION = 2
const HEADER_BYTES = 4
const ENTRY_BYTES = 8

const USER_OBJECT = 0x01
const USER = 0x02
const GROUP_OBJECT = 0x04
const GROUP = 0x08
const MASK = 0x10
const OTHER = 0x20

interface AclList extends AclDefault {
  readonly users: ReadonlyArray<AclEntry>
  readonly groups: ReadonlyArray<AclEntry>
}

const byId = (left: AclEntry, right: AclEntry): number =>
  left.id - right.id || left.permissions - right.permissions

/** Undefined when the value is no list of version 2. */
const parseList = (value: Uint8Array): AclList | undefined => {
  if (value.length < HEADER_BYTES || (value.length - HEADER_BYTES) % ENTRY_BYTES !== 0) return undefined
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength)
  if (view.getUint32(0, true) !== VERSION) return undefined
  const objects = new Map<number, number>()
  const users: Array<AclEntry> = []
  const groups: Array<AclEntry> = []
  for (let at = HEADER_BYTES; at < value.length; at += ENTRY_BYTES) {
    const tag = view.getUint16(at, true)
    const permissions = view.getUint16(at + 2, true)
    if (permissions > 7) return undefined
    if (tag === USER) users.push({ id: view.getUint32(at + 4, true), permissions })
    else if (tag === GROUP) groups.push({ id: view.getUint32(at + 4, true), permissions })
    else objects.set(tag, permissions)
  }
  return {
    users: users.toSorted(byId),
    groups: groups.toSorted(byId),
    userObject: objects.get(USER_OBJECT),
    groupObject: objects.get(GROUP_OBJECT),
    other: objects.get(OTHER),
    mask: objects.get(MASK)
  }
}

const defaultOf = ({ groupObject, mask, other, userObject }: AclList): AclDefault | undefined => {
  const members = [userObject, groupObject, other, mask]
  return members.every((member) => member === undefined)
    ? undefined
    : { userObject, groupObject, other, mask }
}

/**
 * Puts both lists of a file together; undefined when they say no more than its mode. Of a list that cannot be
 * understood `onMalformed` is told, and it counts as absent.
 */
export const parseAcl = (
  access: Uint8Array | undefined,
  byDefault: Uint8Array | undefined,
  onMalformed: () => void
): Acl | undefined => {
  const parse = (value: Uint8Array | undefined): AclList | undefined => {
    const list = value === undefined ? undefined : parseList(value)
    if (value !== undefined && list === undefined) onMalformed()
    return list
  }
  const own = parse(access)
  const inherited = parse(byDefault)
  const acl: Acl = {
    users: own?.users ?? [],
    groups: own?.groups ?? [],
    groupObject: own?.mask === undefined ? undefined : own.groupObject,
    default: inherited === undefined ? undefined : defaultOf(inherited),
    defaultUsers: inherited?.users ?? [],
    defaultGroups: inherited?.groups ?? []
  }
  const isEmpty =
    acl.groupObject === undefined &&
    acl.default === undefined &&
    [acl.users, acl.groups, acl.defaultUsers, acl.defaultGroups].every(({ length }) => length === 0)
  return isEmpty ? undefined : acl
}
