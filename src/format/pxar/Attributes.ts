/**
 * The optional items of an entry between its ENTRY and its content: extended attributes, access control list,
 * file capabilities and quota project, in that fixed order. `writeAttributes` writes them,
 * `AttributeCollector` puts them together again and refuses any other order, a second one of what may stand
 * once, and more than `ATTRIBUTES_LIMIT_BYTES` of them.
 *
 * Permissions are three bits in a u64; 2^64-1 in ACL_DEFAULT stands for "not set".
 */
import type { Acl, AclDefault, AclEntry, ExtendedAttribute, FileMetadata } from "../../model/FileMetadata.ts"
import { ByteReader } from "../ByteReader.ts"
import type { ByteWriter } from "../ByteWriter.ts"
import { fail } from "../FormatError.ts"
import * as Items from "./Items.ts"
import type { Stat } from "./Stat.ts"

const NOT_SET = 0xffff_ffff_ffff_ffffn
const MAXIMUM_PERMISSIONS = 7

const writeLimited = (writer: ByteWriter, item: Items.Item, contentBytes: number): ByteWriter => {
  if (contentBytes > item.maximumBytes) {
    fail(
      "pxar archive",
      writer.position,
      `at most ${item.maximumBytes} bytes of ${item.name}`,
      `${contentBytes} bytes`
    )
  }
  return Items.writeHeader(writer, item, contentBytes)
}

const writeXattr = (writer: ByteWriter, { name, value }: ExtendedAttribute): void => {
  if (name.length === 0 || name.length > Items.XATTR_NAME_LIMIT_BYTES || name.includes(0)) {
    fail(
      "pxar archive",
      writer.position,
      "an attribute name of 1 to 255 bytes without NUL",
      `${name.length} bytes`
    )
  }
  writeLimited(writer, Items.XATTR, name.length + 1 + value.length)
    .bytes(name)
    .u8(0)
    .bytes(value)
}

const checkPermissions = (permissions: number, offset: number): number =>
  permissions >= 0 && permissions <= MAXIMUM_PERMISSIONS
    ? permissions
    : fail("pxar archive", offset, "permissions of three bits", String(permissions))

const writeAclEntries = (writer: ByteWriter, item: Items.Item, entries: ReadonlyArray<AclEntry>): void => {
  for (const entry of entries) {
    const permissions = checkPermissions(entry.permissions, writer.position)
    Items.writeHeader(writer, item, 16).u64(entry.id).u64(permissions)
  }
}

const writeAclDefault = (writer: ByteWriter, value: AclDefault): void => {
  Items.writeHeader(writer, Items.ACL_DEFAULT, 32)
  for (const permissions of [value.userObject, value.groupObject, value.other, value.mask]) {
    writer.u64(permissions === undefined ? NOT_SET : checkPermissions(permissions, writer.position))
  }
}

const writeAcl = (writer: ByteWriter, acl: Acl): void => {
  writeAclEntries(writer, Items.ACL_USER, acl.users)
  writeAclEntries(writer, Items.ACL_GROUP, acl.groups)
  if (acl.groupObject !== undefined) {
    Items.writeHeader(writer, Items.ACL_GROUP_OBJ, 8).u64(checkPermissions(acl.groupObject, writer.position))
  }
  if (acl.default !== undefined) writeAclDefault(writer, acl.default)
  writeAclEntries(writer, Items.ACL_DEFAULT_USER, acl.defaultUsers)
  writeAclEntries(writer, Items.ACL_DEFAULT_GROUP, acl.defaultGroups)
}

/** Writes everything of `metadata` that is not in its ENTRY item. */
export const writeAttributes = (writer: ByteWriter, metadata: FileMetadata): void => {
  for (const xattr of metadata.xattrs) writeXattr(writer, xattr)
  if (metadata.acl !== undefined) writeAcl(writer, metadata.acl)
  if (metadata.fcaps !== undefined) {
    writeLimited(writer, Items.FCAPS, metadata.fcaps.length).bytes(metadata.fcaps)
  }
  if (metadata.quotaProjectId !== undefined) {
    Items.writeHeader(writer, Items.QUOTA_PROJID, 8).u64(metadata.quotaProjectId)
  }
}

/** The order of attributes, and whether several of a kind may stand there. */
const RANKS = new Map<Items.Item, { readonly rank: number; readonly many: boolean }>([
  [Items.XATTR, { rank: 1, many: true }],
  [Items.ACL_USER, { rank: 2, many: true }],
  [Items.ACL_GROUP, { rank: 3, many: true }],
  [Items.ACL_GROUP_OBJ, { rank: 4, many: false }],
  [Items.ACL_DEFAULT, { rank: 5, many: false }],
  [Items.ACL_DEFAULT_USER, { rank: 6, many: true }],
  [Items.ACL_DEFAULT_GROUP, { rank: 7, many: true }],
  [Items.FCAPS, { rank: 8, many: false }],
  [Items.QUOTA_PROJID, { rank: 9, many: false }]
])

const ACL_RANKS = { first: 2, last: 7 }

const readPermissions = (reader: ByteReader): number => {
  const at = reader.offset
  return checkPermissions(reader.size("permissions"), at)
}

const readOptionalPermissions = (reader: ByteReader): number | undefined => {
  const at = reader.offset
  const value = reader.u64("permissions")
  return value === NOT_SET ? undefined : checkPermissions(Number(value), at)
}

const readAclEntry = (reader: ByteReader): AclEntry => {
  const id = reader.size("id")
  return { id, permissions: readPermissions(reader) }
}

const readAclDefault = (reader: ByteReader): AclDefault => {
  const userObject = readOptionalPermissions(reader)
  const groupObject = readOptionalPermissions(reader)
  const other = readOptionalPermissions(reader)
  return { userObject, groupObject, other, mask: readOptionalPermissions(reader) }
}

const readXattr = (content: Uint8Array, offset: number): ExtendedAttribute => {
  const nameLength = content.indexOf(0)
  if (nameLength < 1 || nameLength > Items.XATTR_NAME_LIMIT_BYTES) {
    fail("pxar archive", offset, "an attribute name of 1 to 255 bytes and a NUL", `${nameLength} bytes`)
  }
  // Copies, so that a few bytes of metadata do not keep the block alive that they came in.
  return { name: content.slice(0, nameLength), value: content.slice(nameLength + 1) }
}

const NO_XATTRS: ReadonlyArray<ExtendedAttribute> = []

/** Whether an item is an attribute, that is, may stand between ENTRY and content. */
export const isAttribute = (item: Items.Item): boolean => RANKS.has(item)

/** Takes the attributes of one entry in the order they stand in the archive. */
export class AttributeCollector {
  readonly #stat: Stat
  #rank = 0
  #bytes = 0
  #xattrs: Array<ExtendedAttribute> | undefined
  #acl: AclDraft | undefined
  #fcaps: Uint8Array | undefined
  #quotaProjectId: bigint | undefined

  constructor(stat: Stat) {
    this.#stat = stat
  }

  /** Takes one attribute; `offset` is where its content stands in the archive. */
  add(item: Items.Item, content: Uint8Array, offset: number): void {
    const order = RANKS.get(item)
    if (order === undefined || order.rank < this.#rank || (order.rank === this.#rank && !order.many)) {
      return fail("pxar archive", offset - Items.HEADER_BYTES, "an item that may follow here", item.name)
    }
    this.#rank = order.rank
    this.#bytes += Items.HEADER_BYTES + content.length
    if (this.#bytes > Items.ATTRIBUTES_LIMIT_BYTES) {
      fail("pxar archive", offset, `at most ${Items.ATTRIBUTES_LIMIT_BYTES} bytes of attributes`, "more")
    }
    if (item === Items.XATTR) (this.#xattrs ??= []).push(readXattr(content, offset))
    else if (item === Items.FCAPS) this.#fcaps = content.slice()
    else if (order.rank >= ACL_RANKS.first && order.rank <= ACL_RANKS.last) {
      addToAcl((this.#acl ??= emptyAcl()), item, new ByteReader("pxar archive", content, offset))
    } else this.#quotaProjectId = new ByteReader("pxar archive", content, offset).u64("quota project")
  }

  finish(): FileMetadata {
    const { mode, flags, uid, gid, mtimeSeconds, mtimeNanos } = this.#stat
    return {
      mode,
      flags,
      uid,
      gid,
      mtimeSeconds,
      mtimeNanos,
      xattrs: this.#xattrs ?? NO_XATTRS,
      acl: this.#acl,
      fcaps: this.#fcaps,
      quotaProjectId: this.#quotaProjectId
    }
  }
}

interface AclDraft extends Acl {
  readonly users: Array<AclEntry>
  readonly groups: Array<AclEntry>
  groupObject: number | undefined
  default: AclDefault | undefined
  readonly defaultUsers: Array<AclEntry>
  readonly defaultGroups: Array<AclEntry>
}

const emptyAcl = (): AclDraft => ({
  users: [],
  groups: [],
  groupObject: undefined,
  default: undefined,
  defaultUsers: [],
  defaultGroups: []
})

const addToAcl = (acl: AclDraft, item: Items.Item, reader: ByteReader): void => {
  if (item === Items.ACL_USER) acl.users.push(readAclEntry(reader))
  else if (item === Items.ACL_GROUP) acl.groups.push(readAclEntry(reader))
  else if (item === Items.ACL_GROUP_OBJ) acl.groupObject = readPermissions(reader)
  else if (item === Items.ACL_DEFAULT) acl.default = readAclDefault(reader)
  else if (item === Items.ACL_DEFAULT_USER) acl.defaultUsers.push(readAclEntry(reader))
  else acl.defaultGroups.push(readAclEntry(reader))
}
