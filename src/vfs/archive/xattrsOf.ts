/**
 * xattrsOf: the extended attributes of an entry as Linux shows them: those that were stored, the capabilities that the
 * archive keeps apart, and access control lists in the kernel's form.
 */
import type { ExtendedAttribute, FileMetadata } from "../../model/FileMetadata.ts"
import * as AclXattr from "../../restore/extract/AclXattr.ts"

const capabilityName: Uint8Array = new TextEncoder().encode("security.capability")

/** Throws `PosixError` for a list that Linux could not have. */
export const xattrsOf = (metadata: FileMetadata): ReadonlyArray<ExtendedAttribute> => {
  const found = [...metadata.xattrs]
  const add = (name: Uint8Array, value: Uint8Array | undefined): void => {
    if (value !== undefined) found.push({ name, value })
  }
  add(capabilityName, metadata.fcaps)
  add(AclXattr.ACCESS_XATTR, AclXattr.accessAcl(metadata))
  if (metadata.acl !== undefined) add(AclXattr.DEFAULT_XATTR, AclXattr.defaultAcl(metadata))
  return found
}
