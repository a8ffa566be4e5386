/**
 * Opcode: the numbers of the kernel's requests (`fuse_opcode` in linux/fuse.h), as far as a read-only tree knows them
 * apart. They are the kernel's promise and never change.
 */
export const Opcode = {
  lookup: 1,
  forget: 2,
  attributes: 3,
  setAttributes: 4,
  readLink: 5,
  symlink: 6,
  makeNode: 8,
  makeDirectory: 9,
  unlink: 10,
  removeDirectory: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statistics: 17,
  release: 18,
  setXattr: 21,
  xattr: 22,
  xattrNames: 23,
  removeXattr: 24,
  init: 26,
  openDirectory: 27,
  readDirectory: 28,
  releaseDirectory: 29,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  allocate: 43,
  readDirectoryPlus: 44,
  rename2: 45,
  seek: 46,
  copyFileRange: 47,
  temporaryFile: 51
} as const

/** What would change something. The kernel sends none of them to a read-only mount. */
export const changing: ReadonlySet<number> = new Set([
  Opcode.setAttributes,
  Opcode.symlink,
  Opcode.makeNode,
  Opcode.makeDirectory,
  Opcode.unlink,
  Opcode.removeDirectory,
  Opcode.rename,
  Opcode.link,
  Opcode.write,
  Opcode.setXattr,
  Opcode.removeXattr,
  Opcode.create,
  Opcode.allocate,
  Opcode.rename2,
  Opcode.copyFileRange,
  Opcode.temporaryFile
])
